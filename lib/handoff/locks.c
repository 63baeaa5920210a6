/* SPDX-License-Identifier: MIT */
/*
 * Lock files that outlive nobody: flock, released by the kernel with the
 * last process that holds the descriptor.
 *
 * Taken in one order everywhere (own file, then by name), so that keepers
 * which wait with a part in hand cannot wait for each other. Lock files may
 * be removed by anybody at any time (/tmp cleaners; locks_free does it): a
 * lock counts only if its file still has its name afterwards.
 */
#include "lib/handoff/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/str.h"

#define OWNER_TEXT_MAX_BYTES 256
/* A name kept in a lock file's name, for whoever looks into the directory. */
#define SHOWN_NAME_MAX 40
/* A lock file that vanishes this often under us is no accident. */
#define OPEN_TRIES 20
#define LINK_DEPTH_MAX 40

struct lock {
	char *path; /* what the user named */
	char *file; /* the lock file */
	int fd;	    /* -1: not held */
	bool shared;
};

struct locks {
	VEC(struct lock) list;
	const struct lock *blocked;
	char owner[OWNER_TEXT_MAX_BYTES]; /* what is written in blocked */
	pid_t owner_pid;
	const char *owner_who;
};

/* ---- the shared directory ---------------------------------------------- */

static bool is_own_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_uid == getuid();
}

char *locks_shared_dir(struct err *err)
{
	unsigned uid = getuid();
	char *run = xasprintf("/run/user/%u", uid), *dir;

	dir = is_own_dir(run) ? xasprintf("%s/hr", run) :
				xasprintf("/tmp/hr-%u", uid);
	free(run);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		err_sys(err, "cannot make %s for lock files", dir);
	} else if (!is_own_dir(dir)) {
		err_set(err, ERR_VALUE, "%s is not a directory of yours", dir);
		err_hint(err, "hr keeps its lock files there; have it removed");
	} else if (chmod(dir, 0700) < 0) {
		err_sys(err, "cannot make %s private", dir);
	} else {
		return dir;
	}
	free(dir);
	return NULL;
}

/* ---- names ------------------------------------------------------------- */

/* FNV-1a, 64 bit. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

/* The path with links resolved as far as it exists. OWNED: free(). */
static char *resolve(const char *path, int depth)
{
	char *real = realpath(path, NULL), *dir, *joined;
	char target[PATH_MAX];
	ssize_t n;

	if (real != NULL || depth > LINK_DEPTH_MAX)
		return real != NULL ? real : xstrdup(path);
	dir = path_dir(path);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) { /* a link to what does not exist yet */
		target[n] = '\0';
		joined = path_join(dir, target);
		real = resolve(joined, depth + 1);
		free(joined);
	} else if (str_eq(dir, path)) {
		real = xstrdup(path);
	} else {
		joined = resolve(dir, depth + 1);
		real = path_join(joined, path_base(path));
		free(joined);
	}
	free(dir);
	return real;
}

static void add_lock(struct locks *l, const char *path, char *file, bool shared)
{
	struct lock lock = {
		.path = xstrdup(path), .file = file, .fd = -1, .shared = shared
	};

	VEC_PUSH(&l->list, lock);
}

static void add_path(struct locks *l, const char *shared_dir, const char *path)
{
	char *real = resolve(path, 0), *dir = path_dir(real);
	char name[SHOWN_NAME_MAX + 1];
	struct stat st;
	size_t i;

	snprintf(name, sizeof(name), "%s", path_base(real));
	for (i = 0; name[i] != '\0'; i++)
		if (name[i] == '/' || name[i] <= ' ' || name[i] == 127)
			name[i] = '_';
	if (stat(real, &st) == 0)
		add_lock(l, path,
			 xasprintf("%s/i.%" PRIx64 ".%" PRIu64, shared_dir,
				   (uint64_t)st.st_dev, (uint64_t)st.st_ino),
			 true);
	if (stat(dir, &st) == 0)
		add_lock(l, path,
			 xasprintf("%s/d.%" PRIx64 ".%" PRIu64 ".%" PRIx64
				   ".%s",
				   shared_dir, (uint64_t)st.st_dev,
				   (uint64_t)st.st_ino, hash(path_base(real)),
				   name),
			 true);
	add_lock(l, path,
		 xasprintf("%s/p.%" PRIx64 ".%s", shared_dir, hash(real), name),
		 true);
	free(dir);
	free(real);
}

static void lock_free(struct lock *lock)
{
	fd_close(&lock->fd);
	free(lock->path);
	free(lock->file);
}

static int compare(const void *a, const void *b)
{
	const struct lock *x = a, *y = b;

	if (x->shared != y->shared)
		return x->shared ? 1 : -1;
	return strcmp(x->file, y->file);
}

