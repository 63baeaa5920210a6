/* SPDX-License-Identifier: MIT */
/* lib/base: strings, paths, buffers, errors, times. */
// needs: base
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/path.h"
#include "lib/base/str.h"

static void test_path_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/a//b/", "/a/b" },
		{ "/a/./b", "/a/b" },
		{ "/a/../b", "/b" },
		{ "/../a", "/a" },
		{ "/a/b/../..", "/" },
		{ "a/../b", "b" },
		{ "../a", "../a" },
		{ "a/..", "." },
		{ ".", "." },
		{ "./a", "a" },
		{ "/a/..b/c", "/a/..b/c" },
		{ "", "." },
	};
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		strncpy(text, rows[i].in, sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		path_clean(text);
		assert_string_equal(text, rows[i].out);
	}
}

static void test_path_below(void **state)
{
	(void)state;
	assert_true(path_is_below("/a/b", "/a"));
	assert_true(path_is_below("/a", "/a"));
	assert_true(path_is_below("/a", "/"));
	assert_false(path_is_below("/ab", "/a"));
	assert_false(path_is_below("/", "/a"));
	assert_string_equal(path_relative("/a/b/c", "/a"), "b/c");
	assert_string_equal(path_relative("/a", "/a"), ".");
	assert_string_equal(path_relative("/a", "/"), "a");
	assert_string_equal(path_relative("/x/y", "/a"), "/x/y");
	assert_string_equal(path_base("/a/b"), "b");
}

static void test_path_dir(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "/a/b", "/a" }, { "/a", "/" }, { "a", "." } };
	char *dir;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		dir = path_dir(rows[i].in);
		assert_string_equal(dir, rows[i].out);
		free(dir);
	}
}

static void test_nearest(void **state)
{
	static const char *const names[] = { "ingest", "web", "upstream",
					     NULL };

	(void)state;
	assert_string_equal(str_nearest("injest", names), "ingest");
	assert_string_equal(str_nearest("wbe", names), "web");
	assert_null(str_nearest("database", names));
	assert_int_equal(str_distance("", "abc"), 3);
	assert_int_equal(str_distance("kitten", "sitting"), 3);
}

static void test_signals(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(str_to_signal("SIGINT"), SIGINT);
	assert_int_equal(str_to_signal("term"), SIGTERM);
	assert_int_equal(str_to_signal("9"), 9);
	assert_int_equal(str_to_signal("SIGNOPE"), -1);
	assert_int_equal(str_to_signal("0"), -1);
	assert_int_equal(str_to_signal("900"), -1);
	assert_string_equal(str_from_signal(SIGSEGV, text, sizeof(text)),
			    "SIGSEGV");
}

static void test_int(void **state)
{
	int64_t v = 7;

	(void)state;
	assert_int_equal(str_to_int("12", 0, 100, &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(str_to_int("101", 0, 100, &v), -1);
	assert_int_equal(str_to_int("12x", 0, 100, &v), -1);
	assert_int_equal(str_to_int("", 0, 100, &v), -1);
	assert_int_equal(str_to_int("99999999999999999999", 0, INT64_MAX, &v),
			 -1);
	assert_int_equal(v, 12);
}

/* A buffer takes exactly its maximum, and nothing of what is too much. */
static void test_buf_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(buf_add(&b, "def", 3), -1);
	assert_int_equal(buf_addf(&b, "%d", 12), 0);
	assert_int_equal(buf_add_char(&b, 'x'), -1);
	assert_string_equal(buf_str(&b), "abc12");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "c12");
	buf_consume(&b, 99);
	assert_int_equal(b.len, 0);
	buf_done(&b);
	assert_string_equal(buf_str(&b), "");
}

static void test_err(void **state)
{
	struct err err;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(err_set(NULL, ERR_VALUE, "x"), -1);
	assert_int_equal(err_set(&err, ERR_VALUE, "no '%s'", "x"), -1);
	err_at(&err, "Procfile", 3, 5);
	err_hint(&err, "remove it");
	err_print(&err, f);
	fclose(f);
	assert_string_equal(text, "Procfile:3:5: no 'x'\n  hint: remove it\n");
	free(text);
}

static void test_span(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = { { 0, "0 ms" },
		     { 486123, "486 ms" },
		     { 2100000, "2.1 s" },
		     { 200000000, "3 min 20 s" },
		     { 7260000000, "2 h 1 min" } };
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		clock_span(rows[i].us, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

static void test_arena(void **state)
{
	struct arena *a = arena_new();
	char *big = arena_alloc(a, 100000), *s;
	size_t i;

	(void)state;
	for (i = 0; i < 100000; i++)
		assert_int_equal(big[i], 0);
	for (i = 0; i < 1000; i++) {
		s = arena_printf(a, "%zu", i);
		assert_int_equal((uintptr_t)s % _Alignof(max_align_t), 0);
	}
	assert_string_equal(s, "999");
	arena_free(a);
	arena_free(NULL);
}

static void test_read(void **state)
{
	char path[] = "/tmp/hr-test-XXXXXX";
	int fd = mkstemp(path);
	struct err err;
	struct buf b;

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
	buf_init(&b, 1 << 20);
	assert_int_equal(path_read(path, &b, &err), 0);
	assert_string_equal(buf_str(&b), "0123456789");
	buf_done(&b);
	buf_init(&b, 10);
	assert_int_equal(path_read(path, &b, &err), 0);
	buf_done(&b);
	buf_init(&b, 9);
	assert_int_equal(path_read(path, &b, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	buf_done(&b);
	unlink(path);
	assert_int_equal(path_read(path, &b, &err), -1);
	assert_int_equal(err.code, ERR_SYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_clean),
		cmocka_unit_test(test_path_below),
		cmocka_unit_test(test_path_dir),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
