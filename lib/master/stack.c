/* SPDX-License-Identifier: MIT */
/* The stack: units from the model, and what moves them forward. */
#include "lib/master/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/master/control.h"
#include "lib/master/events.h"
#include "lib/master/master.h"
#include "lib/master/mux.h"
#include "lib/master/order.h"
#include "lib/master/roles.h"
#include "lib/wire/put.h"

struct unit *stack_find(struct stack *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->n_units; i++)
		if (str_eq(st->units[i].s->name, name))
			return &st->units[i];
	return NULL;
}

struct unit *stack_find_instance(struct stack *st, const char *label,
				 uint32_t *instance)
{
	const char *dot = strrchr(label, '.');
	struct unit *u = stack_find(st, label);
	char name[SERVICE_NAME_MAX + 1];
	int64_t number;

	*instance = 0;
	if (u != NULL || dot == NULL || (size_t)(dot - label) >= sizeof(name) ||
	    str_to_int(dot + 1, 1, INSTANCES_MAX, &number) < 0)
		return u;
	snprintf(name, sizeof(name), "%.*s", (int)(dot - label), label);
	u = stack_find(st, name);
	if (u == NULL || number > u->n_instances)
		return NULL;
	*instance = (uint32_t)number;
	return u;
}

static uint32_t instances_of(const struct stack *st, const struct service *s)
{
	size_t i;

	for (i = 0; i < st->opt->n_formation; i++)
		if (str_eq(st->opt->formation[i].name, s->name))
			return (uint32_t)st->opt->formation[i].count;
	return (uint32_t)s->instances;
}

static void unit_init(struct unit *u, struct stack *st, size_t index)
{
	struct instance *in;
	uint32_t i;

	u->stack = st;
	u->s = &st->model->services[index];
	u->id = (uint32_t)index;
	u->n_instances = instances_of(st, u->s);
	u->instances = xcalloc(u->n_instances, sizeof(*u->instances));
	u->armed = !u->s->watched || st->opt->no_watch;
	for (i = 0; i < u->n_instances; i++) {
		in = &u->instances[i];
		in->number = i + 1;
		in->state = STATE_STOPPED;
		if (u->n_instances > 1)
			snprintf(in->label, sizeof(in->label), "%s.%u",
				 u->s->name, in->number);
		else
			snprintf(in->label, sizeof(in->label), "%s",
				 u->s->name);
	}
}

/* HR_PORT_<NAME>: upper case, what cannot stand in a name becomes '_'. */
static char *port_assignment(const struct service *s)
{
	char *text = xasprintf("HR_PORT_%s=%d", s->name, s->base_port);
	char *p;

	for (p = text + strlen("HR_PORT_"); *p != '='; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		else if (!((*p >= 'A' && *p <= 'Z') ||
			   (*p >= '0' && *p <= '9')))
			*p = '_';
	}
	return text;
}

void stack_init(struct stack *st, const struct up_options *opt,
		const struct model *model)
{
	size_t i;

	memset(st, 0, sizeof(*st));
	st->opt = opt;
	st->model = model;
	st->n_units = model->n_services;
	st->units = xcalloc(st->n_units, sizeof(*st->units));
	st->port_env = xcalloc(st->n_units + 1, sizeof(*st->port_env));
	for (i = 0; i < st->n_units; i++) {
		unit_init(&st->units[i], st, i);
		st->port_env[i] = port_assignment(&model->services[i]);
		if (model->services[i].watched && !opt->no_watch)
			st->watching = true;
	}
}

void stack_done(struct stack *st)
{
	struct unit *u;
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		for (j = 0; j < u->n_instances; j++)
			free(u->instances[j].last_reload.trigger);
		VEC_FREE(&u->start_requests);
		free(u->instances);
		free(st->port_env[i]);
	}
	free(st->port_env);
	free(st->units);
	free(st->state_dir);
}

void stack_want(struct stack *st)
{
	struct unit *u;
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		if (st->opt->names[0] != NULL ?
			    strv_has(st->opt->names, u->s->name) :
			    u->s->enabled && u->n_instances > 0)
			order_want(st, u);
	}
	for (i = 0; i < st->n_units; i++)
		for (j = 0; j < st->units[i].n_instances; j++)
			if (st->units[i].wanted)
				st->units[i].instances[j].state = STATE_WAITING;
}

/* --- forward --- */

static void send_start(struct unit *u, int32_t request)
{
	struct buf b;

	buf_init(&b, 4096);
	put_i32(&b, request);
	put_str(&b, request != 0 ? "asked for on the command line" : "hr up");
	roles_send(&u->worker, W_START, &b);
	buf_done(&b);
}

