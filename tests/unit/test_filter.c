/* SPDX-License-Identifier: MIT */
/* lib/watch/filter.c, mounts.c, repo.c: what passes, and by which pattern. */
// needs: base procfile watch
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/watch/filter.h"
#include "lib/watch/ignore.h"
#include "lib/watch/mounts.h"
#include "lib/watch/repo.h"

static const char *const none[] = { NULL };

static const struct {
	const char *ext, *include, *exclude, *regex;
	const char *path; /* with a slash at the end: a directory */
	enum filter_dir want;
} cases[] = {
	{ NULL, NULL, NULL, NULL, "a.c", FILTER_IN },
	{ NULL, NULL, NULL, NULL, ".git/", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/.hr/", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/node_modules/", FILTER_OUT },
	{ NULL, "node_modules/mine/", NULL, NULL, "node_modules/",
	  FILTER_NARROW },
	{ NULL, NULL, NULL, NULL, "x~", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/.b.swp", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/.#b", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/#b#", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, "a/4913", FILTER_OUT },
	{ NULL, NULL, NULL, NULL, ".env", FILTER_IN },
	{ "c", NULL, NULL, NULL, "a.c", FILTER_IN },
	{ "c", NULL, NULL, NULL, "a.cc", FILTER_OUT },
	{ "c", NULL, NULL, NULL, "c", FILTER_OUT },
	{ "c", NULL, NULL, NULL, "d/", FILTER_IN },
	{ "c", "*.html", NULL, NULL, "a/b.html", FILTER_IN },
	{ "c", "/web/", NULL, NULL, "web/x.png", FILTER_IN },
	{ NULL, NULL, "gen/", NULL, "gen/", FILTER_OUT },
	{ NULL, NULL, "gen/", NULL, "gen", FILTER_IN },
	{ NULL, "*.html", "gen/", NULL, "gen/", FILTER_OUT },
	{ NULL, "gen/a/b.c", "gen/", NULL, "gen/", FILTER_NARROW },
	{ NULL, "gen/a/b.c", "gen/", NULL, "gen/a/", FILTER_IN },
	{ NULL, "gen/*/b.c", "gen/", NULL, "gen/", FILTER_NARROW },
	{ NULL, "**/b.c", "gen/", NULL, "gen/", FILTER_OUT },
	{ NULL, "generated/x", "gen/", NULL, "gen/", FILTER_OUT },
	{ NULL, "*.html", "*.html", NULL, "a.html", FILTER_OUT },
	{ NULL, "/a.html", "*.html", NULL, "a.html", FILTER_IN },
	{ NULL, NULL, NULL, "_test\\.go$", "a_test.go", FILTER_OUT },
	{ NULL, NULL, NULL, "_test\\.go$", "a.go", FILTER_IN },
	{ NULL, NULL, NULL, "^gen/", "gen/", FILTER_OUT },
	{ NULL, NULL, NULL, "^gen/", "gen/x", FILTER_OUT },
	/* Names of files, not of directories above them. */
	{ NULL, NULL, NULL, "^[^.]*$", "src/", FILTER_IN },
	{ NULL, NULL, NULL, "^(?!.*\\.go$)", "src/", FILTER_IN },
	{ NULL, NULL, NULL, "^(?!.*\\.go$)", "src/a.c", FILTER_OUT },
	{ NULL, NULL, NULL, "(?i)README", "a/readme.md", FILTER_OUT },
	/* Endless but for the limit of steps: it does not match. */
	{ NULL, NULL, NULL, "^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	  FILTER_IN },
};

static struct patterns one(struct pattern *p, const char *text)
{
	p->text = text;
	return (struct patterns){ p, text != NULL };
}

static void test_filter(void **state)
{
	struct pattern include = { 0 }, exclude = { 0 }, regex = { 0 };
	const char *ext[2] = { NULL, NULL };
	struct filter_why why;
	enum filter_dir got;
	char path[128];
	size_t i, len;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct service s = { .watch = { .dirs = none } };
		struct filter *f;

		ext[0] = cases[i].ext;
		s.watch.ext = ext;
		s.watch.include = one(&include, cases[i].include);
		s.watch.exclude = one(&exclude, cases[i].exclude);
		s.watch.exclude_regex = one(&regex, cases[i].regex);
		f = filter_new(&s, NULL);
		assert_non_null(f);
		len = strlen(cases[i].path);
		memcpy(path, cases[i].path, len + 1);
		if (path[len - 1] == '/') {
			path[len - 1] = '\0';
			got = filter_dir(f, path, NULL, false, &why);
		} else {
			got = filter_file(f, path, NULL, false, &why) ?
				      FILTER_IN :
				      FILTER_OUT;
		}
		if (got != cases[i].want)
			fail_msg("case %zu, %s: %d (%s)", i, cases[i].path,
				 (int)got, why.what);
		filter_free(f);
	}
}

static void test_bad_regex(void **state)
{
	struct pattern p = { .text = "a(b", .at = { "hr.conf", 7, 3 } };
	struct service s = { .watch = { .dirs = none, .ext = none } };
	struct err err;

	(void)state;
	s.watch.exclude_regex = (struct patterns){ &p, 1 };
	assert_null(filter_new(&s, &err));
	assert_int_equal(err.line, 7);
	assert_non_null(strstr(err.what, "a(b"));
}

static void test_action(void **state)
{
	struct pattern web[] = { { .text = "web/", .at = { "hr.conf", 9, 1 } },
				 { .text = "!web/app.js" } };
	struct pattern any = { .text = "*.conf" };
	struct rule rules[] = {
		{ .name = "web",
		  .match = { web, 2 },
		  .action = ACTION_REFRESH },
		{ .name = "conf",
		  .match = { &any, 1 },
		  .action = ACTION_RESTART },
	};
	struct service s = { .watch = { .dirs = none, .ext = none },
			     .rules = rules,
			     .n_rules = 2 };
	struct filter *f = filter_new(&s, NULL);
	const struct rule *rule;
	struct filter_why why;

	(void)state;
	assert_int_equal(filter_action(f, "web/a/b.conf", &rule, &why),
			 ACTION_REFRESH);
	assert_string_equal(rule->name, "web");
	assert_string_equal(why.pattern, "web/");
	assert_int_equal(why.line, 9);
	assert_int_equal(filter_action(f, "x/b.conf", &rule, NULL),
			 ACTION_RESTART);
	assert_int_equal(filter_action(f, "main.c", &rule, NULL),
			 ACTION_RELOAD);
	assert_null(rule);
	filter_free(f);
}

static void test_mounts(void **state)
{
	static const char text[] =
		"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		"22 21 0:40 / /home/a\\040b rw - nfs4 host:/x rw\n"
		"23 21 0:41 / /srv rw master:2 - fuse.bindfs x rw\n"
		"24 21 0:42 / /srv/tmp rw - tmpfs tmpfs rw\n"
		"25 21 0:43 / /srv/tmp rw - 9p share rw\n";
	char type[32];

	(void)state;
	assert_true(mounts_type(text, "/usr", type, sizeof(type)));
	assert_string_equal(type, "ext4");
	assert_true(mounts_type(text, "/home/a b/c", type, sizeof(type)));
	assert_string_equal(type, "nfs4");
	mounts_type(text, "/srv", type, sizeof(type));
	assert_string_equal(type, "fuse.bindfs");
	mounts_type(text, "/srvx", type, sizeof(type));
	assert_string_equal(type, "ext4");
	mounts_type(text, "/srv/tmp/x", type, sizeof(type));
	assert_string_equal(type, "9p");
	assert_false(mounts_type("", "/", type, sizeof(type)));
	assert_true(mounts_is_silent("nfs4"));
	assert_true(mounts_is_silent("fuse.sshfs"));
	assert_false(mounts_is_silent("ext4"));
	assert_false(mounts_is_silent("fuseblk"));
}

static void test_git_config(void **state)
{
	char out[64] = "";

	(void)state;
	assert_true(repo_config_excludes("[user]\n\tname = x\n[core]\n"
					 "\texcludesFile = ~/.ignore # mine\n",
					 out, sizeof(out)));
	assert_string_equal(out, "~/.ignore");
	assert_true(repo_config_excludes("[core] excludesfile=\"/a b\"\n", out,
					 sizeof(out)));
	assert_string_equal(out, "/a b");
	assert_false(repo_config_excludes("[corex]\nexcludesfile = /x\n", out,
					  sizeof(out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_bad_regex),
		cmocka_unit_test(test_action),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_git_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
