/* SPDX-License-Identifier: MIT */
/* The index: SQLite in WAL mode, one writer. */
#include "ingest/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/say.h"
#include "ingest/document.h"
#include "ingest/tokenize.h"

enum {
	/* Short on purpose: nobody else writes, so whoever holds the lock
	 * for longer is a mistake that must not stay hidden. */
	BUSY_MS = 100,
	/* Readers end soon; the log is emptied between two of them. */
	CLOSE_BUSY_MS = 1000,
};

struct store {
	sqlite3 *db;
	const struct dict *dict;
	sqlite3_stmt *add_batch, *add_title, *end_batch;
};

static int complain(struct store *s, const char *what)
{
	say("%s: %s", what, s->db ? sqlite3_errmsg(s->db) : "no memory");
	return -1;
}

static int run(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* ---- titles to terms, as functions of SQL --------------------------------*/

static void give_text(sqlite3_context *context, char *text)
{
	if (text)
		sqlite3_result_text(context, text, -1, free);
	else
		sqlite3_result_error_nomem(context);
}

static const char *title_of(sqlite3_value *value)
{
	const unsigned char *text = sqlite3_value_text(value);

	return text ? (const char *)text : "";
}

static void sql_terms(sqlite3_context *context, int n, sqlite3_value **values)
{
	(void)n;
	give_text(context, document_terms(title_of(values[0])));
}

static void sql_words(sqlite3_context *context, int n, sqlite3_value **values)
{
	const struct store *s = sqlite3_user_data(context);

	(void)n;
	give_text(context, document_words(s->dict, title_of(values[0])));
}

static int add_functions(struct store *s)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;

	if (sqlite3_create_function(s->db, "terms_of", 1, flags, NULL,
				    sql_terms, NULL, NULL) != SQLITE_OK ||
	    sqlite3_create_function(s->db, "words_of", 1, flags, s, sql_words,
				    NULL, NULL) != SQLITE_OK)
		return -1;
	return 0;
}

/* ---- questions -----------------------------------------------------------*/

/* The one number that a query gives; text is its parameter or NULL. */
static int64_t number(struct store *s, const char *sql, const char *text)
{
	sqlite3_stmt *query = NULL;
	int64_t n = 0;

	if (sqlite3_prepare_v2(s->db, sql, -1, &query, NULL) != SQLITE_OK)
		return complain(s, sql);
	if (text)
		sqlite3_bind_text(query, 1, text, -1, SQLITE_STATIC);
	if (sqlite3_step(query) == SQLITE_ROW)
		n = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return n;
}

int64_t store_count_batches(struct store *s)
{
	return number(s, "SELECT count(*) FROM batches", NULL);
}

int64_t store_count_titles(struct store *s)
{
	return number(s, "SELECT count(*) FROM titles", NULL);
}

int64_t store_last_seq(struct store *s, const char *region)
{
	return number(s, "SELECT max(seq) FROM titles WHERE region = ?",
		      region);
}

/* ---- open ----------------------------------------------------------------*/

/* The whole file. OWNED: free(). NULL with errno. */
static char *read_text(const char *path)
{
	char buffer[4096], *text = NULL;
	FILE *f = fopen(path, "re"), *out;
	size_t n, size;

	if (!f)
		return NULL;
	out = open_memstream(&text, &size);
	while (out && (n = fread(buffer, 1, sizeof(buffer), f)) > 0)
		fwrite(buffer, 1, n, out);
	if (out)
		fclose(out);
	fclose(f);
	return text;
}

static int apply_schema(struct store *s, const char *path)
{
	char *sql = read_text(path);
	int rc;

	if (!sql) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	rc = run(s, sql);
	free(sql);
	return rc < 0 ? complain(s, path) : 0;
}

static int index_anew(struct store *s, int64_t was)
{
	int64_t start_ms = clock_ms();
	char version[64];

	snprintf(version, sizeof(version), "PRAGMA user_version = %d",
		 TOKENIZE_VERSION);
	if (run(s, "BEGIN IMMEDIATE") < 0 ||
	    run(s, "UPDATE titles SET terms = terms_of(title),"
		   " words = words_of(title)") < 0 ||
	    run(s, "INSERT INTO titles_fts (titles_fts) VALUES ('rebuild')") <
		    0 ||
	    run(s, version) < 0 || run(s, "COMMIT") < 0)
		return complain(s, "index anew");
	if (was)
		say("tokenizer %" PRId64 " is now %d: %" PRId64
		    " titles indexed anew took=%" PRId64 "ms",
		    was, TOKENIZE_VERSION, store_count_titles(s),
		    clock_ms() - start_ms);
	return 0;
}

