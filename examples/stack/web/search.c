/* SPDX-License-Identifier: MIT */
/* Questions to the index. */
#include "web/search.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/tokenize.h"

enum { BUSY_MS = 1000 };

static const char newest[] =
	"SELECT t.region, t.title, b.at FROM titles t"
	" JOIN batches b ON b.id = t.batch ORDER BY t.id DESC LIMIT 20";

static const char matching[] =
	"SELECT t.region, t.title, b.at FROM titles_fts f"
	" JOIN titles t ON t.id = f.rowid JOIN batches b ON b.id = t.batch"
	" WHERE titles_fts MATCH ? ORDER BY f.rowid DESC LIMIT 20";

/* A query under construction. */
struct query {
	FILE *out;
	size_t run;
	bool open;
};

static int on_token(const struct token *token, void *arg)
{
	struct query *q = arg;

	if (!q->open || token->run != q->run)
		fputs(q->open ? "\" \"" : "\"", q->out);
	else
		fputc(' ', q->out);
	fwrite(token->text, 1, token->len, q->out);
	q->open = true;
	q->run = token->run;
	return 0;
}

/*
 * In the language of FTS5: a phrase for each run of tokens, all of them
 * needed. Terms are letters and digits, so nothing needs quoting. OWNED:
 * free(). NULL: not UTF-8, or no memory.
 */
static char *query_of(const char *text)
{
	char *normal = tokenize_normalise(text), *result = NULL;
	struct query q = { 0 };
	size_t size;

	if (!normal)
		return NULL;
	q.out = open_memstream(&result, &size);
	if (q.out) {
		tokenize(normal, on_token, &q);
		if (q.open)
			fputc('"', q.out);
		fclose(q.out);
	}
	free(normal);
	return result;
}

static const char *column(sqlite3_stmt *s, int i)
{
	const unsigned char *text = sqlite3_column_text(s, i);

	return text ? (const char *)text : "";
}

static int read_hits(sqlite3_stmt *s, hit_fn fn, void *arg)
{
	int rc, n = 0;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct hit hit = { .region = column(s, 0),
				   .title = column(s, 1),
				   .at = column(s, 2) };

		fn(&hit, arg);
		n++;
	}
	return rc == SQLITE_DONE ? n : -1;
}

static int ask(sqlite3 *db, const char *query, hit_fn fn, void *arg)
{
	sqlite3_stmt *s = NULL;
	int n = -1;

	if (sqlite3_prepare_v2(db, *query ? matching : newest, -1, &s, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_text(s, 1, query, -1, SQLITE_STATIC);
		n = read_hits(s, fn, arg);
	}
	sqlite3_finalize(s);
	return n;
}

int search(const char *db_path, const char *text, hit_fn fn, void *arg,
	   const char **error)
{
	char *query = query_of(text);
	sqlite3 *db = NULL;
	int n = -1;

	*error = "this is not UTF-8";
	if (!query)
		return -1;
	if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL) ==
	    SQLITE_OK) {
		sqlite3_busy_timeout(db, BUSY_MS);
		n = ask(db, query, fn, arg);
	}
	*error = sqlite3_errstr(sqlite3_errcode(db));
	sqlite3_close(db);
	free(query);
	return n;
}
