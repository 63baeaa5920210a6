/* SPDX-License-Identifier: MIT */
// needs: worker base procfile
/* The process machine: every cell of its table; and policies, back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/worker/backoff.h"
#include "lib/worker/process.h"

struct step {
	enum process_state state;
	enum process_event event;
	enum process_state next;
	unsigned actions;
};

#define STEP(state, event, next, actions)                                      \
	{                                                                      \
		PS_##state, PE_##event, PS_##next, actions                     \
	}

/* Everything that can happen; every other cell is a bug and stays. */
/* clang-format off */
static const struct step possible[] = {
	STEP(DOWN, RUN, WAITING, PA_PREPARE | PA_LOOK),
	STEP(DOWN, REPLACE, WAITING, PA_PREPARE | PA_LOOK),
	STEP(DOWN, STOP, DOWN, PA_DISCARD),
	STEP(DOWN, UNBUILT, FAILED, PA_NOTHING),

	STEP(WAITING, REPLACE, WAITING, PA_PREPARE | PA_LOOK),
	STEP(WAITING, STOP, DOWN, PA_UNLOOK | PA_DISCARD),
	STEP(WAITING, UNBUILT, WAITING, PA_NOTHING),
	STEP(WAITING, FREE, STARTING, PA_UNLOOK | PA_LAUNCH),

	STEP(LOCKED, REPLACE, STOPPING, PA_STOP | PA_PREPARE),
	STEP(LOCKED, STOP, STOPPING, PA_STOP),
	STEP(LOCKED, UNBUILT, LOCKED, PA_NOTHING),
	STEP(LOCKED, LOCKED, LOCKED, PA_NOTHING),
	STEP(LOCKED, STARTED, STARTING, PA_PROBE),
	STEP(LOCKED, GONE_AGAIN, BACKOFF, PA_ARM),
	STEP(LOCKED, GONE_DONE, DONE, PA_NOTHING),
	STEP(LOCKED, GONE_FAILED, FAILED, PA_NOTHING),

	STEP(STARTING, REPLACE, STOPPING, PA_UNPROBE | PA_STOP | PA_PREPARE),
	STEP(STARTING, STOP, STOPPING, PA_UNPROBE | PA_STOP),
	STEP(STARTING, UNBUILT, STARTING, PA_NOTHING),
	STEP(STARTING, LOCKED, LOCKED, PA_NOTHING),
	STEP(STARTING, STARTED, STARTING, PA_PROBE),
	STEP(STARTING, READY, READY, PA_UNPROBE),
	STEP(STARTING, LATE, ENDING, PA_UNPROBE | PA_STOP),
	STEP(STARTING, EXITED, ENDING, PA_UNPROBE),
	STEP(STARTING, GONE_AGAIN, BACKOFF, PA_UNPROBE | PA_ARM),
	STEP(STARTING, GONE_DONE, DONE, PA_UNPROBE),
	STEP(STARTING, GONE_FAILED, FAILED, PA_UNPROBE),

	STEP(READY, REPLACE, STOPPING, PA_STOP | PA_PREPARE),
	STEP(READY, STOP, STOPPING, PA_STOP | PA_DISCARD),
	STEP(READY, UNBUILT, READY, PA_NOTHING),
	STEP(READY, EXITED, ENDING, PA_NOTHING),
	STEP(READY, GONE_AGAIN, BACKOFF, PA_ARM),
	STEP(READY, GONE_DONE, DONE, PA_NOTHING),
	STEP(READY, GONE_FAILED, FAILED, PA_NOTHING),

	STEP(STOPPING, REPLACE, STOPPING, PA_PREPARE),
	STEP(STOPPING, STOP, STOPPING, PA_DISCARD),
	STEP(STOPPING, UNBUILT, STOPPING, PA_NOTHING),
	STEP(STOPPING, LOCKED, STOPPING, PA_NOTHING),
	STEP(STOPPING, STARTED, STOPPING, PA_NOTHING),
	STEP(STOPPING, EXITED, STOPPING, PA_NOTHING),
	STEP(STOPPING, GONE_AGAIN, DOWN, PA_NOTHING),
	STEP(STOPPING, GONE_DONE, DOWN, PA_NOTHING),
	STEP(STOPPING, GONE_FAILED, DOWN, PA_NOTHING),

	STEP(ENDING, REPLACE, STOPPING, PA_PREPARE),
	STEP(ENDING, STOP, STOPPING, PA_DISCARD),
	STEP(ENDING, UNBUILT, ENDING, PA_NOTHING),
	STEP(ENDING, EXITED, ENDING, PA_NOTHING),
	STEP(ENDING, GONE_AGAIN, BACKOFF, PA_ARM),
	STEP(ENDING, GONE_DONE, DONE, PA_NOTHING),
	STEP(ENDING, GONE_FAILED, FAILED, PA_NOTHING),

	STEP(BACKOFF, RUN, WAITING, PA_DISARM | PA_PREPARE | PA_LOOK),
	STEP(BACKOFF, REPLACE, WAITING, PA_DISARM | PA_PREPARE | PA_LOOK),
	STEP(BACKOFF, STOP, DOWN, PA_DISARM | PA_DISCARD),
	STEP(BACKOFF, UNBUILT, BACKOFF, PA_NOTHING),

	STEP(FAILED, RUN, WAITING, PA_PREPARE | PA_LOOK),
	STEP(FAILED, REPLACE, WAITING, PA_PREPARE | PA_LOOK),
	STEP(FAILED, STOP, DOWN, PA_DISCARD),
	STEP(FAILED, UNBUILT, FAILED, PA_NOTHING),

	STEP(DONE, RUN, WAITING, PA_PREPARE | PA_LOOK),
	STEP(DONE, REPLACE, WAITING, PA_PREPARE | PA_LOOK),
	STEP(DONE, STOP, DOWN, PA_DISCARD),
	STEP(DONE, UNBUILT, DONE, PA_NOTHING),
};
/* clang-format on */

