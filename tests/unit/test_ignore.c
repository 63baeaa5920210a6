/* SPDX-License-Identifier: MIT */
/*
 * lib/watch/ignore.c and glob.c: the rules by example, and against git.
 *
 * The differential test makes random .gitignore files and paths and asks both
 * `git check-ignore --stdin -z -v -n` and our matcher for the deciding line.
 * HR_SEED repeats a run, HR_CHECKS chooses its length.
 */
// needs: base watch
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/watch/glob.h"
#include "lib/watch/ignore.h"

/* ---- by example --------------------------------------------------------- */

static const struct {
	const char *pattern;
	const char *text;
	bool pathname;
	bool want;
} globs[] = {
	{ "foo", "foo", true, true },
	{ "*", "foo", true, true },
	{ "*", "a/b", true, false },
	{ "*", "a/b", false, true },
	{ "f?o", "foo", true, true },
	{ "f?o", "f/o", true, false },
	{ "[a-c]x", "bx", true, true },
	{ "[!a-c]x", "bx", true, false },
	{ "[^a-c]x", "dx", true, true },
	{ "[a-c", "a", true, false },
	{ "[]a]", "]", true, true },
	{ "[[:digit:]]", "7", true, true },
	{ "[[:nonsense:]]", "7", true, false },
	{ "[!a]", "/", true, false },
	{ "**/x", "x", true, true },
	{ "**/x", "a/b/x", true, true },
	{ "a/**", "a/b/c", true, true },
	{ "a/**", "a", true, false },
	{ "a/**/b", "a/b", true, true },
	{ "a/**/b", "a/x/y/b", true, true },
	{ "a**b", "a/b", true, false },
	{ "\\*", "*", true, true },
	{ "\\*", "x", true, false },
	{ "a\\", "a", true, false },
	{ "*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true,
	  false },
};

static void test_glob(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(globs); i++) {
		if (glob_match(globs[i].pattern, globs[i].text,
			       globs[i].pathname) != globs[i].want)
			fail_msg("'%s' against '%s'", globs[i].pattern,
				 globs[i].text);
	}
}

static const struct {
	const char *file;
	const char *path;
	bool is_dir;
	int line; /* that decides; 0: none */
} files[] = {
	{ "*.o\n", "a/b.o", false, 1 },
	{ "# comment\n\n*.o\n!keep.o\n", "keep.o", false, 4 },
	{ "\xef\xbb\xbf*.o\r\n", "b.o", false, 1 },
	{ "a  \nb\\ \n", "a", false, 1 },
	{ "a  \nb\\ \n", "b ", false, 2 },
	{ "a\t\n", "a", false, 0 },
	{ "build/\n", "build", true, 1 },
	{ "build/\n", "build", false, 0 },
	{ "/top\n", "top", false, 1 },
	{ "/top\n", "a/top", false, 0 },
	{ "a/b\n", "x/a/b", false, 0 },
	{ "c**/x\n", "c/q/x", false, 1 },
	{ "\\#x\n\\!y\n", "!y", false, 2 },
	{ "last", "last", false, 1 },
};

static void test_files(void **state)
{
	const struct ignore_rule *r;
	struct ignore *ig;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(files); i++) {
		ig = ignore_new();
		ignore_add_text(ig, files[i].file, strlen(files[i].file), "f");
		r = ignore_match(ig, files[i].path, files[i].is_dir);
		if ((r != NULL ? r->line : 0) != files[i].line)
			fail_msg("case %zu: line %d", i, r ? r->line : 0);
		ignore_free(ig);
	}
}

static void test_place(void **state)
{
	static const char text[] = "x\n!y\n";
	struct ignore *ig = ignore_new();
	const struct ignore_rule *r;

	(void)state;
	assert_null(ignore_match(NULL, "x", false));
	ignore_add_text(ig, text, sizeof(text) - 1, "sub/.gitignore");
	r = ignore_match(ig, "d/y", false);
	assert_true(r->negated);
	assert_string_equal(r->text, "!y");
	assert_string_equal(r->file, "sub/.gitignore");
	assert_int_equal(r->line, 2);
	ignore_free(ig);
	ignore_free(NULL);
}

/* ---- against git -------------------------------------------------------- */

static uint64_t seed;

static unsigned rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

