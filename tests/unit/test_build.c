/* SPDX-License-Identifier: MIT */
// needs: worker base
/* The build machine: every cell of its table, and the paths through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/worker/build.h"

/* The whole table once more, as a reader would say it: next state and what is
 * done, in the order of the events. */
struct row {
	enum build_state state;
	struct build_cell cells[BE_LIMIT];
};

#define BUG(s)                                                                 \
	{                                                                      \
		s, BA_BUG                                                      \
	}
#define STAY(s)                                                                \
	{                                                                      \
		s, BA_NOTHING                                                  \
	}

/* clang-format off */
static const struct row rows[BS_LIMIT] = {
	/*	WANT, CHANGED, TOUCH, CALM,
	 *	GOOD, BAD, GOOD_EARLY, BAD_EARLY, TIMEOUT, CANCEL */
	{ BS_IDLE, {
		{ BS_BUILDING, BA_BEGIN }, { BS_BUILDING, BA_BEGIN },
		STAY(BS_IDLE), STAY(BS_IDLE),
		BUG(BS_IDLE), BUG(BS_IDLE), BUG(BS_IDLE), BUG(BS_IDLE),
		BUG(BS_IDLE), STAY(BS_IDLE) } },
	{ BS_BUILDING, {
		{ BS_AGAIN, BA_KILL }, { BS_AGAIN, BA_KILL },
		STAY(BS_BUILDING), STAY(BS_BUILDING),
		{ BS_IDLE, BA_COMMIT }, { BS_IDLE, BA_FAIL },
		STAY(BS_HELD), STAY(BS_HELD_BAD),
		{ BS_TIMED_OUT, BA_KILL }, { BS_CANCELLING, BA_KILL } } },
	{ BS_AGAIN, {
		STAY(BS_AGAIN), STAY(BS_AGAIN), STAY(BS_AGAIN),
		STAY(BS_AGAIN),
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		STAY(BS_AGAIN), STAY(BS_CANCELLING) } },
	{ BS_CANCELLING, {
		STAY(BS_AGAIN), STAY(BS_AGAIN), STAY(BS_CANCELLING),
		STAY(BS_CANCELLING),
		{ BS_IDLE, BA_DROP }, { BS_IDLE, BA_DROP },
		{ BS_IDLE, BA_DROP }, { BS_IDLE, BA_DROP },
		STAY(BS_CANCELLING), STAY(BS_CANCELLING) } },
	{ BS_TIMED_OUT, {
		STAY(BS_AGAIN), STAY(BS_AGAIN), STAY(BS_TIMED_OUT),
		STAY(BS_TIMED_OUT),
		{ BS_IDLE, BA_FAIL }, { BS_IDLE, BA_FAIL },
		STAY(BS_HELD_BAD), STAY(BS_HELD_BAD),
		BUG(BS_TIMED_OUT), STAY(BS_CANCELLING) } },
	{ BS_HELD, {
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		STAY(BS_HELD), { BS_IDLE, BA_COMMIT },
		BUG(BS_HELD), BUG(BS_HELD), BUG(BS_HELD), BUG(BS_HELD),
		BUG(BS_HELD), { BS_IDLE, BA_DROP } } },
	{ BS_HELD_BAD, {
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		{ BS_BUILDING, BA_DROP | BA_BEGIN },
		STAY(BS_HELD_BAD), { BS_IDLE, BA_FAIL },
		BUG(BS_HELD_BAD), BUG(BS_HELD_BAD), BUG(BS_HELD_BAD),
		BUG(BS_HELD_BAD), BUG(BS_HELD_BAD), { BS_IDLE, BA_DROP } } },
};
/* clang-format on */