static const struct step *find(size_t s, size_t e)
{
	size_t i;

	for (i = 0; i < NITEMS(possible); i++)
		if (possible[i].state == s && possible[i].event == e)
			return &possible[i];
	return NULL;
}

static void test_every_cell(void **state)
{
	const struct process_cell *c;
	const struct step *p;
	size_t s, e;

	(void)state;
	for (s = 0; s < PS_LIMIT; s++) {
		for (e = 0; e < PE_LIMIT; e++) {
			c = process_cell((enum process_state)s,
					 (enum process_event)e);
			p = find(s, e);
			if (c->next != (p != NULL ? p->next : s) ||
			    c->actions != (p != NULL ? p->actions : PA_BUG))
				fail_msg("%s + %s",
					 process_state_name(
						 (enum process_state)s),
					 process_event_name(
						 (enum process_event)e));
		}
	}
}

static bool may_live(size_t s)
{
	return s == PS_LOCKED || s == PS_STARTING || s == PS_READY ||
	       s == PS_STOPPING || s == PS_ENDING;
}

/* What makes two generations at once impossible: LAUNCH only where nothing of
 * the instance lives, and out of a living state only by its end. */
static void test_launch_only_when_nothing_lives(void **state)
{
	const struct process_cell *c;
	size_t s, e;

	(void)state;
	for (s = 0; s < PS_LIMIT; s++) {
		for (e = 0; e < PE_LIMIT; e++) {
			c = process_cell((enum process_state)s,
					 (enum process_event)e);
			if ((c->actions & PA_LAUNCH) != 0)
				assert_false(may_live(s));
			if (may_live(s) && !may_live(c->next))
				assert_true(e >= PE_GONE_AGAIN);
			if (!may_live(s) && may_live(c->next))
				assert_true((c->actions & PA_LAUNCH) != 0);
		}
	}
}

