/* SPDX-License-Identifier: MIT */
/* Durations, sizes, regular expressions: text of hr.conf to values and back. */
#ifndef HR_PROCFILE_VALUE_H
#define HR_PROCFILE_VALUE_H

#include <stddef.h>
#include <stdint.h>

/* A year: longer is a slip of the pen, and keeps all sums far from overflow. */
#define DURATION_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)
#define SIZE_MAX_BYTES (INT64_C(1) << 50)

enum value_result {
	VALUE_OK,
	VALUE_MALFORMED,
	VALUE_NO_UNIT,	/* a bare number */
	VALUE_TOO_FINE, /* less than a millisecond or a byte */
	VALUE_TOO_LARGE,
};

/* "200ms", "1.5s", "1m30s", "2h". */
enum value_result value_duration(const char *s, int64_t *ms);
/* "10MB" is 10,000,000 bytes, "10MiB" 10,485,760; "512B", "64kB". */
enum value_result value_size(const char *s, int64_t *bytes);
/* The shortest text that value_duration reads back; into buffer. */
const char *value_duration_text(int64_t ms, char *buffer, size_t size);
const char *value_size_text(int64_t bytes, char *buffer, size_t size);
/*
 * Whether PCRE2 takes the expression. Returns 0, or -1 with its message and
 * the offset of the fault.
 */
int value_regex(const char *s, char *message, size_t size, size_t *offset);

#endif
