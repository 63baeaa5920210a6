/* SPDX-License-Identifier: MIT */
/* What inotify says, event by event; every one is only a reason to look. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/str.h"
#include "lib/watch/ignore.h"
#include "lib/watch/inotify.h"
#include "lib/watch/repo.h"
#include "lib/watch/treeint.h"

/* More than fit in a default queue: then it is somebody else's turn. */
#define TURN_READS 64
/* Names of one directory that an event is followed for. */
#define SAME_WD_MAX 16

static const char *path_in(struct tree *t, const struct dir *d,
			   const char *name)
{
	t->child_of = NULL;
	node_path(&d->node, &t->child);
	t->child.len = d->path_len;
	buf_add_char(&t->child, '/');
	buf_add_str(&t->child, name);
	return buf_str(&t->child);
}

static void make_dirty(struct tree *t, struct dir *d)
{
	dir_hold(d);
	VEC_PUSH(&t->dirty, d);
}

/* ---- git ---------------------------------------------------------------- */

static void on_git_name(struct tree *t, const char *name)
{
	size_t i;

	if (str_eq(name, "index.lock")) {
		t->ops->on_git_lock(t->data, tree_git_lock(t));
		return;
	}
	for (i = 0; i < t->repos.n; i++) {
		if (repo_reload(t->repos.v[i]->repo))
			make_dirty(t, t->repos.v[i]);
	}
}

/* ---- files -------------------------------------------------------------- */

static bool is_still_written(struct tree *t, struct dir *d, const char *name)
{
	const char *path = path_in(t, d, name);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       scan_is_written(path);
}

static struct file *file_of(struct tree *t, struct dir *d, const char *name,
			    bool created)
{
	struct file *f = file_find(t->nodes, d, name);
	uint32_t set;

	if (f != NULL || (d->flags & (DIR_LIVE | DIR_HOT)) == 0)
		return f;
	set = tree_file_interest(t, d, path_in(t, d, name));
	if (set == 0)
		return NULL;
	f = file_get(t->nodes, d, name);
	f->node.set = set;
	if (created || (d->flags & (DIR_LISTED | DIR_LIVE)) != DIR_LIVE)
		f->stamp.kind = STAMP_NONE;
	return f;
}

/* A file that was not there before is often on its way to another name. */
static enum change_kind kind_of(const struct file *f, uint32_t mask)
{
	return (mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0 &&
			       f->stamp.kind != STAMP_NONE ?
		       CHANGE_SAVED :
		       CHANGE_PARTIAL;
}

static void on_file(struct tree *t, struct dir *d, uint32_t mask,
		    const char *name)
{
	struct file *f = file_of(t, d, name, (mask & IN_CREATE) != 0);

	if (f == NULL || f->node.set == 0)
		return;
	tree_hold(f);
	f->unfinished = (mask & IN_CREATE) != 0 && is_still_written(t, d, name);
	if (!f->unfinished)
		tree_touch(t, f, kind_of(f, mask));
	tree_release(t, f);
}

/* ---- directories -------------------------------------------------------- */

static bool is_link(struct tree *t, struct dir *d, const char *name)
{
	struct stat st;

	return lstat(path_in(t, d, name), &st) == 0 && S_ISLNK(st.st_mode);
}

static void on_dir_name(struct tree *t, struct dir *d, uint32_t mask,
			const char *name, bool link)
{
	struct dir *sub;

	if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
		scan_child_dir(t, d, name, SCAN_NEW, link);
		scan_run(t);
	} else if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
		sub = dir_find(t->nodes, d, name);
		if (sub != NULL && (sub->flags & DIR_LIVE) != 0 &&
		    (!link || sub->node.follows))
			scan_gone(t, sub);
	}
}