static void test_wanted_is_kept_apart(void **state)
{
	struct process p = { PS_READY, true };

	(void)state;
	process_step(&p, PE_STOP);
	assert_int_equal(p.state, PS_STOPPING);
	assert_false(process_runs(&p));
	process_step(&p, PE_REPLACE);
	assert_int_equal(p.state, PS_STOPPING);
	assert_true(process_runs(&p));
	process_step(&p, PE_GONE_DONE);
	assert_true(process_wants_run(&p));
	process_step(&p, PE_STOP);
	assert_false(process_wants_run(&p));
}

/* ---- back-off ---------------------------------------------------------- */

static void test_policies(void **state)
{
	static const struct {
		enum restart_policy policy;
		bool oneshot, good;
		enum verdict verdict;
	} cases[] = {
		{ RESTART_ALWAYS, false, true, VERDICT_AGAIN },
		{ RESTART_ALWAYS, false, false, VERDICT_AGAIN },
		{ RESTART_ON_FAILURE, false, true, VERDICT_DONE },
		{ RESTART_ON_FAILURE, false, false, VERDICT_AGAIN },
		{ RESTART_NEVER, false, true, VERDICT_DONE },
		{ RESTART_NEVER, false, false, VERDICT_FAILED },
		{ RESTART_ALWAYS, true, true, VERDICT_DONE },
		{ RESTART_ALWAYS, true, false, VERDICT_FAILED },
		{ RESTART_ON_FAILURE, true, false, VERDICT_FAILED },
	};
	struct service s = { .backoff_ms = 1000,
			     .max_restarts = MAX_RESTARTS_NONE };
	struct backoff b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		s.restart = cases[i].policy;
		s.oneshot = cases[i].oneshot;
		assert_int_equal(backoff_judge(&b, &s, cases[i].good, 5),
				 cases[i].verdict);
	}
}

static void test_backoff_doubles_and_is_reset(void **state)
{
	static const int64_t waits[] = { 1000,	2000,  4000,  8000,
					 16000, 32000, 32000, 32000 };
	struct service s = { .backoff_ms = 1000,
			     .max_restarts = MAX_RESTARTS_NONE };
	struct backoff b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(waits); i++) {
		assert_int_equal(backoff_judge(&b, &s, false, 9999),
				 VERDICT_AGAIN);
		assert_int_equal(backoff_next_ms(&b, &s), waits[i]);
	}
	backoff_judge(&b, &s, false, 10000);
	assert_int_equal(backoff_next_ms(&b, &s), 1000);
	s.backoff_ms = 60000;
	assert_int_equal(backoff_next_ms(&b, &s), 60000);
	s.backoff_ms = 0;
	assert_int_equal(backoff_next_ms(&b, &s), 0);
	b.restarts = INT64_MAX - 1;
	s.backoff_ms = 1;
	assert_int_equal(backoff_next_ms(&b, &s), 32000);
}

static void test_max_restarts(void **state)
{
	struct service s = { .backoff_ms = 1, .max_restarts = 2 };
	struct backoff b = { 0 };

	(void)state;
	assert_int_equal(backoff_judge(&b, &s, false, 0), VERDICT_AGAIN);
	backoff_next_ms(&b, &s);
	assert_int_equal(backoff_judge(&b, &s, false, 0), VERDICT_AGAIN);
	backoff_next_ms(&b, &s);
	assert_int_equal(backoff_judge(&b, &s, false, 0), VERDICT_GIVEN_UP);
	assert_int_equal(backoff_judge(&b, &s, false, 10000), VERDICT_AGAIN);
	backoff_next_ms(&b, &s);
	backoff_next_ms(&b, &s);
	backoff_reset(&b);
	assert_int_equal(backoff_judge(&b, &s, false, 0), VERDICT_AGAIN);
	s.max_restarts = 0;
	assert_int_equal(backoff_judge(&b, &s, false, 0), VERDICT_GIVEN_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_launch_only_when_nothing_lives),
		cmocka_unit_test(test_wanted_is_kept_apart),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_backoff_doubles_and_is_reset),
		cmocka_unit_test(test_max_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