static void test_every_cell(void **state)
{
	const struct build_cell *c;
	size_t s, e;

	(void)state;
	for (s = 0; s < BS_LIMIT; s++) {
		assert_int_equal(rows[s].state, s);
		for (e = 0; e < BE_LIMIT; e++) {
			c = build_cell((enum build_state)s,
				       (enum build_input)e);
			if (c->next != rows[s].cells[e].next ||
			    c->actions != rows[s].cells[e].actions)
				fail_msg("%s + %s",
					 build_state_name((enum build_state)s),
					 build_input_name((enum build_input)e));
			assert_int_not_equal(c->actions, 0);
		}
	}
}

/* What makes two builds at once impossible: BEGIN only where no tree can be
 * alive; and only a living build is killed. */
static void test_begin_only_when_nothing_is_alive(void **state)
{
	const struct build_cell *c;
	struct build b = { 0 };
	size_t s, e;
	bool ended;

	(void)state;
	for (s = 0; s < BS_LIMIT; s++) {
		for (e = 0; e < BE_LIMIT; e++) {
			b.state = (enum build_state)s;
			c = build_cell(b.state, (enum build_input)e);
			ended = e >= BE_GOOD && e <= BE_BAD_EARLY;
			if ((c->actions & BA_BEGIN) != 0)
				assert_true(ended || !build_is_alive(&b));
			if ((c->actions & BA_KILL) != 0)
				assert_true(build_is_alive(&b));
			if ((c->actions & BA_BUG) != 0)
				assert_int_equal(c->next, s);
		}
	}
}

static unsigned steps(struct build *b, const enum build_input *e, size_t n)
{
	unsigned actions = 0;
	size_t i;

	for (i = 0; i < n; i++)
		actions = build_step(b, e[i]);
	return actions;
}

#define STEPS(b, ...)                                                          \
	steps(b, (const enum build_input[]){ __VA_ARGS__ },                    \
	      NITEMS(((const enum build_input[]){ __VA_ARGS__ })))

static void test_paths(void **state)
{
	struct build b = { 0 };

	(void)state;
	assert_int_equal(STEPS(&b, BE_CHANGED, BE_GOOD), BA_COMMIT);
	assert_int_equal(STEPS(&b, BE_CHANGED, BE_TOUCH, BE_GOOD), BA_NOTHING);
	assert_int_equal(b.state, BS_HELD);
	assert_int_equal(STEPS(&b, BE_CALM), BA_COMMIT);
	assert_int_equal(STEPS(&b, BE_CHANGED, BE_TOUCH, BE_GOOD, BE_CHANGED),
			 BA_DROP | BA_BEGIN);
	/* That change set ended the quiet time: this result counts. */
	assert_int_equal(STEPS(&b, BE_GOOD), BA_COMMIT);
	/* Touched and calm before it ends: nothing is held. */
	assert_int_equal(STEPS(&b, BE_WANT, BE_TOUCH, BE_CALM, BE_BAD),
			 BA_FAIL);
	/* Asked for while the quiet time already runs. */
	assert_int_equal(STEPS(&b, BE_TOUCH, BE_WANT, BE_BAD), BA_NOTHING);
	assert_int_equal(b.state, BS_HELD_BAD);
	assert_int_equal(STEPS(&b, BE_CALM), BA_FAIL);
	/* Superseded, touched again while it is being killed. */
	assert_int_equal(STEPS(&b, BE_WANT, BE_CHANGED, BE_TOUCH, BE_BAD),
			 BA_DROP | BA_BEGIN);
	assert_int_equal(STEPS(&b, BE_GOOD, BE_CHANGED), BA_DROP | BA_BEGIN);
	/* Stopped, and wanted again before it is dead. */
	assert_int_equal(STEPS(&b, BE_CANCEL, BE_WANT, BE_BAD),
			 BA_DROP | BA_BEGIN);
	assert_int_equal(STEPS(&b, BE_CANCEL, BE_BAD), BA_DROP);
	assert_int_equal(STEPS(&b, BE_WANT, BE_TIMEOUT, BE_GOOD), BA_FAIL);
	assert_int_equal(b.state, BS_IDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_begin_only_when_nothing_is_alive),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
