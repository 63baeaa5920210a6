/* SPDX-License-Identifier: MIT */
/* procfile/lines: the grammar of a Procfile; whole files are in data/. */
// needs: base procfile
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/lines.h"
#include "procfile/load.h"

/* "name=command@line:col;…" of what was parsed, "!" for each problem. */
static char *parse(const char *text, size_t len, bool lenient)
{
	struct arena *a = arena_new();
	struct lines lines = { 0 };
	struct problems problems = { 0 };
	char *out = xstrdup(""), *more;
	size_t i;

	lines_parse(&lines, a, "Procfile", text, len, lenient, &problems);
	for (i = 0; i < lines.n; i++) {
		more = xasprintf("%s%s=%s@%d:%d;", out, lines.v[i].name,
				 lines.v[i].command ? lines.v[i].command : "?",
				 lines.v[i].command_at.line,
				 lines.v[i].command_at.col);
		free(out);
		out = more;
	}
	for (i = 0; i < problems.n; i++) {
		more = xasprintf("%s%s%d:%d", out,
				 problems.is_warning[i] ? "?" : "!",
				 problems.v[i].line, problems.v[i].col);
		free(out);
		out = more;
	}
	lines_free(&lines);
	problems_free(&problems);
	arena_free(a);
	return out;
}

static void test_rows(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "\n\n# c\n  # d: e\n", "" },
		{ "a: b", "a=b@1:4;" },
		{ "a:b", "a=b@1:3;" },
		{ "\ta\t:\tb c \t\n", "a=b c@1:6;" },
		{ "a: b\r\nc: d\r\n", "a=b@1:4;c=d@2:4;" },
		{ "a: b # c", "a=b # c@1:4;" },
		{ "a: b: c", "a=b: c@1:4;" },
		{ "a: b\\\nc\n", "a=bc@1:4;" },
		{ "a: b\\\r\n c\r\n", "a=b c@1:4;" },
		{ "a: b\\\\\nc: d\n", "a=b\\\\@1:4;c=d@2:4;" },
		{ "a: b\\\n\nc: d", "a=b@1:4;c=d@3:4;" },
		{ "a: \\\nb", "a=b@1:4;" },
		{ "a: b\\", "!1:5" },
		{ "a: b\\\n", "!1:5" },
		{ "a: b\\\nc\\", "!2:2" },
		{ "# c\\\na: b", "a=b@2:4;" },
		{ "0.-_Z: x", "0.-_Z=x@1:8;" },
		{ "-a: x", "!1:1" },
		{ ".a: x", "!1:1" },
		{ "a b: x", "!1:3" },
		{ "ab", "!1:1" },
		{ ":", "!1:1" },
		{ "a:", "a=?@1:3;!1:1" },
		{ "a: b\na: c\nd: e", "a=b@1:4;d=e@3:4;!2:1" },
		{ "\xef\xbb\xbf"
		  "a: b",
		  "a=b@1:4;" },
		{ "a: \xff\xfe", "a=\xff\xfe@1:4;" },
		{ "a: b\x7f", "!1:5" },
	};
	char *got;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		got = parse(rows[i].in, strlen(rows[i].in), false);
		if (!str_eq(got, rows[i].out))
			print_message("row %zu\n", i);
		assert_string_equal(got, rows[i].out);
		free(got);
	}
}

static void test_lenient(void **state)
{
	static const char text[] = "a:\na: b\na: c\nnonsense\nd: e\\";
	char *got = parse(text, strlen(text), true);

	(void)state;
	assert_string_equal(got, "a=b@2:4;?1:1?3:1?4:1?5:5");
	free(got);
}

static void test_nul(void **state)
{
	char *got = parse("a: b\0c\nd: e", 11, false);

	(void)state;
	assert_string_equal(got, "d=e@2:4;!1:5");
	free(got);
}

static void test_long_line(void **state)
{
	char *text = xmalloc(200000), *got;

	(void)state;
	memset(text, 'x', 200000);
	memcpy(text, "a: b", 4);
	memcpy(text + 199990, "\nc: d\n", 6);
	got = parse(text, 199996, false);
	assert_string_equal(got, "c=d@2:4;!1:1");
	free(got);
	memcpy(text + 65536 - 2, "\\\nyyy\nc: d\n", 11);
	got = parse(text, 65536 + 9, false);
	assert_string_equal(got, "c=d@3:4;!1:1");
	free(got);
	free(text);
}

static void test_many(void **state)
{
	char *text = xmalloc(20000), *p = text, *got;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		p += snprintf(p, 20, "s%d: x\n", i);
	got = parse(text, (size_t)(p - text), false);
	assert_non_null(strstr(got, "s499=x@500:7;!501:1"));
	assert_null(strstr(got, "s500"));
	free(got);
	free(text);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {
		{ "a", true },	 { "A.b-c_9", true },	{ "9", true },
		{ "_", true },	 { "", false },		{ "-", false },
		{ ".", false },	 { "..", false },	{ "a/b", false },
		{ "a ", false }, { "\xc3\xa9", false },
	};
	char name[80];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		assert_int_equal(lines_name_fault(rows[i].name) == NULL,
				 rows[i].good);
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_null(lines_name_fault(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_non_null(lines_name_fault(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_nul),  cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_many), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
