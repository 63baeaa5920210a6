/* SPDX-License-Identifier: MIT */
/* lib/master/history: the ring of lines, against a plain list. */
// needs: base master
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/master/history.h"

#define MAX_BYTES 10000

static size_t length_of(uint64_t seq, size_t spread)
{
	return (size_t)(seq * 7919 % spread);
}

static void add(struct history *h, uint64_t seq, size_t spread)
{
	struct history_record r = { .seq = seq, .generation = (int64_t)seq };
	char text[MAX_BYTES];

	r.len = (uint32_t)length_of(seq, spread);
	memset(text, (int)('a' + seq % 26), r.len);
	history_add(h, &r, text);
}

/* All records from the newest back, without a gap. Returns how many. */
static size_t check(const struct history *h, uint64_t newest, size_t spread)
{
	struct history_cursor c = history_end(h);
	struct history_record r;
	const char *text;
	size_t n = 0, i;

	while (history_older(h, &c, &r, &text)) {
		assert_int_equal(r.seq, newest - n);
		assert_int_equal(r.generation, newest - n);
		assert_int_equal(r.len, length_of(r.seq, spread));
		for (i = 0; i < r.len; i++)
			assert_int_equal(text[i], 'a' + (int)(r.seq % 26));
		n++;
	}
	assert_int_equal(n, h->n);
	return n;
}

static void test_ring(void **state)
{
	static const size_t spreads[] = { 1, 2, 40, 333, 5000 };
	struct history h;
	uint64_t seq;
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < NITEMS(spreads); i++) {
		history_init(&h, MAX_BYTES);
		assert_int_equal(check(&h, 0, 1), 0);
		for (seq = 1; seq <= 2000; seq++) {
			add(&h, seq, spreads[i]);
			n = check(&h, seq, spreads[i]);
			assert_true(n > 0 && n <= seq);
			assert_true(h.cap <= MAX_BYTES);
		}
		/* Old lines go only when there is no room for them. */
		assert_true(n * (spreads[i] + 100) > MAX_BYTES / 3);
		history_done(&h);
	}
}

static void test_small_at_first(void **state)
{
	struct history h;

	(void)state;
	history_init(&h, (size_t)1 << 20);
	assert_int_equal(h.cap, 0);
	add(&h, 1, 40);
	assert_true(h.cap <= 4096);
	history_done(&h);
}

static void test_too_long(void **state)
{
	struct history_record r = { .seq = 1, .len = 5000 };
	struct history_cursor c;
	struct history h;
	char text[5000];
	const char *got;

	(void)state;
	memset(text, 'x', sizeof(text));
	history_init(&h, 1000);
	history_add(&h, &r, text);
	c = history_end(&h);
	assert_true(history_older(&h, &c, &r, &got));
	assert_true(r.len > 800 && r.len < 1000);
	assert_int_equal(got[r.len - 1], 'x');
	assert_false(history_older(&h, &c, &r, &got));
	history_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_small_at_first),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
