/* SPDX-License-Identifier: MIT */
/*
 * Text into search terms. ingest uses it on titles, web on what people type,
 * so both must be built from the same version.
 *
 * Scripts with spaces (Latin, Vietnamese, ...) give their words. Chinese,
 * Japanese, Korean, Thai, Lao, Khmer and Burmese give every pair of
 * neighbours: 東京駅 is 東京 and 京駅; a search for 東京駅 is those two in
 * this order. A letter and its marks are never parted.
 */
#ifndef INGEST_TOKENIZE_H
#define INGEST_TOKENIZE_H

#include <stddef.h>

/* Raise it when other terms come out: ingest then indexes all titles anew. */
#define TOKENIZE_VERSION 1

enum token_kind {
	TOKEN_WORD,
	TOKEN_PAIR, /* two neighbours, or a letter that has none */
};

struct token {
	enum token_kind kind;
	const char *text; /* within the text given; BORROWED */
	size_t len;
	size_t run; /* tokens that touch have the same number */
};

/* Returns 0 to go on; anything else ends tokenize(), which returns it. */
typedef int (*token_fn)(const struct token *token, void *arg);

/*
 * One form for what looks and means the same: composed (NFKC), full-width and
 * half-width folded, lower case. OWNED: free(). NULL if it is not UTF-8.
 */
char *tokenize_normalise(const char *text);

/* normal: a result of tokenize_normalise(). */
int tokenize(const char *normal, token_fn fn, void *arg);

/* A word as typed without marks: "đà nẵng", "da nang". OWNED: free(). NULL
 * without memory. */
char *tokenize_plain(const char *word, size_t len);

#endif
