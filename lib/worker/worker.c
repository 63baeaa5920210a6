/* SPDX-License-Identifier: MIT */
/*
 * The role: what the master says goes into the plan, what keepers say goes to
 * act_*.c; after each turn the master is told what has become of it.
 */
#include "lib/worker/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "lib/worker/cause.h"
#include "lib/worker/role.h"
#include "lib/worker/say.h"

#define LAST_WORDS_MS 2000

void worker_arm(struct worker *w, ev_timer *t, double seconds)
{
	ev_timer_stop(w->loop, t);
	ev_now_update(w->loop);
	ev_timer_set(t, seconds, 0.);
	ev_timer_start(w->loop, t);
}

int64_t worker_number(struct worker *w)
{
	int64_t reserved = w->reserved;

	w->reserved = 0;
	return reserved > 0 ? reserved : ++w->generation;
}

bool worker_is_refusal(int error)
{
	return error == EAGAIN || error == EMFILE || error == ENFILE ||
	       error == ENOMEM;
}

/* ---- what has become of it --------------------------------------------- */

static enum instance_state down_state(const struct worker *w, size_t slot)
{
	if (!w->plan.up || !plan_is_busy(&w->plan, slot))
		return STATE_STOPPED;
	return w->plan.slots[slot].after ? STATE_BUILDING : STATE_WAITING;
}

static enum instance_state public_state(const struct worker *w, size_t slot)
{
	bool building = w->plan.slots[slot].after;

	switch (w->plan.slots[slot].process.state) {
	case PS_DOWN:
		return down_state(w, slot);
	case PS_WAITING:
	case PS_LOCKED:
		return STATE_WAITING;
	case PS_STARTING:
		return STATE_STARTING;
	case PS_READY:
		return STATE_READY;
	case PS_STOPPING:
	case PS_ENDING:
		return STATE_DRAINING;
	case PS_BACKOFF:
		return STATE_BACKOFF;
	case PS_FAILED:
		return building ? STATE_BUILDING : STATE_FAILED;
	case PS_DONE:
		return building ? STATE_BUILDING : STATE_DONE;
	case PS_LIMIT:
		break;
	}
	return STATE_FAILED;
}

static void publish(struct instance *i)
{
	struct published now = { .state = public_state(i->w, i->slot),
				 .generation = i->generation };
	const struct published *last = &i->last;

	if (i->current != NULL)
		now.pid = i->current->main_pid;
	if (now.state != STATE_BUILDING)
		snprintf(now.why, sizeof(now.why), "%s", i->why);
	if (now.state == last->state && now.generation == last->generation &&
	    now.pid == last->pid && str_eq(now.why, last->why))
		return;
	i->last = now;
	say_state(i->w, i->number, &now);
}

/* A new generation is there: its reload is over, and older builds may go. */
static void tell_ready(struct instance *i)
{
	if (i->w->plan.slots[i->slot].process.state != PS_READY)
		return;
	if (i->in_round)
		cause_reloaded(i, RESULT_READY, "");
	if (i->w->prune_due && i->w->building == 0) {
		i->w->prune_due = false;
		outputs_prune(&i->w->outputs, 0);
	}
}

/* Of one instance: as answers_outcome. */
static int instance_outcome(const struct instance *i, char *text, size_t size)
{
	const struct plan *p = &i->w->plan;

	if (plan_is_busy(p, i->slot))
		return -1;
	switch (p->slots[i->slot].process.state) {
	case PS_READY:
		snprintf(text, size, "generation %" PRId64 " ready",
			 i->generation);
		return 1;
	case PS_DONE:
		snprintf(text, size, "generation %" PRId64 " done",
			 i->generation);
		return 1;
	case PS_BACKOFF:
	case PS_FAILED:
	case PS_DOWN:
		snprintf(text, size, "%s",
			 i->why[0] != '\0' ? i->why : "stopped");
		return 0;
	case PS_WAITING:
	case PS_LOCKED:
	case PS_STARTING:
	case PS_STOPPING:
	case PS_ENDING:
	case PS_LIMIT:
		break;
	}
	return -1;
}

/* answers_outcome: bad if one is bad, open if one is open, else good. */
static int outcome(void *data, const struct request *r, char *text, size_t size)
{
	struct worker *w = data;
	char one[1024];
	int all = 1, good;
	size_t n;

	if (r->kind == REQUEST_STOP) {
		snprintf(text, size, "stopped");
		return plan_is_down(&w->plan) ? 1 : -1;
	}
	for (n = 0; n < w->n; n++) {
		if (r->slot != PLAN_ALL && r->slot != n)
			continue;
		good = instance_outcome(&w->instances[n], one, sizeof(one));
		if (good < 0)
			return -1;
		if (all == 1)
			snprintf(text, size, "%s", one);
		if (good == 0)
			all = 0;
	}
	return all;
}

