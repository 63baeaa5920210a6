/* SPDX-License-Identifier: MIT */
/*
 * The index: SQLite in WAL mode, written by this process alone while others
 * read. Used by one thread.
 */
#ifndef INGEST_STORE_H
#define INGEST_STORE_H

#include <stddef.h>
#include <stdint.h>

struct dict;
struct store;

struct title {
	int64_t seq;
	const char *text;
};

struct batch {
	const char *region;
	const struct title *titles;
	size_t n;
	int64_t pace_ms; /* what the whole batch takes at least */
};

/*
 * Open or create; index all titles anew if the tokenizer has changed since.
 * dict: KEPT. Says what is wrong. OWNED: store_close(). NULL if it cannot.
 */
struct store *store_open(const char *db_path, const char *schema_path,
			 const struct dict *dict);
/* Move the write-ahead log into the database, and close. */
void store_close(struct store *s);

int64_t store_count_batches(struct store *s);
int64_t store_count_titles(struct store *s);
/* The highest number of a region, 0 if it has no titles. */
int64_t store_last_seq(struct store *s, const char *region);

/*
 * Write a batch in one transaction, at its pace. Returns its id, or -1 with
 * nothing written; says what is wrong.
 */
int64_t store_write(struct store *s, const struct batch *b);

#endif
