/* SPDX-License-Identifier: MIT */
/*
 * Escape sequences in what services print.
 *
 * A line of a service shares the screen with others: colours (SGR) may stay,
 * and are closed at its end; everything that moves the cursor, clears, sets
 * titles or modes, answers, or writes the clipboard goes. So do control
 * characters but tab, 7-bit and 8-bit (U+0080 to U+009F). Pure text in, text
 * out. Sequences: ECMA-48 5.4, 8.3; xterm's ctlseqs for OSC and DCS.
 */
#ifndef HR_MASTER_ANSI_H
#define HR_MASTER_ANSI_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum ansi_keep {
	ANSI_NONE, /* text only */
	ANSI_SGR,  /* text and colours */
	ANSI_ALL,  /* --raw */
};

/* Longest run of SGR sequences that is remembered to be opened again. */
#define ANSI_SGR_MAX_BYTES 128

/* The colours in force, as the sequences that made them. Zero it first. */
struct ansi {
	char sgr[ANSI_SGR_MAX_BYTES];
	size_t len;
};

/* Whether text has nothing to filter: the common case, and fast. */
bool ansi_is_plain(const char *text, size_t len);
/*
 * Append what may be shown of text to out. more: the line goes on, so that a
 * sequence or UTF-8 character cut at the end waits; else it is dropped or
 * passed. Returns how many bytes were dealt with: len unless more.
 */
size_t ansi_filter(struct ansi *a, enum ansi_keep keep, const char *text,
		   size_t len, bool more, struct buf *out);
/* Close open colours at the end of a line: appends a reset if need be. */
void ansi_close(const struct ansi *a, struct buf *out);
/* What a terminal would still show of a line with carriage returns: the part
 * behind the last one that something follows. Moves *text, *len. */
void ansi_last_state(const char **text, size_t *len);
/* Append text as valid UTF-8 without NUL: each bad byte becomes U+FFFD. */
void ansi_utf8(const char *text, size_t len, struct buf *out);

#endif
