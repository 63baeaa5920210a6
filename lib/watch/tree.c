/* SPDX-License-Identifier: MIT */
/* The tree: its life, its subscriptions, its table of watch descriptors. */
#include "lib/watch/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/watch/filter.h"
#include "lib/watch/ignore.h"
#include "lib/watch/inotify.h"
#include "lib/watch/repo.h"
#include "lib/watch/treeint.h"

#define PATH_MAX_BYTES ((size_t)64 << 10)
#define NAMES_MAX_BYTES ((size_t)1 << 30)
/* Files up to this size are hashed whenever they are looked at. */
#define HASH_NOW_BYTES ((int64_t)256 << 10)
/* Polling may take a 50th of a core, and happens at least so often. */
#define POLL_SHARE 50
#define POLL_SLOWEST_MS 10000
#define POLL_FASTEST_MS 500

struct tree *tree_new(const char *stack_dir, const struct tree_ops *ops,
		      void *data)
{
	struct tree *t = xcalloc(1, sizeof(*t));
	struct err err;

	t->stack_dir = xstrdup(stack_dir);
	t->ops = ops;
	t->data = data;
	t->nodes = nodes_new();
	t->sets = sets_new();
	t->wds_size = 1024;
	t->wds = xcalloc(t->wds_size, sizeof(struct dir *));
	buf_init(&t->path, PATH_MAX_BYTES);
	buf_init(&t->child, PATH_MAX_BYTES);
	buf_init(&t->listing.names, NAMES_MAX_BYTES);
	t->turn = 1;
	t->fd = inotify_open(&err);
	if (t->fd < 0)
		ops->on_degraded(data, stack_dir, err.what,
				 "everything is polled; sudo sysctl "
				 "fs.inotify.max_user_instances=1024");
	return t;
}

static void free_dir_parts(struct dir *d)
{
	struct node *n;

	ignore_free(d->ignore);
	repo_free(d->repo);
	for (n = d->children; n != NULL; n = n->next) {
		if (n->is_dir)
			free_dir_parts(as_dir(n));
	}
}

void tree_free(struct tree *t)
{
	unsigned i;

	if (t == NULL)
		return;
	free_dir_parts(nodes_top(t->nodes));
	for (i = 0; i < t->n_subs; i++)
		free(t->subs[i]);
	fd_close(&t->fd);
	VEC_FREE(&t->todo);
	VEC_FREE(&t->queue);
	VEC_FREE(&t->unhashed);
	VEC_FREE(&t->dirty);
	VEC_FREE(&t->polled);
	VEC_FREE(&t->repos);
	VEC_FREE(&t->listing.v);
	buf_done(&t->listing.names);
	buf_done(&t->path);
	buf_done(&t->child);
	nodes_free(t->nodes);
	sets_free(t->sets);
	free(t->wds);
	free(t->stack_dir);
	free(t);
}

int tree_fd(const struct tree *t)
{
	return t->fd;
}

/* ---- watch descriptors -------------------------------------------------- */

static struct dir **wd_slot(const struct tree *t, int wd)
{
	size_t hash = (size_t)(uint32_t)wd * 2654435761u;

	return &t->wds[hash & (t->wds_size - 1)];
}

struct dir *tree_by_wd(const struct tree *t, int wd)
{
	struct dir *d = *wd_slot(t, wd);

	while (d != NULL && d->wd != wd)
		d = d->wd_chain;
	return d;
}

static void wds_grow(struct tree *t)
{
	size_t old_size = t->wds_size, i;
	struct dir **old = t->wds, *d, *next, **slot;

	t->wds_size *= 2;
	t->wds = xcalloc(t->wds_size, sizeof(struct dir *));
	for (i = 0; i < old_size; i++) {
		for (d = old[i]; d != NULL; d = next) {
			next = d->wd_chain;
			slot = wd_slot(t, d->wd);
			d->wd_chain = *slot;
			*slot = d;
		}
	}
	free(old);
}

/* Two names of one directory share a descriptor: the chain holds both. */
void tree_map_wd(struct tree *t, struct dir *d, int wd)
{
	struct dir **slot;

	if (d->wd == wd)
		return;
	tree_unmap_wd(t, d);
	if (t->n_wds >= t->wds_size)
		wds_grow(t);
	d->wd = wd;
	slot = wd_slot(t, wd);
	d->wd_chain = *slot;
	*slot = d;
	t->n_wds++;
}

void tree_unmap_wd(struct tree *t, struct dir *d)
{
	struct dir **p;
	int wd = d->wd;

	if (wd < 0)
		return;
	for (p = wd_slot(t, wd); *p != d; p = &(*p)->wd_chain)
		;
	*p = d->wd_chain;
	d->wd = -1;
	t->n_wds--;
	if (tree_by_wd(t, wd) == NULL)
		inotify_unwatch(t->fd, wd);
}

