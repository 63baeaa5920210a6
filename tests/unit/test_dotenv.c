/* SPDX-License-Identifier: MIT */
/* procfile/dotenv and env: the grammar of .env, and who wins. */
// needs: base procfile
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "procfile/dotenv.h"
#include "procfile/load.h"

/* "A=<x>B=<y>", sorted by name, and "!line:col" for each problem. */
static char *dump(const struct env *e, const struct problems *p)
{
	struct buf out;
	char *text;
	size_t i;

	buf_init(&out, 1 << 20);
	for (i = 0; i < e->n; i++)
		buf_addf(&out, "%s=<%s>", e->v[i].name, e->v[i].value);
	for (i = 0; i < p->n; i++)
		buf_addf(&out, "!%d:%d", p->v[i].line, p->v[i].col);
	text = xstrdup(buf_str(&out));
	buf_done(&out);
	return text;
}

static char *parse(const char *text, size_t len)
{
	struct env e = { 0 };
	struct problems problems = { 0 };
	char *out;

	dotenv_parse(&e, ".env", text, len, NULL, &problems);
	out = dump(&e, &problems);
	env_free(&e);
	problems_free(&problems);
	return out;
}

struct row {
	const char *in, *out;
};

static void check(const struct row *rows, size_t n)
{
	char *got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = parse(rows[i].in, strlen(rows[i].in));
		if (!str_eq(got, rows[i].out))
			print_message("row %zu\n", i);
		assert_string_equal(got, rows[i].out);
		free(got);
	}
}

/* What six parsers in the field make of one file, and the best of them. */
static void test_plain(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "# c\n\n \t\n  # d", "" },
		{ "A=x", "A=<x>" },
		{ "export A=x", "A=<x>" },
		{ "export\tA = x", "A=<x>" },
		{ "export=x", "export=<x>" },
		{ "export =x", "export=<x>" },
		{ "A = x", "A=<x>" },
		{ " A=x", "A=<x>" },
		{ "A=", "A=<>" },
		{ "A=val # c", "A=<val>" },
		{ "A=val#c", "A=<val#c>" },
		{ "A= # c", "A=<>" },
		{ "A=#c", "A=<#c>" },
		{ "A=val  \t", "A=<val>" },
		{ "A=a b  c # d", "A=<a b  c>" },
		{ "A=it's", "A=<it's>" },
		{ "A=a=b&c?d==", "A=<a=b&c?d==>" },
		{ "A=a\\nb", "A=<a\\nb>" },
		{ "A=C:\\dir", "A=<C:\\dir>" },
		{ "A=x\r\nB=y\r\n", "A=<x>B=<y>" },
		{ "A=x\nA=y", "A=<y>" },
		{ "A.b_9=x", "A.b_9=<x>" },
		{ "\xef\xbb\xbf"
		  "A=x",
		  "A=<x>" },
		{ "A=$(rm -rf /)`id`", "A=<$(rm -rf /)`id`>" },
	};

	(void)state;
	check(rows, NITEMS(rows));
}

static void test_quotes(void **state)
{
	static const struct row rows[] = {
		{ "A=\"q # h\" # c", "A=<q # h>" },
		{ "A='q # h' # c", "A=<q # h>" },
		{ "A=\"\"", "A=<>" },
		{ "A=''", "A=<>" },
		{ "A='a\\nb$C\"'", "A=<a\\nb$C\">" },
		{ "A=\"a\\nb\\t\\\"\\\\\\$C'\"", "A=<a\nb\t\"\\$C'>" },
		{ "A=\"\\d\\q\"", "A=<\\d\\q>" },
		{ "A=\"a\nb\n\nc\"\nB=x", "A=<a\nb\n\nc>B=<x>" },
		{ "A='a\r\nb'", "A=<a\nb>" },
		{ "A=\"a\\\nb\"", "A=<ab>" },
		{ "A='x' \nB=y", "A=<x>B=<y>" },
	};

	(void)state;
	check(rows, NITEMS(rows));
}

static void test_expansion(void **state)
{
	static const struct row rows[] = {
		{ "A=1\nB=un $A q", "A=<1>B=<un 1 q>" },
		{ "A=1\nB=\"${A}2$A\"", "A=<1>B=<121>" },
		{ "A=1\nB='$A'", "A=<1>B=<$A>" },
		{ "B=$NOPE.", "B=<.>" },
		{ "B=$A\nA=1", "A=<1>B=<>" },
		{ "B=\\$A\nC=\"\\$A\"", "B=<$A>C=<$A>" },
		{ "B=${A:-d e}", "B=<d e>" },
		{ "A=\nB=${A:-d}\nC=${A-d}", "A=<>B=<d>C=<>" },
		{ "A=1\nB=${X:-${Y:-$A}}", "A=<1>B=<1>" },
		{ "A=1\nB=${A:-${X}}z", "A=<1>B=<1z>" },
		{ "A=$", "A=<$>" },
		{ "A=\"$\"", "A=<$>" },
		{ "A=$1 $$", "A=<$1 $$>" },
		{ "A=' x '\nB=$A", "A=< x >B=< x >" },
		{ "A=x\nA=$A:y", "A=<x:y>" },
	};

	(void)state;
	check(rows, NITEMS(rows));
}

