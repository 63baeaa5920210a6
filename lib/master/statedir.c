/* SPDX-License-Identifier: MIT */
/* .hr/: made, locked, emptied of old build results. */
#include "lib/master/statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/handoff/diag.h"

#define LOCK_TRIES 20
#define LOCK_PAUSE_NS 10000000

static int make_dir(const char *path, struct err *err)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		err_sys(err, "cannot make %s", path);
		return err_hint(err, "hr keeps its state beside the Procfile; "
				     "that directory must be writable");
	}
	if (lstat(path, &st) < 0)
		return err_sys(err, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_VALUE, "%s is not a directory", path);
	if (st.st_uid == geteuid() && (st.st_mode & 077) != 0 &&
	    chmod(path, 0700) < 0)
		return err_sys(err, "cannot make %s private", path);
	if (st.st_uid != geteuid()) {
		err_set(err, ERR_VALUE, "%s belongs to user %u, not to us",
			path, st.st_uid);
		return err_hint(err, "run hr as that user, or remove it");
	}
	return 0;
}

static int make_dirs(const char *state_dir, struct err *err)
{
	static const char *const names[] = { "run", "build", "logs" };
	char *path;
	size_t i;
	int rc = make_dir(state_dir, err);

	for (i = 0; rc == 0 && i < NITEMS(names); i++) {
		path = path_join(state_dir, names[i]);
		rc = make_dir(path, err);
		free(path);
	}
	return rc;
}

/* Through a temporary name, so that a full disk leaves no empty file. */
static int write_gitignore(const char *state_dir, struct err *err)
{
	char *path = path_join(state_dir, ".gitignore");
	char *temp = path_join(state_dir, ".gitignore.new");
	struct stat st;
	int fd, rc = 0;

	if (stat(path, &st) == 0 && st.st_size > 0)
		goto out;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, "*\n", 2) < 0 ||
	    rename(temp, path) < 0) {
		rc = err_sys(err, "cannot write %s", path);
		unlink(temp);
	}
	fd_close(&fd);
out:
	free(temp);
	free(path);
	return rc;
}

/* Who runs the stack: what it wrote, or, if .hr was removed since, who has
 * the directory locked. */
static int busy(const char *dir, struct err *err)
{
	char *path = path_join(dir, ".hr/lock");
	struct holder holder = { 0 };
	struct buf text;

	buf_init(&text, 64);
	if (path_read(path, &text, NULL) == 0)
		holder.pid = (pid_t)strtol(buf_str(&text), NULL, 10);
	if (holder.pid <= 0)
		diag_file_holder(dir, NULL, 0, &holder);
	buf_done(&text);
	free(path);
	err_set(err, ERR_BUSY, "the stack in %s is already running (pid %d)",
		dir, holder.pid);
	return err_hint(err, "`hr ps` shows it, `hr down` stops it");
}

/* The kernel drops the lock of a master killed with -9 a moment after the
 * kill has returned: look again before refusing. */
static int lock_patiently(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	int i, rc = flock(fd, LOCK_EX | LOCK_NB);

	for (i = 0; rc < 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
		nanosleep(&pause, NULL);
		rc = flock(fd, LOCK_EX | LOCK_NB);
	}
	return rc;
}

/* The project's directory itself: `git clean -fdx` takes .hr away, and a file
 * in it would no longer keep a second stack out. *fd is -1 where directories
 * cannot be locked (NFS): then .hr/lock has to do. */
static int lock_dir(const char *dir, int *fd, struct err *err)
{
	bool held;

	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(err, "cannot open %s", dir);
	if (lock_patiently(*fd) == 0)
		return 0;
	held = errno == EWOULDBLOCK;
	fd_close(fd);
	return held ? busy(dir, err) : 0;
}

/* Write who we are into .hr/lock; lock it too if *fd is -1. */
static int sign(const char *state_dir, const char *dir, int *fd,
		struct err *err)
{
	char *path = path_join(state_dir, "lock");
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = 0;
	char text[32];

	snprintf(text, sizeof(text), "%d\n", getpid());
	if (file < 0)
		rc = err_sys(err, "cannot open %s", path);
	else if (*fd < 0 && lock_patiently(file) < 0)
		rc = errno == EWOULDBLOCK ?
			     busy(dir, err) :
			     err_sys(err, "cannot lock %s", path);
	else if (ftruncate(file, 0) < 0 ||
		 fd_write_all(file, text, strlen(text)) < 0)
		rc = err_sys(err, "cannot write %s", path);
	if (rc == 0 && *fd < 0) {
		*fd = file;
		file = -1;
	}
	fd_close(&file);
	free(path);
	return rc;
}

static void remove_tree(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd < 0) {
		unlinkat(dir_fd, name, 0);
		return;
	}
	fchmod(fd, 0700); /* a build may have made it read-only */
	d = fdopendir(fd);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			remove_tree(fd, e->d_name);
	if (d != NULL)
		closedir(d);
	else
		close(fd);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static void empty_build(const char *state_dir)
{
	int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	remove_tree(fd, "build");
	mkdirat(fd, "build", 0700);
	close(fd);
}

char *statedir_open(const char *dir, int *lock_fd, struct err *err)
{
	char *state_dir = path_join(dir, ".hr");

	*lock_fd = -1;
	if (lock_dir(dir, lock_fd, err) < 0 || make_dirs(state_dir, err) < 0 ||
	    sign(state_dir, dir, lock_fd, err) < 0 ||
	    write_gitignore(state_dir, err) < 0) {
		fd_close(lock_fd);
		free(state_dir);
		return NULL;
	}
	empty_build(state_dir);
	return state_dir;
}
