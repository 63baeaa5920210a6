/* SPDX-License-Identifier: MIT */
/*
 * Answers that come as a stream of objects, and how their lines begin:
 * shared by hr logs and hr events. Names and colours are those of `hr up`.
 */
#ifndef HR_CMD_STREAM_H
#define HR_CMD_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "cmd/verbs.h"
#include "lib/base/buf.h"
#include "lib/master/paint.h"

struct stream {
	json_t *ps; /* who belongs to the stack */
	struct paint paint;
	struct buf out; /* of one line */
};

/* Print one object of the stream, with its newline. */
typedef void (*stream_fn)(struct stream *s, const json_t *o);

/*
 * Send request and print each object under key: with print, or as it is for
 * --json (option id 'j'). time: of the lines that print makes. Returns the
 * exit code.
 */
int stream_run(const struct invocation *v, json_t *request, const char *key,
	       enum paint_time time, stream_fn print);
/* Start a line in s->out by the members at, service, instance of o. */
void stream_prefix(struct stream *s, const json_t *o);

/* "web", or "web.2" if the service has several instances. ps: of the stack,
 * or NULL. */
void stream_label(const json_t *ps, const char *name, long long instance,
		  char *buffer, size_t size);

#endif
