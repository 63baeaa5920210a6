/* SPDX-License-Identifier: MIT */
/* The machines of one service together. */
#include "lib/worker/plan.h"

#include <stdlib.h>

void plan_init(struct plan *p, const struct plan_ops *ops, void *data,
	       size_t instances, bool has_build, bool stop_on_error)
{
	*p = (struct plan){ .ops = ops,
			    .data = data,
			    .n = instances,
			    .has_build = has_build,
			    .stop_on_error = stop_on_error };
	p->slots = xcalloc(instances, sizeof(*p->slots));
}

void plan_done(struct plan *p)
{
	free(p->slots);
	p->slots = NULL;
	VEC_FREE(&p->queue);
}

static void push(struct plan *p, size_t slot, unsigned event)
{
	struct plan_event e = { slot, event };

	VEC_PUSH(&p->queue, e);
}

static void push_all(struct plan *p, enum process_event e)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		push(p, i, e);
}

/* ---- steps ------------------------------------------------------------- */

static void step_process(struct plan *p, size_t slot, enum process_event e)
{
	unsigned actions = process_step(&p->slots[slot].process, e);
	unsigned bit;

	for (bit = 0; bit < PA_BITS; bit++)
		if ((actions & (1u << bit)) != 0)
			p->ops->process(p->data, slot,
					(enum process_action)(1u << bit));
}

/* Whoever waited for the build gets it. */
static void committed(struct plan *p)
{
	struct plan_slot *s;

	p->have_good = true;
	for (s = p->slots; s < p->slots + p->n; s++) {
		s->pending = s->pending || s->after;
		s->after = s->despite = false;
	}
}

static void build_failed(struct plan *p)
{
	struct plan_slot *s;
	size_t i;

	for (i = 0; i < p->n; i++) {
		s = &p->slots[i];
		if (!s->after)
			continue;
		if (p->stop_on_error) {
			s->pending = false;
			push(p, i, PE_STOP);
		} else if (s->despite && p->have_good) {
			s->pending = true;
		}
		/* What was stopped is down, what never ran has failed. */
		s->unbuilt = !p->stop_on_error || s->process.state == PS_DOWN;
		s->after = s->despite = false;
	}
}

static void step_build(struct plan *p, enum build_input e)
{
	unsigned actions = build_step(&p->build, e);
	unsigned bit;

	for (bit = 0; bit < BA_BITS; bit++)
		if ((actions & (1u << bit)) != 0)
			p->ops->build(p->data, (enum build_action)(1u << bit));
	if ((actions & BA_COMMIT) != 0)
		committed(p);
	if ((actions & BA_FAIL) != 0)
		build_failed(p);
}

static void step_queued(struct plan *p)
{
	size_t i;
	struct plan_event e;

	/* The queue may grow, and move, while it is worked off. */
	for (i = 0; i < p->queue.n; i++) {
		e = p->queue.v[i];
		if (e.slot == PLAN_BUILD)
			step_build(p, (enum build_input)e.event);
		else
			step_process(p, e.slot, (enum process_event)e.event);
	}
	p->queue.n = 0;
}

/* ---- turns ------------------------------------------------------------- */

static bool others_in_transition(const struct plan *p, size_t slot)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (i != slot && process_in_transition(&p->slots[i].process))
			return true;
	return false;
}

/* An instance that serves is replaced only while all others do too. */
static bool is_its_turn(const struct plan *p, size_t slot)
{
	return p->slots[slot].process.state != PS_READY ||
	       !others_in_transition(p, slot);
}

/* It has failed, unless it runs, or will without that build. */
static void tell_unbuilt(struct plan *p, size_t slot)
{
	struct plan_slot *s = &p->slots[slot];

	/* A stop under way ends first. */
	if (!s->unbuilt || s->process.state == PS_STOPPING)
		return;
	s->unbuilt = false;
	if (!process_wants_run(&s->process))
		step_process(p, slot, PE_UNBUILT);
}

/* Returns whether anything was done. */
static bool advance(struct plan *p)
{
	struct plan_slot *s;
	bool any = false;
	size_t i;

	for (i = 0; p->up && i < p->n; i++) {
		s = &p->slots[i];
		tell_unbuilt(p, i);
		if (s->pending && is_its_turn(p, i)) {
			s->pending = false;
			step_process(p, i, PE_REPLACE);
			any = true;
		}
		if (process_wants_run(&s->process)) {
			step_process(p, i, PE_RUN);
			any = true;
		}
	}
	return any;
}

static void run(struct plan *p)
{
	if (p->running)
		return;
	p->running = true;
	do {
		step_queued(p);
	} while (advance(p) || p->queue.n > 0);
	p->running = false;
	p->ops->settled(p->data);
}

void plan_build(struct plan *p, enum build_input e)
{
	push(p, PLAN_BUILD, e);
	run(p);
}

void plan_process(struct plan *p, size_t slot, enum process_event e)
{
	push(p, slot, e);
	run(p);
}

/* ---- what is asked for ------------------------------------------------- */

static bool any_runs(const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (process_runs(&p->slots[i].process))
			return true;
	return false;
}

static void want_build(struct plan *p)
{
	if (!build_will_end(&p->build))
		push(p, PLAN_BUILD, BE_WANT);
}

void plan_start(struct plan *p)
{
	bool build = p->has_build && (!p->have_good || !any_runs(p));
	bool any = false;
	struct plan_slot *s;

	p->up = true;
	for (s = p->slots; s < p->slots + p->n; s++) {
		if (process_runs(&s->process) || s->pending)
			continue;
		s->after = s->after || build;
		s->pending = !build;
		any = true;
	}
	if (build && any)
		want_build(p);
	run(p);
}

void plan_stop(struct plan *p)
{
	struct plan_slot *s;

	p->up = false;
	for (s = p->slots; s < p->slots + p->n; s++)
		s->pending = s->after = s->despite = s->unbuilt = false;
	push(p, PLAN_BUILD, BE_CANCEL);
	/* Who is stopped hears of no end of a quiet time. */
	push(p, PLAN_BUILD, BE_CALM);
	push_all(p, PE_STOP);
	run(p);
}

void plan_restart(struct plan *p, size_t slot, bool wait)
{
	bool build = p->has_build && !p->have_good;
	bool after = build || (wait && build_will_end(&p->build));
	struct plan_slot *s;
	size_t i;

	p->up = true;
	for (i = 0; i < p->n; i++) {
		s = &p->slots[i];
		if (slot != PLAN_ALL && slot != i)
			continue;
		if (after)
			s->after = s->despite = true;
		else
			s->pending = true;
	}
	if (build)
		want_build(p);
	run(p);
}

void plan_reload(struct plan *p, size_t slot, enum build_input e)
{
	struct plan_slot *s;
	size_t i;

	p->up = true;
	for (i = 0; i < p->n; i++) {
		s = &p->slots[i];
		if (slot != PLAN_ALL && slot != i)
			continue;
		if (p->has_build)
			s->after = true;
		else
			s->pending = true;
	}
	if (p->has_build)
		push(p, PLAN_BUILD, e);
	run(p);
}

/* ---- questions --------------------------------------------------------- */

bool plan_is_busy(const struct plan *p, size_t slot)
{
	const struct plan_slot *s = &p->slots[slot];

	return s->pending || s->after || process_in_transition(&s->process) ||
	       (p->up && process_wants_run(&s->process));
}

bool plan_is_down(const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->slots[i].process.state != PS_DOWN)
			return false;
	return p->build.state == BS_IDLE;
}
