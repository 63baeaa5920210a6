/* SPDX-License-Identifier: MIT */
/* Patterns, endings and regular expressions of one service, in order. */
#include "lib/watch/filter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/watch/ignore.h"

/* Against patterns that would take for ever; 10,000 steps are about 0.1 ms. */
#define MATCH_STEPS 100000

struct regex {
	pcre2_code *code;
	bool prunes; /* a match on "dir/" means one on all that is below */
};

struct filter {
	const struct service *s;
	struct ignore *include;
	struct ignore *exclude;
	struct regex *regex;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct ignore **rules; /* one for each of s->rules */
};

static struct ignore *list_of(const struct patterns *p)
{
	struct ignore *ig = ignore_new();
	size_t i;

	for (i = 0; i < p->n; i++)
		ignore_add(ig, p->v[i].text, p->v[i].at.file, p->v[i].at.line);
	return ig;
}

/* What could match a directory's name but not what is below it. */
static bool looks_around(const char *regex)
{
	static const char *const marks[] = { "(?!", "(?=", "(?<", "\\z",
					     "\\Z", "\\b", "\\B", "(*" };
	size_t i;

	for (i = 0; i < NITEMS(marks); i++) {
		if (strstr(regex, marks[i]) != NULL)
			return true;
	}
	return false;
}

static int compile(struct regex *r, const struct pattern *p, struct err *err)
{
	PCRE2_UCHAR text[256];
	PCRE2_SIZE at;
	int code;

	r->code = pcre2_compile((PCRE2_SPTR)p->text, PCRE2_ZERO_TERMINATED,
				PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &at,
				NULL);
	if (r->code == NULL) {
		pcre2_get_error_message(code, text, sizeof(text));
		err_set(err, ERR_SYNTAX,
			"regular expression '%s': %s (character %zu)", p->text,
			(const char *)text, at + 1);
		return err_at(err, p->at.file, p->at.line, p->at.col);
	}
	/* Where memory may not be executable it works without. */
	pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	r->prunes = !looks_around(p->text);
	return 0;
}

static int compile_all(struct filter *f, struct err *err)
{
	const struct patterns *p = &f->s->watch.exclude_regex;
	size_t i;

	f->regex = xcalloc(p->n + 1, sizeof(*f->regex));
	if (p->n == 0)
		return 0;
	f->match = pcre2_match_data_create(1, NULL);
	f->limits = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(f->limits, MATCH_STEPS);
	for (i = 0; i < p->n; i++) {
		if (compile(&f->regex[i], &p->v[i], err) < 0)
			return -1;
	}
	return 0;
}

struct filter *filter_new(const struct service *s, struct err *err)
{
	struct filter *f = xcalloc(1, sizeof(*f));
	size_t i;

	f->s = s;
	f->include = list_of(&s->watch.include);
	f->exclude = list_of(&s->watch.exclude);
	f->rules = xcalloc(s->n_rules + 1, sizeof(struct ignore *));
	for (i = 0; i < s->n_rules; i++)
		f->rules[i] = list_of(&s->rules[i].match);
	if (compile_all(f, err) < 0) {
		filter_free(f);
		return NULL;
	}
	return f;
}

void filter_free(struct filter *f)
{
	size_t i;

	if (f == NULL)
		return;
	ignore_free(f->include);
	ignore_free(f->exclude);
	for (i = 0; i < f->s->n_rules; i++)
		ignore_free(f->rules[i]);
	free(f->rules);
	for (i = 0; f->regex != NULL && i < f->s->watch.exclude_regex.n; i++)
		pcre2_code_free(f->regex[i].code);
	free(f->regex);
	pcre2_match_data_free(f->match);
	pcre2_match_context_free(f->limits);
	free(f);
}

static bool patterns_equal(const struct patterns *a, const struct patterns *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++) {
		if (strcmp(a->v[i].text, b->v[i].text) != 0)
			return false;
	}
	return true;
}

