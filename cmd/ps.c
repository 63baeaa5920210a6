/* SPDX-License-Identifier: MIT */
/* hr ps: a row for each instance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/call.h"
#include "cmd/stream.h"
#include "cmd/verbs.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

enum {
	NAME,
	STATE,
	PID,
	GENERATION,
	PORT,
	UPTIME,
	RESTARTS,
	RELOAD,
	WHY,
	COLUMNS
};

static const char *const titles[COLUMNS] = {
	"NAME",	  "STATE",    "PID",	     "GEN", "PORT",
	"UPTIME", "RESTARTS", "LAST RELOAD", "WHY"
};

struct row {
	char cell[COLUMNS][320];
};

static void put_number(char *cell, size_t size, long long n)
{
	if (n > 0)
		snprintf(cell, size, "%lld", n);
	else
		snprintf(cell, size, "-");
}

/* "ready in 486 ms (ingest/tokenize.c)" */
static void put_reload(char *cell, size_t size, const json_t *r)
{
	const json_t *trigger = json_object_get(r, "trigger");
	double ms = json_number_value(json_object_get(r, "total_ms"));
	char result[32], span[40];
	const char *path;
	char *p;

	snprintf(cell, size, "-");
	if (!json_is_object(r))
		return;
	snprintf(result, sizeof(result), "%s", call_text(r, "result"));
	for (p = result; *p != '\0'; p++)
		if (*p == '_')
			*p = ' ';
	clock_span((int64_t)(ms * 1000), span, sizeof(span));
	path = json_string_value(json_array_get(trigger, 0));
	snprintf(cell, size, "%s in %s%s%s%s", result, span,
		 path != NULL ? " (" : "", path != NULL ? path : "",
		 path == NULL		      ? "" :
		 json_array_size(trigger) > 1 ? ", …)" :
						")");
}

static void fill_row(struct row *row, const json_t *ps, const json_t *s)
{
	const size_t size = sizeof(row->cell[0]);

	stream_label(ps, call_text(s, "name"), call_int(s, "instance"),
		     row->cell[NAME], size);
	snprintf(row->cell[STATE], size, "%s", call_text(s, "state"));
	put_number(row->cell[PID], size, call_int(s, "pid"));
	put_number(row->cell[GENERATION], size, call_int(s, "generation"));
	put_number(row->cell[PORT], size, call_int(s, "port"));
	put_number(row->cell[RESTARTS], size, call_int(s, "restarts"));
	if (call_int(s, "uptime_ms") > 0)
		clock_span(call_int(s, "uptime_ms") * 1000, row->cell[UPTIME],
			   size);
	else
		snprintf(row->cell[UPTIME], size, "-");
	put_reload(row->cell[RELOAD], size, json_object_get(s, "last_reload"));
	snprintf(row->cell[WHY], size, "%s", call_text(s, "why"));
}

static const char *state_colour(const char *state)
{
	static const struct {
		const char *state, *colour;
	} rows[] = {
		{ "ready", "\033[32m" },  { "done", "\033[32m" },
		{ "failed", "\033[31m" }, { "backoff", "\033[31m" },
		{ "stopped", "\033[2m" },
	};
	size_t i;

	for (i = 0; i < NITEMS(rows); i++)
		if (str_eq(rows[i].state, state))
			return rows[i].colour;
	return "\033[33m";
}

/* Characters: paths may be UTF-8. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t width_of(const struct row *rows, size_t n, int column)
{
	size_t i, len, widest = 0;

	for (i = 0; i < n; i++) {
		len = width(rows[i].cell[column]);
		if (len > widest)
			widest = len;
	}
	return widest;
}

static void print_row(const struct row *row, const size_t *widths, bool colour)
{
	const char *cell;
	int c;

	for (c = 0; c < COLUMNS && widths[c] > 0; c++) {
		cell = row->cell[c];
		if (colour && c == STATE)
			printf("%s%s" PAINT_RESET, state_colour(cell), cell);
		else
			printf("%s", cell);
		/* Nothing behind the last one. */
		if (c + 1 < COLUMNS && widths[c + 1] > 0)
			printf("%*s", (int)(widths[c] - width(cell)) + 2, "");
	}
	putchar('\n');
}

static void print_table(const json_t *ps, bool colour)
{
	const json_t *services = json_object_get(ps, "services"), *s;
	size_t n = json_array_size(services), widths[COLUMNS], i, len;
	struct row *rows = xcalloc(n + 1, sizeof(*rows));
	int c;

	json_array_foreach(services, i, s) fill_row(&rows[i + 1], ps, s);
	for (c = 0; c < COLUMNS; c++) {
		len = strlen(titles[c]);
		snprintf(rows[0].cell[c], sizeof(rows[0].cell[c]), "%s",
			 titles[c]);
		widths[c] = width_of(rows + 1, n, c);
		if (c != WHY && widths[c] < len)
			widths[c] = len;
	}
	print_row(&rows[0], widths, false);
	for (i = 1; i <= n; i++)
		print_row(&rows[i], widths, colour);
	free(rows);
}

static int run(const struct invocation *v)
{
	int code;
	json_t *answer = call_once(&v->load, call_request("ps", NULL),
				   CALL_AT_ONCE_MS, &code);
	const json_t *ps;

	if (answer == NULL)
		return code;
	ps = json_object_get(answer, "ps");
	if (given(v, 'j') != NULL) {
		json_dumpf(ps, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else {
		print_table(ps, term_want_colour(v->colour, STDOUT_FILENO));
	}
	json_decref(answer);
	return EXIT_DONE;
}

static const struct option_row options[] = {
	{ 'j', "json", NULL, "the same as one JSON object, with more in it" },
	{ 0 },
};

const struct verb verb_ps = {
	.name = "ps",
	.alias = "status",
	.usage = "[--json]",
	.summary = "show the services of the running stack",
	.help = "A row for each instance: name, state, pid, generation, port, "
		"uptime, restarts\nby policy, how the last reload went and "
		"how long it took, and why it is not\nready if it is not.\n",
	.options = options,
	.run = run,
};
