/* SPDX-License-Identifier: MIT */
/*
 * The log multiplexer: pipes of services in, one stream of lines out.
 *
 * Every line of every source is shown once, under the prefix of its service,
 * and kept in the memory of that service (the last MUX_HISTORY_BYTES). What
 * a source wrote before its end is shown in any case: at EOF an unfinished
 * line counts as a line.
 *
 * The output never blocks the loop (sink.h). While it takes less than the
 * services write, reading pauses for at most MUX_PAUSE_MS, so that a reader
 * who is merely slower loses nothing; after that lines that do not fit into
 * MUX_PENDING_BYTES are skipped on screen (never in memory) and counted.
 *
 * The caller ignores SIGPIPE. One thread, one loop; no timer runs while
 * nothing is half done.
 */
#ifndef HR_MASTER_MUX_H
#define HR_MASTER_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "lib/master/paint.h"

#define MUX_HISTORY_BYTES ((size_t)1 << 20)
#define MUX_PENDING_BYTES ((size_t)2 << 20)
#define MUX_LINE_BYTES ((size_t)64 << 10)
#define MUX_PARTIAL_MS 100
#define MUX_PAUSE_MS 50
/* The number of hr's own lines among the services. */
#define MUX_HR PAINT_HR

struct mux;

struct mux_options {
	int out_fd;    /* BORROWED: reopened or written, never changed */
	bool terminal; /* progress lines may be rewritten in place */
	bool colour;
	bool raw;   /* pass every byte of services */
	bool block; /* backpressure = "block": pause without end */
	enum paint_time time;
	/* Lines were skipped on screen; may be NULL. data: KEPT. */
	void (*on_skipped)(void *data, uint64_t lines);
	void *data;
};

/* loop: KEPT. OWNED: mux_free(), which writes nothing any more. */
struct mux *mux_new(struct ev_loop *loop, const struct mux_options *opt);
void mux_free(struct mux *m);

/* The next service, numbered from 0 in order of calls. */
size_t mux_add_service(struct mux *m, const char *name);
/* Make the column of names wide enough for "web.2". */
void mux_widen(struct mux *m, const char *label);
/*
 * Read a pipe until EOF. service: its number. label: "web" or "web.2".
 * fd: TAKEN, made non-blocking.
 */
void mux_add_source(struct mux *m, size_t service, const char *label,
		    int64_t generation, bool build, int fd);
/* Read all that the service's pipes hold now, and finish lines of those at
 * EOF: before its end is reported. At most MUX_HISTORY_BYTES a pipe. */
void mux_drain(struct mux *m, size_t service);
/* hr's own line, or lines if the text has newlines. */
void mux_say(struct mux *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Show what is half done and write out, blocking at most timeout_ms. */
void mux_flush(struct mux *m, int timeout_ms);

/* A line that was written. text is valid UTF-8 without NUL and newline (bad
 * bytes are U+FFFD) and has a NUL behind it; colours are still in it. */
struct mux_line {
	int64_t at_real_us;
	const char *service; /* name, or "hr" */
	size_t number;	     /* of the service, or MUX_HR */
	uint32_t instance;   /* from 1; 0: hr */
	int64_t generation;
	bool build;
	const char *text;
	size_t len;
};

/* line and its strings: BORROWED for the call. */
typedef void (*mux_line_fn)(void *data, const struct mux_line *line);

/*
 * The last `lines` lines in memory, oldest first, merged in the order they
 * came. services: numbers (MUX_HR too), n of them; n 0: all and hr.
 * fn must not call back into m.
 */
void mux_history(struct mux *m, const size_t *services, size_t n, size_t lines,
		 mux_line_fn fn, void *data);
/* fn for each new line from now on; NULL: no more. One follower: the control
 * socket, which serves many. data: KEPT. fn must not call back into m. */
void mux_follow(struct mux *m, mux_line_fn fn, void *data);

#endif
