/* SPDX-License-Identifier: MIT */
/* lib/wire: fields, specs and channels; every truncation of a spec. */
// needs: base wire procfile
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "procfile/model.h"

static void test_fields(void **state)
{
	static const char *const list[] = { "a", "", "ccc", NULL };
	struct arena *arena = arena_new();
	struct get g;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	put_u8(&b, 255);
	put_u32(&b, 0xdeadbeef);
	put_i32(&b, -5);
	put_i64(&b, INT64_MIN);
	put_bool(&b, true);
	put_str(&b, NULL);
	put_str(&b, "text");
	put_strv(&b, list);
	get_init(&g, b.data, b.len, arena);
	assert_int_equal(get_u8(&g), 255);
	assert_int_equal(get_u32(&g), 0xdeadbeef);
	assert_int_equal(get_i32(&g), -5);
	assert_true(get_i64(&g) == INT64_MIN);
	assert_true(get_bool(&g));
	assert_null(get_str(&g));
	assert_string_equal(get_text(&g), "text");
	assert_string_equal(get_strv(&g)[2], "ccc");
	assert_int_equal(get_end(&g), 0);
	buf_done(&b);
	arena_free(arena);
}

static int end_of(const char *bytes, size_t len, struct arena *arena)
{
	struct get g;

	get_init(&g, bytes, len, arena);
	get_text(&g);
	return get_end(&g);
}

static void test_malformed(void **state)
{
	struct arena *arena = arena_new();
	struct get g;

	(void)state;
	assert_int_equal(end_of("\2\0\0\0ab", 6, arena), 0);
	assert_int_equal(end_of("\2\0\0\0ab", 5, arena), -1);
	assert_int_equal(end_of("\2\0\0\0abc", 7, arena), -1);
	assert_int_equal(end_of("\2\0\0\0a\0", 6, arena), -1);
	assert_int_equal(end_of("\377\377\377\377", 4, arena), -1);
	get_init(&g, "\377\377\377\177", 4, arena);
	assert_int_equal(get_strv(&g)[0] == NULL, 1);
	assert_int_equal(get_end(&g), -1);
	get_init(&g, "\2", 1, arena);
	get_bool(&g);
	assert_int_equal(get_end(&g), -1);
	get_init(&g, "\5\0\0\0", 4, arena);
	assert_int_equal(get_enum(&g, 5), 0);
	assert_int_equal(get_end(&g), -1);
	arena_free(arena);
}

static const struct pattern some_patterns[] = { { "*.c", { "hr.conf", 3, 5 } },
						{ "!x.c", { NULL, 0, 0 } } };
static const char *const some_strings[] = { "one", "two", NULL };

static void fill_service(struct service *s)
{
	static const struct after after[] = {
		{ "db", AFTER_DONE, { "hr.conf", 9, 1 } }
	};
	static const struct rule rules[] = { { "tpl",
					       { some_patterns, 1 },
					       ACTION_SIGNAL,
					       1,
					       NULL,
					       { "hr.conf", 7, 2 } } };
	static const struct port ports[] = {
		{ "admin", 8081, "127.0.0.1", PORT_WAIT, { NULL, 0, 0 } }
	};
	static const struct key_set keys[] = { { "tty", { "hr.conf", 2, 1 } } };

	memset(s, 0, sizeof(*s));
	s->name = "web";
	s->command = "./web";
	s->dir = "/stack";
	s->env = s->env_file = s->reload_with = s->lock = some_strings;
	s->watch.dirs = s->watch.ext = some_strings;
	s->instances = 2;
	s->kill_delay_ms = 5000;
	s->watch.exclude = (struct patterns){ some_patterns, 2 };
	s->after = after;
	s->n_after = 1;
	s->rules = rules;
	s->n_rules = 1;
	s->ports = ports;
	s->n_ports = 1;
	s->keys = keys;
	s->n_keys = 1;
	s->ready.kind = PROBE_HTTP;
	s->ready.target = "http://127.0.0.1/";
}

