/* SPDX-License-Identifier: MIT */
/*
 * Files in, model or errors out: runs every case of tests/data/ *.test.
 *
 * A file of cases is text; a line that begins with `=== ` names a case, and
 * `--- ` begins a section of it up to the next such line. One empty line at
 * the end of a case is not part of it. Sections:
 *
 *	--- NAME            a file of that name in the stack's directory
 *	--- NAME escapes    the same; \r \n \t \\ and \xHH are replaced
 *	--- options         as for hr: -f -c -e -C FILE, --lenient
 *	--- setenv          KEY=value, a line each, in the environment
 *	--- expect          errors and warnings, exactly; without: none
 *	--- model           lines that `hr check` must print, whatever their
 *	                    indentation, in this order
 *	--- print           what `hr check` must print, exactly
 *	--- notes           what has no effect yet, exactly
 *
 * The directory of the stack is `DIR`, the one above `UP` in what is compared.
 * A model that loads is also printed, read back from that alone, and printed
 * again: but for comments, both must be the same.
 */
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
#include <glob.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/load.h"
#include "procfile/model.h"
#include "procfile/notes.h"
#include "procfile/print.h"

#define TEXT_MAX (4 * 1024 * 1024)

struct section {
	char *name; /* whole rest of the line */
	struct buf body;
};

struct data_case {
	char *name;
	struct section *v;
	size_t n;
	size_t cap;
};

struct cases {
	struct data_case *v;
	size_t n;
	size_t cap;
};

/* ---- reading cases ------------------------------------------------------ */

static void start_case(struct cases *all, const char *file, const char *title)
{
	struct data_case c = { .name = xasprintf("%s: %s", path_base(file),
						 title) };
	char *p;

	for (p = c.name; *p != '\0'; p++)
		if (*p == ' ')
			*p = '_';
	VEC_PUSH(all, c);
}

static void start_section(struct data_case *c, const char *name)
{
	struct section s = { .name = xstrdup(name) };

	buf_init(&s.body, TEXT_MAX);
	VEC_PUSH(c, s);
}

static void take_line(struct cases *all, const char *file, const char *line)
{
	struct data_case *c = all->n > 0 ? &all->v[all->n - 1] : NULL;

	if (str_starts(line, "=== "))
		start_case(all, file, line + 4);
	else if (c != NULL && str_starts(line, "--- "))
		start_section(c, line + 4);
	else if (c != NULL && c->n > 0)
		buf_addf(&c->v[c->n - 1].body, "%s\n", line);
}

static void drop_empty_line(struct cases *all)
{
	struct buf *last;
	size_t i;

	for (i = 0; i + 1 < all->n; i++) {
		if (all->v[i].n == 0)
			continue;
		last = &all->v[i].v[all->v[i].n - 1].body;
		if (str_eq(buf_str(last), "\n") ||
		    str_ends(buf_str(last), "\n\n"))
			last->data[--last->len] = '\0';
	}
}

static void read_cases(struct cases *all, const char *file)
{
	struct cases own = { 0 };
	struct buf text;
	struct err err;
	char *line, *rest;
	size_t i;

	buf_init(&text, TEXT_MAX);
	if (path_read(file, &text, &err) < 0) {
		err_print(&err, stderr);
		exit(1);
	}
	rest = text.data;
	while (rest != NULL && *rest != '\0') {
		line = strsep(&rest, "\n");
		take_line(&own, file, line);
	}
	buf_done(&text);
	drop_empty_line(&own);
	for (i = 0; i < own.n; i++)
		VEC_PUSH(all, own.v[i]);
	VEC_FREE(&own);
}

static struct section *find(const struct data_case *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (str_eq(c->v[i].name, name))
			return &c->v[i];
	return NULL;
}

/* ---- setting up --------------------------------------------------------- */

static char *top;   /* a temporary directory */
static char *stack; /* top/stack */

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
	(void)state;
	assert_int_equal(chdir("/"), 0);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(top);
	free(stack);
	return 0;
}

