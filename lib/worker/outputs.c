/* SPDX-License-Identifier: MIT */
/* The results of builds on disk, and which of them are kept. */
#include "lib/worker/outputs.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"

#define REMOVE_DEPTH_FDS 16

void outputs_init(struct outputs *o, const char *dir, const char *name)
{
	memset(o, 0, sizeof(*o));
	o->dir = xstrdup(dir);
	o->name = xstrdup(name);
}

void outputs_done(struct outputs *o)
{
	free(o->dir);
	free(o->name);
	memset(o, 0, sizeof(*o));
}

char *outputs_path(const struct outputs *o, int64_t generation)
{
	return xasprintf("%s/%s.%" PRId64, o->dir, o->name, generation);
}

void outputs_keep(struct outputs *o, int64_t generation)
{
	memmove(o->good + 1, o->good, sizeof(o->good) - sizeof(o->good[0]));
	o->good[0] = generation;
}

int64_t outputs_newest(const struct outputs *o)
{
	return o->good[0];
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void outputs_remove(const struct outputs *o, int64_t generation)
{
	char *path = outputs_path(o, generation);

	/* unlink(2) of a directory: EISDIR on Linux, EPERM by POSIX. */
	if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM))
		nftw(path, remove_one, REMOVE_DEPTH_FDS, FTW_DEPTH | FTW_PHYS);
	free(path);
}

static bool is_kept(const struct outputs *o, int64_t generation)
{
	size_t i;

	for (i = 0; i < OUTPUTS_KEPT; i++)
		if (o->good[i] == generation)
			return true;
	return false;
}

/* The generation in a name like ours; -1 for any other name. */
static int64_t generation_of(const struct outputs *o, const char *name)
{
	size_t len = strlen(o->name);
	int64_t generation;

	if (strncmp(name, o->name, len) != 0 || name[len] != '.' ||
	    str_to_int(name + len + 1, 0, INT64_MAX, &generation) < 0)
		return -1;
	return generation;
}

void outputs_prune(const struct outputs *o, int64_t building)
{
	DIR *dir = opendir(o->dir);
	struct dirent *e;
	int64_t generation;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		generation = generation_of(o, e->d_name);
		if (generation >= 0 && generation != building &&
		    !is_kept(o, generation))
			outputs_remove(o, generation);
	}
	closedir(dir);
}
