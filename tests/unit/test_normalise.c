/* SPDX-License-Identifier: MIT */
/* procfile/normalise: tokens, their places, and the text for libconfuse. */
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
#include "procfile/load.h"
#include "procfile/normalise.h"

static const char *const signs[] = {
	[TOKEN_END] = "",	  [TOKEN_ASSIGN] = "=",
	[TOKEN_APPEND] = "+=",	  [TOKEN_OPEN] = "{",
	[TOKEN_CLOSE] = "}",	  [TOKEN_COMMA] = ",",
	[TOKEN_PAREN_OPEN] = "(", [TOKEN_PAREN_CLOSE] = ")",
};

/* `word <string> { !bad @line:col`, then `!line:col` for each problem. */
static char *tokens(const struct normal *n, const struct problems *p)
{
	struct buf out;
	const struct token *t;
	char *text;
	size_t i;

	buf_init(&out, 1 << 20);
	for (i = 0; i + 1 < n->n; i++) {
		t = &n->v[i];
		buf_addf(&out, "%s%s", out.len > 0 ? " " : "",
			 t->bad ? "!" : "");
		if (t->kind == TOKEN_STRING)
			buf_addf(&out, "<%s>", t->text);
		else
			buf_add_str(&out, t->kind == TOKEN_WORD ?
						  t->text :
						  signs[t->kind]);
	}
	for (i = 0; i < p->n; i++)
		buf_addf(&out, " ?%d:%d", p->v[i].line, p->v[i].col);
	text = xstrdup(buf_str(&out));
	buf_done(&out);
	return text;
}

static size_t count(const char *s, size_t len, char c)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += s[i] == c;
	return n;
}

static void check(const char *in, const char *expected)
{
	struct arena *a = arena_new();
	struct normal n = { 0 };
	struct problems problems = { 0 };
	char *got;

	normalise(&n, a, "hr.conf", in, strlen(in), &problems);
	got = tokens(&n, &problems);
	assert_string_equal(got, expected);
	/* libconfuse counts the same lines, whatever was taken out. */
	assert_int_equal(count(buf_str(&n.text), n.text.len, '\n'),
			 count(in, strlen(in), '\n'));
	free(got);
	normal_free(&n);
	problems_free(&problems);
	arena_free(a);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "a=b", "a = b" },
		{ "a+={b,c}", "a += { b , c }" },
		{ "a += {\"b\"}", "a += { <b> }" },
		{ "a b{c=1}", "a b { c = 1 }" },
		{ "f(\"x\")", "f ( <x> )" },
		{ "# c\na // d\n/* e\nf */ b /**/c", "a b c" },
		{ "a#b", "a" },
		{ "\"a#b//c/*\" 'd#'", "<a#b//c/*> <d#>" },
		{ "a = /x/y-z:1@%~^!.", "a = /x/y-z:1@%~^!." },
		{ "'a\\'b\\\\c\\d'", "<a'b\\c\\d>" },
		{ "\"a\\\"b\\\\c\\n\\t\\r\\e\\$\\'\"",
		  "<a\"b\\c\n\t\r\033$'>" },
		{ "'a\nb'", "<a\nb>" },
		{ "'a\\\nb' \"a\\\nb\"", "<ab> <ab>" },
		{ "\"$A $(b) ${SET} ${NO:-d} ${NO:-}\"", "<$A $(b) v d >" },
		{ "'${SET}'", "<${SET}>" },
		{ "\"\\${SET}\"", "<${SET}>" },
		{ "\"a\tb\"", "<a\tb>" },
		{ "''\"\"", "<> <>" },
		{ "a\r\nb\r\n", "a b" },
		{ "\xef\xbb\xbf"
		  "a",
		  "a" },
	};
	size_t i;

	(void)state;
	setenv("SET", "v", 1);
	unsetenv("NO");
	for (i = 0; i < NITEMS(rows); i++)
		check(rows[i].in, rows[i].out);
}

