/* SPDX-License-Identifier: MIT */
/* What a worker says: one function per message, state first, then words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/master/control.h"
#include "lib/master/events.h"
#include "lib/master/mux.h"
#include "lib/master/peers.h"
#include "lib/master/report.h"
#include "lib/master/stack.h"
#include "lib/wire/put.h"

/* Our own child: a malformed message is a bug, not bad input. */
static void must_end(const struct get *g, const struct unit *u,
		     const char *what)
{
	if (get_end(g) < 0)
		log_bug("malformed %s from the worker of %s", what, u->s->name);
}

/* NULL for a number we do not have. */
static struct instance *get_instance(struct get *g, struct unit *u)
{
	uint32_t number = get_u32(g);

	if (number < 1 || number > u->n_instances)
		return NULL;
	return &u->instances[number - 1];
}

static json_t *why_field(const char *why)
{
	json_t *o = json_object();

	json_object_set_new(o, "why", report_text(why));
	return o;
}

static const char *generation_event(enum instance_state s)
{
	switch (s) {
	case STATE_STARTING:
		return "starting";
	case STATE_READY:
		return "ready";
	case STATE_DRAINING:
		return "draining";
	case STATE_BACKOFF:
		return "backoff";
	case STATE_WAITING:
	case STATE_BUILDING:
	case STATE_STOPPED:
	case STATE_DONE:
	case STATE_FAILED:
	case STATE_LIMIT:
		break;
	}
	return NULL;
}

/* A reload tells its own story (M_RELOADED); the rest is told here. */
static void say_state(struct unit *u, const struct instance *i)
{
	struct mux *mux = u->stack->mux;

	if (i->state == STATE_BACKOFF || i->state == STATE_FAILED ||
	    i->state == STATE_DONE)
		mux_say(mux, "%s: %s", i->label,
			i->why[0] ? i->why : instance_state_name(i->state));
}

static void on_state(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	int64_t generation = get_i64(g);
	enum instance_state state =
		(enum instance_state)get_enum(g, STATE_LIMIT);
	int32_t pid = get_i32(g);
	const char *why = get_text(g);
	const char *event = generation_event(state);
	bool changed;

	fd_close(&fd);
	must_end(g, u, "M_STATE");
	if (i == NULL)
		return;
	changed = i->state != state;
	if (generation > u->last_generation)
		u->last_generation = generation;
	if (pid > 0 && pid != i->pid)
		i->up_since_us = clock_mono_us();
	else if (pid <= 0)
		i->up_since_us = 0;
	if (state == STATE_BACKOFF && changed)
		i->restarts++;
	if (state != STATE_DRAINING)
		i->stopping_pid = 0;
	if (state == STATE_STARTING || state == STATE_BUILDING)
		i->last_status = 0;
	i->state = state;
	i->generation = generation;
	i->pid = pid;
	i->since_us = changed ? clock_mono_us() : i->since_us;
	snprintf(i->why, sizeof(i->why), "%s", why);
	if (changed && event != NULL)
		events_add(u->stack->events, event, u, i, why_field(why));
	if (changed)
		say_state(u, i);
	stack_advance(u->stack);
}

static void on_log(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	int64_t generation = get_i64(g);
	enum log_source source = (enum log_source)get_enum(g, LOG_SOURCE_LIMIT);

	must_end(g, u, "M_LOG");
	if (i == NULL || fd < 0) {
		fd_close(&fd);
		return;
	}
	mux_add_source(u->stack->mux, u->id, i->label, generation,
		       source == LOG_BUILD, fd);
}

/* Later ones are told by what caused them. */
static bool is_first_build(const struct unit *u)
{
	uint32_t n;

	for (n = 0; n < u->n_instances; n++)
		if (u->instances[n].generation > 0)
			return false;
	return true;
}