static int set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *made = xasprintf("%s/hr-data-XXXXXX", tmp != NULL ? tmp : "/tmp");

	(void)state;
	assert_non_null(mkdtemp(made));
	top = realpath(made, NULL);
	free(made);
	stack = path_join(top, "stack");
	assert_int_equal(mkdir(stack, 0700), 0);
	return chdir(stack);
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void unescape(const char *s, struct buf *out)
{
	static const char from[] = "rnt\\", to[] = "\r\n\t\\";
	const char *found;

	for (; *s != '\0'; s++) {
		found = s[0] == '\\' && s[1] != '\0' ? strchr(from, s[1]) :
						       NULL;
		if (found != NULL) {
			buf_add_char(out, to[found - from]);
			s++;
		} else if (s[0] == '\\' && s[1] == 'x') {
			buf_add_char(out, (char)(hex(s[2]) * 16 + hex(s[3])));
			s += 3;
		} else {
			buf_add_char(out, *s);
		}
	}
}

static void write_text(const char *where, const char *name, const char *data,
		       size_t len)
{
	char *path = path_join(where, name), *dir = path_dir(path);
	struct err err;
	FILE *f;

	assert_int_equal(path_mkdirs(dir, 0700, &err), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
	free(path);
	free(dir);
}

static void unlink_in(const char *where, const char *name)
{
	char *path = path_join(where, name);

	unlink(path);
	free(path);
}

static bool is_file(const char *name)
{
	static const char *const others[] = { "options", "setenv", "expect",
					      "model",	 "print",  "notes",
					      NULL };

	return !strv_has(others, name);
}

static void write_files(const struct data_case *c)
{
	struct buf plain;
	char *name;
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (!is_file(c->v[i].name))
			continue;
		name = xstrndup(c->v[i].name, strcspn(c->v[i].name, " "));
		buf_init(&plain, TEXT_MAX);
		if (str_ends(c->v[i].name, " escapes"))
			unescape(buf_str(&c->v[i].body), &plain);
		else
			buf_add_str(&plain, buf_str(&c->v[i].body));
		write_text(stack, name, buf_str(&plain), plain.len);
		buf_done(&plain);
		free(name);
	}
}

static void set_environment(const struct data_case *c)
{
	struct section *s = find(c, "setenv");
	char *copy, *rest, *line, *equals;

	if (s == NULL)
		return;
	copy = rest = xstrdup(buf_str(&s->body));
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		equals = strchr(line, '=');
		assert_non_null(equals);
		*equals = '\0';
		setenv(line, equals + 1, 1);
	}
	free(copy);
}

/* words: split in place, and kept by opt. env: room for a few. */
static void read_options(char *words, struct load_options *opt,
			 const char **env)
{
	char *word;
	size_t n = 0;

	while ((word = strsep(&words, " \n")) != NULL) {
		if (str_eq(word, "--lenient"))
			opt->lenient = true;
		else if (str_eq(word, "-f"))
			opt->procfile = strsep(&words, " \n");
		else if (str_eq(word, "-c"))
			opt->conf = strsep(&words, " \n");
		else if (str_eq(word, "-C"))
			opt->dir = strsep(&words, " \n");
		else if (str_eq(word, "-e"))
			env[n++] = strsep(&words, " \n");
	}
	if (n > 0)
		opt->env = env;
}

/* ---- comparing ---------------------------------------------------------- */

static void replace_all(char **text, const char *what, const char *with)
{
	struct buf out;
	const char *s = *text, *found;

	buf_init(&out, TEXT_MAX);
	while ((found = strstr(s, what)) != NULL) {
		buf_add(&out, s, (size_t)(found - s));
		buf_add_str(&out, with);
		s = found + strlen(what);
	}
	buf_add_str(&out, s);
	free(*text);
	*text = xstrdup(buf_str(&out));
	buf_done(&out);
}

static void compare(const struct data_case *c, const char *section, char *got)
{
	struct section *s = find(c, section);
	const char *expected = s != NULL ? buf_str(&s->body) : "";

	replace_all(&got, stack, "DIR");
	replace_all(&got, top, "UP");
	if (!str_eq(got, expected))
		print_message("--- %s: what came:\n%s", section, got);
	assert_string_equal(got, expected);
	free(got);
}

static char *problems_text(const struct problems *p)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	problems_print(p, f);
	fclose(f);
	return text;
}

static char *model_text(const struct model *m)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	model_print(m, f);
	fclose(f);
	return text;
}

static void add_note(void *data, const char *line)
{
	buf_addf(data, "%s\n", line);
}

static char *notes_text(const struct model *m)
{
	struct buf text;
	char *copy;

	buf_init(&text, TEXT_MAX);
	notes_each(m, add_note, &text);
	copy = xstrdup(buf_str(&text));
	buf_done(&text);
	return copy;
}

