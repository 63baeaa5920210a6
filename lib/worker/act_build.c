/* SPDX-License-Identifier: MIT */
/* The actions of the build machine, and what the keeper of a build says. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/path.h"
#include "lib/worker/cause.h"
#include "lib/worker/role.h"
#include "lib/worker/say.h"
#include "lib/worker/words.h"

/* So many keepers are made ready while a build runs. */
#define PREPARED_MAX 4
#define RETRY_S 1.

/* ---- begin ------------------------------------------------------------- */

static void run_builder(struct worker *w)
{
	const struct service *s = &w->service;
	char *out = outputs_path(&w->outputs, w->building);
	char **env = act_environment(w, 1, w->building, out);
	/* The lock keeps the build of a worker that was killed apart. */
	char *lock = xasprintf("%s/run/%s.build.lock", w->state_dir, s->name);
	static const char *const none[] = { NULL };
	struct keeper_run run = { .command = s->build,
				  .dir = s->dir,
				  .env = (const char *const *)env,
				  .locks = none,
				  .own_lock = lock,
				  .kill_signal = SIGTERM,
				  .kill_scope = KILL_GROUP,
				  .kill_delay_ms = 0 };

	outputs_remove(&w->outputs, w->building);
	keeper_start(w->builder, &run);
	free(lock);
	free(env);
	free(out);
}

static void prepare_next(struct worker *w)
{
	size_t n, prepared = 0;

	for (n = 0; n < w->n && prepared < PREPARED_MAX; n++) {
		if (!w->plan.slots[n].after)
			continue;
		act_prepare(&w->instances[n], w->building);
		prepared++;
	}
}

static struct keeper *spawn_builder(struct worker *w, int64_t generation,
				    struct err *err)
{
	char *name = xasprintf("%s.build", w->service.name);
	struct keeper *k = keepers_spawn(&w->keepers, name, generation, err);

	free(name);
	if (k != NULL)
		k->instance = -1;
	return k;
}

static void discard_spare(struct worker *w)
{
	keeper_discard(w->spare);
	w->spare = NULL;
}

void act_discard_prepared(struct worker *w)
{
	struct instance *i;

	discard_spare(w);
	for (i = w->instances; i < w->instances + w->n; i++) {
		keeper_discard(i->next);
		i->next = NULL;
	}
}

/* The spare one, if it was made for this number. */
static struct keeper *take_builder(struct worker *w, struct err *err)
{
	struct keeper *k = w->spare;

	if (k == NULL || k->generation != w->building) {
		discard_spare(w);
		return spawn_builder(w, w->building, err);
	}
	w->spare = NULL;
	return k;
}

static void pass_log(struct worker *w, struct keeper *k)
{
	if (k->log_fd >= 0)
		say_log(w, 1, k->generation, LOG_BUILD, k->log_fd);
	k->log_fd = -1;
}

/* Not the build's fault, and nobody saves again for that: try again. */
static void retry(struct worker *w, const char *why)
{
	say_note(w, NOTE_WARNING,
		 "the build did not take place: %s; trying again in 1 s", why);
	worker_arm(w, &w->retry_timer, RETRY_S);
}

static void try_build(struct worker *w)
{
	struct err err;

	w->builder = take_builder(w, &err);
	if (w->builder == NULL) {
		retry(w, err.what);
		return;
	}
	pass_log(w, w->builder);
	run_builder(w);
	if (w->service.build_timeout_ms > 0)
		worker_arm(w, &w->build_timer,
			   (double)w->service.build_timeout_ms / 1e3);
}

static void begin(struct worker *w)
{
	w->building = worker_number(w);
	w->build_began_us = clock_mono_us();
	w->build_us = 0;
	w->build_timed_out = false;
	say_build(w, w->building, BUILD_STARTED, 0, "");
	try_build(w);
	prepare_next(w);
}

static void on_retry(struct ev_loop *loop, ev_timer *t, int revents)
{
	(void)loop;
	(void)revents;
	try_build(t->data);
}

static void on_timeout(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct worker *w = t->data;

	(void)loop;
	(void)revents;
	plan_build(&w->plan, BE_TIMEOUT);
}

void act_build_init(struct worker *w)
{
	ev_timer_init(&w->build_timer, on_timeout, 0., 0.);
	ev_timer_init(&w->retry_timer, on_retry, 0., 0.);
	w->build_timer.data = w->retry_timer.data = w;
}

void act_prepare_ahead(struct worker *w)
{
	struct err err;

	if (w->reserved > 0)
		return;
	w->reserved = ++w->generation;
	discard_spare(w);
	if (w->service.build != NULL)
		w->spare = spawn_builder(w, w->reserved, &err);
	act_prepare(&w->instances[0], w->reserved);
}

static void kill_builder(struct worker *w)
{
	ev_timer_stop(w->loop, &w->build_timer);
	ev_timer_stop(w->loop, &w->retry_timer);
	if (w->builder != NULL)
		keeper_kill(w->builder);
	else
		plan_build(&w->plan, BE_BAD);
}

/* ---- end --------------------------------------------------------------- */

static void discard_prepared(struct worker *w)
{
	struct instance *i;

	for (i = w->instances; i < w->instances + w->n; i++) {
		if (i->next == NULL || i->next->generation != w->building)
			continue;
		keeper_discard(i->next);
		i->next = NULL;
	}
}

