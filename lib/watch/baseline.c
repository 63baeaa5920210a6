/* SPDX-License-Identifier: MIT */
/* Stamps of files: stat, hash, compare. */
#include "lib/watch/baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "lib/base/clock.h"

/* A tick of the kernel's coarse clock is at most 10 ms. */
#define RACY_NS ((int64_t)20000000)
/* FAT, old NFS servers, some FUSE file systems: whole seconds. */
#define RACY_SECONDS_NS ((int64_t)2000000000)
#define SECOND_NS ((int64_t)1000000000)

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * SECOND_NS + t->tv_nsec;
}

static bool is_racy(const struct stamp *s)
{
	int64_t now = clock_real_us() * 1000, t = s->ctime_ns;

	if (s->mtime_ns > t)
		t = s->mtime_ns;
	/* In the future: a clock was set back; trust nothing. */
	return now - t < (t % SECOND_NS == 0 ? RACY_SECONDS_NS : RACY_NS);
}

static void fill(struct stamp *s, const struct stat *st)
{
	s->kind = S_ISREG(st->st_mode) ? STAMP_FILE :
		  S_ISLNK(st->st_mode) ? STAMP_LINK :
		  S_ISDIR(st->st_mode) ? STAMP_NONE :
					 STAMP_OTHER;
	if (s->kind == STAMP_NONE)
		return;
	s->ino = st->st_ino;
	s->size = st->st_size;
	s->mtime_ns = ns_of(&st->st_mtim);
	s->ctime_ns = ns_of(&st->st_ctim);
	s->racy = is_racy(s);
}

void stamp_take(struct stamp *s, const char *path, bool follow)
{
	struct stat st;

	memset(s, 0, sizeof(*s));
	if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) ==
	    0) {
		fill(s, &st);
		return;
	}
	/* A link to nowhere, followed, is still a link. */
	if (follow && errno == ENOENT && lstat(path, &st) == 0) {
		fill(s, &st);
		return;
	}
	s->kind = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
			  STAMP_NONE :
			  STAMP_UNKNOWN;
}

static void set_hash(struct stamp *s, XXH128_hash_t h)
{
	s->hash[0] = h.low64;
	s->hash[1] = h.high64;
	s->hashed = true;
}

static bool hash_link(struct stamp *s, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	if (n >= 0)
		set_hash(s, XXH3_128bits(target, (size_t)n));
	return n >= 0;
}

static bool fd_is_still(const struct stamp *s, int fd)
{
	struct stamp now = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	fill(&now, &st);
	return now.kind == s->kind && now.ino == s->ino &&
	       now.size == s->size && now.mtime_ns == s->mtime_ns &&
	       now.ctime_ns == s->ctime_ns;
}

static bool hash_fd(struct stamp *s, int fd)
{
	static char data[64 * 1024];
	XXH3_state_t *state;
	int64_t total = 0;
	ssize_t n;

	if (!fd_is_still(s, fd))
		return false;
	if (s->size <= (int64_t)sizeof(data)) {
		n = read(fd, data, sizeof(data));
		if (n != s->size)
			return false;
		if (!fd_is_still(s, fd))
			return false;
		set_hash(s, XXH3_128bits(data, (size_t)n));
		return true;
	}
	state = XXH3_createState();
	if (state == NULL)
		return false;
	XXH3_128bits_reset(state);
	while ((n = read(fd, data, sizeof(data))) > 0) {
		total += n;
		XXH3_128bits_update(state, data, (size_t)n);
	}
	if (n == 0 && total == s->size && fd_is_still(s, fd))
		set_hash(s, XXH3_128bits_digest(state));
	XXH3_freeState(state);
	return s->hashed;
}

bool stamp_hash(struct stamp *s, const char *path, bool follow)
{
	bool ok;
	int fd;

	if (s->hashed)
		return true;
	if (s->kind == STAMP_LINK)
		return hash_link(s, path);
	if (s->kind != STAMP_FILE || s->size > BASELINE_HASH_MAX_BYTES)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
				(follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return false;
	ok = hash_fd(s, fd);
	close(fd);
	return ok;
}

bool stamp_is_still(const struct stamp *a, const struct stamp *b)
{
	if (a->kind != b->kind || a->kind == STAMP_UNKNOWN)
		return false;
	if (a->kind == STAMP_NONE)
		return true;
	if (a->ino != b->ino || a->size != b->size ||
	    a->mtime_ns != b->mtime_ns)
		return false;
	/* chmod of a large file must not look like a change. */
	if (a->size > BASELINE_HASH_MAX_BYTES)
		return true;
	return a->ctime_ns == b->ctime_ns && !a->racy;
}

enum verdict stamp_compare(const struct stamp *before, const struct stamp *now)
{
	if (before->kind == STAMP_UNKNOWN || now->kind == STAMP_UNKNOWN)
		return DIFFERENT;
	if (before->kind != now->kind)
		return DIFFERENT;
	if (now->kind == STAMP_NONE)
		return SAME_ABSENT;
	if (now->kind == STAMP_OTHER)
		return SAME_KIND;
	if (stamp_is_still(before, now))
		return SAME_STAT;
	if (before->size != now->size)
		return DIFFERENT;
	if (!before->hashed || !now->hashed)
		return DIFFERENT_MAYBE;
	return memcmp(before->hash, now->hash, sizeof(now->hash)) == 0 ?
		       SAME_CONTENT :
		       DIFFERENT;
}

bool verdict_is_same(enum verdict v)
{
	return v < DIFFERENT;
}

const char *verdict_why(enum verdict v)
{
	switch (v) {
	case SAME_ABSENT:
		return "a temporary file: neither before nor after";
	case SAME_STAT:
		return "opened for writing, but nothing was written";
	case SAME_CONTENT:
		return "same content as before";
	case SAME_KIND:
		return "not a regular file";
	case DIFFERENT:
	case DIFFERENT_MAYBE:
		break;
	}
	return "";
}