/* ---- holding nodes ------------------------------------------------------ */

void dir_hold(struct dir *d)
{
	d->node.refs++;
}

void dir_free_if_idle(struct tree *t, struct dir *d)
{
	struct dir *parent;

	while (d->node.refs == 0 && d->node.parent != NULL &&
	       (d->flags & (DIR_LIVE | DIR_ROOT | DIR_WAY | DIR_GITDIR)) == 0) {
		parent = d->node.parent;
		tree_unmap_wd(t, d);
		ignore_free(d->ignore);
		node_free(t->nodes, &d->node);
		d = parent;
	}
}

void dir_release(struct tree *t, struct dir *d)
{
	d->node.refs--;
	dir_free_if_idle(t, d);
}

void tree_hold(struct file *f)
{
	f->node.refs++;
}

void tree_release(struct tree *t, struct file *f)
{
	struct dir *parent = f->node.parent;

	if (--f->node.refs > 0)
		return;
	if (f->node.set != 0 && f->stamp.kind != STAMP_NONE &&
	    ((parent->flags & (DIR_LIVE | DIR_HOT)) != 0))
		return;
	node_free(t->nodes, &f->node);
	dir_free_if_idle(t, parent);
}

/* ---- subscriptions ------------------------------------------------------ */

/* Equal filters share their verdicts. */
static unsigned kind_of(const struct tree *t, const struct filter *filter,
			unsigned slot)
{
	unsigned i;

	for (i = 0; i < t->n_subs; i++) {
		if (i != slot && t->subs[i] != NULL &&
		    filter_equal(t->subs[i]->filter, filter))
			return t->subs[i]->kind;
	}
	/* A number that nobody uses: there are as many as slots. */
	for (slot = 0; slot < SETS_SLOTS; slot++) {
		for (i = 0; i < t->n_subs; i++) {
			if (t->subs[i] != NULL && t->subs[i]->kind == slot)
				break;
		}
		if (i == t->n_subs)
			return slot;
	}
	return 0;
}

int tree_add(struct tree *t, const struct filter *filter, const struct watch *w,
	     int64_t since_real_us)
{
	struct sub *s;
	unsigned slot;

	for (slot = 0; slot < t->n_subs && t->subs[slot] != NULL; slot++)
		;
	if (slot == SETS_SLOTS)
		return -1;
	s = xcalloc(1, sizeof(*s));
	s->filter = filter;
	s->w = w;
	s->kind = kind_of(t, filter, slot);
	s->since_ns = since_real_us * 1000;
	t->subs[slot] = s;
	if (slot == t->n_subs)
		t->n_subs++;
	return (int)slot;
}

void tree_arm(struct tree *t)
{
	unsigned i;

	for (i = 0; i < t->n_subs; i++) {
		if (t->subs[i] != NULL && !t->subs[i]->armed)
			roots_place(t, i, SCAN_ARM);
	}
	scan_run(t);
	for (i = 0; i < t->n_subs; i++) {
		if (t->subs[i] != NULL) {
			t->subs[i]->armed = true;
			t->subs[i]->since_ns = 0;
		}
	}
	events_finish(t);
}

static uint32_t without(struct tree *t, uint32_t id, unsigned slot)
{
	struct set set = *sets_get(t->sets, id);

	if (!set_has(&set, slot))
		return id;
	set_del(&set, slot);
	return sets_id(t->sets, &set);
}

static void remove_below(struct tree *t, struct dir *d, unsigned slot)
{
	struct node *n, *next;

	dir_hold(d);
	for (n = d->children; n != NULL; n = next) {
		next = n->next;
		if (n->is_dir) {
			remove_below(t, as_dir(n), slot);
			continue;
		}
		n->set = without(t, n->set, slot);
		tree_hold(as_file(n));
		tree_release(t, as_file(n));
	}
	d->roots = without(t, d->roots, slot);
	if (d->roots == 0)
		d->flags &= ~(uint32_t)DIR_ROOT;
	d->narrow = without(t, d->narrow, slot);
	if (d->node.set != 0) {
		d->node.set = without(t, d->node.set, slot);
		if (d->node.set == 0)
			scan_drop(t, d);
	}
	dir_release(t, d);
}

void tree_remove(struct tree *t, unsigned slot)
{
	remove_below(t, nodes_top(t->nodes), slot);
	free(t->subs[slot]);
	t->subs[slot] = NULL;
}

static uint32_t count_below(const struct tree *t, struct dir *d, unsigned slot)
{
	uint32_t count = (d->flags & DIR_LIVE) != 0 &&
			 set_has(sets_get(t->sets, d->node.set), slot);
	struct node *n;

	for (n = d->children; n != NULL; n = n->next) {
		if (n->is_dir)
			count += count_below(t, as_dir(n), slot);
	}
	return count;
}

