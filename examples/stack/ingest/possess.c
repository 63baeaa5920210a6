/* SPDX-License-Identifier: MIT */
/* One ingest per database: a lock on ingest.pid beside it. */
#include "ingest/possess.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *path)
{
	fprintf(stderr, "ingest: %s: %s\n", path, strerror(errno));
	return -1;
}

/* The file beside the database; -1 if the path is too long. */
static int lock_path(const char *db_path, char *path, size_t size)
{
	char copy[PATH_MAX];
	const char *dir;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", db_path) >= sizeof(copy))
		return -1;
	dir = dirname(copy);
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return complain(dir);
	return (size_t)snprintf(path, size, "%s/ingest.pid", dir) < size ? 0 :
									   -1;
}

static void say_owner(int fd, const char *db_path)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	fprintf(stderr, "ingest: %s is in use by pid %s\n", db_path,
		*pid ? pid : "unknown");
}

static int write_pid(int fd)
{
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		return -1;
	return 0;
}

int possess(const char *db_path)
{
	char path[PATH_MAX];
	int fd;

	if (lock_path(db_path, path, sizeof(path)) < 0)
		return -1;
	/* Never unlinked: a lock on a file without a name guards nothing. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain(path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && write_pid(fd) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		say_owner(fd, db_path);
	else
		complain(path);
	close(fd);
	return -1;
}
