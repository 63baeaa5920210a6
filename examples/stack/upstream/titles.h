/* SPDX-License-Identifier: MIT */
/* Trending titles, made up: the same number always gives the same title. */
#ifndef UPSTREAM_TITLES_H
#define UPSTREAM_TITLES_H

#include <stdint.h>
#include <stdio.h>

/* JP, KR, TW, VN, TH, ID, PH or SG to a number; -1 for anything else. */
int titles_region(const char *name);
/* Title seq (1, 2, ...) of a region of titles_region(), without newline. */
void titles_put(FILE *out, int region, int64_t seq);

#endif
