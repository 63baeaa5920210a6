/* SPDX-License-Identifier: MIT */
// needs: worker base procfile
/*
 * Random histories of a service against a small world in virtual time.
 *
 * The world has one source file with a version, builds that take a while and
 * fail for every fifth version, processes that take a while to start, get
 * ready and stop, or crash; and users who save, restart, reload, start and
 * stop at any moment. Always: one build at most, one generation of an
 * instance at most, no result older than the last save that is known. At the
 * end, when nobody does anything any more: the last save has won, or the stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/worker/plan.h"

#define HISTORIES 10000
#define INPUTS 60
#define INSTANCES_TOP 3
#define NEVER INT64_MAX

/* What will happen to an instance, each at its time or NEVER. */
enum due {
	DUE_FREE,
	DUE_LOCKED,
	DUE_STARTED,
	DUE_READY,
	DUE_LATE,
	DUE_EXITED,
	DUE_GONE,
	DUE_TIMER,
	DUE_LIMIT
};

struct sim_instance {
	int64_t due[DUE_LIMIT];
	bool alive;  /* its keeper was started and has not ended */
	int version; /* of the source in what runs, or ran last */
	int conf;    /* as read at its start */
	bool stopping;
	bool prepared;
};

struct world {
	struct plan plan;
	struct sim_instance in[INSTANCES_TOP];
	uint64_t random;
	int64_t now;
	int version, conf; /* on disk */
	int good;	   /* version of the last good build */
	bool building;
	int built; /* version it began with */
	int64_t build_end, build_timeout;
	bool last_failed; /* the newest build did */
	bool begun;	  /* a build was ever begun */
	/* The watcher. */
	int64_t touch, settle;
	bool reload, restart;
	int known; /* version the worker was told of a touch for */
	int settled_calls;
	bool stop_won;
};

