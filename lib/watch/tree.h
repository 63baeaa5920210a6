/* SPDX-License-Identifier: MIT */
/*
 * The watched trees of one stack: one inotify descriptor, each directory
 * watched once for all who want it.
 *
 * Whatever happens, the order is: add the watch, then read the directory;
 * events that come in between are seen twice, never lost. What an event says
 * is only a hint that a name is worth a look: on_touch is called for each
 * subscription that wants it, and later, when things are quiet, tree_refresh
 * finds what has become of it.
 *
 * Files are recorded (stat and hash) behind the arming, by tree_index, in
 * small slices. What was recorded is believed only once all events before
 * have been read; a file touched before that is STAMP_UNKNOWN and counts as
 * changed.
 */
#ifndef HR_WATCH_TREE_H
#define HR_WATCH_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/watch/debounce.h"

struct buf;
struct err;
struct file;
struct filter;
struct stamp;
struct tree;
struct watch;

struct tree_ops {
	/* before: as it was for slot, should this be the first touch of its
	 * batch. BORROWED. To keep f beyond the call: tree_hold. */
	void (*on_touch)(void *data, unsigned slot, struct file *f,
			 const struct stamp *before, enum change_kind kind);
	/* Something below path changed that cannot be named. BORROWED. */
	void (*on_force)(void *data, unsigned slot, const char *path);
	void (*on_git_lock)(void *data, bool held);
	void (*on_degraded)(void *data, const char *path, const char *why,
			    const char *hint);
};

/* stack_dir: absolute; ops, data: KEPT. OWNED: tree_free(). Without inotify
 * (limit of instances) everything is polled, which on_degraded tells. */
struct tree *tree_new(const char *stack_dir, const struct tree_ops *ops,
		      void *data);
void tree_free(struct tree *t);
/* To be polled for reading; -1 without inotify. */
int tree_fd(const struct tree *t);

/*
 * Subscribe; watched after the next tree_arm. filter, w: KEPT until
 * tree_remove. since_real_us: what changed after it counts as touched when
 * armed; 0: nothing does. Returns the slot, or -1 if all are taken.
 */
int tree_add(struct tree *t, const struct filter *filter, const struct watch *w,
	     int64_t since_real_us);
/* Walk for all new subscriptions at once. */
void tree_arm(struct tree *t);
void tree_remove(struct tree *t, unsigned slot);
/* Directories watched for it. */
uint32_t tree_count(const struct tree *t, unsigned slot);

/* Read and follow all events that are there. */
void tree_drain(struct tree *t);
/* Record a few more files; false if there was nothing to do. */
bool tree_index(struct tree *t);
/* Compare polled directories with what is recorded. */
void tree_poll(struct tree *t);
/* How often that should be, in ms; 0: nothing is polled. */
int64_t tree_poll_ms(const struct tree *t);
/* Compare everything: as after an overflow. */
void tree_rescan(struct tree *t);

/*
 * Look at the file again, once a turn (between two tree_drain). A change that
 * shows is told to all who want it, by on_touch.
 * want: what it may be compared with; the hash is taken if that needs it.
 */
void tree_refresh(struct tree *t, struct file *f, const struct stamp *want);
const struct stamp *tree_stamp(const struct file *f);
/* It was created and is still open for writing. */
bool tree_is_unfinished(const struct file *f);
void tree_hold(struct file *f);
void tree_release(struct tree *t, struct file *f);
/* Relative to the stack's directory, else absolute. BORROWED until the next
 * call into the tree. */
const char *tree_path(struct tree *t, const struct file *f);
/* The text that patterns are matched against. */
const char *tree_match_path(struct tree *t, const struct file *f);
/* Whether git holds index.lock now. */
bool tree_git_lock(struct tree *t);

size_t tree_n_dirs(const struct tree *t);
size_t tree_n_files(const struct tree *t);

#endif
