/* SPDX-License-Identifier: MIT */
/*
 * What stands in front of libconfuse: text of hr.conf into tokens with exact
 * places, and into text that libconfuse reads the same way.
 *
 * libconfuse 3.3 and 3.4 count lines wrongly after comments, drop `*` and `+`
 * outside quotes, accept a missing `}`, expand unset variables to nothing and
 * drop the backslash of escapes they do not know: each without a word. Here
 * comments become blanks, quoted strings are written anew with no variable
 * left in them, and everything doubtful is an error with line and column.
 */
#ifndef HR_PROCFILE_NORMALISE_H
#define HR_PROCFILE_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct arena;
struct problems;

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* outside quotes */
	TOKEN_STRING, /* inside quotes */
	TOKEN_ASSIGN, /* = */
	TOKEN_APPEND, /* += */
	TOKEN_OPEN,   /* { */
	TOKEN_CLOSE,  /* } */
	TOKEN_COMMA,
	TOKEN_PAREN_OPEN,
	TOKEN_PAREN_CLOSE,
};

struct token {
	enum token_kind kind;
	const char *text; /* as meant: unquoted, expanded */
	int line;
	int col;
	bool first; /* on its line */
	bool bad;   /* an error about it has been reported */
	size_t out; /* where it stands in the text for libconfuse */
	size_t out_len;
};

struct normal {
	struct buf text;
	struct token *v; /* the last one is TOKEN_END */
	size_t n;
	size_t cap;
};

/*
 * n: zeroed; free with normal_free. Strings live in the arena. file: KEPT by
 * the problems only. `${NAME}` and `${NAME:-default}` in double quotes are
 * taken from the environment of this process.
 */
void normalise(struct normal *n, struct arena *a, const char *file,
	       const char *text, size_t len, struct problems *problems);
/* Make tokens from … to - 1 blanks, so that libconfuse does not see them. */
void normal_blank(struct normal *n, size_t from, size_t to);
void normal_free(struct normal *n);

#endif
