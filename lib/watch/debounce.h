/* SPDX-License-Identifier: MIT */
/*
 * When has a burst of changes ended? Pure: the caller tells the time.
 *
 * Fixed: quiet for quiet_ms after the last change. AUTO: about 10 ms after
 * one completed save; longer the more there is, the further apart it comes,
 * and while something seems half done; 250 ms at most; held while git works
 * (index.lock). max_wait_ms after the first change it ends in any case.
 */
#ifndef HR_WATCH_DEBOUNCE_H
#define HR_WATCH_DEBOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#define DEBOUNCE_IS_AUTO (-1)
#define DEBOUNCE_NEVER INT64_MAX

enum change_kind {
	CHANGE_SAVED,	/* closed after writing, or moved to its name */
	CHANGE_PARTIAL, /* removed, moved away, created: more may come */
	CHANGE_FOUND,	/* no event told: seen when looking at a file */
};

struct debounce {
	int64_t quiet_ms; /* or DEBOUNCE_IS_AUTO */
	int64_t max_wait_ms;
	bool running;
	bool held;
	int64_t first_us;
	int64_t last_us;
	int64_t gap_us; /* longest between two changes of this batch */
	uint32_t changes;
	bool partial; /* the last one was CHANGE_PARTIAL */
};

void debounce_init(struct debounce *d, int64_t quiet_ms, int64_t max_wait_ms);
/* Returns true if it begins a batch. */
bool debounce_change(struct debounce *d, enum change_kind kind, int64_t now_us);
/* git holds (or released) its lock. Releasing counts as a change. */
void debounce_hold(struct debounce *d, bool held, int64_t now_us);
/* When the batch ends if nothing more comes; DEBOUNCE_NEVER without one. */
int64_t debounce_due_us(const struct debounce *d);
/* The batch is dealt with. */
void debounce_end(struct debounce *d);

#endif
