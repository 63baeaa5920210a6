/* SPDX-License-Identifier: MIT */
/*
 * Watched directories and files by their paths: the way to each is watched
 * from "/" down, so that one that is missing is found when it comes, and one
 * whose path leads elsewhere now is noticed.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/watch/ignore.h"
#include "lib/watch/repo.h"
#include "lib/watch/treeint.h"

/* ---- the way to a root -------------------------------------------------- */

/* Names in it matter. Watched in full, then the caller looks again. */
static void make_hot(struct tree *t, struct dir *d)
{
	d->flags |= DIR_HOT | DIR_WAY;
	scan_watch(t, d, node_path(&d->node, &t->path), true);
}

static void make_way(struct tree *t, struct dir *d, const struct stat *st)
{
	bool other = d->ino != st->st_ino || d->dev != st->st_dev;

	d->flags |= DIR_WAY;
	if (d->wd >= 0 && !other)
		return;
	if ((d->flags & DIR_LIVE) == 0) {
		tree_unmap_wd(t, d);
		d->ino = st->st_ino;
		d->dev = st->st_dev;
	}
	scan_watch(t, d, node_path(&d->node, &t->path),
		   (d->flags & DIR_HOT) != 0);
}

static void place_dir(struct tree *t, unsigned slot, struct dir *d,
		      enum scan_mode mode)
{
	struct set roots = *sets_get(t->sets, d->roots);
	struct set set = *sets_get(t->sets, d->node.set);
	struct stat st;

	if ((d->flags & DIR_LIVE) != 0 && set_has(&roots, slot)) {
		if (stat(node_path(&d->node, &t->path), &st) == 0 &&
		    d->ino == st.st_ino && d->dev == st.st_dev)
			return;
		scan_gone(t, d);
	}
	set_add(&roots, slot);
	set_add(&set, slot);
	d->flags |= DIR_ROOT | DIR_WAY;
	d->roots = sets_id(t->sets, &roots);
	d->node.set = sets_id(t->sets, &set);
	d->narrow = 0;
	roots_find_repo(t, d);
	scan_push(t, d, mode);
}

static void touch_if_other(struct tree *t, struct file *f)
{
	struct stamp now;

	stamp_take(&now, node_path(&f->node, &t->path), f->node.follows);
	if (!stamp_is_still(&f->stamp, &now))
		tree_touch(t, f, CHANGE_SAVED);
}

static void place_file(struct tree *t, unsigned slot, struct dir *d,
		       const char *name, enum scan_mode mode)
{
	struct file *f = file_find(t->nodes, d, name);
	struct set set = { { 0 } };

	make_hot(t, d);
	if (f == NULL) {
		f = file_get(t->nodes, d, name);
		f->stamp.kind = mode == SCAN_ARM ? STAMP_UNKNOWN : STAMP_NONE;
	} else {
		set = *sets_get(t->sets, f->node.set);
	}
	if (!set_has(&set, slot)) {
		set_add(&set, slot);
		f->node.set = sets_id(t->sets, &set);
	}
	if (mode == SCAN_ARM && t->subs[slot]->since_ns != 0)
		scan_since_file(t, f, node_path(&f->node, &t->path));
	if (mode == SCAN_ARM)
		index_file(t, f);
	else
		touch_if_other(t, f);
}

/* One component of the way. Returns the directory it leads to, or NULL if the
 * way ends there. */
static struct dir *step(struct tree *t, unsigned slot, struct dir *d,
			const char *name, bool last, enum scan_mode mode)
{
	char path[PATH_MAX];
	struct stat st, target;
	int tries;

	node_path(&d->node, &t->path);
	if (d->path_len == 0)
		buf_clear(&t->path);
	if (buf_addf(&t->path, "/%s", name) < 0 || t->path.len >= PATH_MAX)
		return NULL;
	memcpy(path, t->path.data, t->path.len + 1);
	for (tries = 0; lstat(path, &st) < 0; tries++) {
		if (tries == 1)
			return NULL;
		make_hot(t, d);
	}
	if (S_ISLNK(st.st_mode))
		make_hot(t, d);
	if (stat(path, &target) == 0 && S_ISDIR(target.st_mode)) {
		struct dir *next = dir_get(t->nodes, d, name);

		if (!last)
			make_way(t, next, &target);
		return next;
	}
	make_hot(t, d);
	if (last)
		place_file(t, slot, d, name, mode);
	return NULL;
}