static unsigned below(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

static int64_t soon(struct world *w, unsigned most)
{
	return w->now + 1 + below(w, most);
}

/* ---- the world's side of the actions ----------------------------------- */

static void begin(struct world *w)
{
	assert_false(w->building);
	w->begun = true;
	w->last_failed = false;
	w->built = w->version;
	if (below(w, 40) == 0) { /* fork refused */
		plan_build(&w->plan, BE_BAD);
		return;
	}
	w->building = true;
	w->build_end = soon(w, 30);
	w->build_timeout = below(w, 8) == 0 ? soon(w, 30) : NEVER;
}

static void sim_build(void *data, enum build_action a)
{
	struct world *w = data;

	switch (a) {
	case BA_BEGIN:
		begin(w);
		break;
	case BA_KILL:
		assert_true(w->building);
		w->build_end = soon(w, 3);
		break;
	case BA_COMMIT:
		assert_false(w->building);
		assert_true(w->built % 5 != 0);
		assert_true(w->built >= w->known);
		w->good = w->built;
		break;
	case BA_FAIL:
		w->last_failed = true;
		break;
	case BA_BUG:
		fail_msg("build bug in %s",
			 build_state_name(w->plan.build.state));
		break;
	case BA_NONE:
	case BA_NOTHING:
	case BA_DROP:
		break;
	}
}

static void cancel(struct sim_instance *in)
{
	int i;

	for (i = 0; i < DUE_LIMIT; i++)
		in->due[i] = NEVER;
}

static void launch(struct world *w, size_t slot)
{
	struct sim_instance *in = &w->in[slot];

	assert_false(in->alive);
	assert_true(w->plan.up);
	in->prepared = false;
	in->conf = w->conf;
	in->version = w->plan.has_build ? w->good : w->version;
	assert_true(!w->plan.has_build || w->plan.have_good);
	if (below(w, 30) == 0) { /* fork refused */
		plan_process(&w->plan, slot, PE_GONE_AGAIN);
		return;
	}
	in->alive = true;
	in->stopping = false;
	if (below(w, 8) == 0) {
		in->due[DUE_LOCKED] = soon(w, 2);
		in->due[DUE_STARTED] = in->due[DUE_LOCKED] + below(w, 20);
	} else {
		in->due[DUE_STARTED] = soon(w, 3);
	}
}

static void stop(struct world *w, struct sim_instance *in)
{
	int64_t started = in->due[DUE_STARTED];

	assert_true(in->alive);
	in->stopping = true;
	cancel(in);
	/* What was on its way still arrives. */
	if (started != NEVER && started <= w->now + 1)
		in->due[DUE_STARTED] = started;
	in->due[DUE_GONE] = w->now + 2 + below(w, 15);
	if (below(w, 4) == 0)
		in->due[DUE_EXITED] = w->now + 2;
}

static void probe(struct world *w, size_t slot)
{
	struct sim_instance *in = &w->in[slot];

	switch (below(w, 8)) {
	case 0:
		in->due[DUE_LATE] = soon(w, 20);
		break;
	case 1:
		plan_process(&w->plan, slot, PE_READY);
		break;
	default:
		in->due[DUE_READY] = soon(w, 10);
	}
}

static void sim_process(void *data, size_t slot, enum process_action a)
{
	struct world *w = data;
	struct sim_instance *in = &w->in[slot];

	switch (a) {
	case PA_BUG:
		fail_msg("bug in %s",
			 process_state_name(w->plan.slots[slot].process.state));
		break;
	case PA_UNLOOK:
		in->due[DUE_FREE] = NEVER;
		break;
	case PA_UNPROBE:
		in->due[DUE_READY] = in->due[DUE_LATE] = NEVER;
		break;
	case PA_DISARM:
		in->due[DUE_TIMER] = NEVER;
		break;
	case PA_STOP:
		stop(w, in);
		break;
	case PA_DISCARD:
		in->prepared = false;
		break;
	case PA_PREPARE:
		in->prepared = true;
		break;
	case PA_LOOK:
		if (below(w, 3) == 0)
			in->due[DUE_FREE] = soon(w, 15);
		else
			plan_process(&w->plan, slot, PE_FREE);
		break;
	case PA_LAUNCH:
		launch(w, slot);
		break;
	case PA_PROBE:
		probe(w, slot);
		break;
	case PA_ARM:
		in->due[DUE_TIMER] = soon(w, 25);
		break;
	case PA_NONE:
	case PA_NOTHING:
		break;
	}
}

static void sim_settled(void *data)
{
	struct world *w = data;
	size_t i;

	w->settled_calls++;
	for (i = 0; i < w->plan.n; i++) {
		if (w->in[i].alive)
			continue;
		/* Nothing is forgotten: whatever waits has a reason to. */
		if (w->plan.slots[i].process.state == PS_WAITING)
			assert_true(w->in[i].due[DUE_FREE] != NEVER);
		if (w->plan.slots[i].process.state == PS_BACKOFF)
			assert_true(w->in[i].due[DUE_TIMER] != NEVER);
	}
}

static const struct plan_ops ops = { sim_build, sim_process, sim_settled };

/* ---- what happens by itself -------------------------------------------- */

static void happen(struct world *w, size_t slot, enum due d)
{
	static const enum process_event ends[] = { PE_GONE_AGAIN, PE_GONE_AGAIN,
						   PE_GONE_DONE,
						   PE_GONE_FAILED };
	struct sim_instance *in = &w->in[slot];
	enum process_event e = PE_FREE;

	in->due[d] = NEVER;
	switch (d) {
	case DUE_FREE:
		e = PE_FREE;
		break;
	case DUE_LOCKED:
		e = PE_LOCKED;
		break;
	case DUE_STARTED:
		e = PE_STARTED;
		break;
	case DUE_READY:
		e = PE_READY;
		break;
	case DUE_LATE:
		e = PE_LATE;
		break;
	case DUE_EXITED:
		e = PE_EXITED;
		break;
	case DUE_TIMER:
		e = PE_RUN;
		break;
	case DUE_GONE:
		in->alive = false;
		e = ends[below(w, NITEMS(ends))];
		cancel(in);
		break;
	case DUE_LIMIT:
		break;
	}
	plan_process(&w->plan, slot, e);
}

static void settle(struct world *w)
{
	bool reload = w->reload, restart = w->restart;

	w->settle = NEVER;
	w->reload = w->restart = false;
	if (!w->plan.up) /* a stopped service hears of nothing */
		return;
	if (reload) {
		plan_reload(&w->plan, PLAN_ALL, BE_CHANGED);
	} else if (restart) {
		plan_restart(&w->plan, PLAN_ALL, true);
		plan_build(&w->plan, BE_CALM);
	} else {
		plan_build(&w->plan, BE_CALM);
	}
}

static void touch(struct world *w)
{
	w->touch = NEVER;
	if (!w->plan.up)
		return;
	w->known = w->version;
	plan_build(&w->plan, BE_TOUCH);
}

static void build_end(struct world *w)
{
	bool good = w->built % 5 != 0;

	w->building = false;
	w->build_end = w->build_timeout = NEVER;
	plan_build(&w->plan, good ? BE_GOOD : BE_BAD);
}

/* The earliest of all that is due. Returns false if nothing is. */
static bool next_event(struct world *w, int64_t until)
{
	int64_t first = until;
	size_t slot = 0, i;
	int what = -1, d;

#define EARLIER(t, code, s)                                                    \
	if ((t) < first) {                                                     \
		first = (t);                                                   \
		what = (code);                                                 \
		slot = (s);                                                    \
	}
	EARLIER(w->touch, 100, 0)
	EARLIER(w->settle, 101, 0)
	EARLIER(w->build_end, 102, 0)
	EARLIER(w->build_timeout, 103, 0)
	for (i = 0; i < w->plan.n; i++)
		for (d = 0; d < DUE_LIMIT; d++)
			EARLIER(w->in[i].due[d], d, i)
#undef EARLIER
	if (what < 0)
		return false;
	w->now = first > w->now ? first : w->now;
	switch (what) {
	case 100:
		touch(w);
		break;
	case 101:
		settle(w);
		break;
	case 102:
		build_end(w);
		break;
	case 103:
		w->build_timeout = NEVER;
		/* The worker stops its timer when it kills. */
		if (w->plan.build.state == BS_BUILDING)
			plan_build(&w->plan, BE_TIMEOUT);
		break;
	default:
		happen(w, slot, (enum due)what);
	}
	return true;
}

/* ---- what people do ---------------------------------------------------- */

static void changed_something(struct world *w)
{
	int64_t t = soon(w, 2);

	if (w->touch == NEVER && w->settle == NEVER)
		w->touch = t;
	w->settle = t + 1 + below(w, 10);
}

static void crash(struct world *w, size_t slot)
{
	struct sim_instance *in = &w->in[slot];

	/* From exec until it is stopped. */
	if (!in->alive || in->stopping || in->due[DUE_STARTED] != NEVER ||
	    in->due[DUE_GONE] != NEVER)
		return;
	if (below(w, 2) == 0)
		in->due[DUE_EXITED] = w->now + 1;
	in->due[DUE_GONE] = w->now + 2;
	in->due[DUE_READY] = in->due[DUE_LATE] = NEVER;
}

static size_t some_slot(struct world *w)
{
	return below(w, 2) == 0 ? PLAN_ALL : below(w, (unsigned)w->plan.n);
}

static void input(struct world *w)
{
	switch (below(w, 12)) {
	case 0:
		plan_stop(&w->plan);
		w->stop_won = true;
		break;
	case 1:
	case 2:
		plan_start(&w->plan);
		break;
	case 3:
		plan_restart(&w->plan, some_slot(w), false);
		break;
	case 4:
		plan_reload(&w->plan, some_slot(w), BE_WANT);
		break;
	case 5:
	case 6:
		crash(w, below(w, (unsigned)w->plan.n));
		break;
	case 7:
		w->conf++;
		w->restart = true;
		changed_something(w);
		break;
	case 8: /* touch(1) */
		changed_something(w);
		break;
	default:
		w->version++;
		w->reload = true;
		changed_something(w);
	}
}

/* ---- at the end -------------------------------------------------------- */

static void check_down(const struct world *w)
{
	size_t i;

	assert_true(plan_is_down(&w->plan));
	assert_false(w->building);
	for (i = 0; i < w->plan.n; i++) {
		assert_false(w->in[i].alive);
		assert_false(plan_is_busy(&w->plan, i));
	}
}

static void check_up(const struct world *w)
{
	const struct process *p;
	size_t i;

	assert_int_equal(w->plan.build.state, BS_IDLE);
	for (i = 0; i < w->plan.n; i++) {
		p = &w->plan.slots[i].process;
		assert_false(plan_is_busy(&w->plan, i));
		if (w->last_failed) {
			assert_true(
				p->state == PS_READY || p->state == PS_FAILED ||
				p->state == PS_DONE ||
				(p->state == PS_DOWN && w->plan.stop_on_error));
			continue;
		}
		assert_true(p->state == PS_READY || p->state == PS_FAILED ||
			    p->state == PS_DONE);
		assert_int_equal(w->in[i].version, w->version);
		assert_int_equal(w->in[i].conf, w->conf);
	}
}

static void finish(struct world *w)
{
	int events = 0;

	/* One last wish, known to all: what was saved while it was stopped is
	 * built by the start. */
	if (below(w, 3) == 0) {
		plan_stop(&w->plan);
	} else {
		plan_start(&w->plan);
		w->version++;
		w->conf++;
		w->reload = true;
		changed_something(w);
	}
	while (next_event(w, NEVER))
		if (++events > 20000)
			fail_msg("it never comes to rest");
	if (w->plan.up)
		check_up(w);
	else
		check_down(w);
	plan_stop(&w->plan);
	while (next_event(w, NEVER))
		;
	check_down(w);
}

static void history(uint64_t seed)
{
	struct world w = { .random = seed,
			   .version = 1,
			   .touch = NEVER,
			   .settle = NEVER,
			   .build_end = NEVER,
			   .build_timeout = NEVER };
	size_t i;
	int n;

	for (n = 0; n < 8; n++)
		below(&w, 2);
	plan_init(&w.plan, &ops, &w, 1 + below(&w, INSTANCES_TOP),
		  below(&w, 4) != 0, below(&w, 3) == 0);
	for (i = 0; i < w.plan.n; i++)
		cancel(&w.in[i]);
	plan_start(&w.plan);
	for (n = 0; n < INPUTS; n++) {
		int64_t until = w.now + below(&w, 25);

		while (next_event(&w, until))
			;
		w.now = until > w.now ? until : w.now;
		input(&w);
	}
	finish(&w);
	plan_done(&w.plan);
}

static void test_random_histories(void **state)
{
	const char *one = getenv("HR_TEST_SEED");
	uint64_t seed;

	(void)state;
	if (one != NULL) {
		history(strtoull(one, NULL, 10));
		return;
	}
	for (seed = 1; seed <= HISTORIES; seed++) {
		/* For the message of a failed assertion. */
		char text[64];

		snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
		setenv("HR_TEST_LAST", text, 1);
		history(seed);
	}
}

/* Whoever is stopped during a quiet time hears nothing of its end. */
static void test_stop_during_the_quiet_time(void **state)
{
	struct world w = { .version = 1,
			   .touch = NEVER,
			   .settle = NEVER,
			   .build_end = NEVER,
			   .build_timeout = NEVER };

	(void)state;
	plan_init(&w.plan, &ops, &w, 1, true, false);
	cancel(&w.in[0]);
	plan_start(&w.plan);
	plan_build(&w.plan, BE_TOUCH);
	plan_stop(&w.plan);
	plan_start(&w.plan);
	while (next_event(&w, NEVER))
		;
	check_up(&w);
	plan_done(&w.plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_during_the_quiet_time),
		cmocka_unit_test(test_random_histories),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	if (rc != 0 && getenv("HR_TEST_LAST") != NULL)
		fprintf(stderr, "HR_TEST_SEED=%s\n", getenv("HR_TEST_LAST"));
	return rc;
}
