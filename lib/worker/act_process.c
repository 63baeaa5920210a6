/* SPDX-License-Identifier: MIT */
/* The actions of the process machine, and what the keeper of a generation
 * says. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/worker/cause.h"
#include "lib/worker/environment.h"
#include "lib/worker/role.h"
#include "lib/worker/say.h"
#include "lib/worker/words.h"
#include "procfile/load.h"

static enum process_state state_of(const struct instance *i)
{
	return i->w->plan.slots[i->slot].process.state;
}

/* ---- environment ------------------------------------------------------- */

/* The same problems again are no news. */
static void note_problems(struct worker *w, const struct problems *problems)
{
	const struct err *e;
	struct buf all;
	size_t i;

	buf_init(&all, (size_t)1 << 20);
	for (i = 0; i < problems->n; i++)
		buf_addf(&all, "%s:%d:%s\n", problems->v[i].file,
			 problems->v[i].line, problems->v[i].what);
	for (i = 0;
	     i < problems->n && !str_eq(buf_str(&all), buf_str(&w->noted));
	     i++) {
		e = &problems->v[i];
		if (e->file[0] != '\0')
			say_note(w, NOTE_WARNING, "%s:%d: %s", e->file, e->line,
				 e->what);
		else
			say_note(w, NOTE_WARNING, "%s", e->what);
	}
	buf_done(&w->noted);
	w->noted = all;
}

char **act_environment(struct worker *w, int instance, int64_t generation,
		       const char *out)
{
	struct problems problems = { 0 };
	struct environment e = { .s = &w->service,
				 .shell = environ,
				 .stack_files = w->stack_files,
				 .precedence = w->precedence,
				 .ports = w->ports,
				 .instance = instance,
				 .generation = generation,
				 .out = out,
				 .changed = w->changed_file };
	char **env = environment_build(&e, &problems);

	note_problems(w, &problems);
	problems_free(&problems);
	return env;
}

/* ---- start ------------------------------------------------------------- */

static int prepare(struct instance *i, int64_t generation, struct err *err)
{
	struct worker *w = i->w;
	char *name;

	if (i->next != NULL && i->next->generation == generation)
		return 0;
	keeper_discard(i->next);
	name = xasprintf("%s.%d", w->service.name, i->number);
	i->next = keepers_spawn(&w->keepers, name, generation, err);
	free(name);
	if (i->next == NULL)
		return -1;
	i->next->instance = (int)i->slot;
	return 0;
}

void act_prepare(struct instance *i, int64_t generation)
{
	struct err err;

	/* If it cannot be spawned, the launch will say so. */
	prepare(i, generation, &err);
}

/* The number for the next start of an instance: that of its round, or a new
 * one if it has had that. */
static int64_t next_generation(struct instance *i)
{
	struct worker *w = i->w;

	if (w->round_due) {
		w->round = worker_number(w);
		w->round_due = false;
	}
	if (w->round > i->generation)
		return w->round;
	/* A keeper prepared for the build under way is not for us. */
	if (w->reserved == 0 && i->next != NULL &&
	    i->next->generation > i->generation &&
	    i->next->generation != w->building)
		return i->next->generation;
	return worker_number(w);
}

static void pass_log(struct instance *i, struct keeper *k)
{
	if (k->log_fd >= 0)
		say_log(i->w, i->number, k->generation, LOG_SERVICE, k->log_fd);
	k->log_fd = -1;
}

static void run_keeper(struct instance *i)
{
	struct worker *w = i->w;
	const struct service *s = &w->service;
	int64_t newest = outputs_newest(&w->outputs);
	char *out = newest > 0 ? outputs_path(&w->outputs, newest) : NULL;
	char *lock = xasprintf("%s/run/%s.%d.lock", w->state_dir, s->name,
			       i->number);
	char **env = act_environment(w, i->number, i->generation, out);
	struct keeper_run run = { .command = s->command,
				  .dir = s->dir,
				  .env = (const char *const *)env,
				  .locks = s->lock,
				  .own_lock = lock,
				  .kill_signal = s->kill_signal,
				  .kill_scope = s->kill_scope,
				  .kill_delay_ms = s->kill_delay_ms };

	keeper_start(i->current, &run);
	free(env);
	free(lock);
	free(out);
}

