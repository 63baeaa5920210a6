/* SPDX-License-Identifier: MIT */
/* Directories: watched, then read; found, lost, dropped. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/watch/filter.h"
#include "lib/watch/ignore.h"
#include "lib/watch/inotify.h"
#include "lib/watch/mounts.h"
#include "lib/watch/repo.h"
#include "lib/watch/treeint.h"

/* ---- watching ----------------------------------------------------------- */

static void set_polled(struct tree *t, struct dir *d)
{
	if ((d->flags & DIR_POLLED) != 0)
		return;
	d->flags |= DIR_POLLED;
	dir_hold(d);
	VEC_PUSH(&t->polled, d);
}

static long limit_of(const char *name)
{
	char path[128];
	long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/fs/inotify/%s", name);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

static void say_limited(struct tree *t, const char *path)
{
	long n = limit_of("max_user_watches");
	char why[256], hint[256];

	if (t->limited)
		return;
	t->limited = true;
	snprintf(why, sizeof(why),
		 "the limit of %ld inotify watches per user is reached with "
		 "%zu of them ours; what is beyond it is polled",
		 n, t->n_wds);
	snprintf(hint, sizeof(hint),
		 "sudo sysctl fs.inotify.max_user_watches=%ld, or exclude "
		 "large directories",
		 n * 4);
	t->ops->on_degraded(t->data, path, why, hint);
}

static void say_once(struct tree *t, struct dir *d, const char *path,
		     const char *why, const char *hint)
{
	if ((d->flags & DIR_WARNED) != 0)
		return;
	d->flags |= DIR_WARNED;
	t->ops->on_degraded(t->data, path, why, hint);
}

static bool may_follow(const struct dir *d)
{
	return d->node.follows || (d->flags & (DIR_ROOT | DIR_WAY)) != 0;
}

bool scan_watch(struct tree *t, struct dir *d, const char *path, bool all)
{
	int wd = -1;

	if (t->fd >= 0)
		wd = inotify_watch(t->fd, path, all ? INOTIFY_ALL : INOTIFY_WAY,
				   may_follow(d));
	if (wd >= 0) {
		tree_map_wd(t, d, wd);
		return true;
	}
	tree_unmap_wd(t, d);
	if (t->fd >= 0 &&
	    (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return false;
	if (t->fd >= 0 && errno == EACCES) {
		if (all)
			say_once(t, d, path, "permission denied; not watched",
				 "");
		return access(path, R_OK | X_OK) == 0;
	}
	if (t->fd >= 0)
		say_limited(t, path);
	set_polled(t, d);
	return true;
}

/* Once for each mounted file system that the tree enters. */
static void check_mount(struct tree *t, struct dir *d, const char *path)
{
	const struct dir *up = d->node.parent;
	const struct set *in = sets_get(t->sets, d->node.set);
	char type[32], why[128];
	bool off = true;

	SET_EACH(slot, in)
	{
		const struct watch *w = t->subs[slot]->w;

		if (w->poll == POLL_ALWAYS)
			set_polled(t, d);
		off &= w->poll == POLL_OFF;
	}
	if (off || (d->flags & DIR_POLLED) != 0)
		return;
	if (up != NULL && up->dev == d->dev && (up->flags & DIR_LIVE) != 0) {
		if ((up->flags & DIR_POLLED) != 0)
			set_polled(t, d);
		return;
	}
	if (!mounts_must_poll(path, type, sizeof(type)))
		return;
	set_polled(t, d);
	if (strcmp(type, "overlay") == 0)
		return;
	snprintf(why, sizeof(why),
		 "%s reports no changes made elsewhere: also polled", type);
	say_once(t, d, path, why, "");
}

/* ---- reading ------------------------------------------------------------ */

struct dirent64_raw {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static void list_add(struct listing *l, const char *name, uint8_t type)
{
	struct entry e = { .name = (uint32_t)l->names.len, .type = type };

	if (name[0] == '.' && (name[1] == '\0' || str_eq(name, "..")))
		return;
	if (str_eq(name, ".gitignore"))
		l->has_gitignore = true;
	if (str_eq(name, ".git"))
		l->has_git = true;
	if (buf_add(&l->names, name, strlen(name) + 1) < 0)
		return;
	VEC_PUSH(&l->v, e);
}

static int list_fd(struct listing *l, int fd)
{
	static union {
		struct dirent64_raw align;
		char bytes[64 * 1024];
	} room;
	const struct dirent64_raw *e;
	const char *p;
	long n;

	buf_clear(&l->names);
	l->v.n = 0;
	l->has_git = l->has_gitignore = false;
	while ((n = syscall(SYS_getdents64, fd, room.bytes,
			    sizeof(room.bytes))) > 0) {
		for (p = room.bytes; p < room.bytes + n; p += e->reclen) {
			e = (const struct dirent64_raw *)(const void *)p;
			list_add(l, e->name, e->type);
		}
	}
	return n < 0 ? -1 : 0;
}

int scan_list(struct tree *t, struct dir *d, const char *path,
	      int64_t *ctime_ns)
{
	struct stat st;
	int fd, rc, saved;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				(may_follow(d) ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return -1;
	rc = fstat(fd, &st);
	if (rc == 0) {
		d->dev = st.st_dev;
		d->ino = st.st_ino;
		*ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 +
			    st.st_ctim.tv_nsec;
		rc = list_fd(&t->listing, fd);
	}
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

bool scan_is_written(const char *path)
{
	bool written;
	int fd;

	/* A read lease is refused while anyone writes: fcntl(2), F_SETLEASE.
	 * Where there are none, nobody is said to. */
	fd = open(path,
		  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;
	if (!written)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	return written;
}

/* The path of a name in a directory; within a walk() its beginning is there
 * already. BORROWED until the next call. */
static const char *child_path(struct tree *t, const struct dir *parent,
			      const char *name)
{
	size_t len = parent->path_len;

	if (t->child_of != parent) {
		node_path(&parent->node, &t->child);
		t->child_of = NULL;
	}
	t->child.len = len;
	buf_add_char(&t->child, '/');
	buf_add_str(&t->child, name);
	return buf_str(&t->child);
}

/* ---- files of a directory ----------------------------------------------- */

static void compare_file(struct tree *t, struct dir *parent, struct file *f,
			 const char *abs)
{
	struct stamp now;

	stamp_take(&now, abs, f->node.follows);
	if (f->stamp.kind == STAMP_UNKNOWN) {
		if ((parent->flags & DIR_LISTED) == 0 &&
		    now.ctime_ns < parent->armed_ns - CTIME_SLACK_NS)
			return;
	} else if (stamp_is_still(&f->stamp, &now)) {
		return;
	}
	tree_touch(t, f, CHANGE_SAVED);
}

/* Found in a directory whose files are not recorded: what changed since the
 * moment that somebody names counts for him. */
void scan_since_file(struct tree *t, struct file *f, const char *abs)
{
	struct set in = *sets_get(t->sets, f->node.set);
	struct stamp unknown = { .kind = STAMP_UNKNOWN }, now;

	stamp_take(&now, abs, f->node.follows);
	SET_EACH(slot, &in)
	{
		int64_t since = t->subs[slot]->since_ns;

		if (since != 0 && now.ctime_ns > since - CTIME_SLACK_NS)
			t->ops->on_touch(t->data, (unsigned)slot, f, &unknown,
					 CHANGE_SAVED);
	}
}

static bool has_since(const struct tree *t, uint32_t set)
{
	const struct set *in = sets_get(t->sets, set);

	SET_EACH(slot, in)
	{
		if (t->subs[slot]->since_ns != 0)
			return true;
	}
	return false;
}

static void arm_file(struct tree *t, struct dir *parent, const char *name,
		     const char *abs, bool since)
{
	struct file *f = file_find(t->nodes, parent, name);
	uint32_t set;

	set = tree_file_interest(t, parent, abs);
	if (f == NULL && set != 0)
		f = file_get(t->nodes, parent, name);
	if (f == NULL)
		return;
	f->node.set = set;
	f->node.seen = true;
	tree_hold(f);
	if (since && set != 0)
		scan_since_file(t, f, abs);
	tree_release(t, f);
}

void scan_child_file(struct tree *t, struct dir *parent, const char *name,
		     uint8_t type, enum scan_mode mode)
{
	const char *abs;
	struct file *f;
	uint32_t set;

	if (mode == SCAN_ARM) {
		bool since = has_since(t, parent->node.set);

		if (since || file_find(t->nodes, parent, name) != NULL)
			arm_file(t, parent, name, child_path(t, parent, name),
				 since);
		return;
	}
	abs = child_path(t, parent, name);
	f = file_find(t->nodes, parent, name);
	if (f == NULL) {
		set = tree_file_interest(t, parent, abs);
		if (set == 0)
			return;
		f = file_get(t->nodes, parent, name);
		f->node.set = set;
		if (mode == SCAN_NEW || (parent->flags & DIR_LISTED) != 0)
			f->stamp.kind = STAMP_NONE;
	}
	f->node.seen = true;
	if (mode == SCAN_COMPARE)
		compare_file(t, parent, f, abs);
	else if (type == DT_REG && scan_is_written(abs))
		f->unfinished = true; /* its IN_CLOSE_WRITE will come */
	else
		tree_touch(t, f, CHANGE_SAVED);
}

/* ---- directories in a directory ----------------------------------------- */

/* A link that leads to a directory it lies in would go on for ever. */
static bool is_circle(const struct dir *parent, const char *abs)
{
	const struct dir *d;
	struct stat st;

	if (stat(abs, &st) < 0 || !S_ISDIR(st.st_mode))
		return true;
	for (d = parent; d != NULL; d = d->node.parent) {
		if (d->ino == st.st_ino && d->dev == st.st_dev)
			return true;
	}
	return false;
}

void scan_child_dir(struct tree *t, struct dir *parent, const char *name,
		    enum scan_mode mode, bool link)
{
	struct dir *d = dir_find(t->nodes, parent, name);
	struct interest in;
	const char *abs;

	abs = child_path(t, parent, name);
	in = tree_dir_interest(t, parent, d, abs, link);
	if (in.set == 0) {
		if (d != NULL && d->node.set != 0)
			scan_drop(t, d);
		return;
	}
	if (link && is_circle(parent, abs))
		return;
	d = dir_get(t->nodes, parent, name);
	d->node.set = in.set;
	d->narrow = in.narrow;
	d->node.follows = link;
	d->node.seen = true;
	scan_push(t, d, mode);
}

static void child(struct tree *t, struct dir *d, const char *name, uint8_t type,
		  enum scan_mode mode)
{
	struct stat st;

	if (type == DT_UNKNOWN) {
		if (lstat(child_path(t, d, name), &st) < 0)
			return;
		type = S_ISDIR(st.st_mode) ? DT_DIR :
		       S_ISLNK(st.st_mode) ? DT_LNK :
					     DT_REG;
	}
	if (type == DT_DIR) {
		scan_child_dir(t, d, name, mode, false);
		return;
	}
	if (type == DT_LNK)
		scan_child_dir(t, d, name, mode, true);
	scan_child_file(t, d, name, type, mode);
}

static void load_lists(struct tree *t, struct dir *d, const char *path)
{
	struct buf b;

	ignore_free(d->ignore);
	d->ignore = NULL;
	if (t->listing.has_gitignore) {
		buf_init(&b, 65536);
		buf_addf(&b, "%s/.gitignore", path);
		d->ignore = repo_read_list(buf_str(&b), false);
		buf_done(&b);
	}
	if (t->listing.has_git && d->repo == NULL)
		roots_open_repo(t, d);
	else if (!t->listing.has_git && d->repo != NULL)
		roots_close_repo(t, d);
}

/* Something in it changed, but what it held was not known. */
static void force(struct tree *t, struct dir *d)
{
	struct set in = *sets_get(t->sets, d->node.set);
	const char *path = node_path(&d->node, &t->path);

	SET_EACH(slot, &in)
	t->ops->on_force(t->data, (unsigned)slot, path);
}

/* A directory changes when a name comes or goes. */
static void since_dir(struct tree *t, struct dir *d, const char *path,
		      int64_t ctime_ns)
{
	struct set in = *sets_get(t->sets, d->node.set);

	SET_EACH(slot, &in)
	{
		int64_t since = t->subs[slot]->since_ns;

		if (since != 0 && ctime_ns > since - CTIME_SLACK_NS)
			t->ops->on_force(t->data, (unsigned)slot, path);
	}
}

static void forget_unseen(struct tree *t, struct dir *d, enum scan_mode mode)
{
	struct node *n, *next;

	for (n = d->children; n != NULL; n = next) {
		next = n->next;
		if (n->seen)
			continue;
		if (n->is_dir) {
			if ((as_dir(n)->flags & DIR_LIVE) != 0)
				scan_gone(t, as_dir(n));
		} else if (mode == SCAN_COMPARE &&
			   as_file(n)->stamp.kind != STAMP_NONE) {
			tree_touch(t, as_file(n), CHANGE_PARTIAL);
		}
	}
}

static void walk(struct tree *t, struct dir *d, enum scan_mode mode)
{
	struct listing *l = &t->listing;
	struct node *n;
	size_t i;

	bool skip_files = mode == SCAN_ARM && d->children == NULL &&
			  !has_since(t, d->node.set);

	for (n = d->children; n != NULL; n = n->next)
		n->seen = false;
	node_path(&d->node, &t->child);
	t->child_of = d;
	for (i = 0; i < l->v.n; i++) {
		if (skip_files && l->v.v[i].type == DT_REG)
			continue;
		child(t, d, l->names.data + l->v.v[i].name, l->v.v[i].type,
		      mode);
	}
	t->child_of = NULL;
	forget_unseen(t, d, mode);
}

static void scan_dir(struct tree *t, struct dir *d, enum scan_mode mode)
{
	const char *path = node_path(&d->node, &t->path);
	bool fresh = (d->flags & DIR_LIVE) == 0;
	int64_t ctime_ns = 0;

	if (d->node.set == 0)
		return;
	if (fresh)
		d->armed_ns = clock_real_us() * 1000;
	if (!scan_watch(t, d, path, true) ||
	    scan_list(t, d, path, &ctime_ns) < 0) {
		if (errno == EACCES)
			say_once(t, d, path, "permission denied; not watched",
				 "");
		scan_gone(t, d);
		return;
	}
	d->flags |= DIR_LIVE;
	check_mount(t, d, path);
	load_lists(t, d, path);
	path = node_path(&d->node, &t->path);
	if (mode == SCAN_ARM && has_since(t, d->node.set))
		since_dir(t, d, path, ctime_ns);
	if (mode == SCAN_COMPARE && fresh)
		mode = SCAN_NEW;
	if (mode == SCAN_COMPARE && (d->flags & DIR_LISTED) == 0 &&
	    ctime_ns > d->armed_ns - CTIME_SLACK_NS)
		force(t, d);
	walk(t, d, mode);
	if (mode == SCAN_NEW) {
		d->flags |= DIR_LISTED;
	} else if (mode == SCAN_ARM) {
		d->flags &= ~(uint32_t)DIR_LISTED;
		index_dir(t, d);
	}
}

void scan_push(struct tree *t, struct dir *d, enum scan_mode mode)
{
	struct todo todo = { d, mode };

	if (mode == SCAN_ARM && (d->flags & DIR_PUSHED) != 0)
		return;
	if (mode == SCAN_ARM)
		d->flags |= DIR_PUSHED;
	dir_hold(d);
	VEC_PUSH(&t->todo, todo);
}

void scan_run(struct tree *t)
{
	struct todo todo;

	while (t->todo.n > 0) {
		todo = t->todo.v[--t->todo.n];
		if (todo.mode == SCAN_ARM)
			todo.dir->flags &= ~(uint32_t)DIR_PUSHED;
		scan_dir(t, todo.dir, todo.mode);
		dir_release(t, todo.dir);
	}
}

/* ---- the end of a directory --------------------------------------------- */

static void leave(struct tree *t, struct dir *d)
{
	tree_unmap_wd(t, d);
	if (d->repo != NULL)
		roots_close_repo(t, d);
	ignore_free(d->ignore);
	d->ignore = NULL;
	d->flags &= ~(uint32_t)(DIR_LIVE | DIR_LISTED | DIR_WARNED);
}

void scan_gone(struct tree *t, struct dir *d)
{
	struct node *n, *next;
	struct file *f;

	dir_hold(d);
	if ((d->flags & (DIR_LIVE | DIR_LISTED)) == DIR_LIVE)
		force(t, d);
	for (n = d->children; n != NULL; n = next) {
		next = n->next;
		if (n->is_dir) {
			scan_gone(t, as_dir(n));
			continue;
		}
		f = as_file(n);
		f->unfinished = false;
		tree_hold(f);
		if (f->stamp.kind != STAMP_NONE)
			tree_touch(t, f, CHANGE_PARTIAL);
		tree_release(t, f);
	}
	leave(t, d);
	if ((d->flags & (DIR_ROOT | DIR_WAY)) != 0)
		t->recheck = true;
	dir_release(t, d);
}

void scan_drop(struct tree *t, struct dir *d)
{
	struct node *n, *next;

	dir_hold(d);
	d->node.set = d->narrow = 0;
	for (n = d->children; n != NULL; n = next) {
		next = n->next;
		if (n->is_dir) {
			if (as_dir(n)->roots == 0 && n->set != 0)
				scan_drop(t, as_dir(n));
			continue;
		}
		n->set = 0;
		tree_hold(as_file(n));
		tree_release(t, as_file(n));
	}
	if ((d->flags & (DIR_WAY | DIR_GITDIR)) == 0)
		leave(t, d);
	else
		d->flags &= ~(uint32_t)(DIR_LIVE | DIR_LISTED);
	dir_release(t, d);
}
