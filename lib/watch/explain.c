/* SPDX-License-Identifier: MIT */
/* The watcher's decision about one path, taken anew and put into words. */
#include "lib/watch/explain.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/watch/filter.h"
#include "lib/watch/ignore.h"
#include "lib/watch/repo.h"

/* The ignore lists from the repository's root down to the path. */
struct lists {
	VEC(struct ignore *) v;
	VEC(size_t) base; /* length of each one's directory */
	struct repo *repo;
	size_t repo_len;
};

static void lists_add(struct lists *l, const char *dir, size_t len)
{
	char file[PATH_MAX + 16];

	snprintf(file, sizeof(file), "%.*s/.gitignore", (int)len, dir);
	VEC_PUSH(&l->v, repo_read_list(file, false));
	VEC_PUSH(&l->base, len);
}

/* len: of a directory above path. A repository begins anew. */
static void lists_enter(struct lists *l, const char *path, size_t len)
{
	char *dir = xstrndup(path, len > 0 ? len : 1);
	struct repo *repo = repo_open(dir);
	size_t i;

	if (repo != NULL) {
		repo_free(l->repo);
		l->repo = repo;
		l->repo_len = len;
		for (i = 0; i < l->v.n; i++)
			ignore_free(l->v.v[i]);
		l->v.n = l->base.n = 0;
	}
	free(dir);
	lists_add(l, path, len);
}

static void lists_free(struct lists *l)
{
	size_t i;

	for (i = 0; i < l->v.n; i++)
		ignore_free(l->v.v[i]);
	VEC_FREE(&l->v);
	VEC_FREE(&l->base);
	repo_free(l->repo);
}

static const struct ignore_rule *lists_ask(const struct lists *l,
					   const char *path, bool is_dir)
{
	const struct ignore_rule *r = NULL;
	size_t i;

	for (i = l->v.n; i-- > 0 && r == NULL;)
		r = ignore_match(l->v.v[i], path + l->base.v[i] + 1, is_dir);
	if (r == NULL && l->repo != NULL) {
		path += l->repo_len + 1;
		r = ignore_match(l->repo->info, path, is_dir);
		if (r == NULL)
			r = ignore_match(l->repo->excludes, path, is_dir);
	}
	return r;
}

static void put_why(char *out, size_t size, const struct filter_why *why)
{
	if (why->pattern == NULL)
		snprintf(out, size, "%s", why->what);
	else if (why->file == NULL)
		snprintf(out, size, "%s %s", why->what, why->pattern);
	else
		snprintf(out, size, "%s %s (%s:%d)", why->what, why->pattern,
			 why->file, why->line);
}

static const char *pattern_path(const char *stack_dir, const char *path)
{
	const char *rel = path_relative(path, stack_dir);

	return rel[0] == '/' ? rel + 1 : rel;
}

/* The longest of the watched paths that path lies in, or NULL. */
static const char *root_of(const struct service *s, const char *path)
{
	const char *const *dir, *best = NULL;

	for (dir = s->watch.dirs; *dir != NULL; dir++) {
		if (path_is_below(path, *dir) &&
		    (best == NULL || strlen(*dir) > strlen(best)))
			best = *dir;
	}
	return best;
}

struct question {
	const struct filter *filter;
	const char *stack_dir;
	const char *path;
	struct lists lists;
	bool narrow;
	struct filter_why why;
};

/* Each directory below the root on the way; false: it ends at out->at. */
static bool walk(struct question *q, size_t root_len, struct explanation *out)
{
	char part[PATH_MAX];
	const char *p;
	size_t len;

	for (p = strchr(q->path, '/'); p != NULL; p = strchr(p + 1, '/')) {
		enum filter_dir v;

		len = (size_t)(p - q->path);
		if (len >= sizeof(part))
			return false;
		snprintf(part, sizeof(part), "%.*s", (int)len, q->path);
		if (len > root_len) {
			v = filter_dir(q->filter,
				       pattern_path(q->stack_dir, part),
				       lists_ask(&q->lists, part, true),
				       q->narrow, &q->why);
			snprintf(out->at, sizeof(out->at), "%s",
				 path_relative(part, q->stack_dir));
			if (v == FILTER_OUT)
				return false;
			q->narrow = v == FILTER_NARROW;
		}
		lists_enter(&q->lists, q->path, len);
	}
	out->at[0] = '\0';
	return true;
}

static void decide(struct question *q, const struct service *s,
		   struct explanation *out)
{
	const char *root = root_of(s, q->path), *rel;
	const struct rule *rule;
	struct stat st;
	bool is_dir = lstat(q->path, &st) == 0 && S_ISDIR(st.st_mode);

	q->why.what = "outside of its watched directories";
	if (root == NULL)
		return;
	rel = pattern_path(q->stack_dir, q->path);
	if (str_eq(root, q->path)) {
		q->why.what = is_dir ? "a watched directory: what is in it "
				       "triggers" :
				       "named in dirs";
		out->triggers = !is_dir;
	} else if (!walk(q, strlen(root), out)) {
		return;
	} else if (is_dir) {
		bool in = filter_dir(q->filter, rel,
				     lists_ask(&q->lists, q->path, true),
				     q->narrow, &q->why) != FILTER_OUT;

		if (in)
			q->why.what = "watched: what is in it may trigger";
		return;
	} else {
		out->triggers = filter_file(
			q->filter, rel, lists_ask(&q->lists, q->path, false),
			q->narrow, &q->why);
	}
	if (!out->triggers)
		return;
	put_why(out->why, sizeof(out->why), &q->why);
	out->action = filter_action(q->filter, rel, &rule, &q->why);
	put_why(out->rule_why, sizeof(out->rule_why), &q->why);
	snprintf(out->rule, sizeof(out->rule), "%s",
		 rule != NULL ? rule->name : "");
}

int explain_path(const char *stack_dir, const struct service *s,
		 const char *path, struct explanation *out, struct err *err)
{
	struct filter *f = filter_new(s, err);
	struct question q = { .filter = f,
			      .stack_dir = stack_dir,
			      .path = path };

	memset(out, 0, sizeof(*out));
	if (f == NULL)
		return -1;
	decide(&q, s, out);
	if (!out->triggers)
		put_why(out->why, sizeof(out->why), &q.why);
	lists_free(&q.lists);
	filter_free(f);
	return 0;
}
