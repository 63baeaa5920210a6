/* SPDX-License-Identifier: MIT */
/* The master: set up, loop, signals, and the way out. */
#include "lib/master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/master/control.h"
#include "lib/master/events.h"
#include "lib/master/logs.h"
#include "lib/master/mux.h"
#include "lib/master/peers.h"
#include "lib/master/roles.h"
#include "lib/master/stack.h"
#include "lib/master/statedir.h"
#include "lib/proc/tree.h"
#include "procfile/notes.h"

/* No hand is faster. */
#define SAME_INTERRUPT_US ((int64_t)200000)
/* What is left after W_KILL has this long before we kill it ourselves. */
#define KILL_PATIENCE_US ((int64_t)2000000)

struct master {
	struct stack stack;
	ev_signal interrupt;
	ev_signal terminate;
	ev_signal hangup;
	ev_signal child;
	ev_prepare progress; /* in a stop: whether everything has ended */
	int lock_fd;
	unsigned interrupts;
	int64_t interrupted_at_us;
	int64_t killed_at_us; /* 0: not yet */
};

static void kill_all(struct master *m)
{
	size_t i;

	if (m->killed_at_us != 0)
		return;
	m->killed_at_us = clock_mono_us();
	for (i = 0; i < m->stack.n_units; i++) {
		/* First, or a worker would start again what is killed. */
		if (!m->stack.units[i].told_to_quit)
			roles_send(&m->stack.units[i].worker, W_QUIT, NULL);
		m->stack.units[i].told_to_quit = true;
		roles_send(&m->stack.units[i].worker, W_KILL, NULL);
	}
}

static void maybe_leave(struct master *m)
{
	size_t i;

	if (!m->stack.stopping || roles_reap(&m->stack))
		return;
	for (i = 0; i < m->stack.n_units; i++)
		if (!m->stack.units[i].gone)
			return;
	ev_break(m->stack.loop, EVBREAK_ALL);
}

static void on_child(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct master *m = w->data;

	(void)loop;
	(void)revents;
	roles_reap(&m->stack);
}

static void on_progress(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	maybe_leave(w->data);
}

/* First: gracefully. Second: kill now. Third: whatever is still there. */
static void on_interrupt(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct master *m = w->data;

	(void)loop;
	(void)revents;
	/* timeout(1) and wrappers that pass on a Ctrl-C which the terminal has
	 * delivered already: the same one twice. */
	if (clock_mono_us() - m->interrupted_at_us < SAME_INTERRUPT_US)
		return;
	m->interrupted_at_us = clock_mono_us();
	m->interrupts++;
	if (m->interrupts == 1 && !m->stack.stopping) {
		stack_stop(&m->stack, EXIT_INTERRUPTED,
			   "Ctrl-C (again to kill now)");
		return;
	}
	if (m->interrupts <= 2)
		mux_say(m->stack.mux, "killing what is left");
	kill_all(m);
	if (m->interrupts > 2)
		tree_kill(getpid());
}

static void on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct master *m = w->data;

	(void)loop;
	(void)revents;
	stack_stop(&m->stack, EXIT_DONE, "SIGTERM");
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct master *m = w->data;

	(void)loop;
	(void)revents;
	stack_stop(&m->stack, EXIT_DONE, "the terminal was closed");
}

/* "waiting for ingest: pid 412 (ingest) on SIGINT, 2 s, SIGKILL in 3 s" */
static void say_waiting(struct stack *st, const struct unit *u,
			const struct instance *in)
{
	int64_t waited_us = clock_mono_us() - in->stopping_since_us;
	int64_t left_us = u->s->kill_delay_ms * 1000 - waited_us;
	char text[400], name[32], who[140] = "", kill[40] = "";

	if (in->stopping_who[0] != '\0')
		snprintf(who, sizeof(who), " (%s)", in->stopping_who);
	if (left_us > 0 && in->stopping_signo != SIGKILL)
		snprintf(kill, sizeof(kill), ", SIGKILL in %lld s",
			 (long long)((left_us + 999999) / 1000000));
	snprintf(text, sizeof(text), "waiting for %s: pid %d%s on %s, %lld s%s",
		 in->label, in->stopping_pid, who,
		 str_from_signal(in->stopping_signo, name, sizeof(name)),
		 (long long)(waited_us / 1000000), kill);
	mux_say(st->mux, "%s", text);
	control_note(st->control, text);
}

