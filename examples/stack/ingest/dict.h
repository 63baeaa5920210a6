/* SPDX-License-Identifier: MIT */
/*
 * The dictionary: words of scripts without spaces, and what two of them make
 * together. Pairs of letters alone cannot find a word of one letter (桜) in
 * the middle of a title; whole words can.
 *
 * The file has a language and a word a line, and `#` comments.
 */
#ifndef INGEST_DICT_H
#define INGEST_DICT_H

#include <stddef.h>

struct dict;

/* Says what is wrong. OWNED: dict_free(). NULL if it cannot be read. */
struct dict *dict_load(const char *path);
void dict_free(struct dict *d);
/* Words and compounds known. */
size_t dict_count(const struct dict *d);
/* Length of the longest word that starts here, or 0. normal: normalised. */
size_t dict_match(const struct dict *d, const char *normal);

#endif
