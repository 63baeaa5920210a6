/* SPDX-License-Identifier: MIT */
/*
 * What a file is: enough to tell later whether it has really changed.
 *
 * Taking a stamp is a stat, and for small files a hash of the content
 * (XXH3-128: fine for "did it change", not against an adversary). Comparing
 * two is pure.
 */
#ifndef HR_WATCH_BASELINE_H
#define HR_WATCH_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

/* Larger files are compared by size, inode and time of change alone. */
#define BASELINE_HASH_MAX_BYTES ((int64_t)8 << 20)

enum stamp_kind {
	STAMP_UNKNOWN, /* never looked at, or looked at too late */
	STAMP_NONE,    /* no file there (a directory counts as none) */
	STAMP_FILE,
	STAMP_LINK, /* the hash is of where it points */
	STAMP_OTHER /* device, socket, fifo: never a change */
};

struct stamp {
	uint64_t hash[2];
	uint64_t ino;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint8_t kind; /* enum stamp_kind */
	bool hashed;
	/* Looked at so soon after its last change that a second one could
	 * bear the same times: then only the content counts. */
	bool racy;
};

/*
 * Look at the file. follow: through a symbolic link. An error other than
 * "not there" gives STAMP_UNKNOWN.
 */
void stamp_take(struct stamp *s, const char *path, bool follow);
/*
 * Add the hash if the file still is what s says, small enough and readable.
 * Returns whether s is hashed now.
 */
bool stamp_hash(struct stamp *s, const char *path, bool follow);
/* Same inode, size and times, and times that can be trusted. */
bool stamp_is_still(const struct stamp *a, const struct stamp *b);

enum verdict {
	SAME_ABSENT,  /* was not there, is not there */
	SAME_STAT,    /* nothing was written */
	SAME_CONTENT, /* written, or replaced, with the same bytes */
	SAME_KIND,    /* a device, socket or fifo */
	DIFFERENT,
	DIFFERENT_MAYBE /* equal in size, and a hash is not known */
};
enum verdict stamp_compare(const struct stamp *before, const struct stamp *now);
bool verdict_is_same(enum verdict v);
/* For people; "" if different. */
const char *verdict_why(enum verdict v);

#endif
