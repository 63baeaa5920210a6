/* SPDX-License-Identifier: MIT */
/*
 * What waits for standard output: text is appended to buf, and written when
 * the sink takes it. Idle unless something waits.
 */
#ifndef HR_MASTER_OUTLET_H
#define HR_MASTER_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>

#include "lib/base/buf.h"
#include "lib/master/sink.h"

struct outlet {
	struct buf buf; /* append here */
	size_t head;	/* bytes of buf that are written */
	struct ev_loop *loop;
	struct sink sink;
	ev_io writable;
	ev_timer retry;
	void (*on_written)(void *data);
	void *data;
};

/* out_fd: BORROWED. max_bytes: the most the caller lets wait; buf may grow to
 * three times that. on_written: called after each attempt to write; it may
 * append. loop, data: KEPT. */
void outlet_init(struct outlet *o, struct ev_loop *loop, int out_fd,
		 size_t max_bytes, void (*on_written)(void *data), void *data);
void outlet_done(struct outlet *o);
size_t outlet_pending(const struct outlet *o);
/* The reader is gone: what is appended is dropped at the next flush. */
bool outlet_is_closed(const struct outlet *o);
/* Write now unless it is known that nothing can be; the rest when it can. */
void outlet_flush(struct outlet *o);
/* Write everything, blocking at most timeout_ms. */
void outlet_finish(struct outlet *o, int timeout_ms);

#endif