static void launch(struct instance *i)
{
	struct err err;

	if (i->next == NULL && prepare(i, next_generation(i), &err) < 0) {
		snprintf(i->why, sizeof(i->why), "cannot be started: %s",
			 err.what);
		plan_process(&i->w->plan, i->slot, PE_GONE_AGAIN);
		return;
	}
	i->current = i->next;
	i->next = NULL;
	i->generation = i->current->generation;
	i->exit_told = i->late = false;
	i->exec_us = i->stop_us = 0;
	i->launched_us = clock_mono_us();
	i->why[0] = '\0';
	pass_log(i, i->current);
	run_keeper(i);
}

static void started(struct instance *i, const struct keeper_report *r)
{
	i->exec_us = r->at_us;
	i->start_us = r->at_us - i->launched_us;
	i->why[0] = '\0';
	plan_process(&i->w->plan, i->slot, PE_STARTED);
}

static void probe(struct instance *i)
{
	if (i->w->service.n_ports == 0)
		plan_process(&i->w->plan, i->slot, PE_READY);
	else
		look_for_ready(i);
}

/* ---- end --------------------------------------------------------------- */

static void arm_backoff(struct instance *i)
{
	int64_t ms = backoff_next_ms(&i->backoff, &i->w->service);
	char span[32];
	size_t len = strlen(i->why);

	clock_span(ms * 1000, span, sizeof(span));
	snprintf(i->why + len, sizeof(i->why) - len, "; starting again in %s",
		 span);
	worker_arm(i->w, &i->backoff_timer, (double)ms / 1e3);
}

/* What the policy says, and in words why nothing follows. */
static enum process_event judge(struct instance *i, bool good)
{
	const struct service *s = &i->w->service;
	int64_t ran_us = i->exec_us > 0 ? clock_mono_us() - i->exec_us : 0;
	size_t len = strlen(i->why);
	char *end = i->why + len;

	switch (backoff_judge(&i->backoff, s, good, ran_us / 1000)) {
	case VERDICT_AGAIN:
		return PE_GONE_AGAIN;
	case VERDICT_DONE:
		snprintf(end, sizeof(i->why) - len, ", done");
		return PE_GONE_DONE;
	case VERDICT_FAILED:
		if (!s->oneshot)
			snprintf(end, sizeof(i->why) - len,
				 "; not started again (restart = \"never\")");
		return PE_GONE_FAILED;
	case VERDICT_GIVEN_UP:
		snprintf(end, sizeof(i->why) - len,
			 "; given up after %" PRId64 " restarts in a row "
			 "(max_restarts)",
			 i->backoff.restarts);
		return PE_GONE_FAILED;
	}
	return PE_GONE_FAILED;
}

/* Nothing of the generation is left. good: exit 0. */
static void gone(struct instance *i, bool good, int64_t at_us)
{
	enum process_event e = PE_GONE_DONE;

	i->current = NULL;
	i->ended_us = at_us;
	if (state_of(i) == PS_STOPPING) {
		i->drain_us = i->stop_us > 0 ? at_us - i->stop_us : 0;
		i->why[0] = '\0';
	} else {
		e = judge(i, good && !i->late);
		cause_reloaded(i, RESULT_FAILED, "");
	}
	plan_process(&i->w->plan, i->slot, e);
}

/* M_EXITED, once for each generation that was started. */
static void tell_exit(struct instance *i, int status, const char *how)
{
	bool expected = state_of(i) == PS_STOPPING;
	char text[128];

	if (i->exit_told || i->exec_us == 0)
		return;
	i->exit_told = true;
	words_status(status, text, sizeof(text));
	if (!expected && !i->late)
		snprintf(i->why, sizeof(i->why), "%s%s", text, how);
	say_exited(i, status, expected, text);
}