static void leave(struct worker *w)
{
	w->leaving = true;
	if (w->master != NULL)
		chan_flush(w->master, LAST_WORDS_MS);
	ev_break(w->loop, EVBREAK_ALL);
}

static void leave_if_done(struct worker *w)
{
	if (!w->quitting || w->leaving || !plan_is_down(&w->plan) ||
	    !keepers_none(&w->keepers))
		return;
	say_bye(w);
	leave(w);
}

/* All serve, and nothing is to be done. */
static bool is_at_rest(const struct worker *w)
{
	size_t n;

	for (n = 0; n < w->n; n++)
		if (w->plan.slots[n].process.state != PS_READY ||
		    plan_is_busy(&w->plan, n))
			return false;
	return w->plan.up && w->plan.build.state == BS_IDLE;
}

void worker_settled(struct worker *w)
{
	size_t n;

	for (n = 0; n < w->n; n++)
		publish(&w->instances[n]);
	for (n = 0; n < w->n; n++)
		tell_ready(&w->instances[n]);
	answers_settle(&w->answers, outcome, w);
	if (w->edited && is_at_rest(w))
		act_prepare_ahead(w);
	leave_if_done(w);
}

/* ---- the plan and the keepers ------------------------------------------ */

static void on_settled(void *data)
{
	worker_settled(data);
}

static void on_build_action(void *data, enum build_action a)
{
	act_build(data, a);
}

static void on_process_action(void *data, size_t slot, enum process_action a)
{
	struct worker *w = data;

	act_process(&w->instances[slot], a);
}

static const struct plan_ops plan_ops = { on_build_action, on_process_action,
					  on_settled };

static void dispatch(struct worker *w, struct keeper *k,
		     const struct keeper_report *r)
{
	if (k->instance < 0)
		act_build_report(w, k, r);
	else
		act_process_report(&w->instances[k->instance], k, r);
	if (!w->leaving)
		worker_settled(w);
}

static void on_report(void *data, struct keeper *k,
		      const struct keeper_report *r)
{
	dispatch(data, k, r);
}

static void on_lost(void *data, struct keeper *k)
{
	struct worker *w = data;

	say_note(w, NOTE_WARNING,
		 "the keeper of %s %" PRId64 " was killed; what it left is "
		 "gone",
		 k->instance < 0 ? "build" : "generation", k->generation);
	dispatch(w, k, NULL);
}

static void on_reaped(void *data)
{
	leave_if_done(data);
}

static const struct keepers_ops keepers_ops = { on_report, on_lost, on_reaped };

/* ---- W_SETUP ----------------------------------------------------------- */

static void on_backoff(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct instance *i = t->data;

	(void)loop;
	(void)revents;
	plan_process(&i->w->plan, i->slot, PE_RUN);
}

static void instance_init(struct worker *w, size_t slot)
{
	struct instance *i = &w->instances[slot];

	i->w = w;
	i->slot = slot;
	i->number = (int)slot + 1;
	i->last.state = STATE_STOPPED;
	ev_timer_init(&i->backoff_timer, on_backoff, 0., 0.);
	i->backoff_timer.data = i;
	look_init(i);
}

static void make_dirs(struct worker *w)
{
	static const char *const names[] = { "run", "build" };
	struct err err;
	size_t n;
	char *dir;

	for (n = 0; n < NITEMS(names); n++) {
		dir = path_join(w->state_dir, names[n]);
		if (path_mkdirs(dir, 0700, &err) < 0)
			say_note(w, NOTE_ERROR, "%s", err.what);
		free(dir);
	}
}

static void instances_init(struct worker *w, uint32_t n)
{
	char *dir = path_join(w->state_dir, "build");
	const struct service *s = &w->service;
	size_t slot;

	w->n = n;
	w->instances = xcalloc(n, sizeof(*w->instances));
	for (slot = 0; slot < n; slot++)
		instance_init(w, slot);
	plan_init(&w->plan, &plan_ops, w, n, s->build != NULL,
		  s->on_build_error == BUILD_ERROR_STOP);
	outputs_init(&w->outputs, dir, s->name);
	w->changed_file = xasprintf("%s/run/%s.changed", w->state_dir, s->name);
	free(dir);
}

