/* SPDX-License-Identifier: MIT */
/* Between the log multiplexer and clients: lines as JSON. */
#include "lib/master/logs.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/master/client.h"
#include "lib/master/control.h"
#include "lib/master/events.h"
#include "lib/master/master.h"
#include "lib/master/mux.h"
#include "lib/master/report.h"
#include "lib/master/stack.h"

static void on_skipped(void *data, uint64_t lines)
{
	struct stack *st = data;

	events_add(st->events, "dropped_log", NULL, NULL,
		   json_pack("{s:I}", "lines", (json_int_t)lines));
}

struct mux *logs_new_mux(struct stack *st)
{
	const struct mux_options options = {
		.out_fd = STDOUT_FILENO,
		.terminal = st->opt->terminal,
		.colour = st->opt->colour,
		.raw = st->opt->raw,
		.block = st->model->backpressure == BACKPRESSURE_BLOCK,
		.time = st->opt->time,
		.on_skipped = on_skipped,
		.data = st,
	};
	struct mux *mux = mux_new(st->loop, &options);
	const struct unit *u;
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		mux_add_service(mux, u->s->name);
		for (j = 0; j < u->n_instances; j++)
			mux_widen(mux, u->instances[j].label);
	}
	return mux;
}

static char *line_json(const struct mux_line *line)
{
	json_t *o = json_object(), *wrapped;
	char at[40], *text;

	clock_rfc3339(line->at_real_us, at, sizeof(at));
	json_object_set_new(o, "at", json_string(at));
	json_object_set_new(o, "service", json_string(line->service));
	json_object_set_new(o, "instance", json_integer(line->instance));
	json_object_set_new(o, "generation", json_integer(line->generation));
	json_object_set_new(o, "text", report_text(line->text));
	json_object_set_new(o, "build", json_boolean(line->build));
	wrapped = json_pack("{s:o}", "line", o);
	text = json_dumps(wrapped, JSON_COMPACT);
	json_decref(wrapped);
	return text;
}

static void send_line(void *data, const struct mux_line *line)
{
	char *json = line_json(line);

	if (json != NULL)
		client_send_text(data, json);
	free(json);
}

void logs_send_last(struct stack *st, struct client *c, size_t n)
{
	size_t n_numbers = 0, i;
	size_t *numbers = xcalloc(st->n_units + 1, sizeof(*numbers));

	for (i = 0; i < st->n_units; i++)
		if (client_wants(c, st->units[i].s->name))
			numbers[n_numbers++] = i;
	if (client_wants(c, "hr"))
		numbers[n_numbers++] = MUX_HR;
	mux_history(st->mux, numbers, n_numbers, n, send_line, c);
	free(numbers);
}

static void follow_line(void *data, const struct mux_line *line)
{
	struct stack *st = data;
	char *json;

	if (!control_has_log_followers(st->control))
		return;
	json = line_json(line);
	if (json != NULL)
		control_log(st->control, line->service, json);
	free(json);
}

void logs_follow(struct stack *st)
{
	mux_follow(st->mux, follow_line, st);
}