static void on_stop_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct master *m = w->data;
	struct stack *st = &m->stack;
	const struct unit *u;
	int64_t now = clock_mono_us();
	uint32_t j;
	size_t i;

	(void)loop;
	(void)revents;
	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		for (j = 0; !u->gone && j < u->n_instances; j++)
			if (u->instances[j].stopping_pid > 0)
				say_waiting(st, u, &u->instances[j]);
	}
	if (now - st->stop_since_us > st->model->shutdown_delay_ms * 1000)
		kill_all(m);
	if (m->killed_at_us != 0 && now - m->killed_at_us > KILL_PATIENCE_US)
		tree_kill(getpid());
}

static void init_signal(struct master *m, ev_signal *w, int signo,
			void (*cb)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(w, cb, signo);
	w->data = m;
	ev_signal_start(m->stack.loop, w);
}

static bool is_ignored(int signo)
{
	struct sigaction sa;

	return sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static void init_signals(struct master *m)
{
	signal(SIGPIPE, SIG_IGN);
	init_signal(m, &m->interrupt, SIGINT, on_interrupt);
	init_signal(m, &m->terminate, SIGTERM, on_terminate);
	if (!is_ignored(SIGHUP)) /* nohup hr up */
		init_signal(m, &m->hangup, SIGHUP, on_hangup);
	init_signal(m, &m->child, SIGCHLD, on_child);
	ev_timer_init(&m->stack.stop_tick, on_stop_tick, 1., 1.);
	m->stack.stop_tick.data = m;
	ev_prepare_init(&m->progress, on_progress);
	m->progress.data = m;
	ev_prepare_start(m->stack.loop, &m->progress);
}

static void say_watching(struct stack *st)
{
	char names[256] = "";
	size_t i, len;

	for (i = 0; i < st->n_units && st->watching; i++) {
		len = strlen(names);
		if (st->units[i].s->watched)
			snprintf(names + len, sizeof(names) - len, "%s%s",
				 len > 0 ? ", " : "", st->units[i].s->name);
	}
	if (st->opt->no_watch)
		mux_say(st->mux, "%s: nothing is watched (--no-watch)",
			st->model->stack);
	else if (!st->watching)
		mux_say(st->mux,
			"%s: nothing is watched: no service has a watch block "
			"in hr.conf",
			st->model->stack);
	else
		mux_say(st->mux, "%s: watching for %s", st->model->stack,
			names);
}

static void say_note(void *data, const char *line)
{
	struct stack *st = data;

	mux_say(st->mux, "%s", line);
}

static int set_up(struct master *m, struct err *err)
{
	struct stack *st = &m->stack;

	st->state_dir = statedir_open(st->model->dir, &m->lock_fd, err);
	if (st->state_dir == NULL)
		return -1;
	st->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (st->loop == NULL)
		return err_sys(err, "cannot make an event loop");
	if (tree_become_subreaper() < 0)
		return err_sys(err, "cannot become a subreaper");
	st->control = control_new(st, err);
	if (st->control == NULL)
		return -1;
	st->events = events_new(control_event, st->control);
	st->mux = logs_new_mux(st);
	init_signals(m);
	return 0;
}

static void tear_down(struct master *m)
{
	struct stack *st = &m->stack;

	size_t i;

	roles_done(st);
	for (i = 0; st->mux != NULL && i < st->n_units; i++)
		mux_drain(st->mux, i);
	if (st->mux != NULL)
		mux_flush(st->mux, 1000);
	/* Whoever hears that the stack is down may start it again. */
	if (st->control != NULL)
		control_close(st->control);
	fd_close(&m->lock_fd);
	if (st->control != NULL)
		control_finish(st->control);
	control_free(st->control);
	mux_free(st->mux);
	events_free(st->events);
	if (st->loop != NULL)
		ev_loop_destroy(st->loop);
	stack_done(st);
}

static void start(struct stack *st)
{
	struct err err;

	say_watching(st);
	notes_each(st->model, say_note, st);
	stack_want(st);
	if (st->watching && roles_start_watcher(st, &err) < 0) {
		mux_say(st->mux, "%s; nothing is watched", err.what);
		st->watching = false;
		watcher_peer_lost(st);
	}
	stack_advance(st);
}

/* Hundreds of pipes need more descriptors than the usual soft limit; keepers
 * give services the limit we found, since some programs walk up to it. */
static void raise_limits(void)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", fd_raise_limit());
	setenv("HR_NOFILE", text, 1);
}

int master_run(const struct up_options *opt, const struct model *model)
{
	struct master m = { .lock_fd = -1 };
	struct err err;
	int code;

	log_init("master");
	raise_limits();
	stack_init(&m.stack, opt, model);
	if (set_up(&m, &err) < 0) {
		err_print(&err, stderr);
		tear_down(&m);
		return EXIT_FAILED;
	}
	start(&m.stack);
	ev_run(m.stack.loop, 0);
	code = m.stack.exit_code;
	tear_down(&m);
	return code;
}
