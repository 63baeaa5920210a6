/* SPDX-License-Identifier: MIT */
/*
 * The last lines of one service in memory: a ring of records.
 *
 * Grows from nothing to max_bytes, then each new line pushes out the oldest
 * ones. A record has its size at both ends, so that it can be walked from
 * the newest line backwards. Positions are invalid after history_add().
 */
#ifndef HR_MASTER_HISTORY_H
#define HR_MASTER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history_record {
	uint64_t seq; /* over all rings: the order of arrival */
	int64_t at_real_us;
	int64_t generation;
	uint32_t instance;
	uint32_t len;
	bool build;
};

struct history {
	char *data;
	size_t cap;
	size_t max_bytes;
	size_t head; /* of the oldest record */
	size_t tail; /* behind the newest */
	size_t wrap; /* records end here if tail is before head */
	size_t n;
};

/* Zeroed storage is enough but for max_bytes. */
void history_init(struct history *h, size_t max_bytes);
void history_done(struct history *h);
/* text is cut if it cannot fit at all; r->len says how much there is. */
void history_add(struct history *h, const struct history_record *r,
		 const char *text);

/* A place between records; start with history_end(), behind the newest. */
struct history_cursor {
	size_t at;
	size_t left; /* records before it */
};

struct history_cursor history_end(const struct history *h);
/* Step back over one record and read it. False if there is none. text:
 * BORROWED. */
bool history_older(const struct history *h, struct history_cursor *c,
		   struct history_record *r, const char **text);

#endif