static void test_faults(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a = *.go", "a = !*.go ?1:5" },
		{ "a = src/**/x b", "a = !src/**/x b ?1:9" },
		{ "a=c++", "a = !c++ ?1:4" },
		{ "a = ${B} c", "a = !${B} c ?1:5" },
		{ "a = x${B}/y", "a = !x${B}/y ?1:6" },
		{ "a = http://x", "a = !http://x ?1:10" },
		{ "a = b;", "a = !b; ?1:6" },
		{ "a = \xc3\xa9", "a = !\xc3\xa9 ?1:5" },
		{ "a \x01 b", "a b ?1:3" },
		{ "'a\x01'", "!<a> ?1:3" },
		{ "\"\\.\"", "!<.> ?1:2" },
		{ "\"${NO}\"", "!<${NO}> ?1:2" },
		{ "\"${SET%x}\"", "!<${SET%x}> ?1:2" },
		{ "\"${\"", "!<${> ?1:2" },
		{ "/* a", " ?1:1" },
		{ "a = 'b\nc = d\n", "a = !<b> c = d ?1:5" },
		{ "a = \"b\nc = 'd'\n", "a = !<b> c = <d> ?1:5" },
		{ "x = 'multi\nline'\na = \"b\nc = 'd'\n",
		  "x = <multi\nline> a = !<b> c = <d> ?3:5" },
		{ "a = 'b\n}\nc { d = 'e' }", "a = !<b> } c { d = <e> } ?1:5" },
	};
	size_t i;

	(void)state;
	setenv("SET", "v", 1);
	unsetenv("NO");
	for (i = 0; i < NITEMS(rows); i++)
		check(rows[i].in, rows[i].out);
}

static void test_places(void **state)
{
	static const char text[] = "# c\n a = 'x\ny' b\n\t/* \n */ c { d }";
	static const struct {
		int line, col;
		bool first;
	} rows[] = {
		{ 2, 2, true },	 { 2, 4, false },  { 2, 6, false },
		{ 3, 4, false }, { 5, 5, true },   { 5, 7, false },
		{ 5, 9, false }, { 5, 11, false },
	};
	struct arena *a = arena_new();
	struct normal n = { 0 };
	struct problems problems = { 0 };
	size_t i;

	(void)state;
	normalise(&n, a, "hr.conf", text, strlen(text), &problems);
	assert_int_equal(n.n, NITEMS(rows) + 1);
	for (i = 0; i < NITEMS(rows); i++) {
		assert_int_equal(n.v[i].line, rows[i].line);
		assert_int_equal(n.v[i].col, rows[i].col);
		assert_int_equal(n.v[i].first, rows[i].first);
	}
	normal_free(&n);
	problems_free(&problems);
	arena_free(a);
}

static void test_text_and_blank(void **state)
{
	static const char text[] = "a = 'it\\'s $X' # c\nb = \"\\n\"";
	struct arena *a = arena_new();
	struct normal n = { 0 };
	struct problems problems = { 0 };

	(void)state;
	normalise(&n, a, "hr.conf", text, strlen(text), &problems);
	assert_string_equal(buf_str(&n.text),
			    "a = \"it's \\$X\" \nb = \"\\n\"");
	normal_blank(&n, 0, 3);
	assert_string_equal(buf_str(&n.text), "               \nb = \"\\n\"");
	normal_blank(&n, 3, 3);
	normal_blank(&n, 3, 6);
	assert_int_equal(strspn(buf_str(&n.text), " \n"), n.text.len);
	normal_free(&n);
	problems_free(&problems);
	arena_free(a);
}

static void test_limits(void **state)
{
	struct arena *a = arena_new();
	struct normal n = { 0 };
	struct problems problems = { 0 };
	char *text = xmalloc(300001);

	(void)state;
	memset(text, 'a', 300000);
	text[300000] = '\0';
	text[0] = text[299999] = '"';
	normalise(&n, a, "hr.conf", text, 300000, &problems);
	assert_int_equal(problems.n_errors, 1);
	assert_true(n.v[0].bad);
	normal_free(&n);
	memset(text, ',', 300000);
	normalise(&n, a, "hr.conf", text, 300000, &problems);
	assert_int_equal(problems.n_errors, 2);
	normal_free(&n);
	normalise(&n, a, "hr.conf", "a\0b", 3, &problems);
	assert_int_equal(problems.n_errors, 3);
	assert_int_equal(n.n, 2);
	normal_free(&n);
	free(text);
	problems_free(&problems);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_text_and_blank),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("normalise", tests, NULL, NULL);
}