static char *trim(char *line)
{
	return line + strspn(line, " \t");
}

/* Each wanted line must follow the one before it somewhere in the text. */
static void check_lines(const struct data_case *c, char *text)
{
	struct section *s = find(c, "model");
	char *copy, *wanted, *rest, *line = NULL, *all = text;

	if (s == NULL) {
		free(text);
		return;
	}
	copy = rest = xstrdup(buf_str(&s->body));
	while ((wanted = strsep(&rest, "\n")) != NULL && *wanted != '\0') {
		while ((line = strsep(&all, "\n")) != NULL &&
		       !str_eq(trim(line), trim(wanted)))
			;
		if (line == NULL)
			print_message("not printed, or not in this order: %s\n",
				      wanted);
		assert_non_null(line);
	}
	free(copy);
	free(text);
}

/* Comments off; the places in them are those of other files. */
static void strip_comments(char *text)
{
	char *in = text, *out = text, *end, *hash;

	while (*in != '\0') {
		end = strchr(in, '\n');
		*end = '\0';
		hash = strstr(in, "  # ");
		if (hash != NULL)
			*hash = '\0';
		if (*in != '#') {
			memmove(out, in, strlen(in));
			out += strlen(in);
			*out++ = '\n';
		}
		in = end + 1;
	}
	*out = '\0';
}

/* What is printed says all: read back, it gives the same model. */
static void check_round_trip(const struct model *m, bool lenient)
{
	char *first = model_text(m), *second;
	struct load_options opt = { .dir = m->dir, .lenient = lenient };
	struct problems problems = { 0 };
	struct model *again;

	unlink_in(m->dir, "Procfile");
	unlink_in(m->dir, "Procfile.dev");
	write_text(m->dir, "hr.conf", first, strlen(first));
	again = load_model(&opt, &problems);
	if (again == NULL)
		problems_print(&problems, stderr);
	problems_free(&problems);
	assert_non_null(again);
	second = model_text(again);
	strip_comments(first);
	strip_comments(second);
	assert_string_equal(first, second);
	free(first);
	free(second);
	model_free(again);
}

static void test_case(void **state)
{
	const struct data_case *c = *state;
	struct section *options = find(c, "options");
	char *words = xstrdup(options ? buf_str(&options->body) : "");
	struct load_options opt = { 0 };
	struct problems problems = { 0 };
	const char *env[8] = { NULL };
	struct model *m;

	write_files(c);
	set_environment(c);
	read_options(words, &opt, env);
	m = load_model(&opt, &problems);
	assert_int_equal(m == NULL, problems.n_errors > 0);
	compare(c, "expect", problems_text(&problems));
	problems_free(&problems);
	if (m != NULL) {
		check_lines(c, model_text(m));
		if (find(c, "print") != NULL)
			compare(c, "print", model_text(m));
		if (find(c, "notes") != NULL)
			compare(c, "notes", notes_text(m));
		check_round_trip(m, opt.lenient);
		model_free(m);
	} else {
		assert_null(find(c, "model"));
		assert_null(find(c, "print"));
	}
	free(words);
}

/* ---- all of them -------------------------------------------------------- */

static void free_cases(struct cases *all)
{
	size_t i, j;

	for (i = 0; i < all->n; i++) {
		for (j = 0; j < all->v[i].n; j++) {
			free(all->v[i].v[j].name);
			buf_done(&all->v[i].v[j].body);
		}
		VEC_FREE(&all->v[i]);
		free(all->v[i].name);
	}
	VEC_FREE(all);
}

int main(void)
{
	struct cases all = { 0 };
	struct CMUnitTest *tests;
	glob_t found;
	size_t i;
	int rc;

	if (glob("tests/data/*.test", 0, NULL, &found) != 0) {
		fprintf(stderr, "no tests/data/*.test here\n");
		return 1;
	}
	for (i = 0; i < found.gl_pathc; i++)
		read_cases(&all, found.gl_pathv[i]);
	globfree(&found);
	tests = xcalloc(all.n, sizeof(*tests));
	for (i = 0; i < all.n; i++)
		tests[i] = (struct CMUnitTest){ all.v[i].name, test_case,
						set_up, tear_down, &all.v[i] };
	rc = _cmocka_run_group_tests("data", tests, all.n, NULL, NULL);
	free(tests);
	free_cases(&all);
	return rc;
}
