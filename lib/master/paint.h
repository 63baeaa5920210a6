/* SPDX-License-Identifier: MIT */
/*
 * A log line as people see it: `12:04:07 web    | text`.
 *
 * Shared by `hr up` (mux.c) and `hr logs`, so that both look the same.
 */
#ifndef HR_MASTER_PAINT_H
#define HR_MASTER_PAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Colour of hr's own lines, in place of a service's number. */
#define PAINT_HR SIZE_MAX
#define PAINT_RESET "\033[0m"

enum paint_time { PAINT_TIME_SECONDS, PAINT_TIME_MS, PAINT_TIME_NONE };

struct paint {
	bool colour;
	enum paint_time time;
	size_t width; /* of the longest label */
	/* The last time written, as text; filled by paint_prefix. */
	int64_t cached_at;
	char cached[16];
};

/* Make room for a label in the column of names. */
void paint_widen(struct paint *p, const char *label);
/* Append the prefix. number: of the service, for its colour, or PAINT_HR. */
void paint_prefix(struct paint *p, struct buf *out, int64_t at_real_us,
		  const char *label, size_t number);
/* 1234567 as "1,234,567", into buffer (32 bytes). Returns buffer. */
char *paint_count(uint64_t n, char *buffer, size_t size);

#endif
