/* SPDX-License-Identifier: MIT */
/* Who wants a path: filters asked once for each kind, git's lists once. */
#include <string.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/watch/filter.h"
#include "lib/watch/ignore.h"
#include "lib/watch/repo.h"
#include "lib/watch/treeint.h"

const char *tree_pattern_path(const struct tree *t, const char *abs)
{
	const char *rel = path_relative(abs, t->stack_dir);

	return rel[0] == '/' ? rel + 1 : rel;
}

/* Deepest list first; info/exclude and core.excludesFile at the repository's
 * root, which ends it: what lies above is none of git's business. */
const struct ignore_rule *tree_git_rule(const struct dir *parent,
					const char *abs, bool is_dir)
{
	const struct ignore_rule *r = NULL;
	const struct dir *d;
	const char *rel;

	for (d = parent; d != NULL && r == NULL; d = d->node.parent) {
		rel = abs + d->path_len + 1;
		r = ignore_match(d->ignore, rel, is_dir);
		if (d->repo == NULL)
			continue;
		if (r == NULL)
			r = ignore_match(d->repo->info, rel, is_dir);
		if (r == NULL)
			r = ignore_match(d->repo->excludes, rel, is_dir);
		break;
	}
	return r;
}

struct question {
	struct tree *t;
	const struct dir *parent;
	const char *abs;
	const char *path;
	const struct ignore_rule *git;
	bool git_known;
	bool is_dir;
};

static uint8_t ask(struct question *q, const struct sub *s, bool narrow)
{
	if (!q->git_known && filter_wants_gitignore(s->filter)) {
		q->git = tree_git_rule(q->parent, q->abs, q->is_dir);
		q->git_known = true;
	}
	if (q->is_dir)
		return (uint8_t)filter_dir(s->filter, q->path, q->git, narrow,
					   NULL);
	return filter_file(s->filter, q->path, q->git, narrow, NULL) ?
		       FILTER_IN :
		       FILTER_OUT;
}

static uint8_t ask_once(struct question *q, unsigned slot, bool narrow)
{
	const struct sub *s = q->t->subs[slot];
	unsigned i = s->kind * 2 + narrow;

	if (q->t->memo_at[i] != q->t->memo_turn) {
		q->t->memo[i] = ask(q, s, narrow);
		q->t->memo_at[i] = q->t->memo_turn;
	}
	return q->t->memo[i];
}

static void question_init(struct question *q, struct tree *t,
			  const struct dir *parent, const char *abs,
			  bool is_dir)
{
	*q = (struct question){ .t = t,
				.parent = parent,
				.abs = abs,
				.path = tree_pattern_path(t, abs),
				.is_dir = is_dir };
	if (++t->memo_turn == 0) {
		memset(t->memo_at, 0, sizeof(t->memo_at));
		t->memo_turn = 1;
	}
}

struct interest tree_dir_interest(struct tree *t, const struct dir *parent,
				  const struct dir *d, const char *abs,
				  bool link)
{
	struct set up = *sets_get(t->sets, parent->node.set);
	struct set narrow_up = *sets_get(t->sets, parent->narrow);
	struct set in = { { 0 } }, narrow = { { 0 } };
	struct question q;
	uint8_t v;

	question_init(&q, t, parent, abs, true);
	SET_EACH(slot, &up)
	{
		unsigned s = (unsigned)slot;

		if (link && !filter_follows_links(t->subs[s]->filter))
			continue;
		v = ask_once(&q, s, set_has(&narrow_up, s));
		if (v != FILTER_OUT)
			set_add(&in, s);
		if (v == FILTER_NARROW)
			set_add(&narrow, s);
	}
	if (d != NULL && d->roots != 0) {
		const struct set *roots = sets_get(t->sets, d->roots);

		SET_EACH(slot, roots) set_del(&narrow, (unsigned)slot);
		set_join(&in, roots);
	}
	return (struct interest){ sets_id(t->sets, &in),
				  sets_id(t->sets, &narrow) };
}

static void add_file_roots(struct tree *t, const char *abs, struct set *in)
{
	unsigned i;

	for (i = 0; i < t->n_subs; i++) {
		if (t->subs[i] != NULL && strv_has(t->subs[i]->w->dirs, abs))
			set_add(in, i);
	}
}

uint32_t tree_file_interest(struct tree *t, const struct dir *parent,
			    const char *abs)
{
	const struct set *up = sets_get(t->sets, parent->node.set);
	const struct set *narrow = sets_get(t->sets, parent->narrow);
	struct set in = { { 0 } };
	struct question q;

	if (parent->node.set != 0) {
		question_init(&q, t, parent, abs, false);
		SET_EACH(slot, up)
		{
			unsigned s = (unsigned)slot;

			if (ask_once(&q, s, set_has(narrow, s)) != FILTER_OUT)
				set_add(&in, s);
		}
	}
	if ((parent->flags & DIR_HOT) != 0)
		add_file_roots(t, abs, &in);
	return sets_id(t->sets, &in);
}
