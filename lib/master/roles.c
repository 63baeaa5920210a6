/* SPDX-License-Identifier: MIT */
/* The processes under the master: spawned, set up, respawned, reaped. */
#include "lib/master/roles.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/master/mux.h"
#include "lib/master/peers.h"
#include "lib/master/stack.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"

/* A role that lives shorter than this died of something that will repeat. */
#define QUICK_DEATH_US ((int64_t)2000000)
#define RESPAWN_DELAY_MAX_S 5.0

static void on_worker_message(void *data, uint32_t type, const void *body,
			      size_t len, int fd)
{
	struct role *r = data;

	worker_peer_message(r->unit, type, body, len, fd);
}

static void on_watcher_message(void *data, uint32_t type, const void *body,
			       size_t len, int fd)
{
	struct role *r = data;

	watcher_peer_message(r->stack, type, body, len, fd);
}

static double respawn_delay(struct role *r)
{
	double delay;

	if (clock_mono_us() - r->spawned_us >= QUICK_DEATH_US)
		r->quick_deaths = 0;
	delay = r->quick_deaths == 0 ? 0. : 0.05 * (1 << r->quick_deaths);
	if (r->quick_deaths < 8)
		r->quick_deaths++;
	return delay < RESPAWN_DELAY_MAX_S ? delay : RESPAWN_DELAY_MAX_S;
}

static void say_lost(const struct role *r)
{
	if (r->stack->stopping || (r->unit != NULL && r->unit->gone))
		return;
	if (r->unit != NULL)
		mux_say(r->stack->mux,
			"the worker of %s died; starting a new one",
			r->unit->s->name);
	else
		mux_say(r->stack->mux, "the watcher died; starting a new one");
}

static void on_role_gone(void *data)
{
	struct role *r = data;
	struct stack *st = r->stack;

	chan_free(r->chan);
	r->chan = NULL;
	/* Closed is as good as dead: there must never be two. */
	if (r->pid > 0 && (r->unit == NULL || !r->unit->gone))
		kill(r->pid, SIGKILL);
	say_lost(r);
	if (r->unit != NULL && !r->unit->gone)
		worker_peer_lost(r->unit);
	else if (r->unit == NULL)
		watcher_peer_lost(st);
	if (!st->stopping) {
		ev_now_update(st->loop);
		ev_timer_set(&r->respawn, respawn_delay(r), 0.);
		ev_timer_start(st->loop, &r->respawn);
	} else if (r->unit != NULL) {
		r->unit->gone = true;
	}
	stack_advance(st);
}

static const struct chan_ops worker_ops = { on_worker_message, on_role_gone };
static const struct chan_ops watcher_ops = { on_watcher_message, on_role_gone };

static int start_role(struct role *r, const char *const *argv,
		      const struct chan_ops *ops, struct err *err)
{
	int fds[2], pidfd = -1;

	if (chan_pair(fds, err) < 0)
		return -1;
	r->pid = spawn_role(argv, fds[1], &pidfd, err);
	fd_close(&pidfd);
	if (r->pid < 0) {
		r->pid = 0;
		close(fds[0]);
		return -1;
	}
	r->spawned_us = clock_mono_us();
	r->refused = 0;
	r->chan = chan_new(r->stack->loop, fds[0], ops, r);
	return 0;
}

static int start_worker(struct unit *u, struct err *err);

/* Once for each reason: the next tries come each second. */
static void say_refused(struct role *r, const struct err *err)
{
	if (r->refused == err->sys && err->sys != 0)
		return;
	r->refused = err->sys;
	mux_say(r->stack->mux, "%s%s cannot be started: %s; trying again",
		r->unit != NULL ? "the worker of " : "the watcher",
		r->unit != NULL ? r->unit->s->name : "", err->what);
}

/* Start it now, or say why not and try again in a second. */
static void start_or_retry(struct role *r)
{
	struct err err;
	int rc;

	rc = r->unit != NULL ? start_worker(r->unit, &err) :
			       roles_start_watcher(r->stack, &err);
	if (rc == 0)
		return;
	say_refused(r, &err);
	ev_timer_set(&r->respawn, 1., 0.);
	ev_timer_start(r->stack->loop, &r->respawn);
}

static void on_respawn(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct role *r = w->data;

	(void)loop;
	(void)revents;
	if (r->stack->stopping || r->chan != NULL)
		return;
	start_or_retry(r);
	stack_advance(r->stack);
}

static void role_init(struct role *r, struct stack *st, struct unit *u)
{
	if (r->stack != NULL)
		return;
	r->stack = st;
	r->unit = u;
	ev_timer_init(&r->respawn, on_respawn, 0., 0.);
	r->respawn.data = r;
}

