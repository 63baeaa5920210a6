/* SPDX-License-Identifier: MIT */
/* procfile/load and problems: finding the stack, limits, what data/ cannot
 * say in text. */
// needs: base procfile
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>

#include "lib/base/alloc.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/load.h"
#include "procfile/model.h"

static char *top;

static int set_up(void **state)
{
	char made[] = "/tmp/hr-load-XXXXXX";

	(void)state;
	if (mkdtemp(made) == NULL)
		return -1;
	top = realpath(made, NULL);
	return chdir(top);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	int rc = chdir("/");

	(void)state;
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(top);
	return rc;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *found_dir(const struct load_options *opt)
{
	struct err err;
	char *dir = load_find_dir(opt, &err), *relative;

	if (dir == NULL)
		return xasprintf("! %s", err.what);
	relative = xstrdup(path_relative(dir, top));
	free(dir);
	return relative;
}

static void check_dir(const struct load_options *opt, const char *expected)
{
	char *got = found_dir(opt);

	assert_string_equal(got, expected);
	free(got);
}

static void test_find_dir(void **state)
{
	struct err err;

	(void)state;
	path_mkdirs("a/b/c", 0700, &err);
	path_mkdirs("d/.hr", 0700, &err);
	path_mkdirs("e/f", 0700, &err);
	write_file("a/Procfile", "x: y\n");
	write_file("a/b/hr.conf", "");
	write_file("e/Procfile.dev", "");
	check_dir(&(struct load_options){ .dir = "a" }, "a");
	check_dir(&(struct load_options){ .dir = "a/b/c" }, "a/b");
	check_dir(&(struct load_options){ .dir = "d" }, "d");
	check_dir(&(struct load_options){ .dir = "e/f" }, "e");
	check_dir(&(struct load_options){ .procfile = "a/b/P" }, "a/b");
	check_dir(&(struct load_options){ .dir = "a", .procfile = "b/P" },
		  "a/b");
	check_dir(&(struct load_options){ .conf = "a/x.conf" }, "a");
	check_dir(&(struct load_options){ .dir = "gone" },
		  "! cannot open directory gone: No such file or directory");
	check_dir(&(struct load_options){ .procfile = "gone/P" },
		  "! cannot open directory gone: No such file or directory");
	assert_int_equal(chdir("a/b/c"), 0);
	check_dir(&(struct load_options){ 0 }, "a/b");
	assert_int_equal(chdir(top), 0);
}

/* The text of the only error of a stack with this Procfile. */
static char *only_error(const struct load_options *opt)
{
	struct problems problems = { 0 };
	struct model *m = load_model(opt, &problems);
	char *text;

	assert_null(m);
	assert_int_equal(problems.n_errors, 1);
	text = xstrdup(problems.v[0].what);
	problems_free(&problems);
	return text;
}

static void test_too_large(void **state)
{
	FILE *f = fopen("Procfile", "w");
	char *text;
	int i;

	(void)state;
	for (i = 0; i < 200000; i++)
		fputs("# xxx\n", f);
	fclose(f);
	text = only_error(&(struct load_options){ 0 });
	assert_non_null(strstr(text, "is larger than 1048576 bytes"));
	free(text);
}

static void test_unreadable(void **state)
{
	char *text;

	(void)state;
	if (geteuid() == 0)
		skip();
	write_file("Procfile", "a: b\n");
	chmod("Procfile", 0);
	text = only_error(&(struct load_options){ 0 });
	assert_non_null(strstr(text, "Permission denied"));
	free(text);
}

static void test_model(void **state)
{
	struct load_options opt = { 0 };
	struct problems problems = { 0 };
	struct model *m;
	const struct service *s;

	(void)state;
	write_file("Procfile", "a: x\nb: y\n");
	write_file("hr.conf", "service b { tty = true lock = \"l\" }\n");
	write_file(".env", "A=1\n");
	m = load_model(&opt, &problems);
	assert_non_null(m);
	assert_int_equal(problems.n, 0);
	assert_string_equal(m->dir, top);
	assert_string_equal(m->stack, path_base(top));
	assert_string_equal(path_base(m->procfile), "Procfile");
	assert_string_equal(path_base(m->conf), "hr.conf");
	assert_int_equal(strv_len(m->files), 2);
	assert_string_equal(path_base(m->env_file[0]), ".env");
	assert_null(m->env_file[1]);
	assert_int_equal(m->shutdown_delay_ms, 7000);
	s = model_find(m, "a");
	assert_string_equal(s->dir, top);
	assert_false(s->watched);
	assert_int_equal(s->tty, TRI_AUTO);
	assert_int_equal(s->max_restarts, MAX_RESTARTS_NONE);
	assert_int_equal(s->debounce_ms, DEBOUNCE_AUTO);
	assert_int_equal(s->build_timeout_ms, 0);
	assert_null(s->build);
	assert_int_equal(strv_len(s->env), 0);
	assert_int_equal(s->base_port, 5000);
	s = model_find(m, "b");
	assert_int_equal(s->index, 1);
	assert_int_equal(s->base_port, 5100);
	assert_int_equal(s->tty, TRI_YES);
	assert_int_equal(s->at.line, 2);
	assert_int_equal(service_key(s, "lock")->col, 24);
	assert_true(path_is_below(s->lock[0], top));
	assert_int_equal(m->n_inert, 1);
	model_free(m);
	problems_free(&problems);
}

static void test_many_problems(void **state)
{
	struct problems problems = { 0 };
	struct err err = { .code = ERR_VALUE };
	char *text = NULL;
	size_t size, i;
	FILE *f;

	(void)state;
	for (i = 0; i < 300; i++) {
		err_set(&err, ERR_VALUE, "x");
		err_at(&err, i % 2 ? "a" : "b", (int)(300 - i), 1);
		problems_add(&problems, &err, i == 7);
	}
	problems_sort(&problems);
	assert_int_equal(problems.n, 200);
	assert_int_equal(problems.n_errors, 299);
	assert_string_equal(problems.v[0].file, "b");
	assert_string_equal(problems.v[199].file, "a");
	assert_int_equal(problems.v[199].line, 299);
	for (i = 1; i < 100; i++)
		assert_true(problems.v[i].line > problems.v[i - 1].line);
	f = open_memstream(&text, &size);
	problems_print(&problems, f);
	fclose(f);
	assert_non_null(strstr(text, "a:293:1: warning: x\n"));
	assert_non_null(strstr(text, "hr: 100 more problems are not shown\n"));
	free(text);
	problems_free(&problems);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_find_dir),
		IN_DIR(test_too_large),
		IN_DIR(test_unreadable),
		IN_DIR(test_model),
		cmocka_unit_test(test_many_problems),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
