/* SPDX-License-Identifier: MIT */
/*
 * Which file systems tell nothing: decided by type in /proc/self/mountinfo
 * (statfs calls 9p by the wrong name).
 */
#ifndef HR_WATCH_MOUNTS_H
#define HR_WATCH_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The type of the file system that path lies on, from the text of a
 * mountinfo, into type. Returns false if none is found. Pure.
 */
bool mounts_type(const char *mountinfo, const char *path, char *type,
		 size_t size);
/* Whether changes on such a file system may come without an event. */
bool mounts_is_silent(const char *type);
/* Both for a path now. */
bool mounts_must_poll(const char *path, char *type, size_t size);

#endif
