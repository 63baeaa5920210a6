/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side: one inotify descriptor. A port to another kernel
 * replaces this file.
 */
#ifndef HR_WATCH_INOTIFY_H
#define HR_WATCH_INOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

struct err;

enum inotify_depth {
	INOTIFY_WAY, /* only whether it is removed or renamed itself */
	INOTIFY_ALL  /* and every name in it that is saved, comes or goes */
};

/* Non-blocking, CLOEXEC. Returns the descriptor, or -1 with err. */
int inotify_open(struct err *err);
/*
 * Watch a directory; a watch that exists is only deepened. Returns the watch
 * descriptor, the same for the same inode, or -1 with errno.
 */
int inotify_watch(int fd, const char *path, enum inotify_depth depth,
		  bool follow);
void inotify_unwatch(int fd, int wd);

/* name: "" if the event is about the watched directory itself. */
typedef void inotify_fn(void *data, int wd, uint32_t mask, const char *name);
/*
 * Read and hand over everything that is there, at most max_reads of 64 KiB.
 * Returns the number of events.
 */
unsigned inotify_drain(int fd, unsigned max_reads, inotify_fn *on_event,
		       void *data);
/* Whether something waits to be read. */
bool inotify_is_pending(int fd);

#endif