/* Decoded and encoded again, the bytes are the same. */
static void test_spec(void **state)
{
	struct arena *arena = arena_new();
	struct service in, out;
	struct buf a, b;
	struct get g;
	size_t len;

	(void)state;
	fill_service(&in);
	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	spec_put(&a, &in);
	get_init(&g, a.data, a.len, arena);
	spec_get(&g, &out);
	assert_int_equal(get_end(&g), 0);
	assert_string_equal(out.watch.exclude.v[1].text, "!x.c");
	assert_string_equal(out.rules[0].name, "tpl");
	assert_int_equal(out.ports[0].number, 8081);
	spec_put(&b, &out);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	for (len = 0; len < a.len; len++) {
		get_init(&g, a.data, len, arena);
		spec_get(&g, &out);
		assert_int_equal(get_end(&g), -1);
	}
	buf_done(&a);
	buf_done(&b);
	arena_free(arena);
}

struct peer {
	struct chan *chan;
	size_t messages;
	size_t bytes;
	uint32_t last_type;
	int fd;
	int gone;
};

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct peer *p = data;

	assert_non_null(body);
	p->messages++;
	p->bytes += len;
	p->last_type = type;
	if (fd >= 0)
		p->fd = fd;
}

static void on_gone(void *data)
{
	struct peer *p = data;

	p->gone++;
	chan_free(p->chan);
	p->chan = NULL;
}

static const struct chan_ops ops = { on_message, on_gone };

static void connect_peers(struct ev_loop *loop, struct peer *a, struct peer *b)
{
	int fds[2];

	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	a->fd = b->fd = -1;
	assert_int_equal(chan_pair(fds, NULL), 0);
	a->chan = chan_new(loop, fds[0], &ops, a);
	b->chan = chan_new(loop, fds[1], &ops, b);
}

/* A flood that no socket buffer holds, a body of many packets, and a
 * descriptor: all arrive, in order, and then the end. */
static void test_chan(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	struct peer a, b;
	struct buf big;
	uint32_t i;
	int pipe_fds[2];

	(void)state;
	connect_peers(loop, &a, &b);
	buf_init(&big, 1 << 20);
	while (big.len < 500000)
		buf_add_str(&big, "0123456789");
	for (i = 0; i < 5000; i++)
		assert_int_equal(chan_send(a.chan, i, NULL, -1, NULL), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(chan_send(a.chan, 7, &big, pipe_fds[0], NULL), 0);
	while (b.messages < 5001)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(b.bytes, 500000);
	assert_int_equal(b.last_type, 7);
	assert_true(b.fd >= 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	close(pipe_fds[1]);
	close(b.fd);
	assert_int_equal(chan_send(a.chan, 9, NULL, -1, NULL), 0);
	assert_int_equal(chan_flush(a.chan, 1000), 0);
	chan_free(a.chan);
	while (!b.gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(b.messages, 5002);
	assert_int_equal(b.last_type, 9);
	buf_done(&big);
	ev_loop_destroy(loop);
}

static void test_chan_limit(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	struct peer a, b;
	struct buf big;
	struct err err = { 0 };
	int sent = 0;

	(void)state;
	connect_peers(loop, &a, &b);
	buf_init(&big, CHAN_BODY_MAX_BYTES);
	assert_non_null(buf_reserve(&big, CHAN_BODY_MAX_BYTES));
	memset(big.data, 'x', CHAN_BODY_MAX_BYTES);
	buf_commit(&big, CHAN_BODY_MAX_BYTES);
	while (sent < 100 && chan_send(a.chan, 1, &big, -1, &err) == 0)
		sent++;
	assert_in_range(sent, 1, 10);
	assert_int_equal(err.code, ERR_LIMIT);
	chan_free(a.chan);
	chan_free(b.chan);
	buf_done(&big);
	ev_loop_destroy(loop);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(instance_state_name(STATE_BACKOFF), "backoff");
	assert_string_equal(reload_result_name(RESULT_ROLLED_BACK),
			    "rolled_back");
	assert_string_equal(instance_state_name(STATE_LIMIT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_chan),
		cmocka_unit_test(test_chan_limit),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