/* The way to a root ends early: what was known there is gone. */
static void lose(struct tree *t, const char *root)
{
	struct dir *d = nodes_top(t->nodes), *next;
	char *copy = xstrdup(root), *rest = copy, *name;
	struct file *f = NULL;

	while (d != NULL && f == NULL && (name = strsep(&rest, "/")) != NULL) {
		if (name[0] == '\0')
			continue;
		next = dir_find(t->nodes, d, name);
		f = file_find(t->nodes, d, name);
		d = next;
	}
	free(copy);
	if (d != NULL && (d->flags & DIR_LIVE) != 0)
		scan_gone(t, d);
	else if (f != NULL && f->stamp.kind != STAMP_NONE)
		touch_if_other(t, f);
}

static void place(struct tree *t, unsigned slot, const char *root,
		  enum scan_mode mode)
{
	struct dir *d = nodes_top(t->nodes);
	char *copy = xstrdup(root), *rest = copy, *name;
	bool last = false;

	d->flags |= DIR_WAY;
	while (d != NULL && (name = strsep(&rest, "/")) != NULL) {
		if (name[0] == '\0')
			continue;
		last = rest == NULL || rest[0] == '\0';
		d = step(t, slot, d, name, last, mode);
	}
	free(copy);
	if (d != NULL)
		place_dir(t, slot, d, mode);
	else if (mode != SCAN_ARM)
		lose(t, root);
}

/* Roots inside of others first have to be known as roots: then the walk from
 * above does not prune them. */
void roots_place(struct tree *t, unsigned slot, enum scan_mode mode)
{
	const char *const *dir;

	for (dir = t->subs[slot]->w->dirs; *dir != NULL; dir++)
		place(t, slot, *dir, mode);
}

void roots_recheck(struct tree *t)
{
	unsigned i;

	t->recheck = false;
	for (i = 0; i < t->n_subs; i++) {
		if (t->subs[i] != NULL && t->subs[i]->armed)
			roots_place(t, i, SCAN_NEW);
	}
}

bool roots_concern(const struct tree *t, const char *abs)
{
	const char *const *dir;
	unsigned i;

	for (i = 0; i < t->n_subs; i++) {
		if (t->subs[i] == NULL)
			continue;
		for (dir = t->subs[i]->w->dirs; *dir != NULL; dir++) {
			if (path_is_below(*dir, abs))
				return true;
		}
	}
	return false;
}

/* ---- repositories ------------------------------------------------------- */

static struct dir *dir_at(struct tree *t, const char *path)
{
	struct dir *d = nodes_top(t->nodes);
	char *copy = xstrdup(path), *rest = copy, *name;

	while ((name = strsep(&rest, "/")) != NULL) {
		if (name[0] != '\0')
			d = dir_get(t->nodes, d, name);
	}
	free(copy);
	return d;
}

/* Watched for names that concern git, whether it exists now or not. */
static void watch_gitdir(struct tree *t, const char *path)
{
	struct dir *d = dir_at(t, path);

	d->flags |= DIR_GITDIR;
	scan_watch(t, d, path, true);
}

void roots_open_repo(struct tree *t, struct dir *d)
{
	char *dir;

	if (d->repo != NULL)
		return;
	d->repo = repo_open(node_path(&d->node, &t->path));
	if (d->repo == NULL)
		return;
	dir_hold(d);
	VEC_PUSH(&t->repos, d);
	watch_gitdir(t, d->repo->gitdir);
	watch_gitdir(t, d->repo->infodir);
	if (d->repo->global != NULL) {
		dir = path_dir(d->repo->global);
		watch_gitdir(t, dir);
		free(dir);
	}
}

void roots_close_repo(struct tree *t, struct dir *d)
{
	size_t i;

	for (i = 0; i < t->repos.n && t->repos.v[i] != d; i++)
		;
	if (i == t->repos.n)
		return;
	t->repos.v[i] = t->repos.v[--t->repos.n];
	repo_free(d->repo);
	d->repo = NULL;
	dir_release(t, d);
}

/* From the repository's root down to a watched directory the ignore lists
 * count, and are watched. Without a repository only those below count. */
void roots_find_repo(struct tree *t, struct dir *d)
{
	struct dir *top, *up;
	struct stat st;
	struct buf b;

	buf_init(&b, PATH_MAX);
	for (top = d; top != NULL; top = top->node.parent) {
		node_path(&top->node, &b);
		buf_add_str(&b, "/.git");
		if (lstat(buf_str(&b), &st) == 0)
			break;
	}
	for (up = top != NULL ? d->node.parent : NULL;
	     up != NULL && up->path_len >= top->path_len;
	     up = up->node.parent) {
		make_hot(t, up);
		node_path(&up->node, &b);
		buf_add_str(&b, "/.gitignore");
		if (up->ignore == NULL)
			up->ignore = repo_read_list(buf_str(&b), false);
	}
	if (top != NULL) {
		node_path(&top->node, &t->path);
		roots_open_repo(t, top);
	}
	buf_done(&b);
}
