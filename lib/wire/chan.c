/* SPDX-License-Identifier: MIT */
/* The channel: packets with a header of type and flags, cut and joined. */
#include "lib/wire/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

/* 128 KiB packets pass a default socket, 256 KiB are EMSGSIZE (measured). */
#define PACKET_BODY_BYTES ((size_t)60 << 10)
/* Messages handled in one turn, so that a flood starves nobody. */
#define TURN_MESSAGES 64

struct header {
	uint32_t type;
	uint32_t more; /* 1: the next packet continues this message */
};

struct packet {
	struct packet *next;
	size_t len;
	int fd;
	struct header header;
	char body[];
};

struct chan {
	struct ev_loop *loop;
	int fd;
	ev_io readable;
	ev_io writable;
	const struct chan_ops *ops;
	void *data;
	struct packet *head;
	struct packet **tail;
	size_t queued_bytes;
	struct buf joined; /* packets of a message not yet complete */
	int joined_fd;
	bool in_callback;
	bool freed;
};

int chan_pair(int fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, fds) < 0)
		return err_sys(err, "cannot make a socket pair");
	return 0;
}

static void packet_free(struct packet *p)
{
	fd_close(&p->fd);
	free(p);
}

static void destroy(struct chan *c)
{
	struct packet *p;

	while ((p = c->head) != NULL) {
		c->head = p->next;
		packet_free(p);
	}
	fd_close(&c->joined_fd);
	buf_done(&c->joined);
	free(c);
}

static void stop(struct chan *c)
{
	ev_io_stop(c->loop, &c->readable);
	ev_io_stop(c->loop, &c->writable);
	fd_close(&c->fd);
}

void chan_free(struct chan *c)
{
	if (c == NULL)
		return;
	stop(c);
	if (c->in_callback)
		c->freed = true;
	else
		destroy(c);
}

/* Returns false if the callback freed the channel. */
static bool deliver(struct chan *c, uint32_t type, int fd)
{
	c->ops->on_message(c->data, type, buf_str(&c->joined), c->joined.len,
			   fd);
	if (!c->freed)
		buf_clear(&c->joined);
	return !c->freed;
}

static void gone(struct chan *c)
{
	stop(c);
	c->ops->on_gone(c->data);
}

static int take_fd(struct msghdr *msg)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (cm != NULL && cm->cmsg_level == SOL_SOCKET &&
	    cm->cmsg_type == SCM_RIGHTS && cm->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

/* One packet. Returns 1: go on; 0: nothing there; -1: gone or freed. */
static int receive(struct chan *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct header header;
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = 2,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	char *room = buf_reserve(&c->joined, PACKET_BODY_BYTES);
	ssize_t n;
	int fd;

	if (room == NULL) {
		gone(c);
		return -1;
	}
	iov[0] = (struct iovec){ &header, sizeof(header) };
	iov[1] = (struct iovec){ room, PACKET_BODY_BYTES };
	n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* A peer that closed with something of ours unread: said once, in
	 * front of its last packets. */
	if (n < 0 && errno == ECONNRESET)
		return 1;
	if (n < (ssize_t)sizeof(header) || (msg.msg_flags & MSG_TRUNC) != 0) {
		gone(c);
		return -1;
	}
	buf_commit(&c->joined, (size_t)n - sizeof(header));
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		log_line("a descriptor was lost: too many open files");
	fd = take_fd(&msg);
	if (fd >= 0) {
		fd_close(&c->joined_fd);
		c->joined_fd = fd;
	}
	if (header.more != 0)
		return 1;
	fd = c->joined_fd;
	c->joined_fd = -1;
	return deliver(c, header.type, fd) ? 1 : -1;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct chan *c = w->data;
	int i;

	(void)loop;
	(void)revents;
	c->in_callback = true;
	for (i = 0; i < TURN_MESSAGES && receive(c) > 0; i++)
		;
	c->in_callback = false;
	if (c->freed)
		destroy(c);
}

/* Returns 0, or -1 with errno. */
static int send_packet(struct chan *c, const struct packet *p)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct header header = p->header;
	char *body = (char *)(uintptr_t)p->body;
	struct iovec iov[2] = { { &header, sizeof(header) }, { body, p->len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cm;

	if (p->fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.bytes);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(p->fd));
		memcpy(CMSG_DATA(cm), &p->fd, sizeof(p->fd));
	}
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Send what the socket takes. Returns 0, or -1 if the peer is gone. */
static int write_queue(struct chan *c)
{
	struct packet *p;

	while ((p = c->head) != NULL) {
		if (send_packet(c, p) < 0) {
			if (errno == EAGAIN || errno == EINTR ||
			    errno == ENOBUFS || errno == ETOOMANYREFS)
				return 0;
			return -1;
		}
		c->head = p->next;
		if (c->head == NULL)
			c->tail = &c->head;
		c->queued_bytes -= p->len + sizeof(*p);
		packet_free(p);
	}
	return 0;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct chan *c = w->data;

	(void)revents;
	/* A dead peer also makes the socket readable: on_gone comes there,
	 * after what it still had to say. */
	if (write_queue(c) < 0 || c->head == NULL)
		ev_io_stop(loop, w);
}

struct chan *chan_new(struct ev_loop *loop, int fd, const struct chan_ops *ops,
		      void *data)
{
	struct chan *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->fd = fd;
	c->ops = ops;
	c->data = data;
	c->tail = &c->head;
	c->joined_fd = -1;
	buf_init(&c->joined, CHAN_BODY_MAX_BYTES + PACKET_BODY_BYTES);
	fd_nonblock(fd);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(loop, &c->readable);
	return c;
}

static void enqueue(struct chan *c, uint32_t type, const char *body, size_t len,
		    bool more, int fd)
{
	struct packet *p = xmalloc(sizeof(*p) + len);

	p->next = NULL;
	p->len = len;
	p->fd = fd;
	p->header = (struct header){ type, more };
	if (len > 0)
		memcpy(p->body, body, len);
	*c->tail = p;
	c->tail = &p->next;
	c->queued_bytes += len + sizeof(*p);
}

int chan_send(struct chan *c, uint32_t type, const struct buf *body, int fd,
	      struct err *err)
{
	size_t left = body != NULL ? body->len : 0, n;
	const char *p = body != NULL ? body->data : NULL;

	if (c->fd < 0 || left > CHAN_BODY_MAX_BYTES ||
	    c->queued_bytes + left > CHAN_QUEUE_MAX_BYTES) {
		fd_close(&fd);
		return c->fd < 0 ?
			       err_set(err, ERR_GONE, "the peer is gone") :
			       err_set(err, ERR_LIMIT, "too much is queued");
	}
	do {
		n = left > PACKET_BODY_BYTES ? PACKET_BODY_BYTES : left;
		left -= n;
		enqueue(c, type, p, n, left > 0, left > 0 ? -1 : fd);
		if (p != NULL)
			p += n;
	} while (left > 0);
	if (!ev_is_active(&c->writable)) {
		if (write_queue(c) < 0)
			return err_set(err, ERR_GONE, "the peer is gone");
		if (c->head != NULL)
			ev_io_start(c->loop, &c->writable);
	}
	return 0;
}

int chan_flush(struct chan *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };

	while (c->fd >= 0 && c->head != NULL) {
		if (poll(&p, 1, timeout_ms) <= 0 || write_queue(c) < 0)
			break;
	}
	return c->head == NULL ? 0 : -1;
}
