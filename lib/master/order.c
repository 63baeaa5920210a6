/* SPDX-License-Identifier: MIT */
/* Who may start and who may stop, by `after`. */
#include "lib/master/order.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/master/stack.h"

/* :started needs the exec, :done the clean end; a oneshot that is done has
 * also been started and ready. */
static bool instance_is(const struct instance *i, enum after_condition c)
{
	switch (c) {
	case AFTER_READY:
		return i->state == STATE_READY || i->state == STATE_DONE;
	case AFTER_STARTED:
		return i->pid > 0 || i->state == STATE_READY ||
		       i->state == STATE_DONE;
	case AFTER_DONE:
		return i->state == STATE_DONE;
	}
	return false;
}

static bool unit_is(const struct unit *u, enum after_condition c)
{
	uint32_t i;

	for (i = 0; i < u->n_instances; i++)
		if (!instance_is(&u->instances[i], c))
			return false;
	return true;
}

static const struct unit *find(const struct stack *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->n_units; i++)
		if (str_eq(st->units[i].s->name, name))
			return &st->units[i];
	return NULL;
}

bool order_may_start(const struct stack *st, const struct unit *u, char *why,
		     size_t size)
{
	const struct after *after;
	const struct unit *on;
	size_t i;

	for (i = 0; i < u->s->n_after; i++) {
		after = &u->s->after[i];
		on = find(st, after->name);
		if (on == NULL || unit_is(on, after->condition))
			continue;
		if (why != NULL)
			snprintf(why, size, "waits for %s:%s (%s)", after->name,
				 after_condition_name(after->condition),
				 on->n_instances == 0 ?
					 "no instance" :
					 instance_state_name(
						 on->instances[0].state));
		return false;
	}
	return true;
}

static bool comes_after(const struct unit *u, const struct unit *on)
{
	size_t i;

	for (i = 0; i < u->s->n_after; i++)
		if (str_eq(u->s->after[i].name, on->s->name))
			return true;
	return false;
}

bool order_may_stop(const struct stack *st, const struct unit *u)
{
	size_t i;

	for (i = 0; i < st->n_units; i++)
		if (!st->units[i].gone && comes_after(&st->units[i], u))
			return false;
	return true;
}

bool order_is_stuck(const struct stack *st, const struct unit *u)
{
	const struct unit *on;
	size_t i;
	uint32_t j;

	for (i = 0; i < u->s->n_after; i++) {
		on = find(st, u->s->after[i].name);
		if (on == NULL || unit_is(on, u->s->after[i].condition))
			continue;
		if (!on->wanted || order_is_stuck(st, on))
			return true;
		for (j = 0; j < on->n_instances; j++)
			if (on->instances[j].state == STATE_FAILED)
				return true;
	}
	return false;
}

/* The model has no circles: load_model() refuses them. */
void order_want(struct stack *st, struct unit *u)
{
	struct unit *on;
	size_t i;

	u->wanted = true;
	u->paused = false;
	for (i = 0; i < u->s->n_after; i++) {
		on = stack_find(st, u->s->after[i].name);
		if (on != NULL)
			order_want(st, on);
	}
}
