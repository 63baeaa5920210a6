/* SPDX-License-Identifier: MIT */
/* hr events: what happened to the stack. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/call.h"
#include "cmd/stream.h"
#include "cmd/verbs.h"
#include "lib/base/str.h"

/* In the prefix already, or told by the order of lines. */
static const char *const hidden[] = { "seq",	  "at",	   "service",
				      "instance", "event", NULL };

static void put_value(struct buf *out, const json_t *value)
{
	const json_t *item;
	char *text;
	size_t i;

	if (json_is_string(value)) {
		buf_add_str(out, json_string_value(value));
	} else if (json_is_real(value)) {
		buf_addf(out, "%.1f", json_real_value(value));
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, item)
		{
			if (i > 0)
				buf_add_char(out, ',');
			put_value(out, item);
		}
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		buf_add_str(out, text != NULL ? text : "?");
		free(text);
	}
}

/* Stages that took no time and empty texts only make the line longer. */
static bool is_empty(const json_t *value)
{
	return json_is_null(value) ||
	       (json_is_string(value) && json_string_length(value) == 0) ||
	       (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_real(value) && fabs(json_real_value(value)) < 0.05);
}

static void print_event(struct stream *s, const json_t *o)
{
	const json_t *value;
	const char *key;

	stream_prefix(s, o);
	buf_add_str(&s->out, call_text(o, "event"));
	json_object_foreach((json_t *)(uintptr_t)o, key, value)
	{
		if (strv_has(hidden, key) || is_empty(value))
			continue;
		buf_addf(&s->out, " %s=", key);
		put_value(&s->out, value);
	}
	buf_add_char(&s->out, '\n');
}

static int run(const struct invocation *v)
{
	json_t *o = call_request("events", v->operands);

	json_object_set_new(o, "follow", json_boolean(given(v, 'f') != NULL));
	return stream_run(v, o, "event", PAINT_TIME_MS, print_event);
}

static const struct option_row options[] = {
	{ 'f', "follow", NULL, "go on with new events until Ctrl-C" },
	{ 'j', "json", NULL, "one JSON object a line" },
	{ 0 },
};

const struct verb verb_events = {
	.name = "events",
	.usage = "[-f] [--json] [NAME…]",
	.summary = "show what happened: changes, builds, starts, ends",
	.help = "The last 2000 events, of the named services or of all. With "
		"--json each line is\nan object with seq, at, service, "
		"instance, generation, event and what belongs\nto it.\n",
	.options = options,
	.operand = "service",
	.run = run,
};