static void test_bad_lines(void **state)
{
	static const struct row rows[] = {
		{ "B\nA=x", "A=<x>!1:2" },
		{ "export B", "!1:9" },
		{ "A: x", "!1:2" },
		{ "1=x", "!1:1" },
		{ "=x", "!1:1" },
		{ "A-B=x", "!1:2" },
		{ "A='x\nB=y", "B=<y>!1:3" },
		{ "A=\"x\nB=y", "B=<y>!1:3" },
		{ "A='x'y\nB=z", "B=<z>!1:6" },
		{ "A='x'#y", "!1:6" },
		{ "A=${B", "!1:3" },
		{ "A=${B%x}", "!1:3" },
		{ "A=${}", "!1:3" },
		{ "A=${B:-x\nC=y", "C=<y>!1:9" },
		{ "A=\"\n${x\nB=y", "B=<y>!2:1!2:1" },
	};

	(void)state;
	check(rows, NITEMS(rows));
}

static void test_limits(void **state)
{
	struct buf text;
	char *got;
	int i;

	(void)state;
	/* Doubling must end. */
	buf_init(&text, 1 << 20);
	buf_add_str(&text, "A0=xxxxxxxxxxxxxxxx\n");
	for (i = 1; i < 40; i++)
		buf_addf(&text, "A%d=$A%d$A%d\n", i, i - 1, i - 1);
	got = parse(buf_str(&text), text.len);
	assert_non_null(strstr(got, "!14:"));
	free(got);
	buf_clear(&text);
	buf_add_str(&text, "A=");
	for (i = 0; i < 40; i++)
		buf_add_str(&text, "${A:-");
	got = parse(buf_str(&text), text.len);
	assert_string_equal(got, "!1:48");
	free(got);
	buf_done(&text);
	got = parse("A=1\nB=2\0C=3", 11);
	assert_string_equal(got, "A=<1>B=<2>!2:0");
	free(got);
}

static void test_env(void **state)
{
	char one[] = "B=1", two[] = "A=x=y", three[] = "nonsense", four[] = "=",
	     *environment[] = { one, two, three, four, NULL };
	struct env e = { 0 };
	char **strv;

	(void)state;
	env_init(&e, environment);
	assert_int_equal(e.n, 2);
	assert_string_equal(env_get(&e, "A"), "x=y");
	assert_null(env_get(&e, "C"));
	assert_string_equal(e.v[0].origin, "shell");
	env_set(&e, "B", env_get(&e, "B"), "self");
	env_set(&e, "AA", "", "hr");
	env_put(&e, "C=3", "hr.conf:1");
	env_unset(&e, "A");
	env_unset(&e, "nope");
	strv = env_strv(&e);
	assert_string_equal(strv[0], "AA=");
	assert_string_equal(strv[1], "B=1");
	assert_string_equal(strv[2], "C=3");
	assert_null(strv[3]);
	free(strv);
	env_free(&e);
	assert_null(env_get(&e, "B"));
}

/* ---- the environment of a service --------------------------------------- */

static char dir[] = "/tmp/hr-dotenv-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	unlink("a.env");
	unlink("b.env");
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_build(void **state)
{
	static const char *const env[] = { "D=conf", "E=conf", NULL };
	struct key_set key = { "env", { "hr.conf", 7, 1 } };
	struct service s = { .env = env, .keys = &key, .n_keys = 1 };
	char home[] = "A=shell", *environment[] = { home, NULL };
	char *a = xasprintf("%s/a.env", dir), *b = xasprintf("%s/b.env", dir);
	const char *stack[] = { a, NULL }, *own[] = { b, NULL };
	struct problems problems = { 0 };
	struct env e = { 0 };
	char *got;

	(void)state;
	write_file("a.env", "A=a\nB=a\nC=$A\nbad\n");
	write_file("b.env", "B=b\nD=b\n");
	s.env_file = own;
	dotenv_build(&e, environment, stack, ENV_FILE_WINS, &s, &problems);
	got = dump(&e, &problems);
	assert_string_equal(got, "A=<a>B=<b>C=<a>D=<conf>E=<conf>!4:4");
	assert_string_equal(e.v[0].origin, "a.env:1");
	assert_string_equal(e.v[1].origin, "b.env:1");
	assert_string_equal(e.v[4].origin, "hr.conf:7");
	assert_string_equal(problems.v[0].file, "a.env");
	free(got);
	env_free(&e);
	problems_free(&problems);

	dotenv_build(&e, environment, stack, ENV_SHELL_WINS, &s, &problems);
	assert_string_equal(env_get(&e, "A"), "shell");
	assert_string_equal(env_get(&e, "C"), "shell");
	assert_string_equal(env_get(&e, "D"), "conf");
	env_free(&e);
	problems_free(&problems);

	unlink("b.env"); /* gone: a problem, not an end */
	dotenv_build(&e, environment, stack, ENV_FILE_WINS, &s, &problems);
	assert_string_equal(env_get(&e, "E"), "conf");
	assert_int_equal(problems.n_errors, 2);
	env_free(&e);
	problems_free(&problems);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests_name("dotenv", tests, set_up, tear_down);
}