static void on_build(struct unit *u, struct get *g, int fd)
{
	static const char *const names[] = { "build_started", "build_done",
					     "build_failed",
					     "build_cancelled" };
	int64_t generation = get_i64(g);
	enum build_event event =
		(enum build_event)get_enum(g, BUILD_EVENT_LIMIT);
	int64_t build_us = get_i64(g);
	const char *why = get_text(g);
	json_t *fields;

	fd_close(&fd);
	must_end(g, u, "M_BUILD");
	if (generation > u->last_generation)
		u->last_generation = generation;
	fields = why_field(why);
	json_object_set_new(fields, "generation", json_integer(generation));
	if (event != BUILD_STARTED)
		json_object_set_new(fields, "build_ms",
				    json_real((double)build_us / 1000.));
	mux_drain(u->stack->mux, u->id);
	events_add(u->stack->events, names[event], u, NULL, fields);
	if (event == BUILD_STARTED && is_first_build(u))
		mux_say(u->stack->mux, "%s: building", u->s->name);
	if (event == BUILD_FAILED)
		mux_say(u->stack->mux, "%s: %s", u->s->name, why);
}

static void on_exited(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	int64_t generation = get_i64(g);
	int32_t status = get_i32(g);
	bool expected = get_bool(g);
	const char *why = get_text(g);
	json_t *fields;

	fd_close(&fd);
	must_end(g, u, "M_EXITED");
	if (i == NULL)
		return;
	mux_drain(u->stack->mux, u->id);
	fields = why_field(why);
	json_object_set_new(fields, "generation", json_integer(generation));
	json_object_set_new(fields, "status", json_integer(status));
	json_object_set_new(fields, "expected", json_boolean(expected));
	events_add(u->stack->events, "exited", u, i, fields);
	i->last_status = status;
}

static void on_waiting(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	enum wait_for what = (enum wait_for)get_enum(g, WAIT_FOR_LIMIT);
	const char *holder = get_text(g);
	json_t *fields;

	fd_close(&fd);
	must_end(g, u, "M_WAITING");
	if (i == NULL)
		return;
	fields = json_object();
	json_object_set_new(fields, "holder", report_text(holder));
	events_add(u->stack->events,
		   what == WAIT_LOCK ? "lock_wait" : "port_wait", u, i, fields);
	mux_say(u->stack->mux, "%s: %s", i->label, holder);
}

static void on_stopping(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	int64_t generation = get_i64(g);
	int32_t pid = get_i32(g), signo = get_i32(g);
	const char *who = get_text(g);

	fd_close(&fd);
	(void)generation;
	must_end(g, u, "M_STOPPING");
	if (i == NULL)
		return;
	if (i->stopping_pid == 0)
		i->stopping_since_us = clock_mono_us();
	i->stopping_pid = pid;
	i->stopping_signo = signo;
	snprintf(i->stopping_who, sizeof(i->stopping_who), "%s", who);
}

static void keep_trigger(struct reload *r, const char *const *paths)
{
	size_t n = strv_len(paths), i, bytes = 0;
	char *p;

	for (i = 0; i < n; i++)
		bytes += strlen(paths[i]) + 1;
	free(r->trigger);
	r->trigger = xmalloc((n + 1) * sizeof(char *) + bytes);
	p = (char *)(r->trigger + n + 1);
	for (i = 0; i < n; i++) {
		r->trigger[i] = p;
		bytes = strlen(paths[i]) + 1;
		memcpy(p, paths[i], bytes);
		p += bytes;
	}
	r->trigger[n] = NULL;
}

static void say_reloaded(struct unit *u, const struct instance *i,
			 const char *why)
{
	const struct reload *r = &i->last_reload;
	char stages[160], total[32];

	if (r->result != RESULT_READY) {
		/* A failed build has been reported by M_BUILD. */
		if (r->result != RESULT_BUILD_FAILED && why[0] != '\0' &&
		    !u->stack->stopping)
			mux_say(u->stack->mux, "%s: %s", i->label, why);
		return;
	}
	report_stages(r, stages, sizeof(stages));
	clock_span(r->total_us, total, sizeof(total));
	mux_say(u->stack->mux, "%s: generation %" PRId64 " ready in %s (%s)",
		i->label, r->generation, total, stages);
}

