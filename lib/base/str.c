/* SPDX-License-Identifier: MIT */
/* Small helpers on C strings. */
#include "lib/base/str.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

#define DISTANCE_MAX_LEN 64

bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && memcmp(s + len - n, suffix, n) == 0;
}

size_t strv_len(const char *const *v)
{
	size_t n = 0;

	while (v != NULL && v[n] != NULL)
		n++;
	return n;
}

bool strv_has(const char *const *v, const char *s)
{
	for (; v != NULL && *v != NULL; v++)
		if (str_eq(*v, s))
			return true;
	return false;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t str_distance(const char *a, const char *b)
{
	size_t row[DISTANCE_MAX_LEN + 1];
	size_t la = strnlen(a, DISTANCE_MAX_LEN);
	size_t lb = strnlen(b, DISTANCE_MAX_LEN);
	size_t i, j, diagonal, above;

	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			row[j] = min3(row[j] + 1, row[j - 1] + 1,
				      diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

const char *str_nearest(const char *word, const char *const *candidates)
{
	size_t best = strlen(word) / 3 + 1, d;
	const char *found = NULL;

	for (; candidates != NULL && *candidates != NULL; candidates++) {
		d = str_distance(word, *candidates);
		if (d < best || (d == best && found == NULL)) {
			best = d;
			found = *candidates;
		}
	}
	return found;
}

int str_to_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
	long long value;
	char *end;

	errno = 0;
	value = strtoll(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || value < min ||
	    value > max)
		return -1;
	*out = value;
	return 0;
}

int str_to_signal(const char *s)
{
	const char *name = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	const char *abbrev;
	int64_t number;
	int signo;

	if (str_to_int(s, 1, NSIG - 1, &number) == 0)
		return (int)number;
	for (signo = 1; signo < NSIG; signo++) {
		abbrev = sigabbrev_np(signo);
		if (abbrev != NULL && strcasecmp(abbrev, name) == 0)
			return signo;
	}
	return -1;
}

const char *str_from_signal(int signo, char *buffer, size_t size)
{
	const char *abbrev = sigabbrev_np(signo);

	if (abbrev != NULL)
		snprintf(buffer, size, "SIG%s", abbrev);
	else
		snprintf(buffer, size, "signal %d", signo);
	return buffer;
}
