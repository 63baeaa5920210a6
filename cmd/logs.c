/* SPDX-License-Identifier: MIT */
/* hr logs: what services wrote, from the master's memory. */
#include <stdio.h>
#include <string.h>

#include "cmd/call.h"
#include "cmd/stream.h"
#include "cmd/verbs.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/master/ansi.h"

#define LINES 1000
#define LINES_FOLLOWED 20
#define LINES_MAX 10000000

static void print_line(struct stream *s, const json_t *o)
{
	const char *text = call_text(o, "text");
	struct ansi a = { .len = 0 };

	stream_prefix(s, o);
	ansi_filter(&a, s->paint.colour ? ANSI_SGR : ANSI_NONE, text,
		    strlen(text), false, &s->out);
	ansi_close(&a, &s->out);
	buf_add_char(&s->out, '\n');
}

static int run(const struct invocation *v)
{
	int64_t lines = given(v, 'f') != NULL ? LINES_FOLLOWED : LINES;
	json_t *o;

	if (given(v, 'n') != NULL &&
	    str_to_int(given(v, 'n'), 0, LINES_MAX, &lines) < 0) {
		fprintf(stderr,
			"hr: logs: -n takes a number of lines, not '%s'\n",
			given(v, 'n'));
		return EXIT_USAGE;
	}
	o = call_request("logs", v->operands);
	json_object_set_new(o, "lines", json_integer(lines));
	json_object_set_new(o, "follow", json_boolean(given(v, 'f') != NULL));
	return stream_run(v, o, "line", PAINT_TIME_SECONDS, print_line);
}

static const struct option_row options[] = {
	{ 'f', "follow", NULL, "go on with new lines until Ctrl-C" },
	{ 'n', "lines", "N", "the last N lines (default 1000; with -f 20)" },
	{ 'j', "json", NULL, "one JSON object a line" },
	{ 0 },
};

const struct verb verb_logs = {
	.name = "logs",
	.usage = "[-f] [-n N] [--json] [NAME…]",
	.summary = "show what services wrote",
	.help = "The last lines of the named services, or of all, in the order "
		"they came, from\nthe memory of the running stack: the last "
		"1 MB of each. NAME `hr` is what hr\nitself said.\n",
	.options = options,
	.operand = "service",
	.run = run,
};
