/* SPDX-License-Identifier: MIT */
/*
 * A channel between two of our processes: one SOCK_SEQPACKET socketpair.
 *
 * A message is a type, a body (put.h) and at most one descriptor. Bodies
 * larger than one packet are cut and joined here. Order is kept. Sending
 * never blocks: what the socket does not take now waits in a queue that is
 * bounded. The receiver is called once per message, and once when the peer
 * is gone.
 */
#ifndef HR_WIRE_CHAN_H
#define HR_WIRE_CHAN_H

#include <stddef.h>
#include <stdint.h>

#include <ev.h>

struct buf;
struct err;
struct chan;

#define CHAN_BODY_MAX_BYTES ((size_t)16 << 20)
#define CHAN_QUEUE_MAX_BYTES ((size_t)64 << 20)
/* Where a role finds the channel to its parent. */
#define CHAN_PARENT_FD 3

struct chan_ops {
	/* fd: -1 or TAKEN by the callee. body: BORROWED. */
	void (*on_message)(void *data, uint32_t type, const void *body,
			   size_t len, int fd);
	/* The peer closed, died or broke the framing. Called once; the
	 * callee may chan_free() here. */
	void (*on_gone)(void *data);
};

/* A connected pair, CLOEXEC, non-blocking. Returns 0, or -1 with err. */
int chan_pair(int fds[2], struct err *err);

/* fd: TAKEN. ops, data, loop: KEPT. OWNED: chan_free(). */
struct chan *chan_new(struct ev_loop *loop, int fd, const struct chan_ops *ops,
		      void *data);
/* Closes the descriptor; safe inside its own callbacks; NULL is fine. */
void chan_free(struct chan *c);

/*
 * Queue one message to the peer; written now if the socket takes it.
 * body: BORROWED, NULL for an empty one. fd: -1, or TAKEN in every case.
 * Returns 0, or -1 with err: ERR_LIMIT (queue or body too large), ERR_GONE.
 */
int chan_send(struct chan *c, uint32_t type, const struct buf *body, int fd,
	      struct err *err);
/* Write the queue out, blocking at most timeout_ms; for last words before an
 * exit. Returns 0, or -1 if something is left. */
int chan_flush(struct chan *c, int timeout_ms);

#endif
