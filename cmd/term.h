/* SPDX-License-Identifier: MIT */
/* What is on the other end of our output: the only isatty(). */
#ifndef HR_CMD_TERM_H
#define HR_CMD_TERM_H

#include <stdbool.h>

enum term_colour { TERM_AUTO, TERM_ALWAYS, TERM_NEVER };

/* "auto", "always", "never"; returns 0, or -1. */
int term_parse_colour(const char *word, enum term_colour *out);
bool term_is_terminal(int fd);
/*
 * Whether escapes for colour are wanted on fd: --color first, then NO_COLOR
 * (no-color.org), then CLICOLOR_FORCE (bixense.com/clicolors), else a
 * terminal that is not TERM=dumb.
 */
bool term_want_colour(enum term_colour wish, int fd);

#endif