static void take_setup(struct worker *w, struct get *g)
{
	uint32_t instances;

	if (w->set_up)
		log_bug("a second W_SETUP");
	if (get_u32(g) != WIRE_VERSION)
		log_bug("hr was replaced while it runs; start it again");
	w->generation = get_i64(g);
	w->state_dir = get_text(g);
	w->stack_dir = get_text(g);
	w->precedence = (enum env_precedence)get_enum(g, ENV_SHELL_WINS + 1);
	w->stack_files = get_strv(g);
	w->ports = get_strv(g);
	instances = get_u32(g);
	spec_get(g, &w->service);
	if (get_end(g) < 0 || instances < 1 || instances > INSTANCES_MAX)
		log_bug("W_SETUP is malformed");
	make_dirs(w);
	instances_init(w, instances);
	cause_write_file(w);
	w->set_up = true;
}

/* ---- what the master says ---------------------------------------------- */

/* For these instances: they are wanted now, and a reload is under way. */
static void begin_round(struct worker *w, size_t slot, bool reload)
{
	size_t n;

	for (n = 0; n < w->n; n++) {
		if (slot != PLAN_ALL && slot != n)
			continue;
		backoff_reset(&w->instances[n].backoff);
		w->instances[n].in_round |= reload;
	}
}

/* Unless a build gives it: the next starts get a number of their own. */
static void new_number(struct worker *w)
{
	w->round_due = true;
}

static bool all_ready(const struct worker *w)
{
	size_t n;

	for (n = 0; n < w->n; n++)
		if (w->plan.slots[n].process.state != PS_READY)
			return false;
	return true;
}

static void take_start(struct worker *w, struct get *g)
{
	int32_t id = get_i32(g);

	get_text(g);
	answers_give(&w->answers, REQUEST_STOP, false, "started again");
	if (all_ready(w)) {
		if (id != 0)
			say_done(w, id, true, "already running");
		return;
	}
	answers_add(&w->answers, id, REQUEST_START, PLAN_ALL);
	cause_add(w, NULL);
	begin_round(w, PLAN_ALL, false);
	new_number(w);
	plan_start(&w->plan);
}

static void cancel_rounds(struct worker *w, const char *why)
{
	size_t n;

	for (n = 0; n < w->n; n++)
		cause_reloaded(&w->instances[n], RESULT_CANCELLED, why);
	answers_give(&w->answers, REQUEST_UP, false, why);
}

static void take_stop(struct worker *w, struct get *g)
{
	int32_t id = get_i32(g);

	get_text(g);
	cancel_rounds(w, "stopped meanwhile");
	answers_add(&w->answers, id, REQUEST_STOP, PLAN_ALL);
	act_discard_prepared(w);
	plan_stop(&w->plan);
}

/* 0: all of them. */
static size_t get_slot(struct worker *w, struct get *g)
{
	uint32_t number = get_u32(g);

	if (number > w->n)
		log_bug("instance %u of %zu", number, w->n);
	return number == 0 ? PLAN_ALL : number - 1;
}

static void take_restart(struct worker *w, struct get *g)
{
	int32_t id = get_i32(g);
	size_t slot = get_slot(w, g);

	get_text(g);
	answers_give(&w->answers, REQUEST_STOP, false, "started again");
	answers_add(&w->answers, id, REQUEST_RESTART, slot);
	cause_add(w, NULL);
	begin_round(w, slot, true);
	new_number(w);
	plan_restart(&w->plan, slot, false);
}

static void take_reload(struct worker *w, struct get *g)
{
	int32_t id = get_i32(g);
	size_t slot = get_slot(w, g);

	get_text(g);
	answers_give(&w->answers, REQUEST_STOP, false, "started again");
	answers_add(&w->answers, id, REQUEST_RELOAD, slot);
	cause_add(w, NULL);
	begin_round(w, slot, true);
	new_number(w);
	plan_reload(&w->plan, slot, BE_WANT);
}

static void take_changed(struct worker *w, struct get *g)
{
	enum action action = (enum action)get_enum(g, ACTION_RELOAD + 1);
	struct change c = { .rule = get_text(g) };

	c.first_us = get_i64(g);
	c.settled_us = get_i64(g);
	c.total = get_u32(g);
	c.paths = get_strv(g);
	/* A stopped service has its reloads paused. */
	if (action < ACTION_RESTART || !w->plan.up) {
		plan_build(&w->plan, BE_CALM);
		return;
	}
	w->edited = true;
	cause_add(w, &c);
	begin_round(w, PLAN_ALL, true);
	new_number(w);
	if (action == ACTION_RELOAD) {
		plan_reload(&w->plan, PLAN_ALL, BE_CHANGED);
		return;
	}
	plan_restart(&w->plan, PLAN_ALL, true);
	plan_build(&w->plan, BE_CALM);
}

