/* SPDX-License-Identifier: MIT */
/* Touched files, and what is left of them when one looks. */
#include "lib/watch/batch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/watch/baseline.h"
#include "lib/watch/filter.h"
#include "lib/watch/tree.h"

struct item {
	struct file *file; /* held */
	struct stamp before;
};

struct batch {
	struct tree *tree;
	VEC(struct item) items;
	uint32_t *table; /* of indices + 1, by file */
	size_t size;	 /* power of two */
	VEC(char *) forced;
};

struct batch *batch_new(struct tree *tree)
{
	struct batch *b = xcalloc(1, sizeof(*b));

	b->tree = tree;
	return b;
}

static void clear(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->items.n; i++)
		tree_release(b->tree, b->items.v[i].file);
	for (i = 0; i < b->forced.n; i++)
		free(b->forced.v[i]);
	VEC_FREE(&b->items);
	VEC_FREE(&b->forced);
	free(b->table);
	b->table = NULL;
	b->size = 0;
}

void batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	clear(b);
	free(b);
}

static uint32_t *slot_of(const struct batch *b, const struct file *f)
{
	size_t i = ((uintptr_t)f >> 4) * 2654435761u;

	for (i &= b->size - 1;
	     b->table[i] != 0 && b->items.v[b->table[i] - 1].file != f;
	     i = (i + 1) & (b->size - 1))
		;
	return &b->table[i];
}

static void grow(struct batch *b)
{
	size_t i;

	b->size = b->size != 0 ? b->size * 4 : 64;
	free(b->table);
	b->table = xcalloc(b->size, sizeof(*b->table));
	for (i = 0; i < b->items.n; i++)
		*slot_of(b, b->items.v[i].file) = (uint32_t)i + 1;
}

bool batch_add(struct batch *b, struct file *f, const struct stamp *before)
{
	struct item item = { f, *before };
	uint32_t *slot;

	if (b->items.n * 2 >= b->size)
		grow(b);
	slot = slot_of(b, f);
	if (*slot != 0)
		return false;
	tree_hold(f);
	VEC_PUSH(&b->items, item);
	*slot = (uint32_t)b->items.n;
	return true;
}

void batch_force(struct batch *b, const char *path)
{
	size_t i;

	for (i = 0; i < b->forced.n; i++) {
		if (strcmp(b->forced.v[i], path) == 0)
			return;
	}
	if (b->forced.n < BATCH_NAMED)
		VEC_PUSH(&b->forced, xstrdup(path));
}

bool batch_is_empty(const struct batch *b)
{
	return b->items.n == 0 && b->forced.n == 0;
}

bool batch_is_unfinished(const struct batch *b)
{
	size_t i;

	for (i = 0; i < b->items.n; i++) {
		if (tree_is_unfinished(b->items.v[i].file))
			return true;
	}
	return false;
}

void batch_move(struct batch *to, struct batch *from)
{
	size_t i;

	for (i = 0; i < from->items.n; i++)
		batch_add(to, from->items.v[i].file, &from->items.v[i].before);
	for (i = 0; i < from->forced.n; i++)
		batch_force(to, from->forced.v[i]);
	clear(from);
}

/* ---- settling ----------------------------------------------------------- */

struct settle {
	struct batch *batch;
	const struct filter *filter;
	struct outcome *out;
	VEC(char *) paths;
};

/* match: the path as patterns see it. */
static void add_change(struct settle *s, const char *path, const char *match)
{
	const struct rule *rule;
	enum action action = filter_action(s->filter, match, &rule, NULL);

	if (s->out->total == 0 || action > s->out->action) {
		s->out->action = action;
		s->out->rule = rule != NULL ? rule->name : "";
	}
	s->out->total++;
	if (s->paths.n < BATCH_NAMED)
		VEC_PUSH(&s->paths, xstrdup(path));
}

static enum verdict judge(struct settle *s, struct item *item)
{
	struct tree *t = s->batch->tree;

	tree_refresh(t, item->file, &item->before);
	return stamp_compare(&item->before, tree_stamp(item->file));
}

static void settle_one(struct settle *s, struct item *item, bool counts,
		       batch_ignored_fn *ignored, void *data)
{
	struct tree *t = s->batch->tree;
	enum verdict v = judge(s, item);
	char *path;

	if (verdict_is_same(v) &&
	    (!counts || v == SAME_ABSENT || v == SAME_KIND)) {
		ignored(data, tree_path(t, item->file), verdict_why(v));
		return;
	}
	path = xstrdup(tree_path(t, item->file));
	add_change(s, path, tree_match_path(t, item->file));
	free(path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void batch_settle(struct batch *b, const struct filter *filter,
		  bool unchanged_counts, batch_ignored_fn *ignored, void *data,
		  struct outcome *out)
{
	struct settle s = { .batch = b, .filter = filter, .out = out };
	size_t i;

	*out = (struct outcome){ .rule = "", .action = ACTION_NOTHING };
	/* A look may tell others, but never adds to this batch: what it
	 * finds is in it. */
	for (i = 0; i < b->items.n; i++)
		settle_one(&s, &b->items.v[i], unchanged_counts, ignored, data);
	for (i = 0; i < b->forced.n; i++)
		add_change(&s, b->forced.v[i],
			   b->forced.v[i] + (b->forced.v[i][0] == '/'));
	if (s.paths.n > 0)
		qsort(s.paths.v, s.paths.n, sizeof(char *), by_name);
	VEC_PUSH(&s.paths, NULL);
	out->paths = s.paths.v;
	clear(b);
}

void outcome_done(struct outcome *out)
{
	char **p;

	for (p = out->paths; p != NULL && *p != NULL; p++)
		free(*p);
	free(out->paths);
	out->paths = NULL;
}
