/* SPDX-License-Identifier: MIT */
/* Bytes on their way to standard output. */
#include "lib/master/outlet.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

/* A buffer that a burst made larger than this is given back when empty. */
#define KEPT_BYTES ((size_t)512 << 10)
/* POLLOUT without room to write: some drivers do. Then just wait a little. */
#define RETRY_S 0.05

size_t outlet_pending(const struct outlet *o)
{
	return o->buf.len - o->head;
}

bool outlet_is_closed(const struct outlet *o)
{
	return o->sink.fd < 0;
}

static void drop_all(struct outlet *o)
{
	o->head = 0;
	buf_clear(&o->buf);
	if (o->buf.cap > KEPT_BYTES)
		buf_done(&o->buf);
}

/* The head moves, the bytes seldom do. */
static void consume(struct outlet *o, size_t n)
{
	o->head += n;
	if (o->head == o->buf.len) {
		drop_all(o);
	} else if (o->head > o->buf.len / 2) {
		buf_consume(&o->buf, o->head);
		o->head = 0;
	}
}

static void stop_waiting(struct outlet *o)
{
	ev_io_stop(o->loop, &o->writable);
	ev_timer_stop(o->loop, &o->retry);
}

/* Returns whether anything was taken. */
static bool write_out(struct outlet *o)
{
	long n = 0;

	if (outlet_pending(o) > 0)
		n = sink_write(&o->sink, o->buf.data + o->head,
			       outlet_pending(o));
	if (n < 0) {
		log_line("the output is not read any more (%s); the stack runs "
			 "on: hr logs shows it, hr down stops it",
			 strerror(errno));
		stop_waiting(o);
		drop_all(o);
	} else {
		consume(o, (size_t)n);
	}
	o->on_written(o->data);
	return n != 0;
}

void outlet_flush(struct outlet *o)
{
	if (ev_is_active(&o->writable) || ev_is_active(&o->retry) ||
	    outlet_pending(o) == 0)
		return;
	write_out(o);
	if (outlet_pending(o) > 0 && !outlet_is_closed(o))
		ev_io_start(o->loop, &o->writable);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct outlet *o = w->data;
	bool taken = write_out(o);

	(void)revents;
	if (outlet_pending(o) == 0) {
		stop_waiting(o);
	} else if (!taken) {
		ev_io_stop(loop, w);
		ev_timer_set(&o->retry, RETRY_S, 0.);
		ev_timer_start(loop, &o->retry);
	}
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	outlet_flush(w->data);
}

void outlet_finish(struct outlet *o, int timeout_ms)
{
	int64_t end_ms = clock_mono_ms() + timeout_ms, left_ms;
	struct pollfd p = { .events = POLLOUT };

	write_out(o);
	while (outlet_pending(o) > 0 && !outlet_is_closed(o) &&
	       (left_ms = end_ms - clock_mono_ms()) > 0) {
		p.fd = o->sink.fd;
		poll(&p, 1, (int)left_ms);
		write_out(o);
	}
}

void outlet_init(struct outlet *o, struct ev_loop *loop, int out_fd,
		 size_t max_bytes, void (*on_written)(void *data), void *data)
{
	o->head = 0;
	o->loop = loop;
	o->on_written = on_written;
	o->data = data;
	/* Written bytes stay until they are half of it; and one line more. */
	buf_init(&o->buf, 3 * max_bytes);
	sink_init(&o->sink, out_fd);
	ev_io_init(&o->writable, on_writable, o->sink.fd, EV_WRITE);
	ev_timer_init(&o->retry, on_retry, 0., 0.);
	o->writable.data = o->retry.data = o;
}

void outlet_done(struct outlet *o)
{
	stop_waiting(o);
	sink_done(&o->sink);
	buf_done(&o->buf);
}
