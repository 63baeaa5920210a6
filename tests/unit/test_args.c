/* SPDX-License-Identifier: MIT */
/* cmd/args and the table of verbs: command lines as data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/args.h"
#include "cmd/invoke.h"
#include "cmd/verbs.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

static const struct option_row first[] = {
	{ 'f', "follow", NULL, "" },
	{ 'n', "lines", "N", "" },
	{ OPTION_LONG, "raw", NULL, "" },
	{ 0 },
};
static const struct option_row second[] = {
	{ 'f', "procfile", "FILE", "" },
	{ 'C', "directory", "DIR", "" },
	{ 0 },
};

/* What comes out: names of options, =value, operands in brackets; or the
 * error and its hint. */
static const struct {
	const char *in;
	const char *out;
} rows[] = {
	{ "", "" },
	{ "web api", "[web] [api] " },
	{ "-f web -n 5", "follow [web] lines=5 " },
	{ "-n5", "lines=5 " },
	{ "-fn5", "follow lines=5 " },
	{ "-fn 5 x", "follow lines=5 [x] " },
	{ "--lines=5 --lines 6", "lines=5 lines=6 " },
	{ "--lines=", "lines= " },
	{ "--procfile=x -C y", "procfile=x directory=y " },
	{ "--raw -- --raw -f --", "raw [--raw] [-f] [--] " },
	{ "- x", "[-] [x] " },
	{ "-n -5", "lines=-5 " },
	{ "--follow=yes", "error: option '--follow' takes no value" },
	{ "-n", "error: option '--lines' needs a value: N" },
	{ "--lines", "error: option '--lines' needs a value: N" },
	{ "-x", "error: unknown option '-x'" },
	{ "-fx", "follow error: unknown option '-x'" },
	{ "--line 5", "error: unknown option '--line'; "
		      "did you mean '--lines'?" },
	{ "--flolow", "error: unknown option '--flolow'; "
		      "did you mean '--follow'?" },
	{ "--zzzzzzzzz", "error: unknown option '--zzzzzzzzz'" },
	{ "--=5", "error: unknown option '--'" },
};

static void run(char **argv, struct buf *out)
{
	struct args a;
	struct err err;
	int id;

	args_init(&a, argv, first, second);
	while ((id = args_next(&a, &err)) != ARGS_END) {
		if (id == ARGS_ERROR) {
			buf_addf(out, "error: %s%s%s", err.what,
				 err.hint[0] ? "; " : "", err.hint);
			return;
		}
		if (id == ARGS_OPERAND)
			buf_addf(out, "[%s] ", a.value);
		else
			buf_addf(out, "%s%s%s ", a.row->name,
				 a.row->value != NULL ? "=" : "", a.value);
	}
}

static void test_args(void **state)
{
	char text[100], *argv[20], *save;
	struct buf out;
	size_t i, n;

	(void)state;
	buf_init(&out, 4000);
	for (i = 0; i < NITEMS(rows); i++) {
		snprintf(text, sizeof(text), "%s", rows[i].in);
		n = 0;
		argv[n] = strtok_r(text, " ", &save);
		while (argv[n] != NULL)
			argv[++n] = strtok_r(NULL, " ", &save);
		buf_clear(&out);
		run(argv, &out);
		assert_string_equal(buf_str(&out), rows[i].out);
	}
	buf_done(&out);
}

/* Each row of each table is complete, and reachable. */
static void test_verbs(void **state)
{
	const struct option_row *o, *p;
	size_t i;

	(void)state;
	for (i = 0; verbs[i] != NULL; i++) {
		assert_ptr_equal(verbs_find(verbs[i]->name), verbs[i]);
		if (verbs[i]->hidden) {
			assert_non_null(verbs[i]->role);
			continue;
		}
		assert_non_null(verbs[i]->run);
		assert_non_null(verbs[i]->usage);
		assert_true(strlen(verbs[i]->summary) < 60);
		assert_true(str_ends(verbs[i]->help, ".\n"));
		for (o = verbs[i]->options; o != NULL && o->id != 0; o++)
			for (p = verbs[i]->options; p < o; p++)
				assert_true(p->id != o->id &&
					    !str_eq(p->name, o->name));
	}
	assert_null(verbs_find("nothing"));
	assert_ptr_equal(verbs_find("status"), &verb_ps);
	assert_string_equal(verbs_nearest("restrat"), "restart");
	assert_null(verbs_nearest("xxxxxxxx"));
	/* Roles are for nobody to type. */
	assert_null(verbs_nearest("keeper"));
}

static void test_wrong_lines(void **state)
{
	static const struct {
		const char *argv[4];
		int code;
	} lines[] = {
		{ { "nothing" }, EXIT_USAGE },
		{ { "restart" }, EXIT_USAGE },
		{ { "ps", "web" }, EXIT_USAGE },
		{ { "ps", "--jsom" }, EXIT_USAGE },
		{ { "signal", "HUP" }, EXIT_USAGE },
		{ { "signal", "NOPE", "web" }, EXIT_USAGE },
		{ { "logs", "-n", "many" }, EXIT_USAGE },
		{ { "help", "nothing" }, EXIT_USAGE },
		{ { "help", "keeper" }, EXIT_USAGE },
		{ { "--color=blue", "ps" }, EXIT_USAGE },
		{ { "keepr" }, EXIT_USAGE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(lines); i++)
		assert_int_equal(invoke((char **)(uintptr_t)lines[i].argv),
				 lines[i].code);
}

static void test_colour(void **state)
{
	static const struct {
		enum term_colour wish;
		const char *no_color, *force;
		bool want; /* on something that is no terminal */
	} cases[] = {
		{ TERM_AUTO, NULL, NULL, false },
		{ TERM_AUTO, NULL, "1", true },
		{ TERM_AUTO, NULL, "0", false },
		{ TERM_AUTO, "1", "1", false },
		{ TERM_AUTO, "", "1", true },
		{ TERM_ALWAYS, "1", NULL, true },
		{ TERM_NEVER, NULL, "1", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		unsetenv("NO_COLOR");
		unsetenv("CLICOLOR_FORCE");
		if (cases[i].no_color != NULL)
			setenv("NO_COLOR", cases[i].no_color, 1);
		if (cases[i].force != NULL)
			setenv("CLICOLOR_FORCE", cases[i].force, 1);
		/* -1 is no terminal in any case. */
		assert_int_equal(term_want_colour(cases[i].wish, -1),
				 cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_colour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
