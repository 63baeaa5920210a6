/* SPDX-License-Identifier: MIT */
/* One connection on the control socket. */
#include "lib/master/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/master/report.h"

struct line_client {
	struct client client; /* first: handed out by its address */
	struct ev_loop *loop;
	client_line_fn on_line;
};

static struct line_client *outer(struct client *c)
{
	return (struct line_client *)(void *)c;
}

/* Move what is left to the front, rarely: each byte a few times at most. */
static void compact(struct client *c)
{
	if (c->out_sent < c->out.len / 2)
		return;
	buf_consume(&c->out, c->out_sent);
	c->first_end -= c->first_end < c->out_sent ? c->first_end : c->out_sent;
	c->out_sent = 0;
}

static void write_out(struct client *c)
{
	ssize_t n;

	while (c->out_sent < c->out.len) {
		n = send(c->fd, c->out.data + c->out_sent,
			 c->out.len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				c->dead = true;
			compact(c);
			return;
		}
		c->out_sent += (size_t)n;
	}
	c->out_sent = c->first_end = 0;
	buf_clear(&c->out);
	if (c->closing)
		c->dead = true;
}

static void arm(struct client *c)
{
	struct line_client *l = outer(c);

	if (c->out.len > 0 && !c->dead)
		ev_io_start(l->loop, &c->writable);
	else
		ev_io_stop(l->loop, &c->writable);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *c = w->data;

	(void)loop;
	(void)revents;
	write_out(c);
	arm(c);
}

static void take_lines(struct client *c)
{
	char *end;

	while (!c->dead && !c->closing && c->in.len > 0 &&
	       (end = memchr(c->in.data, '\n', c->in.len)) != NULL) {
		*end = '\0';
		outer(c)->on_line(c, c->in.data, (size_t)(end - c->in.data));
		buf_consume(&c->in, (size_t)(end - c->in.data) + 1);
	}
}

/* Closed for both directions, not just half. */
static bool has_left(const struct client *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *c = w->data;
	char *room = buf_reserve(&c->in, 4096);
	ssize_t n;

	(void)revents;
	if (room == NULL) {
		client_error(c, EXIT_USAGE, NULL, "the request is too long");
		ev_io_stop(loop, w);
		return;
	}
	n = recv(c->fd, room, 4096, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* Half closed (`nc -N`): what was asked is still answered. */
		ev_io_stop(loop, w);
		if (n < 0 || !c->asked || c->streaming || has_left(c))
			c->dead = true;
		return;
	}
	buf_commit(&c->in, (size_t)n);
	take_lines(c);
}

struct client *client_new(struct ev_loop *loop, struct control *control, int fd,
			  client_line_fn on_line)
{
	struct line_client *l = xcalloc(1, sizeof(*l));
	struct client *c = &l->client;

	l->loop = loop;
	l->on_line = on_line;
	c->control = control;
	c->fd = fd;
	buf_init(&c->in, CLIENT_LINE_MAX_BYTES);
	buf_init(&c->out, CLIENT_ANSWER_MAX_BYTES);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(loop, &c->readable);
	return c;
}

void client_free(struct ev_loop *loop, struct client *c)
{
	size_t i;

	ev_io_stop(loop, &c->readable);
	ev_io_stop(loop, &c->writable);
	fd_close(&c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	for (i = 0; c->services != NULL && c->services[i] != NULL; i++)
		free(c->services[i]);
	free(c->services);
	free(outer(c));
}

/* What a stream began with was asked for, and is no sign of lagging. */
static bool is_behind(const struct client *c)
{
	size_t from = c->first_end > c->out_sent ? c->first_end : c->out_sent;

	return c->streaming && c->out.len - from > CLIENT_OUT_MAX_BYTES;
}

void client_send_text(struct client *c, const char *json)
{
	if (c->dead)
		return;
	if (is_behind(c) || buf_add_str(&c->out, json) < 0 ||
	    buf_add_char(&c->out, '\n') < 0) {
		c->dead = true;
		return;
	}
	if (!ev_is_active(&c->writable))
		write_out(c);
	arm(c);
}

void client_send(struct client *c, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));

	json_decref(o);
	if (text != NULL)
		client_send_text(c, text);
	free(text);
}

void client_error(struct client *c, int code, const char *hint, const char *fmt,
		  ...)
{
	json_t *o = json_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(o, "error", report_text(text));
	if (hint != NULL)
		json_object_set_new(o, "hint", report_text(hint));
	json_object_set_new(o, "code", json_integer(code));
	client_send(c, o);
	client_finish(c);
}

void client_finish(struct client *c)
{
	c->closing = true;
	if (c->out.len == 0)
		c->dead = true;
}

bool client_wants(const struct client *c, const char *service)
{
	if (c->services == NULL || c->services[0] == NULL)
		return true;
	return service != NULL &&
	       strv_has((const char *const *)c->services, service);
}

void client_follow(struct client *c)
{
	c->streaming = true;
	c->first_end = c->out.len;
}

void client_flush(struct client *c, int64_t end_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };
	int64_t left = end_ms - clock_mono_ms();

	while (!c->dead && c->out.len > 0 && left >= 0 &&
	       poll(&p, 1, (int)left) > 0) {
		write_out(c);
		left = end_ms - clock_mono_ms();
	}
}
