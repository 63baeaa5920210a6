/* SPDX-License-Identifier: MIT */
/* The two clocks. Loops read them; everything else is given `now`. */
#ifndef HR_BASE_CLOCK_H
#define HR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC, the same in every process of this machine. */
int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
/* CLOCK_REALTIME since 1970. */
int64_t clock_real_us(void);
/* "2026-01-31T12:04:07.123+09:00" (RFC 3339, ms) into buffer (32 bytes). */
void clock_rfc3339(int64_t real_us, char *buffer, size_t size);
/* "12:04:07", local time, into buffer (9 bytes). */
void clock_hms(int64_t real_us, char *buffer, size_t size);
/* A length of time for people: "486 ms", "2.1 s", "3 min 20 s" into buffer. */
void clock_span(int64_t us, char *buffer, size_t size);

#endif
