/* SPDX-License-Identifier: MIT */
/*
 * What no watcher can beat, by one thread.
 *
 *	watch_floor walk DIR	walk and inotify_add_watch every directory
 *	watch_floor read DIR N	N saves in DIR, each from close(2) to the
 *				event read in another process
 *
 * Prints "walk DIRS MICROSECONDS" or "read N MEDIAN_NANOSECONDS".
 */
// needs: base
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MASK                                                                   \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |            \
	 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |              \
	 IN_EXCL_UNLINK)

struct raw {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static int notify_fd;
static unsigned long dirs;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void walk(int at, const char *name, char *path, size_t len)
{
	union {
		struct raw align;
		char bytes[8192];
	} room;
	const struct raw *e;
	const char *p;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n_name;
	long n;

	if (fd < 0)
		return;
	dirs++;
	if (inotify_add_watch(notify_fd, path, MASK) < 0)
		perror(path);
	while ((n = syscall(SYS_getdents64, fd, room.bytes,
			    sizeof(room.bytes))) > 0) {
		for (p = room.bytes; p < room.bytes + n; p += e->reclen) {
			e = (const struct raw *)(const void *)p;
			if (e->type != DT_DIR || strcmp(e->name, ".") == 0 ||
			    strcmp(e->name, "..") == 0)
				continue;
			n_name = strlen(e->name);
			path[len] = '/';
			memcpy(path + len + 1, e->name, n_name + 1);
			walk(fd, e->name, path, len + 1 + n_name);
			path[len] = '\0';
		}
	}
	close(fd);
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int read_floor(const char *dir, size_t n)
{
	int64_t *times = mmap(NULL, n * sizeof(*times), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char events[4096];
	size_t i;
	pid_t pid;
	int fd, ack[2];

	if (times == MAP_FAILED || pipe2(ack, O_CLOEXEC) < 0 ||
	    inotify_add_watch(notify_fd, dir, IN_CLOSE_WRITE) < 0 ||
	    chdir(dir) < 0)
		return 1;
	pid = fork();
	for (i = 0; pid == 0 && i < n; i++) {
		if (read(notify_fd, events, sizeof(events)) <= 0)
			_exit(1);
		times[i] = now_ns() - times[i];
		(void)!write(ack[1], "", 1);
	}
	if (pid == 0)
		_exit(0);
	for (i = 0; i < n; i++) {
		fd = open("floor", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		(void)!write(fd, "x", 1);
		times[i] = now_ns();
		close(fd);
		(void)!read(ack[0], events, 1);
	}
	waitpid(pid, NULL, 0);
	qsort(times, n, sizeof(*times), by_size);
	printf("read %zu %lld\n", n, (long long)times[n / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	static char path[65536];
	int64_t began;

	notify_fd = inotify_init1(IN_CLOEXEC);
	if (argc < 3 || notify_fd < 0)
		return 2;
	if (strcmp(argv[1], "read") == 0)
		return read_floor(argv[2],
				  argc > 3 ? strtoul(argv[3], NULL, 10) : 200);
	snprintf(path, sizeof(path), "%s", argv[2]);
	began = now_ns();
	walk(AT_FDCWD, path, path, strlen(path));
	printf("walk %lu %lld\n", dirs, (long long)(now_ns() - began) / 1000);
	return 0;
}
