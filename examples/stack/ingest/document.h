/* SPDX-License-Identifier: MIT */
/* What of a title goes into the index. */
#ifndef INGEST_DOCUMENT_H
#define INGEST_DOCUMENT_H

struct dict;

/* Both: terms with a space between. OWNED: free(). NULL: no memory. A title
 * that is not UTF-8 has none. */

/* Words and pairs, in their order: a search for a phrase needs no more. */
char *document_terms(const char *title);
/* Words of the dictionary, and words without their marks. */
char *document_words(const struct dict *d, const char *title);

#endif
