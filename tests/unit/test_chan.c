/* SPDX-License-Identifier: MIT */
/* lib/wire/chan: ends, in every order of last words, callbacks and frees. */
// needs: base wire
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/wire/chan.h"

struct seen {
	struct chan *chan;
	unsigned messages;
	unsigned gone;
	unsigned fds;
	uint32_t last;
	size_t bytes;
	bool free_on_message;
	bool free_on_gone;
	struct chan *also_free; /* another channel, freed in this callback */
};

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct seen *s = data;

	(void)body;
	s->messages++;
	s->last = type;
	s->bytes = len;
	s->fds += fd >= 0;
	fd_close(&fd);
	chan_free(s->also_free);
	s->also_free = NULL;
	if (s->free_on_message) {
		chan_free(s->chan);
		s->chan = NULL;
	}
}

static void on_gone(void *data)
{
	struct seen *s = data;

	s->gone++;
	if (s->free_on_gone) {
		chan_free(s->chan);
		s->chan = NULL;
	}
}

static const struct chan_ops ops = { on_message, on_gone };

struct pair {
	struct ev_loop *loop;
	struct seen near;
	struct chan *far;
	struct seen far_seen;
};

static void open_pair(struct pair *p)
{
	int fds[2];

	memset(p, 0, sizeof(*p));
	p->loop = ev_loop_new(EVFLAG_AUTO);
	assert_int_equal(chan_pair(fds, NULL), 0);
	p->near.chan = chan_new(p->loop, fds[0], &ops, &p->near);
	p->far = chan_new(p->loop, fds[1], &ops, &p->far_seen);
}

static void close_pair(struct pair *p)
{
	chan_free(p->near.chan);
	chan_free(p->far);
	ev_loop_destroy(p->loop);
}

static void turn(struct pair *p, unsigned times)
{
	while (times-- > 0)
		ev_run(p->loop, EVRUN_NOWAIT);
}

static void say(struct chan *c, uint32_t type)
{
	assert_int_equal(chan_send(c, type, NULL, -1, NULL), 0);
}

/*
 * The peer says goodbye and leaves while something we sent lies unread in
 * its queue: the kernel then reports a reset before what the peer had said.
 */
static void test_last_words(void **state)
{
	struct pair p;
	int fd;

	(void)state;
	open_pair(&p);
	say(p.near.chan, 1);
	say(p.far, 7);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(chan_send(p.far, 8, NULL, fd, NULL), 0);
	chan_free(p.far);
	p.far = NULL;
	turn(&p, 4);
	assert_int_equal(p.near.messages, 2);
	assert_int_equal(p.near.last, 8);
	assert_int_equal(p.near.fds, 1);
	assert_int_equal(p.near.gone, 1);
	close_pair(&p);
}

/* The same, when it is a failed send that meets the reset. */
static void test_last_words_after_send(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	say(p.near.chan, 1);
	say(p.far, 7);
	chan_free(p.far);
	p.far = NULL;
	(void)chan_send(p.near.chan, 2, NULL, -1, NULL);
	(void)chan_send(p.near.chan, 3, NULL, -1, NULL);
	turn(&p, 4);
	assert_int_equal(p.near.messages, 1);
	assert_int_equal(p.near.last, 7);
	assert_int_equal(p.near.gone, 1);
	close_pair(&p);
}

static void test_freed_in_its_message(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	p.near.free_on_message = true;
	say(p.far, 1);
	say(p.far, 2);
	turn(&p, 3);
	assert_int_equal(p.near.messages, 1);
	assert_int_equal(p.near.gone, 0);
	assert_int_equal(p.far_seen.gone, 1);
	close_pair(&p);
}

static void test_freed_in_its_end(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	p.near.free_on_gone = true;
	chan_free(p.far);
	p.far = NULL;
	turn(&p, 3);
	assert_int_equal(p.near.gone, 1);
	assert_null(p.near.chan);
	close_pair(&p);
}

/* A callback of one channel frees another that has something to read too. */
static void test_frees_another(void **state)
{
	struct pair a;

	(void)state;
	open_pair(&a);
	a.near.also_free = a.far;
	say(a.far, 1);
	say(a.near.chan, 2);
	turn(&a, 3);
	assert_true(a.near.messages + a.far_seen.messages >= 1);
	a.far = NULL;
	assert_int_equal(a.near.gone, 1);
	close_pair(&a);
}

/* A peer that does not read: bounded, refused in words, and never blocked. */
static void test_stuck_peer(void **state)
{
	struct pair p;
	struct err err;
	struct buf body;
	size_t n = 0;

	(void)state;
	open_pair(&p);
	buf_init(&body, CHAN_BODY_MAX_BYTES);
	assert_non_null(buf_reserve(&body, (size_t)4 << 20));
	memset(body.data, 'x', (size_t)4 << 20);
	buf_commit(&body, (size_t)4 << 20);
	while (chan_send(p.near.chan, 5, &body, -1, &err) == 0)
		assert_true(++n < 100);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(n * body.len <= CHAN_QUEUE_MAX_BYTES + body.len);
	assert_int_equal(chan_flush(p.near.chan, 1), -1);
	/* It reads again: everything arrives, whole and in order. */
	while (p.far_seen.messages < n)
		turn(&p, 1);
	assert_int_equal(p.far_seen.bytes, body.len);
	buf_done(&body);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_last_words_after_send),
		cmocka_unit_test(test_freed_in_its_message),
		cmocka_unit_test(test_freed_in_its_end),
		cmocka_unit_test(test_frees_another),
		cmocka_unit_test(test_stuck_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
