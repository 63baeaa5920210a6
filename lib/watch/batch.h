/* SPDX-License-Identifier: MIT */
/*
 * The touched files of one subscription, until its quiet time is over.
 *
 * Each service settles at its own time, so each keeps for itself what a file
 * was when its batch first heard of it: reverting one of two files that were
 * edited together is a change, and so is an edit during a build.
 */
#ifndef HR_WATCH_BATCH_H
#define HR_WATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procfile/model.h"

struct file;
struct filter;
struct stamp;
struct tree;

/* Most paths that are named; the rest is counted. */
#define BATCH_NAMED 100

struct batch;

/* tree: KEPT. OWNED: batch_free(), which lets go of the files. */
struct batch *batch_new(struct tree *tree);
void batch_free(struct batch *b);
/* Remember f as it was before; false if it is remembered already. */
bool batch_add(struct batch *b, struct file *f, const struct stamp *before);
/* A path that counts as changed without a look; relative or absolute. */
void batch_force(struct batch *b, const char *path);
bool batch_is_empty(const struct batch *b);
/* One of its files was created and is still open for writing. */
bool batch_is_unfinished(const struct batch *b);
/* Move everything from one to the other, as for a changed subscription. */
void batch_move(struct batch *to, struct batch *from);

struct outcome {
	enum action action; /* strongest of all */
	const char *rule;   /* its name, "" for the default; of the filter */
	uint32_t total;	    /* changed paths */
	char **paths;	    /* the first of them, sorted; NULL-terminated */
};

typedef void batch_ignored_fn(void *data, const char *path, const char *why);

/*
 * Compare each file now with then. Empties the batch. unchanged_counts: also
 * what was only touched is a change. ignored: called for each path that was
 * not. Free out with outcome_done; total 0: nothing has changed.
 */
void batch_settle(struct batch *b, const struct filter *filter,
		  bool unchanged_counts, batch_ignored_fn *ignored, void *data,
		  struct outcome *out);
void outcome_done(struct outcome *out);

#endif