static void start_unit(struct unit *u)
{
	size_t i;

	if (!u->started && u->start_requests.n == 0)
		send_start(u, 0);
	for (i = 0; i < u->start_requests.n; i++)
		send_start(u, u->start_requests.v[i]);
	u->start_requests.n = 0;
	u->started = true;
	u->rested = false;
}

static void wait_for_others(struct unit *u, const char *why)
{
	struct instance *in;
	uint32_t i;

	for (i = 0; i < u->n_instances; i++) {
		in = &u->instances[i];
		in->state = STATE_WAITING;
		snprintf(in->why, sizeof(in->why), "%s", why);
	}
}

static void advance_start(struct stack *st)
{
	struct unit *u;
	char why[200];
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		if (!u->wanted || u->n_instances == 0 ||
		    ((u->started || u->rested) && u->start_requests.n == 0))
			continue;
		if (!roles_ensure_worker(u))
			continue;
		if (!u->started && !order_may_start(st, u, why, sizeof(why))) {
			wait_for_others(u, why);
			if (order_is_stuck(st, u))
				control_refuse_start(st->control, u, why);
		} else if (u->started || u->armed) {
			start_unit(u);
		}
	}
}

static void advance_stop(struct stack *st)
{
	struct unit *u;
	bool all_gone = true;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		if (!u->gone && !u->told_to_quit && order_may_stop(st, u)) {
			u->told_to_quit = true;
			if (!roles_send(&u->worker, W_QUIT, NULL))
				u->gone = true;
			/* Others may be allowed to stop by this one. */
			i = (size_t)-1;
			all_gone = true;
			continue;
		}
		all_gone = all_gone && u->gone;
	}
	if (all_gone)
		roles_stop_watcher(st);
}

static bool unit_ended(const struct stack *st, const struct unit *u)
{
	uint32_t i;

	if (u->n_instances == 0)
		return true;
	if (!u->started && !u->rested)
		return u->worker.chan != NULL &&
		       !order_may_start(st, u, NULL, 0);
	for (i = 0; i < u->n_instances; i++)
		if (u->instances[i].state != STATE_DONE &&
		    u->instances[i].state != STATE_FAILED)
			return false;
	return true;
}

/* Nothing runs, nothing will, and no save can change that. */
static bool all_ended(const struct stack *st)
{
	const struct unit *u;
	bool any = false;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		if (u->paused)
			return false; /* until the user starts it again */
		if (!u->wanted)
			continue;
		any = true;
		if (!unit_ended(st, u) || (u->s->watched && st->watching))
			return false;
	}
	return any;
}

static int code_of(int status)
{
	return status > 255 ? status >> 8 :
	       status > 0   ? 128 + (status & 127) :
			      0;
}

/* The instance whose end ends the stack (on_exit = "stop"), or NULL. */
static const struct instance *ender(const struct stack *st)
{
	const struct instance *in;
	const struct unit *u;
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		for (j = 0; (u->started || u->rested) && j < u->n_instances;
		     j++) {
			in = &u->instances[j];
			if (in->state == STATE_FAILED ||
			    (in->state == STATE_DONE && !u->s->oneshot))
				return in;
		}
	}
	return NULL;
}

static bool any_failed(const struct stack *st)
{
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++)
		for (j = 0; j < st->units[i].n_instances; j++)
			if (st->units[i].instances[j].state == STATE_FAILED)
				return true;
	return false;
}

static void maybe_end(struct stack *st)
{
	const struct instance *in;
	char why[200];

	if (st->model->on_exit == ON_EXIT_STOP && (in = ender(st)) != NULL) {
		snprintf(why, sizeof(why), "%s ended (on_exit = \"stop\")",
			 in->label);
		stack_stop(st,
			   in->last_status != 0 ? code_of(in->last_status) :
			   in->state == STATE_FAILED ? EXIT_FAILED :
						       EXIT_DONE,
			   why);
	} else if (all_ended(st)) {
		stack_stop(st, any_failed(st) ? EXIT_FAILED : EXIT_DONE,
			   "every service has ended and nothing is watched");
	}
}

void stack_advance(struct stack *st)
{
	if (!st->stopping)
		advance_start(st);
	if (!st->stopping)
		maybe_end(st);
	if (st->stopping)
		advance_stop(st);
	control_state_changed(st->control);
}

void stack_stop(struct stack *st, int code, const char *why)
{
	size_t i;

	if (st->stopping)
		return;
	st->stopping = true;
	st->exit_code = code;
	st->stop_since_us = clock_mono_us();
	mux_say(st->mux, "stopping: %s", why);
	control_stopping(st->control);
	for (i = 0; i < st->n_units; i++)
		if (st->units[i].worker.chan == NULL)
			st->units[i].gone = true;
	ev_timer_start(st->loop, &st->stop_tick);
	stack_advance(st);
}
