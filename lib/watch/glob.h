/* SPDX-License-Identifier: MIT */
/* One pattern against one path, as git's wildmatch does it. Pure. */
#ifndef HR_WATCH_GLOB_H
#define HR_WATCH_GLOB_H

#include <stdbool.h>

/*
 * Whether the whole text matches. `*` and `?` never match a slash when
 * pathname is set; two stars between slashes (or at an end) match any number
 * of components. An unclosed `[` and an unknown `[:class:]` match nothing.
 */
bool glob_match(const char *pattern, const char *text, bool pathname);
/* Length of the part before the first of * ? [ \. */
unsigned glob_literal(const char *pattern);

#endif
