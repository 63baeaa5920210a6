/* SPDX-License-Identifier: MIT */
/* inotify: which events we want, and reading them. */
#include "lib/watch/inotify.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/err.h"

#define WAY_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD)
/* Not IN_MODIFY: a 10 MB write would be 689 events instead of one. */
#define ALL_MASK                                                               \
	(WAY_MASK | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | \
	 IN_DELETE | IN_EXCL_UNLINK)

int inotify_open(struct err *err)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		err_sys(err, "cannot open inotify");
	return fd;
}

int inotify_watch(int fd, const char *path, enum inotify_depth depth,
		  bool follow)
{
	uint32_t mask = depth == INOTIFY_WAY ? WAY_MASK : ALL_MASK;

	return inotify_add_watch(fd, path,
				 mask | (follow ? 0 : IN_DONT_FOLLOW));
}

void inotify_unwatch(int fd, int wd)
{
	/* EINVAL: the directory is gone, and the watch with it. */
	inotify_rm_watch(fd, wd);
}

unsigned inotify_drain(int fd, unsigned max_reads, inotify_fn *on_event,
		       void *data)
{
	static union {
		struct inotify_event align;
		char bytes[64 * 1024];
	} room;
	const struct inotify_event *e;
	unsigned count = 0;
	const char *p;
	ssize_t n;

	while (max_reads-- > 0) {
		n = read(fd, room.bytes, sizeof(room.bytes));
		if (n <= 0)
			break;
		for (p = room.bytes; p < room.bytes + n;
		     p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(const void *)p;
			on_event(data, e->wd, e->mask,
				 e->len > 0 ? e->name : "");
			count++;
		}
	}
	return count;
}

bool inotify_is_pending(int fd)
{
	int bytes = 0;

	return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}
