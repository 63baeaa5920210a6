/* SPDX-License-Identifier: MIT */
/* lib/watch/debounce.c in virtual time: when does a batch end? */
// needs: base watch
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/watch/debounce.h"

#define MS ((int64_t)1000)

static struct debounce d;

static void test_idle(void **state)
{
	(void)state;
	debounce_init(&d, 100, 10000);
	assert_true(debounce_due_us(&d) == DEBOUNCE_NEVER);
	debounce_hold(&d, true, 5);
	assert_true(debounce_due_us(&d) == DEBOUNCE_NEVER);
}

static void test_fixed(void **state)
{
	(void)state;
	debounce_init(&d, 100, 10000);
	assert_true(debounce_change(&d, CHANGE_SAVED, 1000 * MS));
	assert_true(debounce_due_us(&d) == 1100 * MS);
	assert_false(debounce_change(&d, CHANGE_PARTIAL, 1090 * MS));
	assert_true(debounce_due_us(&d) == 1190 * MS);
	/* git does not matter to a fixed time. */
	debounce_hold(&d, true, 1091 * MS);
	assert_true(debounce_due_us(&d) == 1190 * MS);
	debounce_end(&d);
	assert_true(debounce_change(&d, CHANGE_SAVED, 1300 * MS));
}

static void test_zero(void **state)
{
	(void)state;
	debounce_init(&d, 0, 10000);
	debounce_change(&d, CHANGE_SAVED, 7 * MS);
	assert_true(debounce_due_us(&d) == 7 * MS);
}

/* Endless churn: every 50 ms, and yet it ends. */
static void test_max_wait(void **state)
{
	int64_t now = 0;

	(void)state;
	debounce_init(&d, 100, 2000);
	debounce_change(&d, CHANGE_SAVED, now);
	while (debounce_due_us(&d) > now) {
		now += 50 * MS;
		assert_true(now <= 2000 * MS);
		debounce_change(&d, CHANGE_SAVED, now);
	}
	assert_true(now == 2000 * MS);
}

static void test_auto_single(void **state)
{
	(void)state;
	debounce_init(&d, DEBOUNCE_IS_AUTO, 10000);
	debounce_change(&d, CHANGE_SAVED, 0);
	assert_true(debounce_due_us(&d) == 10 * MS);
	debounce_end(&d);
	debounce_change(&d, CHANGE_PARTIAL, 0);
	assert_in_range(debounce_due_us(&d), 20 * MS, 60 * MS);
	/* What was half done is complete: short again. */
	debounce_change(&d, CHANGE_SAVED, 1 * MS);
	assert_in_range(debounce_due_us(&d), 11 * MS, 16 * MS);
}

static void test_auto_burst(void **state)
{
	int64_t now = 0, quiet, before = 0;
	unsigned i;

	(void)state;
	debounce_init(&d, DEBOUNCE_IS_AUTO, 10000);
	for (i = 0; i < 5000; i++) {
		debounce_change(&d, CHANGE_SAVED, now);
		quiet = debounce_due_us(&d) - now;
		assert_true(quiet >= before && quiet <= 250 * MS);
		before = quiet;
		now += 80;
	}
	assert_true(before >= 150 * MS);
}

/* A generator that pauses 60 ms between files gets more than 60 ms. */
static void test_auto_gaps(void **state)
{
	(void)state;
	debounce_init(&d, DEBOUNCE_IS_AUTO, 10000);
	debounce_change(&d, CHANGE_PARTIAL, 0);
	debounce_change(&d, CHANGE_SAVED, 35 * MS);
	assert_true(debounce_due_us(&d) > (35 + 60) * MS);
	debounce_change(&d, CHANGE_SAVED, 1000 * MS);
	assert_true(debounce_due_us(&d) == 1250 * MS);
}

static void test_auto_git(void **state)
{
	(void)state;
	debounce_init(&d, DEBOUNCE_IS_AUTO, 5000);
	debounce_hold(&d, true, 0);
	debounce_change(&d, CHANGE_SAVED, 1 * MS);
	assert_true(debounce_due_us(&d) == 5001 * MS);
	debounce_hold(&d, false, 900 * MS);
	assert_true(debounce_due_us(&d) == 910 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_max_wait),
		cmocka_unit_test(test_auto_single),
		cmocka_unit_test(test_auto_burst),
		cmocka_unit_test(test_auto_gaps),
		cmocka_unit_test(test_auto_git),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
