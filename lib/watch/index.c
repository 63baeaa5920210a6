/* SPDX-License-Identifier: MIT */
/*
 * Recording what files are, behind the arming: a directory's names, then stat
 * and hash of each file, a millisecond at a time.
 *
 * What was read may be newer than events that wait unread; until those have
 * been read too it is tentative, and a file touched meanwhile is taken as
 * unknown before.
 */
#include <dirent.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/watch/inotify.h"
#include "lib/watch/treeint.h"

#define SLICE_US 1000

void index_dir(struct tree *t, struct dir *d)
{
	if ((d->flags & DIR_QUEUED) != 0)
		return;
	d->flags |= DIR_QUEUED;
	dir_hold(d);
	VEC_PUSH(&t->queue, d);
}

void index_file(struct tree *t, struct file *f)
{
	tree_hold(f);
	VEC_PUSH(&t->unhashed, f);
}

/* Events that happened before now are dealt with. */
static void catch_up(struct tree *t)
{
	if (t->fd >= 0 && inotify_is_pending(t->fd))
		tree_drain(t);
}

static void index_name(struct tree *t, struct dir *d, const char *name)
{
	struct file *f = file_find(t->nodes, d, name);
	uint32_t set;

	if (f == NULL) {
		node_path(&d->node, &t->child);
		t->child.len = d->path_len;
		buf_add_char(&t->child, '/');
		buf_add_str(&t->child, name);
		set = tree_file_interest(t, d, buf_str(&t->child));
		if (set == 0)
			return;
		f = file_get(t->nodes, d, name);
		f->node.set = set;
	}
	if (f->stamp.kind == STAMP_UNKNOWN || !f->stamp.hashed)
		index_file(t, f);
}

static void list_one(struct tree *t, struct dir *d)
{
	int64_t ctime_ns;
	size_t i;

	if ((d->flags & DIR_LIVE) == 0 ||
	    scan_list(t, d, node_path(&d->node, &t->path), &ctime_ns) < 0)
		return;
	for (i = 0; i < t->listing.v.n; i++) {
		const struct entry *e = &t->listing.v.v[i];

		if (e->type != DT_DIR)
			index_name(t, d, t->listing.names.data + e->name);
	}
	/* A name that is not recorded now did not exist: but only once what
	 * happened until now is known. */
	catch_up(t);
	if ((d->flags & DIR_LIVE) != 0)
		d->flags |= DIR_LISTED;
}

static void record(struct tree *t, struct file *f)
{
	const char *path = node_path(&f->node, &t->path);
	struct stamp now;

	if (f->stamp.kind == STAMP_UNKNOWN) {
		stamp_take(&now, path, f->node.follows);
		if (now.kind == STAMP_NONE)
			return; /* its removal will be told */
		f->stamp = now;
	}
	f->tentative = true;
	stamp_hash(&f->stamp, path, f->node.follows);
}

/* Returns whether there was anything. */
static bool record_slice(struct tree *t)
{
	int64_t end = clock_mono_us() + SLICE_US;
	VEC(struct file *) done = { 0 };
	size_t i;

	while (t->unhashed.n > 0) {
		struct file *f = t->unhashed.v[--t->unhashed.n];

		record(t, f);
		VEC_PUSH(&done, f);
		if (clock_mono_us() >= end)
			break;
	}
	catch_up(t);
	for (i = 0; i < done.n; i++) {
		done.v[i]->tentative = false;
		tree_release(t, done.v[i]);
	}
	i = done.n;
	VEC_FREE(&done);
	return i > 0;
}

bool tree_index(struct tree *t)
{
	struct dir *d;

	if (record_slice(t))
		return true;
	if (t->queue.n == 0)
		return false;
	d = t->queue.v[--t->queue.n];
	d->flags &= ~(uint32_t)DIR_QUEUED;
	list_one(t, d);
	dir_release(t, d);
	return true;
}