static void drop(struct worker *w)
{
	say_build(w, w->building, BUILD_CANCELLED, w->build_us, "superseded");
	outputs_remove(&w->outputs, w->building);
	discard_prepared(w);
	w->building = 0;
}

static void commit(struct worker *w)
{
	w->cause.build_us = w->build_us;
	say_build(w, w->building, BUILD_DONE, w->cause.build_us, "");
	outputs_keep(&w->outputs, w->building);
	w->prune_due = true;
	/* Its number is used up if something was started meanwhile. */
	w->round =
		w->generation == w->building ? w->building : worker_number(w);
	w->round_due = false;
	w->building = 0;
}

/* What is there in spite of the failure. */
static void what_stays(const struct worker *w, char *text, size_t size)
{
	size_t n;

	snprintf(text, size, "the next change builds again");
	for (n = 0; n < w->n; n++) {
		if (w->instances[n].current == NULL)
			continue;
		if (w->plan.stop_on_error)
			snprintf(text, size, "stopped (on_build_error)");
		else
			snprintf(text, size, "generation %" PRId64 " serves on",
				 w->instances[n].generation);
		return;
	}
}

static void say_failed(struct worker *w, const char *why)
{
	struct plan_slot *s;
	size_t n;

	say_build(w, w->building, BUILD_FAILED, w->cause.build_us, why);
	for (n = 0; n < w->n; n++) {
		s = &w->plan.slots[n];
		if (!s->after || (s->despite && w->plan.have_good))
			continue;
		cause_reloaded(&w->instances[n], RESULT_BUILD_FAILED, why);
		if (s->process.state == PS_DOWN ||
		    s->process.state == PS_FAILED)
			snprintf(w->instances[n].why,
				 sizeof(w->instances[n].why),
				 "nothing to run until a build is good");
	}
	answers_give(&w->answers, REQUEST_RELOAD | REQUEST_START, false, why);
	if (!w->plan.have_good)
		answers_give(&w->answers, REQUEST_RESTART, false, why);
}

static void fail(struct worker *w)
{
	char why[1024], span[32], stays[128];

	w->cause.build_us = w->build_us;
	clock_span(w->build_timed_out ? w->service.build_timeout_ms * 1000 :
					w->cause.build_us,
		   span, sizeof(span));
	what_stays(w, stays, sizeof(stays));
	if (w->build_timed_out)
		snprintf(why, sizeof(why),
			 "build timed out: not done after %s, killed; %s", span,
			 stays);
	else
		snprintf(why, sizeof(why), "build failed (%s) in %s; %s",
			 w->build_why, span, stays);
	say_failed(w, why);
	outputs_remove(&w->outputs, w->building);
	discard_prepared(w);
	w->building = 0;
}

void act_build(struct worker *w, enum build_action a)
{
	switch (a) {
	case BA_NONE:
	case BA_NOTHING:
		return;
	case BA_BUG:
		log_line("the build heard of what cannot be while %s",
			 build_state_name(w->plan.build.state));
		return;
	case BA_KILL:
		kill_builder(w);
		return;
	case BA_DROP:
		drop(w);
		return;
	case BA_COMMIT:
		commit(w);
		return;
	case BA_FAIL:
		fail(w);
		return;
	case BA_BEGIN:
		begin(w);
		return;
	}
}

/* ---- what its keeper says ---------------------------------------------- */

static void ended(struct worker *w, bool good)
{
	ev_timer_stop(w->loop, &w->build_timer);
	w->builder = NULL;
	w->build_us = clock_mono_us() - w->build_began_us;
	if (w->plan.build.state == BS_TIMED_OUT)
		w->build_timed_out = true;
	plan_build(&w->plan, good ? BE_GOOD : BE_BAD);
}

static void lost(struct worker *w, struct keeper *k)
{
	if (k == w->spare) {
		w->spare = NULL;
		return;
	}
	if (w->plan.build.state == BS_BUILDING) {
		/* That says nothing about the sources. */
		ev_timer_stop(w->loop, &w->build_timer);
		w->builder = NULL;
		retry(w, "its keeper was killed");
		return;
	}
	snprintf(w->build_why, sizeof(w->build_why), "its keeper was killed");
	ended(w, false);
}

static void failed(struct worker *w, const struct keeper_report *r)
{
	if (worker_is_refusal(r->code) && w->plan.build.state == BS_BUILDING) {
		ev_timer_stop(w->loop, &w->build_timer);
		w->builder = NULL;
		retry(w, r->text);
		return;
	}
	snprintf(w->build_why, sizeof(w->build_why), "%s", r->text);
	ended(w, false);
}

void act_build_report(struct worker *w, struct keeper *k,
		      const struct keeper_report *r)
{
	if (r == NULL) {
		lost(w, k);
		return;
	}
	switch (r->type) {
	case K_HELLO:
		k->log_fd = r->fd;
		if (k == w->builder)
			pass_log(w, k);
		return;
	case K_LOCK_WAIT:
		say_note(w, NOTE_INFO,
			 "the build waits for pid %d (%s), an earlier build",
			 (int)r->pid, r->who);
		return;
	case K_FAILED:
		failed(w, r);
		return;
	case K_ENDED:
		words_status(r->status, w->build_why, sizeof(w->build_why));
		ended(w, r->status == 0);
		return;
	case K_STARTED:
	case K_MAIN_EXIT:
	case K_STOPPING:
		return;
	}
}
