/* SPDX-License-Identifier: MIT */
/* Small helpers on C strings and NULL-terminated string arrays. */
#ifndef HR_BASE_STR_H
#define HR_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Number of strings; v may be NULL. */
size_t strv_len(const char *const *v);
bool strv_has(const char *const *v, const char *s);
/* Levenshtein distance of two short strings (cut at 64 bytes). */
size_t str_distance(const char *a, const char *b);
/*
 * The candidate nearest to word, if near enough to be meant (distance at most
 * len / 3 + 1), else NULL. candidates: BORROWED, NULL-terminated.
 */
const char *str_nearest(const char *word, const char *const *candidates);
/* Whole decimal number in [min, max]; returns 0, or -1. */
int str_to_int(const char *s, int64_t min, int64_t max, int64_t *out);
/* SIGINT, INT or 2 to 2; -1 if unknown. */
int str_to_signal(const char *s);
/* 2 to "SIGINT"; "signal N" (in buffer) for those without a name. */
const char *str_from_signal(int signo, char *buffer, size_t size);

#endif
