/* SPDX-License-Identifier: MIT */
/*
 * One connection on the control socket: lines in, lines out, bounded.
 *
 * Owned by control.c; freed with client_free(), never inside a callback of
 * itself: a connection that has to end is marked and swept.
 */
#ifndef HR_MASTER_CLIENT_H
#define HR_MASTER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <jansson.h>

#include "lib/base/buf.h"

#define CLIENT_LINE_MAX_BYTES ((size_t)256 << 10)
/* Of a follower; a single answer may be larger, what it tells is bounded. */
#define CLIENT_OUT_MAX_BYTES ((size_t)8 << 20)
#define CLIENT_ANSWER_MAX_BYTES ((size_t)1 << 30)

struct control;

struct client {
	struct client *next;
	struct control *control;
	int fd;
	ev_io readable;
	ev_io writable;
	struct buf in;
	struct buf out;
	size_t out_sent;  /* of out, already written */
	size_t first_end; /* of out, where the first answer of a stream ends */
	bool asked;	  /* one request a connection */
	bool streaming;	  /* a follower: may not fall behind */
	bool closing;	  /* once out is written */
	bool dead;	  /* now */
	bool follows_events;
	bool follows_logs;
	bool waits_ready;
	bool waits_end;	 /* of the stack: `down` */
	char **services; /* filter of a follower, NULL-terminated, or NULL */
};

typedef void (*client_line_fn)(struct client *c, const char *line, size_t len);

/* fd: TAKEN, non-blocking. on_line: called for each whole line. */
struct client *client_new(struct ev_loop *loop, struct control *control, int fd,
			  client_line_fn on_line);
void client_free(struct ev_loop *loop, struct client *c);
/* Queue one line; a client that is too far behind becomes dead. */
void client_send_text(struct client *c, const char *json);
/* o: TAKEN. */
void client_send(struct client *c, json_t *o);
/* {"error", "hint", "code"} and close. hint may be NULL. */
void client_error(struct client *c, int code, const char *hint, const char *fmt,
		  ...) __attribute__((format(printf, 4, 5)));
/* Close once everything is written. */
void client_finish(struct client *c);
/* Whether a follower wants lines of this service (NULL: of hr itself). */
bool client_wants(const struct client *c, const char *service);
/* The answer is a stream from now on: CLIENT_OUT_MAX_BYTES is its bound. */
void client_follow(struct client *c);
/* Write what waits, blocking until end_ms (monotonic) at most. */
void client_flush(struct client *c, int64_t end_ms);

#endif
