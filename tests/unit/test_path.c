/* SPDX-License-Identifier: MIT */
/* lib/base/path: ".." that leads above where a relative path begins. */
// needs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/path.h"

static const struct {
	const char *in, *out;
} rows[] = {
	{ "../..", "../.." },
	{ "../../a", "../../a" },
	{ "../../../a/..", "../../.." },
	{ "a/../../b", "../b" },
	{ "a/../..", ".." },
	{ "./../../Procfile", "../../Procfile" },
	{ "../a/../../b", "../../b" },
	{ "/../../a", "/a" },
};

static void test_clean_above(void **state)
{
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		text = xstrdup(rows[i].in);
		path_clean(text);
		assert_string_equal(text, rows[i].out);
		free(text);
	}
}

/* `hr -f ../../Procfile` and `hr -C ../..` */
static void test_join_above(void **state)
{
	char *path = path_join(".", "../../Procfile");

	(void)state;
	assert_string_equal(path, "../../Procfile");
	free(path);
	path = path_join("../..", "hr.conf");
	assert_string_equal(path, "../../hr.conf");
	free(path);
	path = path_join("/a/b", "../../../c");
	assert_string_equal(path, "/c");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_above),
		cmocka_unit_test(test_join_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