static int check_version(struct store *s)
{
	int64_t was = number(s, "PRAGMA user_version", NULL);

	return was == TOKENIZE_VERSION ? 0 : index_anew(s, was);
}

static int prepare(struct store *s, const char *sql, sqlite3_stmt **statement)
{
	return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
				  statement, NULL) == SQLITE_OK ?
		       0 :
		       -1;
}

static int prepare_all(struct store *s)
{
	if (prepare(s, "INSERT INTO batches (region, expected) VALUES (?1, ?2)",
		    &s->add_batch) < 0 ||
	    prepare(s,
		    "INSERT INTO titles (batch, region, seq, title, terms,"
		    " words) VALUES (?1, ?2, ?3, ?4, terms_of(?4),"
		    " words_of(?4))",
		    &s->add_title) < 0 ||
	    prepare(s, "UPDATE batches SET complete = 1 WHERE id = ?1",
		    &s->end_batch) < 0)
		return complain(s, "prepare");
	return 0;
}

static int connect(struct store *s, const char *path)
{
	if (sqlite3_open(path, &s->db) != SQLITE_OK ||
	    sqlite3_busy_timeout(s->db, BUSY_MS) != SQLITE_OK ||
	    run(s, "PRAGMA journal_mode = WAL") < 0 ||
	    run(s, "PRAGMA synchronous = NORMAL") < 0 ||
	    run(s, "PRAGMA foreign_keys = ON") < 0 || add_functions(s) < 0)
		return complain(s, path);
	return 0;
}

static void disconnect(struct store *s)
{
	sqlite3_finalize(s->add_batch);
	sqlite3_finalize(s->add_title);
	sqlite3_finalize(s->end_batch);
	sqlite3_close(s->db);
	free(s);
}

struct store *store_open(const char *db_path, const char *schema_path,
			 const struct dict *dict)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->dict = dict;
	if (connect(s, db_path) == 0 && apply_schema(s, schema_path) == 0 &&
	    check_version(s) == 0 && prepare_all(s) == 0)
		return s;
	disconnect(s);
	return NULL;
}

void store_close(struct store *s)
{
	int64_t start_ms = clock_ms();
	int left = -1;

	if (!s)
		return;
	sqlite3_busy_timeout(s->db, CLOSE_BUSY_MS);
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
				      &left, NULL) != SQLITE_OK)
		complain(s, "checkpoint left for the next start");
	else
		say("checkpoint wal=%d took=%" PRId64 "ms", left,
		    clock_ms() - start_ms);
	disconnect(s);
}

/* ---- write ---------------------------------------------------------------*/

static int step(sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);

	sqlite3_reset(statement);
	return rc == SQLITE_DONE ? 0 : -1;
}

static int64_t add_batch(struct store *s, const struct batch *b)
{
	sqlite3_bind_text(s->add_batch, 1, b->region, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s->add_batch, 2, (int64_t)b->n);
	if (step(s->add_batch) < 0)
		return -1;
	return sqlite3_last_insert_rowid(s->db);
}

static int add_title(struct store *s, const struct batch *b, int64_t id,
		     const struct title *title)
{
	sqlite3_bind_int64(s->add_title, 1, id);
	sqlite3_bind_text(s->add_title, 2, b->region, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s->add_title, 3, title->seq);
	sqlite3_bind_text(s->add_title, 4, title->text, -1, SQLITE_STATIC);
	return step(s->add_title);
}

static int end_batch(struct store *s, int64_t id)
{
	sqlite3_bind_int64(s->end_batch, 1, id);
	return step(s->end_batch);
}

/* Within the transaction. Returns the batch's id, or -1. */
static int64_t write_all(struct store *s, const struct batch *b)
{
	int64_t start_ms = clock_ms(), id = add_batch(s, b);

	for (size_t i = 0; id > 0 && i < b->n; i++) {
		if (add_title(s, b, id, &b->titles[i]) < 0)
			return -1;
		clock_sleep_until(start_ms + b->pace_ms * (int64_t)(i + 1) /
						     (int64_t)b->n);
	}
	return id > 0 && end_batch(s, id) == 0 ? id : -1;
}

int64_t store_write(struct store *s, const struct batch *b)
{
	int64_t id;

	if (run(s, "BEGIN IMMEDIATE") < 0)
		return complain(s, "batch");
	id = write_all(s, b);
	if (id > 0 && run(s, "COMMIT") == 0)
		return id;
	complain(s, "batch");
	run(s, "ROLLBACK");
	return -1;
}