static void on_reloaded(struct unit *u, struct get *g, int fd)
{
	struct instance *i = get_instance(g, u);
	struct reload r = { .known = true };
	const char *const *paths;
	const char *rule, *why;
	json_t *fields;

	fd_close(&fd);
	r.generation = get_i64(g);
	r.result = (enum reload_result)get_enum(g, RESULT_LIMIT);
	rule = get_text(g);
	r.quiet_us = get_i64(g);
	r.build_us = get_i64(g);
	r.drain_us = get_i64(g);
	r.start_us = get_i64(g);
	r.ready_us = get_i64(g);
	r.total_us = get_i64(g);
	get_u32(g);
	paths = get_strv(g);
	why = get_text(g);
	must_end(g, u, "M_RELOADED");
	if (i == NULL)
		return;
	snprintf(r.rule, sizeof(r.rule), "%s", rule);
	r.trigger = i->last_reload.trigger;
	keep_trigger(&r, paths);
	i->last_reload = r;
	i->reloads += r.result == RESULT_READY;
	fields = report_reload(&r);
	json_object_set_new(fields, "why", report_text(why));
	mux_drain(u->stack->mux, u->id);
	events_add(u->stack->events, "reloaded", u, i, fields);
	say_reloaded(u, i, why);
}

static void on_done(struct unit *u, struct get *g, int fd)
{
	int32_t request = get_i32(g);
	bool ok = get_bool(g);
	const char *text = get_text(g);

	fd_close(&fd);
	must_end(g, u, "M_DONE");
	control_request_done(u->stack->control, request, ok, text);
}

static void on_note(struct unit *u, struct get *g, int fd)
{
	static const char *const kinds[] = { "", "warning: ", "error: " };
	enum note_level level = (enum note_level)get_enum(g, NOTE_LEVEL_LIMIT);
	const char *text = get_text(g);

	fd_close(&fd);
	must_end(g, u, "M_NOTE");
	mux_say(u->stack->mux, "%s: %s%s", u->s->name, kinds[level], text);
}

static void on_hello(struct unit *u, struct get *g, int fd)
{
	uint32_t version = get_u32(g);

	fd_close(&fd);
	must_end(g, u, "M_HELLO");
	if (version != WIRE_VERSION)
		mux_say(u->stack->mux,
			"%s: its worker speaks protocol %u, this is %u: hr was "
			"replaced while it ran; stop and start the stack",
			u->s->name, version, WIRE_VERSION);
}

static void on_bye(struct unit *u, struct get *g, int fd)
{
	fd_close(&fd);
	must_end(g, u, "M_BYE");
	u->gone = true;
	stack_advance(u->stack);
}

void worker_peer_message(struct unit *u, uint32_t type, const void *body,
			 size_t len, int fd)
{
	struct arena *arena = arena_new();
	struct get g;

	get_init(&g, body, len, arena);
	switch ((enum master_msg)type) {
	case M_HELLO:
		on_hello(u, &g, fd);
		break;
	case M_STATE:
		on_state(u, &g, fd);
		break;
	case M_LOG:
		on_log(u, &g, fd);
		break;
	case M_BUILD:
		on_build(u, &g, fd);
		break;
	case M_EXITED:
		on_exited(u, &g, fd);
		break;
	case M_WAITING:
		on_waiting(u, &g, fd);
		break;
	case M_STOPPING:
		on_stopping(u, &g, fd);
		break;
	case M_RELOADED:
		on_reloaded(u, &g, fd);
		break;
	case M_DONE:
		on_done(u, &g, fd);
		break;
	case M_NOTE:
		on_note(u, &g, fd);
		break;
	case M_BYE:
		on_bye(u, &g, fd);
		break;
	default:
		log_bug("unknown message %u from the worker of %s", type,
			u->s->name);
	}
	arena_free(arena);
}

static bool is_at_rest(const struct instance *i)
{
	return i->state == STATE_STOPPED || i->state == STATE_DONE ||
	       i->state == STATE_FAILED;
}

/* What had ended stays ended; the rest is started by the next worker. */
void worker_peer_lost(struct unit *u)
{
	struct instance *i;
	bool rested = u->started || u->rested;
	uint32_t n;

	for (n = 0; n < u->n_instances; n++) {
		i = &u->instances[n];
		i->pid = 0;
		i->up_since_us = 0;
		i->stopping_pid = 0;
		if (is_at_rest(i))
			continue;
		rested = false;
		i->state = u->wanted ? STATE_WAITING : STATE_STOPPED;
		snprintf(i->why, sizeof(i->why),
			 "its worker died and is being replaced");
	}
	u->started = false;
	u->rested = rested;
	control_unit_lost(u->stack->control, u);
}