static const char *const words[] = { "a",   "b",   "c",	  "ab",	  "foo",
				     "a.o", "x y", "[a]", "b\\",  "-",
				     "!n",  "#h",  "*",	  "foo.c" };
static const char *const bits[] = {
	"a**/", "foo**/", "b**",  "x y**/",	 "a",	  "b",
	"c",	"foo",	  ".o",	  ".c",		 "*",	  "**",
	"?",	"[a-c]",  "[",	  "[!a]",	 "[^b]",  "\\",
	"/",	"/",	  "/",	  "**/",	 "/**",	  "*.",
	"\\*",	"\\ ",	  " ",	  "[[:alpha:]]", "[]a]",  "]",
	"!",	"#",	  "-",	  "[a\\]]",	 "x y",	  "[[:bad:]]",
	"\t",	"[b-a]",  "[a-]", "ab",		 "[\\a]", "[--0]",
};

static void random_pattern(struct buf *b)
{
	unsigned n = 1 + rnd(5), i;

	if (rnd(6) == 0)
		buf_add_char(b, '!');
	if (rnd(5) == 0)
		buf_add_char(b, '/');
	for (i = 0; i < n; i++)
		buf_add_str(b, rnd(3) == 0 ? words[rnd(NITEMS(words))] :
					     bits[rnd(NITEMS(bits))]);
	if (rnd(5) == 0)
		buf_add_char(b, '/');
	if (rnd(12) == 0)
		buf_add_str(b, "  ");
	buf_add_str(b, rnd(15) == 0 ? "\r\n" : "\n");
}

/* The tree: directories of DEPTH levels, each with a list of its own or not;
 * paths below it that need not exist, but whose directories do. */
#define DIRS 12
#define PATHS 400

static struct {
	char path[192]; /* "" or "a/b/" */
	struct ignore *list;
} dirs[DIRS];

static char root[] = "/tmp/hr-ignore-XXXXXX";

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void random_list(size_t i)
{
	char path[256];
	unsigned n = 1 + rnd(8), j;
	struct buf b;

	buf_init(&b, 65536);
	if (rnd(10) == 0)
		buf_add_str(&b, "\xef\xbb\xbf");
	for (j = 0; j < n; j++)
		random_pattern(&b);
	if (rnd(8) == 0)
		b.len--;
	snprintf(path, sizeof(path), "%s/%.191s.gitignore", root, dirs[i].path);
	write_file(path, b.data, b.len);
	dirs[i].list = ignore_new();
	ignore_add_text(dirs[i].list, b.data, b.len, "");
	buf_done(&b);
}

static void make_tree(void)
{
	char path[256];
	size_t i, parent;

	for (i = 0; i < DIRS; i++) {
		dirs[i].path[0] = '\0';
		dirs[i].list = NULL;
		if (i > 0) {
			parent = rnd((unsigned)i);
			if (strlen(dirs[parent].path) > 60)
				parent = 0;
			snprintf(dirs[i].path, sizeof(dirs[i].path), "%.64s%s/",
				 dirs[parent].path, words[rnd(NITEMS(words))]);
		}
		snprintf(path, sizeof(path), "%s/%.191s", root, dirs[i].path);
		mkdir(path, 0755);
	}
	for (i = 0; i < DIRS; i++) {
		size_t j;

		for (j = 0; j < i && strcmp(dirs[j].path, dirs[i].path); j++)
			;
		if (j == i && rnd(2) == 0)
			random_list(i);
	}
}

static void drop_tree(void)
{
	char cmd[256];
	size_t i;

	for (i = 0; i < DIRS; i++)
		ignore_free(dirs[i].list);
	snprintf(cmd, sizeof(cmd),
		 "find %s -mindepth 1 -maxdepth 1 ! -name .git "
		 "-exec rm -rf {} +",
		 root);
	assert_int_equal(system(cmd), 0);
}