static bool strv_equal(const char *const *a, const char *const *b)
{
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

bool filter_equal(const struct filter *a, const struct filter *b)
{
	const struct watch *x = &a->s->watch, *y = &b->s->watch;

	return x->gitignore == y->gitignore &&
	       x->follow_symlinks == y->follow_symlinks &&
	       strv_equal(x->ext, y->ext) &&
	       patterns_equal(&x->include, &y->include) &&
	       patterns_equal(&x->exclude, &y->exclude) &&
	       patterns_equal(&x->exclude_regex, &y->exclude_regex);
}

bool filter_wants_gitignore(const struct filter *f)
{
	return f->s->watch.gitignore;
}

bool filter_follows_links(const struct filter *f)
{
	return f->s->watch.follow_symlinks;
}

static void say(struct filter_why *why, const char *what,
		const struct ignore_rule *r)
{
	if (why == NULL)
		return;
	*why = (struct filter_why){ .what = what };
	if (r != NULL) {
		why->pattern = r->text;
		why->file = r->file;
		why->line = r->line;
	}
}

/* The rule by which a list covers a path: itself, or a directory above it. */
static const struct ignore_rule *covers(const struct ignore *ig,
					const char *path, bool is_dir)
{
	const struct ignore_rule *r;
	char part[4096];
	const char *p;
	size_t len;

	if (ignore_count(ig) == 0)
		return NULL;
	for (p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
		len = (size_t)(p - path);
		if (len >= sizeof(part))
			break;
		memcpy(part, path, len);
		part[len] = '\0';
		r = ignore_match(ig, part, true);
		if (r != NULL && !r->negated)
			return r;
	}
	r = ignore_match(ig, path, is_dir);
	return r != NULL && !r->negated ? r : NULL;
}

/* Length of the whole components that a pattern begins with, no wildcard in
 * them, without the last slash. A strong include has such. */
static size_t literal_dirs(const struct ignore_rule *r)
{
	size_t n = r->literal;

	if (!r->anchored || n == r->len)
		return r->anchored ? n : 0;
	while (n > 0 && r->pattern[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* Whether something below this directory may match a strong include. */
static bool leads_to_include(const struct filter *f, const char *path)
{
	size_t len = strlen(path), i, n, common;
	const struct ignore_rule *r;

	for (i = 0; i < ignore_count(f->include); i++) {
		r = ignore_rule(f->include, i);
		n = literal_dirs(r);
		common = n < len ? n : len;
		if (n == 0 || r->negated ||
		    strncmp(r->pattern, path, common) != 0)
			continue;
		if (n == len || (n < len ? path[n] : r->pattern[len]) == '/')
			return true;
	}
	return false;
}

static bool regex_hits(const struct filter *f, size_t i, const char *path,
		       size_t len, uint32_t options)
{
	return pcre2_match(f->regex[i].code, (PCRE2_SPTR)path, len, 0, options,
			   f->match, f->limits) >= 0;
}

/* The expression that excludes the path, or NULL. */
static const struct pattern *by_regex(const struct filter *f, const char *path,
				      bool is_dir)
{
	const struct patterns *p = &f->s->watch.exclude_regex;
	size_t len = strlen(path), i;
	char dir[4096];

	if (p->n == 0 || len + 2 > sizeof(dir))
		return NULL;
	memcpy(dir, path, len);
	dir[len] = '/';
	for (i = 0; i < p->n; i++) {
		if (is_dir ?
			    f->regex[i].prunes && regex_hits(f, i, dir, len + 1,
							     PCRE2_NOTEOL) :
			    regex_hits(f, i, path, len, 0))
			return &p->v[i];
	}
	return NULL;
}

static bool excluded(const struct filter *f, const char *path, bool is_dir,
		     struct filter_why *why)
{
	const struct ignore_rule *r = ignore_match(f->exclude, path, is_dir);
	const struct pattern *p;

	if (r != NULL && !r->negated) {
		say(why, "excluded by", r);
		return true;
	}
	p = by_regex(f, path, is_dir);
	if (p != NULL && why != NULL)
		*why = (struct filter_why){ "excluded by the expression",
					    p->text, p->at.file, p->at.line };
	return p != NULL;
}

static bool never(const char *name, struct filter_why *why)
{
	if (strcmp(name, ".git") != 0 && strcmp(name, ".hr") != 0)
		return false;
	say(why, "never watched", NULL);
	return true;
}

enum filter_dir filter_dir(const struct filter *f, const char *path,
			   const struct ignore_rule *git, bool narrow,
			   struct filter_why *why)
{
	const char *name = path_base(path);
	bool out = narrow;

	if (never(name, why))
		return FILTER_OUT;
	if (strcmp(name, "node_modules") == 0) {
		say(why, "node_modules is watched only where included", NULL);
		out = true;
	} else if (!narrow && excluded(f, path, true, why)) {
		out = true;
	} else if (!narrow && f->s->watch.gitignore && git != NULL &&
		   !git->negated) {
		say(why, "ignored by git:", git);
		out = true;
	}
	if (!out)
		return FILTER_IN;
	return leads_to_include(f, path) ? FILTER_NARROW : FILTER_OUT;
}

/* A name ends so if it ends in a dot and the ending. */
static bool has_ext(const char *name, const char *const *ext)
{
	size_t len = strlen(name), n;

	for (; *ext != NULL; ext++) {
		n = strlen(*ext);
		if (len > n && name[len - n - 1] == '.' &&
		    memcmp(name + len - n, *ext, n) == 0)
			return true;
	}
	return false;
}

bool filter_is_editors(const char *name)
{
	/* clang-format off */
	static const char *const names[] = {
		"*~", ".*.sw[a-px]", ".*.swpx", "4913",	/* vim */
		".#*", "#*#",				/* emacs */
		"*___jb_tmp___", "*___jb_old___",	/* JetBrains */
		".*.kate-swp", ".goutputstream-*",	/* kate, gedit */
		"*.subl*.tmp", ".~lock.*#", NULL };
	/* clang-format on */
	size_t i, len = strlen(name);

	if (len == 0 || (name[0] != '.' && name[0] != '#' && name[0] != '4' &&
			 name[len - 1] != '~' && name[len - 1] != '_' &&
			 name[len - 1] != 'p'))
		return false;
	for (i = 0; names[i] != NULL; i++) {
		if (fnmatch(names[i], name, 0) == 0)
			return true;
	}
	return false;
}

bool filter_file(const struct filter *f, const char *path,
		 const struct ignore_rule *git, bool narrow,
		 struct filter_why *why)
{
	const struct watch *w = &f->s->watch;
	const struct ignore_rule *r = covers(f->include, path, false);
	const char *name = path_base(path);

	if (never(name, why))
		return false;
	if (r != NULL && literal_dirs(r) > 0) {
		say(why, "included by", r);
		return true;
	}
	if (narrow) {
		say(why, "its directory is excluded", NULL);
		return false;
	}
	if (excluded(f, path, false, why))
		return false;
	if (filter_is_editors(name)) {
		say(why, "a name that editors give to temporary files", NULL);
		return false;
	}
	if (r != NULL) {
		say(why, "included by", r);
		return true;
	}
	if (w->gitignore && git != NULL && !git->negated) {
		say(why, "ignored by git:", git);
		return false;
	}
	if (w->ext[0] != NULL && !has_ext(name, w->ext)) {
		say(why, "its ending is not among those of ext", NULL);
		return false;
	}
	say(why, "watched", NULL);
	return true;
}

enum action filter_action(const struct filter *f, const char *path,
			  const struct rule **rule, struct filter_why *why)
{
	const struct ignore_rule *r;
	size_t i;

	for (i = 0; i < f->s->n_rules; i++) {
		r = covers(f->rules[i], path, false);
		if (r == NULL)
			continue;
		say(why, "matches", r);
		*rule = &f->s->rules[i];
		return f->s->rules[i].action;
	}
	say(why, "no rule matches", NULL);
	*rule = NULL;
	return ACTION_RELOAD;
}