/* Two paths of one file: an own second descriptor would lock us out. */
static void drop_doubles(struct locks *l)
{
	size_t i, to = 0;

	for (i = 0; i < l->list.n; i++) {
		if (to > 0 && str_eq(l->list.v[to - 1].file, l->list.v[i].file))
			lock_free(&l->list.v[i]);
		else
			l->list.v[to++] = l->list.v[i];
	}
	l->list.n = to;
}

struct locks *locks_new(const char *shared_dir, const char *const *paths,
			const char *own_file, struct err *err)
{
	struct locks *l = xcalloc(1, sizeof(*l));

	for (; paths != NULL && *paths != NULL; paths++) {
		if ((*paths)[0] != '/') {
			err_set(err, ERR_VALUE, "lock '%s' is not absolute",
				*paths);
			locks_free(l);
			return NULL;
		}
		add_path(l, shared_dir, *paths);
	}
	if (own_file != NULL)
		add_lock(l, own_file, xstrdup(own_file), false);
	if (l->list.n > 0)
		qsort(l->list.v, l->list.n, sizeof(*l->list.v), compare);
	drop_doubles(l);
	return l;
}

/* ---- taking and leaving ------------------------------------------------ */

void locks_free(struct locks *l)
{
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < l->list.n; i++) {
		/* While it is held: whoever opened it sees that it is gone. */
		if (l->list.v[i].fd >= 0 && l->list.v[i].shared)
			unlink(l->list.v[i].file);
		lock_free(&l->list.v[i]);
	}
	VEC_FREE(&l->list);
	free(l);
}

static bool has_its_name(int fd, const char *file)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(file, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* What the owner wrote: "PID who". */
static void read_owner(struct locks *l, int fd)
{
	ssize_t n = pread(fd, l->owner, sizeof(l->owner) - 1, 0);
	char *end;
	long pid;

	l->owner[n > 0 ? n : 0] = '\0';
	l->owner[strcspn(l->owner, "\n")] = '\0';
	pid = strtol(l->owner, &end, 10);
	l->owner_pid =
		pid > 0 && pid <= INT_MAX && *end == ' ' ? (pid_t)pid : 0;
	l->owner_who = l->owner_pid > 0 ? end + 1 : l->owner;
}

/* The text is for messages: a full disk does not make a lock less held. */
static void write_owner(const struct lock *lock, const char *owner)
{
	char line[OWNER_TEXT_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "%s\n", owner);

	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	/* Over the old text, which ends at the newline for its reader: ext4
	 * writes a file to the disk that was truncated and written again. */
	(void)!pwrite(lock->fd, line, (size_t)n, 0);
}

/* 1: taken; 0: held by another; 2: its file vanished, try again; -1: err. */
static int try_once(struct locks *l, struct lock *lock, struct err *err)
{
	int fd = open(lock->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      0600);

	if (fd < 0)
		return err_sys(err, "cannot open lock file %s", lock->file);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		bool held = errno == EWOULDBLOCK;

		if (held)
			read_owner(l, fd);
		else
			err_sys(err, "cannot lock %s", lock->file);
		close(fd);
		return held ? 0 : -1;
	}
	if (!has_its_name(fd, lock->file)) {
		close(fd);
		return 2;
	}
	lock->fd = fd;
	return 1;
}

static int take(struct locks *l, struct lock *lock, const char *owner,
		struct err *err)
{
	int got = 2, i;

	for (i = 0; i < OPEN_TRIES && got == 2; i++)
		got = try_once(l, lock, err);
	if (got == 2)
		return err_set(err, ERR_BUSY, "lock file %s keeps vanishing",
			       lock->file);
	if (got == 0)
		l->blocked = lock;
	if (got == 1)
		write_owner(lock, owner);
	return got;
}

int locks_try(struct locks *l, const char *owner, struct err *err)
{
	size_t i;
	int got;

	l->blocked = NULL;
	for (i = 0; i < l->list.n; i++) {
		if (l->list.v[i].fd >= 0)
			continue;
		got = take(l, &l->list.v[i], owner, err);
		if (got != 1)
			return got;
	}
	return 1;
}

const char *locks_blocked_by(const struct locks *l, pid_t *pid,
			     const char **who)
{
	*pid = l->blocked != NULL ? l->owner_pid : 0;
	*who = l->blocked != NULL ? l->owner_who : "";
	return l->blocked != NULL ? l->blocked->path : NULL;
}

const char *locks_blocked_file(const struct locks *l)
{
	return l->blocked != NULL ? l->blocked->file : NULL;
}

size_t locks_fds(const struct locks *l, int *fds, size_t max)
{
	size_t i, n = 0;

	for (i = 0; i < l->list.n && n < max; i++)
		if (l->list.v[i].fd >= 0)
			fds[n++] = l->list.v[i].fd;
	return n;
}