static void take_signal(struct worker *w, struct get *g)
{
	int32_t id = get_i32(g);
	int signo = get_i32(g);
	size_t slot = get_slot(w, g), n;
	char name[32], text[64];
	bool sent = false;

	for (n = 0; n < w->n; n++) {
		if ((slot != PLAN_ALL && slot != n) ||
		    w->instances[n].current == NULL ||
		    w->instances[n].current->main_pid == 0)
			continue;
		keeper_signal(w->instances[n].current, signo);
		sent = true;
	}
	snprintf(text, sizeof(text), "sent %s",
		 str_from_signal(signo, name, sizeof(name)));
	if (id != 0)
		say_done(w, id, sent, sent ? text : "not running");
}

static void take_quit(struct worker *w)
{
	w->quitting = true;
	if (w->set_up) {
		cancel_rounds(w, "the stack is being stopped");
		act_discard_prepared(w);
		plan_stop(&w->plan);
	} else {
		say_bye(w);
		leave(w);
	}
}

static void take(struct worker *w, enum worker_msg type, struct get *g)
{
	if (!w->set_up && type != W_SETUP && type != W_QUIT)
		log_bug("message %u before W_SETUP", (unsigned)type);
	/* Stop wins, and quit wins over everything. */
	if (w->quitting && type != W_KILL) {
		g->left = 0;
		return;
	}
	switch (type) {
	case W_SETUP:
		take_setup(w, g);
		return;
	case W_START:
		take_start(w, g);
		return;
	case W_STOP:
		take_stop(w, g);
		return;
	case W_RESTART:
		take_restart(w, g);
		return;
	case W_RELOAD:
		take_reload(w, g);
		return;
	case W_TOUCHED:
		w->edited = true;
		plan_build(&w->plan, BE_TOUCH);
		return;
	case W_CALM:
		plan_build(&w->plan, BE_CALM);
		return;
	case W_CHANGED:
		take_changed(w, g);
		return;
	case W_SIGNAL:
		take_signal(w, g);
		return;
	case W_KILL:
		keepers_kill_all(&w->keepers);
		return;
	case W_QUIT:
		take_quit(w);
		return;
	}
	log_bug("message %u from the master", (unsigned)type);
}

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct worker *w = data;
	/* What W_SETUP says is kept. */
	struct arena *arena = type == W_SETUP ? w->arena : arena_new();
	struct get g;

	fd_close(&fd);
	if (!w->leaving) {
		get_init(&g, body, len, arena);
		take(w, (enum worker_msg)type, &g);
		if (get_end(&g) < 0)
			log_bug("message %u from the master is malformed",
				type);
	}
	if (arena != w->arena)
		arena_free(arena);
}

/* The master is dead. Our keepers see the end of their channels, stop their
 * trees in steps and leave: nothing is left for us to do. */
static void on_gone(void *data)
{
	struct worker *w = data;

	chan_free(w->master);
	w->master = NULL;
	leave(w);
}

/* ---- the role ---------------------------------------------------------- */

/* The master says when to stop; a terminal's or a logout's signal must not
 * cut a drain short. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM,
				       SIGPIPE };
	size_t i;

	for (i = 0; i < NITEMS(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static void worker_done(struct worker *w)
{
	size_t n;

	for (n = 0; n < w->n; n++) {
		look_end(&w->instances[n]);
		ev_timer_stop(w->loop, &w->instances[n].backoff_timer);
	}
	ev_timer_stop(w->loop, &w->build_timer);
	ev_timer_stop(w->loop, &w->retry_timer);
	keepers_done(&w->keepers);
	chan_free(w->master);
	plan_done(&w->plan);
	outputs_done(&w->outputs);
	answers_done(&w->answers);
	cause_done(w);
	buf_done(&w->noted);
	free(w->changed_file);
	free(w->instances);
	arena_free(w->arena);
	ev_loop_destroy(w->loop);
}

static void on_answer(void *data, int32_t id, bool ok, const char *text)
{
	say_done(data, id, ok, text);
}

int worker_main(int argc, char **argv)
{
	static const struct chan_ops ops = { on_message, on_gone };
	struct worker w = { 0 };
	char *who;

	if (argc != 3)
		log_bug("worker: wants NAME");
	w.name = argv[2];
	who = xasprintf("worker %s", w.name);
	log_init(who);
	prctl(PR_SET_NAME, "hr-worker");
	ignore_signals();
	if (tree_become_subreaper() < 0)
		log_bug("cannot become a subreaper: %s", strerror(errno));
	w.arena = arena_new();
	w.answers.done = on_answer;
	w.answers.data = &w;
	w.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (w.loop == NULL)
		log_bug("no event loop: %s", strerror(errno));
	act_build_init(&w);
	keepers_init(&w.keepers, w.loop, &keepers_ops, &w);
	w.master = chan_new(w.loop, CHAN_PARENT_FD, &ops, &w);
	say_hello(&w);
	ev_run(w.loop, 0);
	worker_done(&w);
	log_init("worker");
	free(who);
	return 0;
}
