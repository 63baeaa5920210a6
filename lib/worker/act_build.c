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

static void begin(struct worker *w)
{
	char *name = xasprintf("%s.build", w->service.name);
	struct err err;

	w->building = ++w->generation;
	w->build_began_us = clock_mono_us();
	w->build_us = 0;
	w->build_timed_out = false;
	w->builder = keepers_spawn(&w->keepers, name, w->building, &err);
	free(name);
	say_build(w, w->building, BUILD_STARTED, 0, "");
	if (w->builder == NULL) {
		snprintf(w->build_why, sizeof(w->build_why), "%s", err.what);
		plan_build(&w->plan, BE_BAD);
		return;
	}
	w->builder->instance = -1;
	run_builder(w);
	if (w->service.build_timeout_ms > 0)
		worker_arm(w, &w->build_timer,
			   (double)w->service.build_timeout_ms / 1e3);
	prepare_next(w);
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
	w->round = w->generation == w->building ? w->building : ++w->generation;
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
	clock_span(w->cause.build_us, span, sizeof(span));
	what_stays(w, stays, sizeof(stays));
	if (w->build_timed_out)
		snprintf(why, sizeof(why),
			 "build timed out: not done after %" PRId64
			 " ms, killed; %s",
			 w->service.build_timeout_ms, stays);
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
		ev_timer_stop(w->loop, &w->build_timer);
		if (w->builder != NULL)
			keeper_kill(w->builder);
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

void act_build_report(struct worker *w, const struct keeper_report *r)
{
	if (r == NULL) {
		snprintf(w->build_why, sizeof(w->build_why),
			 "its keeper was killed");
		ended(w, false);
		return;
	}
	switch (r->type) {
	case K_HELLO:
		say_log(w, 1, w->building, LOG_BUILD, r->fd);
		return;
	case K_LOCK_WAIT:
		say_note(w, NOTE_INFO,
			 "the build waits for pid %d (%s), an earlier build",
			 (int)r->pid, r->who);
		return;
	case K_FAILED:
		snprintf(w->build_why, sizeof(w->build_why), "%s", r->text);
		ended(w, false);
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