static void send_setup(struct unit *u)
{
	const struct stack *st = u->stack;
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, WIRE_VERSION);
	put_i64(&b, u->last_generation);
	put_str(&b, st->state_dir);
	put_str(&b, st->model->dir);
	put_u32(&b, st->model->env_precedence);
	put_strv(&b, st->model->env_file);
	put_strv(&b, (const char *const *)st->port_env);
	put_u32(&b, u->n_instances);
	spec_put(&b, u->s);
	roles_send(&u->worker, W_SETUP, &b);
	buf_done(&b);
}

static int start_worker(struct unit *u, struct err *err)
{
	const char *argv[] = { "hr", "worker", u->s->name, NULL };

	if (start_role(&u->worker, argv, &worker_ops, err) < 0)
		return -1;
	u->gone = false;
	send_setup(u);
	return 0;
}

bool roles_ensure_worker(struct unit *u)
{
	role_init(&u->worker, u->stack, u);
	/* An expired timer is not active any more, but about to start it. */
	if (u->worker.chan == NULL && !ev_is_active(&u->worker.respawn) &&
	    !ev_is_pending(&u->worker.respawn))
		start_or_retry(&u->worker);
	return u->worker.chan != NULL;
}

static void subscribe(struct unit *u)
{
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, u->id);
	put_i64(&b, u->settled_real_us);
	spec_put(&b, u->s);
	roles_send(&u->stack->watcher, V_SUBSCRIBE, &b);
	buf_done(&b);
	/* A watcher that takes over reports what changed since this one. */
	if (u->settled_real_us == 0)
		u->settled_real_us = clock_real_us();
}

int roles_start_watcher(struct stack *st, struct err *err)
{
	const char *argv[] = { "hr", "watcher", NULL };
	struct buf b;
	size_t i;

	role_init(&st->watcher, st, NULL);
	if (start_role(&st->watcher, argv, &watcher_ops, err) < 0)
		return -1;
	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, WIRE_VERSION);
	put_str(&b, st->model->dir);
	put_str(&b, st->state_dir);
	roles_send(&st->watcher, V_SETUP, &b);
	buf_done(&b);
	for (i = 0; i < st->n_units; i++)
		if (st->units[i].s->watched)
			subscribe(&st->units[i]);
	return 0;
}

bool roles_send(struct role *r, uint32_t type, const struct buf *body)
{
	return r->chan != NULL && chan_send(r->chan, type, body, -1, NULL) == 0;
}

void roles_stop_watcher(struct stack *st)
{
	chan_free(st->watcher.chan);
	st->watcher.chan = NULL;
	/* It may be in the middle of a long scan; it holds nothing. */
	if (st->watcher.pid > 0)
		kill(st->watcher.pid, SIGKILL);
	if (st->watcher.stack != NULL)
		ev_timer_stop(st->loop, &st->watcher.respawn);
}

static struct role *find_role(struct stack *st, pid_t pid)
{
	size_t i;

	if (st->watcher.pid == pid)
		return &st->watcher;
	for (i = 0; i < st->n_units; i++)
		if (st->units[i].worker.pid == pid)
			return &st->units[i].worker;
	return NULL;
}

/* A role of ours, whichever process started it. */
static bool is_hr(pid_t pid)
{
	char path[32];
	struct stat theirs, ours;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat(path, &theirs) == 0 && stat("/proc/self/exe", &ours) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

/* A keeper and its worker killed together leave a service to us, without a
 * lock file or anybody who would stop it: nothing may run beside it. */
static void kill_strays(struct stack *st)
{
	struct pids pids = { 0 };
	size_t i;

	tree_children(getpid(), &pids);
	for (i = 0; i < pids.n; i++) {
		if (find_role(st, pids.v[i]) != NULL || is_hr(pids.v[i]))
			continue;
		kill(pids.v[i], SIGKILL);
		tree_kill(pids.v[i]);
	}
	pids_free(&pids);
}

bool roles_reap(struct stack *st)
{
	struct role *r;
	bool any = false;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		r = find_role(st, pid);
		if (r != NULL)
			r->pid = 0;
		any = true;
	}
	if (pid < 0)
		return errno != ECHILD;
	if (any)
		kill_strays(st);
	return true;
}

void roles_done(struct stack *st)
{
	size_t i;

	roles_stop_watcher(st);
	for (i = 0; i < st->n_units; i++) {
		chan_free(st->units[i].worker.chan);
		if (st->units[i].worker.stack != NULL)
			ev_timer_stop(st->loop, &st->units[i].worker.respawn);
	}
}
