/* SPDX-License-Identifier: MIT */
/*
 * What the builds of a service made: .hr/build/NAME.GENERATION.
 *
 * A path may hold a file, a directory tree, or nothing. The last good ones
 * are kept; everything else of the service goes.
 */
#ifndef HR_WORKER_OUTPUTS_H
#define HR_WORKER_OUTPUTS_H

#include <stddef.h>
#include <stdint.h>

#define OUTPUTS_KEPT 3

struct outputs {
	char *dir; /* …/.hr/build */
	char *name;
	int64_t good[OUTPUTS_KEPT]; /* newest first; 0: none */
};

/* dir: BORROWED; outputs_done() frees. */
void outputs_init(struct outputs *o, const char *dir, const char *name);
void outputs_done(struct outputs *o);
/* Path of a generation's result. OWNED: free(). */
char *outputs_path(const struct outputs *o, int64_t generation);
/* Count a generation's result as good. */
void outputs_keep(struct outputs *o, int64_t generation);
/* Newest good one, or 0. */
int64_t outputs_newest(const struct outputs *o);
/* Remove what a generation made, whatever it is. */
void outputs_remove(const struct outputs *o, int64_t generation);
/* Remove all of the service but the good ones, and building (0: none). */
void outputs_prune(const struct outputs *o, int64_t building);

#endif
