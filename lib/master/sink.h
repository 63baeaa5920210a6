/* SPDX-License-Identifier: MIT */
/*
 * Standard output that never blocks us, whatever is behind it.
 *
 * The open file description of stdout is shared with the shell and with
 * every program of the same terminal: O_NONBLOCK on it would break them. So:
 *
 *   device, pipe     a description of our own, by opening /proc/self/fd/N
 *                    with O_NONBLOCK. A terminal stopped by Ctrl-S then gives
 *                    EAGAIN instead of sleeping in write().
 *   socket           send(MSG_DONTWAIT)
 *   file             write(): it does not wait for a reader
 *   else             (the reopening was refused: another user's terminal)
 *                    poll() before each write of at most SINK_CHUNK_BYTES
 *
 * A thread for writing would do as well, but not know how far it is.
 */
#ifndef HR_MASTER_SINK_H
#define HR_MASTER_SINK_H

#include <stdbool.h>
#include <stddef.h>

#define SINK_CHUNK_BYTES 256

enum sink_kind { SINK_OWN, SINK_SOCKET, SINK_DIRECT, SINK_POLLED };

struct sink {
	enum sink_kind kind;
	int fd;	     /* what is written; -1: closed by the reader */
	bool is_own; /* fd is ours to close */
};

/* out_fd: BORROWED. */
void sink_init(struct sink *s, int out_fd);
void sink_done(struct sink *s);
/*
 * Write what can be written now. Returns the bytes taken (0: nothing now,
 * wait for POLLOUT on s->fd), or -1 once the reader is gone (EPIPE, hangup,
 * or a full disk): everything after that is dropped.
 */
long sink_write(struct sink *s, const char *data, size_t len);

#endif