static void on_name(struct tree *t, struct dir *d, uint32_t mask,
		    const char *name)
{
	bool is_dir = (mask & IN_ISDIR) != 0;

	if ((d->flags & DIR_GITDIR) != 0)
		on_git_name(t, name);
	if ((d->flags & DIR_HOT) != 0 && roots_concern(t, path_in(t, d, name)))
		t->recheck = true;
	if (str_eq(name, ".gitignore") &&
	    (d->flags & (DIR_LIVE | DIR_HOT)) != 0)
		make_dirty(t, d);
	if (is_dir) {
		if ((d->flags & DIR_LIVE) != 0)
			on_dir_name(t, d, mask, name, false);
		return;
	}
	if ((d->flags & DIR_LIVE) != 0 && (mask & IN_CLOSE_WRITE) == 0 &&
	    ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0 || is_link(t, d, name)))
		on_dir_name(t, d, mask, name, true);
	if (str_eq(name, ".git") && (d->flags & DIR_LIVE) != 0)
		scan_push(t, d, SCAN_ARM);
	on_file(t, d, mask, name);
}

/* About the directory itself. */
static void on_self(struct tree *t, struct dir *d, uint32_t mask)
{
	if ((d->flags & (DIR_ROOT | DIR_WAY)) != 0)
		t->recheck = true;
	if ((mask & IN_IGNORED) != 0)
		tree_unmap_wd(t, d);
	if ((mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0 &&
	    (d->flags & DIR_LIVE) != 0)
		scan_gone(t, d);
}

static void on_event(void *data, int wd, uint32_t mask, const char *name)
{
	struct dir *dirs[SAME_WD_MAX], *d;
	struct tree *t = data;
	size_t n = 0, i;

	if ((mask & IN_Q_OVERFLOW) != 0) {
		t->overflow = true;
		return;
	}
	for (d = tree_by_wd(t, wd); d != NULL && n < SAME_WD_MAX;
	     d = d->wd_chain) {
		if (d->wd != wd)
			continue;
		dir_hold(d);
		dirs[n++] = d;
	}
	for (i = 0; i < n; i++) {
		if (name[0] == '\0')
			on_self(t, dirs[i], mask);
		else if ((mask & (IN_CREATE | IN_DELETE | IN_CLOSE_WRITE |
				  IN_MOVED_FROM | IN_MOVED_TO)) != 0)
			on_name(t, dirs[i], mask, name);
		dir_release(t, dirs[i]);
	}
}

/* ---- when all events are read ------------------------------------------- */

static void read_again(struct tree *t, struct dir *d)
{
	const char *path = path_in(t, d, ".gitignore");

	ignore_free(d->ignore);
	d->ignore = repo_read_list(path, false);
}

/* Every directory below is judged anew, and read if it is wanted now. */
static void judge_below(struct tree *t, struct dir *d)
{
	struct node *n, *next;

	if ((d->flags & DIR_LIVE) != 0) {
		scan_push(t, d, SCAN_ARM);
		scan_run(t);
		return;
	}
	dir_hold(d);
	for (n = d->children; n != NULL; n = next) {
		next = n->next;
		if (n->is_dir && (as_dir(n)->flags & DIR_WAY) != 0)
			judge_below(t, as_dir(n));
	}
	dir_release(t, d);
}

static void follow_dirty(struct tree *t)
{
	struct dir *d;

	while (t->dirty.n > 0) {
		d = t->dirty.v[--t->dirty.n];
		read_again(t, d);
		judge_below(t, d);
		dir_release(t, d);
	}
}

static void compare_below(struct tree *t, struct dir *d)
{
	struct node *n;

	if ((d->flags & DIR_LIVE) != 0)
		scan_push(t, d, SCAN_COMPARE);
	for (n = d->children; n != NULL; n = n->next) {
		if (n->is_dir)
			compare_below(t, as_dir(n));
	}
}

void events_finish(struct tree *t)
{
	scan_run(t);
	if (t->overflow) {
		t->overflow = false;
		roots_recheck(t);
		scan_run(t);
		compare_below(t, nodes_top(t->nodes));
		scan_run(t);
		on_git_name(t, "index.lock");
		on_git_name(t, "");
	}
	follow_dirty(t);
	if (t->recheck) {
		roots_recheck(t);
		scan_run(t);
	}
}

void tree_drain(struct tree *t)
{
	t->turn++;
	if (t->fd >= 0)
		inotify_drain(t->fd, TURN_READS, on_event, t);
	events_finish(t);
}
