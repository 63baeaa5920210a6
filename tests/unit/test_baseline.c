/* SPDX-License-Identifier: MIT */
/* lib/watch/baseline.c: has this file changed? */
// needs: base watch
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/watch/baseline.h"

static char dir[] = "/tmp/hr-baseline-XXXXXX";

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct stamp look(const char *name)
{
	struct stamp s;

	stamp_take(&s, name, false);
	stamp_hash(&s, name, false);
	return s;
}

static void test_kinds(void **state)
{
	struct stamp s;

	(void)state;
	assert_int_equal(look("none").kind, STAMP_NONE);
	assert_int_equal(look(".").kind, STAMP_NONE);
	put("f", "x");
	s = look("f");
	assert_int_equal(s.kind, STAMP_FILE);
	assert_true(s.hashed);
	assert_true(s.racy);
	assert_int_equal(symlink("f", "l"), 0);
	s = look("l");
	assert_int_equal(s.kind, STAMP_LINK);
	assert_true(s.hashed);
	stamp_take(&s, "l", true);
	assert_int_equal(s.kind, STAMP_FILE);
	assert_int_equal(mkfifo("p", 0600), 0);
	assert_int_equal(look("p").kind, STAMP_OTHER);
	assert_int_equal(look("f/x").kind, STAMP_NONE);
}

static void test_compare(void **state)
{
	struct stamp a, b, none = { .kind = STAMP_NONE };
	struct stamp unknown = { .kind = STAMP_UNKNOWN };

	(void)state;
	put("a", "one");
	a = look("a");
	assert_int_equal(stamp_compare(&none, &none), SAME_ABSENT);
	assert_int_equal(stamp_compare(&none, &a), DIFFERENT);
	assert_int_equal(stamp_compare(&a, &none), DIFFERENT);
	assert_int_equal(stamp_compare(&unknown, &a), DIFFERENT);
	put("a", "one");
	b = look("a");
	assert_int_equal(stamp_compare(&a, &b), SAME_CONTENT);
	put("a", "two");
	b = look("a");
	assert_int_equal(stamp_compare(&a, &b), DIFFERENT);
	b.hashed = false;
	assert_int_equal(stamp_compare(&a, &b), DIFFERENT_MAYBE);
	put("a", "three");
	b = look("a");
	assert_int_equal(stamp_compare(&a, &b), DIFFERENT);
}

/* Times long past can be trusted: no hash is needed to see nothing. */
static void test_old(void **state)
{
	struct stamp a, b;

	(void)state;
	put("old", "one");
	a = look("old");
	a.racy = false;
	stamp_take(&b, "old", false);
	assert_false(b.hashed);
	assert_int_equal(stamp_compare(&a, &b), SAME_STAT);
	assert_true(stamp_is_still(&a, &b));
	a.racy = true;
	assert_false(stamp_is_still(&a, &b));
	a.racy = false;
	chmod("old", 0700);
	b = look("old");
	assert_false(stamp_is_still(&a, &b));
	assert_int_equal(stamp_compare(&a, &b), SAME_CONTENT);
}

/* A hash belongs to the file as it was looked at, or there is none. */
static void test_overtaken(void **state)
{
	struct stamp s;

	(void)state;
	put("o", "one");
	stamp_take(&s, "o", false);
	put("o", "four");
	assert_false(stamp_hash(&s, "o", false));
	unlink("o");
	assert_false(stamp_hash(&s, "o", false));
}

static void test_large(void **state)
{
	struct stamp a, b;
	int fd;

	(void)state;
	fd = open("large", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, 300000), 0);
	a = look("large");
	assert_true(a.hashed);
	assert_int_equal(pwrite(fd, "x", 1, 200000), 1);
	b = look("large");
	assert_int_equal(stamp_compare(&a, &b), DIFFERENT);
	assert_int_equal(ftruncate(fd, BASELINE_HASH_MAX_BYTES + 1), 0);
	a = look("large");
	assert_false(a.hashed);
	a.racy = false;
	fchmod(fd, 0600);
	b = look("large");
	assert_int_equal(stamp_compare(&a, &b), SAME_STAT);
	close(fd);
}

static void test_why(void **state)
{
	(void)state;
	assert_string_equal(verdict_why(SAME_CONTENT),
			    "same content as before");
	assert_string_equal(verdict_why(DIFFERENT), "");
	assert_true(verdict_is_same(SAME_KIND));
	assert_false(verdict_is_same(DIFFERENT_MAYBE));
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	char cmd[64];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds), cmocka_unit_test(test_compare),
		cmocka_unit_test(test_old),   cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_large), cmocka_unit_test(test_why),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