static void main_exit(struct instance *i, const struct keeper_report *r)
{
	tell_exit(i, r->status, "");
	/* With nobody left the end follows at once. */
	if (r->code > 0 && state_of(i) != PS_STOPPING)
		say_note(i->w, NOTE_WARNING,
			 "its main process has ended; stopping %d that it left "
			 "behind (hr needs a service in the foreground)",
			 r->code);
	if (r->code > 0)
		plan_process(&i->w->plan, i->slot, PE_EXITED);
}

static void failed(struct instance *i, const struct keeper_report *r)
{
	snprintf(i->why, sizeof(i->why), "cannot be started: %s", r->text);
	if (worker_is_refusal(r->code) && state_of(i) != PS_STOPPING) {
		i->current = NULL;
		plan_process(&i->w->plan, i->slot, PE_GONE_AGAIN);
		return;
	}
	gone(i, false, clock_mono_us());
}

static void lost(struct instance *i, struct keeper *k)
{
	if (k == i->next) {
		i->next = NULL;
		return;
	}
	if (i->exec_us == 0)
		snprintf(i->why, sizeof(i->why), "its keeper was killed");
	/* The wait status of who is killed by SIGKILL; we did that. */
	tell_exit(i, SIGKILL, " with its keeper");
	gone(i, false, clock_mono_us());
}

/* ---- what a keeper says ------------------------------------------------ */

static void lock_wait(struct instance *i, const struct keeper_report *r)
{
	if (r->pid > 0)
		say_waiting(i, WAIT_LOCK,
			    "waits for the lock of %s, held by pid %d (%s)",
			    r->text, (int)r->pid, r->who);
	else
		say_waiting(i, WAIT_LOCK,
			    "waits for the lock of %s, held by another",
			    r->text);
	plan_process(&i->w->plan, i->slot, PE_LOCKED);
}

static void hello(struct instance *i, struct keeper *k, int fd)
{
	k->log_fd = fd;
	/* One that is only prepared may never be used. */
	if (k == i->current)
		pass_log(i, k);
}

void act_process_report(struct instance *i, struct keeper *k,
			const struct keeper_report *r)
{
	if (r == NULL) {
		lost(i, k);
		return;
	}
	switch (r->type) {
	case K_HELLO:
		hello(i, k, r->fd);
		return;
	case K_LOCK_WAIT:
		lock_wait(i, r);
		return;
	case K_STARTED:
		started(i, r);
		return;
	case K_FAILED:
		failed(i, r);
		return;
	case K_MAIN_EXIT:
		main_exit(i, r);
		return;
	case K_STOPPING:
		say_stopping(i, k->generation, r->pid, r->code, r->text);
		return;
	case K_ENDED:
		tell_exit(i, r->status, "");
		gone(i, r->status == 0, r->at_us);
		return;
	}
}

/* ---- actions ----------------------------------------------------------- */

static void stop(struct instance *i)
{
	i->stop_us = clock_mono_us();
	if (i->current != NULL)
		keeper_stop(i->current);
}

void act_process(struct instance *i, enum process_action a)
{
	switch (a) {
	case PA_NONE:
	case PA_NOTHING:
		return;
	case PA_BUG:
		log_line("instance %d heard of what cannot be while %s",
			 i->number, process_state_name(state_of(i)));
		return;
	case PA_UNLOOK:
	case PA_UNPROBE:
		look_end(i);
		return;
	case PA_DISARM:
		ev_timer_stop(i->w->loop, &i->backoff_timer);
		return;
	case PA_STOP:
		stop(i);
		return;
	case PA_DISCARD:
		keeper_discard(i->next);
		i->next = NULL;
		i->why[0] = '\0';
		return;
	case PA_PREPARE:
		i->why[0] = '\0';
		act_prepare(i, next_generation(i));
		return;
	case PA_LOOK:
		look_for_free(i);
		return;
	case PA_LAUNCH:
		launch(i);
		return;
	case PA_PROBE:
		probe(i);
		return;
	case PA_ARM:
		arm_backoff(i);
		return;
	}
}
