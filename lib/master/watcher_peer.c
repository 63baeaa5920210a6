/* SPDX-License-Identifier: MIT */
/* What the watcher says: changes go on to the worker they concern. */
#include <inttypes.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/master/events.h"
#include "lib/master/mux.h"
#include "lib/master/peers.h"
#include "lib/master/report.h"
#include "lib/master/roles.h"
#include "lib/master/stack.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"

static void must_end(const struct get *g, const char *what)
{
	if (get_end(g) < 0)
		log_bug("malformed %s from the watcher", what);
}

static struct unit *get_unit(struct get *g, struct stack *st)
{
	uint32_t id = get_u32(g);

	return id < st->n_units ? &st->units[id] : NULL;
}

static bool has_effect(enum action a)
{
	return a == ACTION_RELOAD || a == ACTION_RESTART;
}

/* A stopped service hears of nothing: `stop` pauses its reloads. */
static bool hears(const struct unit *u)
{
	return u != NULL && u->wanted && u->started && !u->stack->stopping;
}

static void on_armed(struct stack *st, struct get *g)
{
	struct unit *u = get_unit(g, st);
	uint32_t dirs = get_u32(g);
	int64_t took_us = get_i64(g);

	(void)took_us;
	must_end(g, "V_ARMED");
	if (u == NULL)
		return;
	u->armed = true;
	u->armed_dirs = dirs;
	stack_advance(st);
}

static void on_touched(struct stack *st, struct get *g)
{
	struct unit *u = get_unit(g, st);

	must_end(g, "V_TOUCHED");
	if (u != NULL)
		roles_send(&u->worker, W_TOUCHED, NULL);
}

static void on_calm(struct stack *st, struct get *g)
{
	struct unit *u = get_unit(g, st);

	must_end(g, "V_CALM");
	if (u != NULL)
		roles_send(&u->worker, W_CALM, NULL);
}

static void say_changed(struct unit *u, enum action action,
			const char *const *paths, uint32_t total)
{
	char text[512];

	report_paths(paths, total, text, sizeof(text));
	mux_say(u->stack->mux, "%s: %s changed, %s", u->s->name, text,
		!has_effect(action)	 ? "nothing to do" :
		action == ACTION_RESTART ? "restarting" :
		u->s->build != NULL	 ? "building" :
					   "restarting");
}

static void forward_change(struct unit *u, enum action action, const char *rule,
			   int64_t first_us, int64_t settled_us, uint32_t total,
			   const char *const *paths)
{
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, action);
	put_str(&b, rule);
	put_i64(&b, first_us);
	put_i64(&b, settled_us);
	put_u32(&b, total);
	put_strv(&b, paths);
	roles_send(&u->worker, W_CHANGED, &b);
	buf_done(&b);
}

static json_t *changed_fields(enum action action, const char *rule,
			      const char *const *paths, uint32_t total)
{
	json_t *o = json_object();

	json_object_set_new(o, "paths", report_strings(paths));
	json_object_set_new(o, "total", json_integer(total));
	json_object_set_new(o, "rule",
			    rule[0] ? json_string(rule) : json_null());
	json_object_set_new(o, "action", json_string(action_name(action)));
	return o;
}

static void on_changed(struct stack *st, struct get *g)
{
	struct unit *u = get_unit(g, st);
	enum action action = (enum action)get_enum(g, ACTION_RELOAD + 1);
	const char *rule = get_text(g);
	int64_t first_us = get_i64(g), settled_us = get_i64(g);
	int64_t settled_real_us = get_i64(g);
	uint32_t total = get_u32(g);
	const char *const *paths = get_strv(g);

	must_end(g, "V_CHANGED");
	if (u == NULL)
		return;
	u->settled_real_us = settled_real_us;
	if (u->rested && u->wanted && !st->stopping && has_effect(action)) {
		u->rested = false;
		stack_advance(st);
	}
	if (!hears(u)) {
		roles_send(&u->worker, W_CALM, NULL);
		return;
	}
	/* The worker first: it works while we talk. */
	if (has_effect(action))
		forward_change(u, action, rule, first_us, settled_us, total,
			       paths);
	else
		roles_send(&u->worker, W_CALM, NULL);
	events_add(st->events, "changed", u, NULL,
		   changed_fields(action, rule, paths, total));
	say_changed(u, action, paths, total);
}

static void on_ignored(struct stack *st, struct get *g)
{
	struct unit *u = get_unit(g, st);
	const char *path = get_text(g), *why = get_text(g);
	json_t *fields;

	must_end(g, "V_IGNORED");
	if (u == NULL)
		return;
	fields = json_object();
	json_object_set_new(fields, "path", report_text(path));
	json_object_set_new(fields, "why", report_text(why));
	events_add(st->events, "ignored", u, NULL, fields);
}

static void on_degraded(struct stack *st, struct get *g)
{
	const char *path = get_text(g), *why = get_text(g), *hint = get_text(g);

	must_end(g, "V_DEGRADED");
	mux_say(st->mux, "watching %s: %s", path, why);
	if (hint[0] != '\0')
		mux_say(st->mux, "  hint: %s", hint);
}

void watcher_peer_message(struct stack *st, uint32_t type, const void *body,
			  size_t len, int fd)
{
	struct arena *arena = arena_new();
	struct get g;

	fd_close(&fd);
	get_init(&g, body, len, arena);
	switch ((enum watcher_says)type) {
	case V_HELLO:
		get_u32(&g);
		must_end(&g, "V_HELLO");
		break;
	case V_ARMED:
		on_armed(st, &g);
		break;
	case V_TOUCHED:
		on_touched(st, &g);
		break;
	case V_CALM:
		on_calm(st, &g);
		break;
	case V_CHANGED:
		on_changed(st, &g);
		break;
	case V_IGNORED:
		on_ignored(st, &g);
		break;
	case V_DEGRADED:
		on_degraded(st, &g);
		break;
	case V_SYNCED:
		get_u32(&g);
		must_end(&g, "V_SYNCED");
		break;
	default:
		log_bug("unknown message %u from the watcher", type);
	}
	arena_free(arena);
}

/* Nobody will end a quiet time that has begun: the next watcher reports
 * everything that changed since, so builds under way may go on. Nor may the
 * start of services wait for a watcher that keeps dying. */
void watcher_peer_lost(struct stack *st)
{
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		st->units[i].armed = true;
		roles_send(&st->units[i].worker, W_CALM, NULL);
	}
}