/* The line that decides about one path, deepest list first. */
static const struct ignore_rule *ask_one(const char *path, bool is_dir)
{
	size_t best = 0, len, shorter = SIZE_MAX, i;
	const struct ignore_rule *r = NULL;

	while (r == NULL && shorter > 0) {
		bool found = false;

		best = 0;
		for (i = 0; i < DIRS; i++) {
			len = strlen(dirs[i].path);
			if (dirs[i].list == NULL || len >= shorter ||
			    strncmp(path, dirs[i].path, len) != 0 ||
			    path[len] == '\0')
				continue;
			if (!found || len > strlen(dirs[best].path))
				best = i;
			found = true;
		}
		if (!found)
			break;
		shorter = strlen(dirs[best].path);
		r = ignore_match(dirs[best].list, path + shorter, is_dir);
	}
	return r;
}

/* From the top: nothing comes back below an ignored directory. */
static const struct ignore_rule *ask(const char *path, bool is_dir)
{
	const struct ignore_rule *r;
	char part[512];
	const char *p;

	for (p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		r = ask_one(part, true);
		if (r != NULL && !r->negated)
			return r;
	}
	return ask_one(path, is_dir);
}

static bool path_is_dir(const char *path)
{
	char full[512];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return lstat(full, &st) == 0 && S_ISDIR(st.st_mode);
}

/* git's answer for one path: source NUL line NUL pattern NUL path NUL. */
static void compare(const char *path, const char *line, const char *pattern)
{
	const struct ignore_rule *r = ask(path, path_is_dir(path));
	int got = r != NULL ? r->line : 0, want = atoi(line);

	if (got != want || (r != NULL && strcmp(r->text, pattern) != 0))
		fail_msg("'%s': git says line %d '%s', we say line %d '%s'",
			 path, want, pattern, got, r != NULL ? r->text : "");
}

static unsigned check_answers(const char *p, const char *end)
{
	const char *line, *pattern, *path;
	unsigned n = 0;

	while (p < end) {
		line = p + strlen(p) + 1;
		pattern = line + strlen(line) + 1;
		path = pattern + strlen(pattern) + 1;
		compare(path, line, pattern);
		p = path + strlen(path) + 1;
		n++;
	}
	return n;
}

static void random_path(struct buf *b)
{
	unsigned n = rnd(3), i;

	buf_add_str(b, dirs[rnd(DIRS)].path);
	for (i = 0; i < n; i++)
		buf_addf(b, "%s/", words[rnd(NITEMS(words))]);
	buf_add_str(b, words[rnd(NITEMS(words))]);
	buf_add(b, "", 1);
}

static unsigned one_round(void)
{
	char in[64], out[64], cmd[512];
	struct buf paths, answers;
	unsigned n, i;
	int rc;

	make_tree();
	buf_init(&paths, 1 << 20);
	for (i = 0; i < PATHS; i++)
		random_path(&paths);
	snprintf(in, sizeof(in), "%s/.git/in", root);
	snprintf(out, sizeof(out), "%s/.git/out", root);
	write_file(in, paths.data, paths.len);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && git -c core.excludesFile=/dev/null check-ignore "
		 "--no-index --stdin -z -v -n <.git/in >.git/out",
		 root);
	rc = system(cmd);
	assert_true(WIFEXITED(rc) && WEXITSTATUS(rc) <= 1);
	buf_init(&answers, 1 << 24);
	{
		FILE *f = fopen(out, "r");
		size_t got;
		char *room;

		assert_non_null(f);
		while ((room = buf_reserve(&answers, 65536)) != NULL &&
		       (got = fread(room, 1, 65536, f)) > 0)
			buf_commit(&answers, got);
		fclose(f);
	}
	n = check_answers(answers.data, answers.data + answers.len);
	buf_done(&paths);
	buf_done(&answers);
	drop_tree();
	return n;
}

static void test_git(void **state)
{
	const char *s = getenv("HR_SEED"), *c = getenv("HR_CHECKS");
	unsigned long want = c != NULL ? strtoul(c, NULL, 10) : 100000, n = 0;
	char cmd[128];

	(void)state;
	if (system("git --version >/dev/null 2>&1") != 0)
		skip();
	seed = s != NULL ? strtoull(s, NULL, 10) : (uint64_t)clock_real_us();
	print_message("HR_SEED=%llu\n", (unsigned long long)seed);
	assert_non_null(mkdtemp(root));
	snprintf(cmd, sizeof(cmd), "git init -q %s && rm -rf %s/.git/info",
		 root, root);
	assert_int_equal(system(cmd), 0);
	while (n < want)
		n += one_round();
	print_message("%lu checks\n", n);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_git),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