uint32_t tree_count(const struct tree *t, unsigned slot)
{
	return count_below(t, nodes_top(t->nodes), slot);
}

/* ---- files -------------------------------------------------------------- */

static void touch_as(struct tree *t, struct file *f, const struct stamp *before,
		     enum change_kind kind)
{
	struct set in = *sets_get(t->sets, f->node.set);

	SET_EACH(slot, &in)
	t->ops->on_touch(t->data, (unsigned)slot, f, before, kind);
}

void tree_touch(struct tree *t, struct file *f, enum change_kind kind)
{
	struct stamp before = f->stamp;

	if (f->tentative)
		before = (struct stamp){ .kind = STAMP_UNKNOWN };
	touch_as(t, f, &before, kind);
}

/* What is only size-equal needs its content; small files get it always. */
static void hash_if_needed(struct tree *t, struct file *f,
			   const struct stamp *want, const char *path)
{
	bool need = want->hashed && want->size == f->stamp.size &&
		    !stamp_is_still(want, &f->stamp);

	if (f->stamp.hashed)
		return;
	if (need || f->stamp.size <= HASH_NOW_BYTES)
		stamp_hash(&f->stamp, path, f->node.follows);
	else if (f->stamp.kind == STAMP_FILE)
		index_file(t, f);
}

void tree_refresh(struct tree *t, struct file *f, const struct stamp *want)
{
	struct stamp before = f->stamp, now;
	const char *path;

	if (f->turn != t->turn) {
		f->turn = t->turn;
		path = node_path(&f->node, &t->path);
		stamp_take(&now, path, f->node.follows);
		if (!stamp_is_still(&f->stamp, &now)) {
			f->stamp = now;
			f->tentative = false;
		}
	} else if (f->stamp.hashed) {
		return;
	}
	path = node_path(&f->node, &t->path);
	hash_if_needed(t, f, want, path);
	if (before.kind != STAMP_UNKNOWN &&
	    !verdict_is_same(stamp_compare(&before, &f->stamp)))
		touch_as(t, f, &before, CHANGE_FOUND);
}

const struct stamp *tree_stamp(const struct file *f)
{
	return &f->stamp;
}

bool tree_is_unfinished(const struct file *f)
{
	return f->unfinished;
}

const char *tree_path(struct tree *t, const struct file *f)
{
	return path_relative(node_path(&f->node, &t->path), t->stack_dir);
}

const char *tree_match_path(struct tree *t, const struct file *f)
{
	return tree_pattern_path(t, node_path(&f->node, &t->path));
}

/* ---- polling, comparing ------------------------------------------------- */

void tree_rescan(struct tree *t)
{
	t->overflow = true;
	events_finish(t);
}

void tree_poll(struct tree *t)
{
	int64_t began = clock_mono_us();
	struct dir *d;
	size_t i, kept = 0;

	t->turn++;
	for (i = 0; i < t->polled.n; i++) {
		d = t->polled.v[i];
		if ((d->flags & DIR_LIVE) != 0)
			scan_push(t, d, SCAN_COMPARE);
	}
	scan_run(t);
	for (i = 0; i < t->polled.n; i++) {
		d = t->polled.v[i];
		if ((d->flags & DIR_LIVE) != 0) {
			t->polled.v[kept++] = d;
			continue;
		}
		d->flags &= ~(uint32_t)DIR_POLLED;
		dir_release(t, d);
	}
	t->polled.n = kept;
	roots_recheck(t);
	scan_run(t);
	t->poll_cost_us = clock_mono_us() - began;
	events_finish(t);
}

int64_t tree_poll_ms(const struct tree *t)
{
	int64_t ms = t->poll_cost_us * POLL_SHARE / 1000, asked = 0;
	unsigned i;

	for (i = 0; i < t->n_subs; i++) {
		const struct watch *w = t->subs[i] ? t->subs[i]->w : NULL;

		if (w != NULL && w->poll == POLL_ALWAYS && w->poll_ms > 0 &&
		    (asked == 0 || w->poll_ms < asked))
			asked = w->poll_ms;
	}
	if (t->polled.n == 0 && t->fd >= 0)
		return 0;
	if (asked != 0)
		return asked;
	ms = ms < POLL_FASTEST_MS ? POLL_FASTEST_MS : ms;
	return ms < POLL_SLOWEST_MS ? ms : POLL_SLOWEST_MS;
}

bool tree_git_lock(struct tree *t)
{
	size_t i;

	t->git_locked = false;
	for (i = 0; i < t->repos.n; i++)
		t->git_locked |= repo_look_lock(t->repos.v[i]->repo);
	return t->git_locked;
}

size_t tree_n_dirs(const struct tree *t)
{
	return nodes_dirs(t->nodes);
}

size_t tree_n_files(const struct tree *t)
{
	return nodes_files(t->nodes);
}
