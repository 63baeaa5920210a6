/* SPDX-License-Identifier: MIT */
/*
 * A master without processes: the real stack, order, control, events and
 * peers; roles, log multiplexer and logs are played by the test.
 *
 * What the master sends to roles is recorded in fix.sent; the test answers
 * as a worker with fix_state(), fix_done() and fix_bye(). Clients are real
 * connections to the control socket. Include once, in a test program.
 */
#ifndef HR_TESTS_STACK_FIXTURE_H
#define HR_TESTS_STACK_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>
#include <jansson.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/master/client.h"
#include "lib/master/control.h"
#include "lib/master/events.h"
#include "lib/master/logs.h"
#include "lib/master/master.h"
#include "lib/master/mux.h"
#include "lib/master/peers.h"
#include "lib/master/roles.h"
#include "lib/master/stack.h"
#include "lib/wire/put.h"

/* Reads that find nothing before nothing more is expected. */
#define FIX_IDLE_READS 50

enum { DB, WEB, JOB, FIX_UNITS };

/* One message to a worker or to the watcher. */
struct sent {
	const struct unit *unit;
	uint32_t type;
	int32_t request; /* 0: it has none */
};

static const struct after fix_web_after[] = { { "db", AFTER_READY, { 0 } } };

static struct {
	struct service services[FIX_UNITS];
	struct model model;
	struct up_options opt;
	struct stack stack;
	VEC(struct sent) sent;
	bool no_worker;	 /* roles_ensure_worker() has none to give */
	bool send_fails; /* roles_send() */
	unsigned watcher_stopped;
	char said[512]; /* last mux_say() */
	size_t history; /* lines of 100 bytes logs_send_last() gives */
	char dir[64];
} fix;

/* ---- what the test plays ------------------------------------------------ */

bool roles_ensure_worker(struct unit *u)
{
	if (u->worker.chan == NULL && !fix.no_worker)
		u->worker.chan = (struct chan *)(void *)&fix;
	return u->worker.chan != NULL;
}

bool roles_send(struct role *r, uint32_t type, const struct buf *body)
{
	struct sent s = { r->unit, type, 0 };
	struct arena *arena;
	struct get g;

	if (r->chan == NULL || fix.send_fails)
		return false;
	if (r != &fix.stack.watcher)
		s.unit = (struct unit *)(void *)((char *)r -
						 offsetof(struct unit, worker));
	if (body != NULL &&
	    (type == W_START || type == W_STOP || type == W_RESTART ||
	     type == W_RELOAD || type == W_SIGNAL)) {
		arena = arena_new();
		get_init(&g, body->data, body->len, arena);
		s.request = get_i32(&g);
		arena_free(arena);
	}
	VEC_PUSH(&fix.sent, s);
	return true;
}

void roles_stop_watcher(struct stack *st)
{
	(void)st;
	fix.watcher_stopped++;
}

void mux_say(struct mux *m, const char *fmt, ...)
{
	va_list ap;

	(void)m;
	va_start(ap, fmt);
	vsnprintf(fix.said, sizeof(fix.said), fmt, ap);
	va_end(ap);
}

void mux_drain(struct mux *m, size_t service)
{
	(void)m;
	(void)service;
}

void mux_add_source(struct mux *m, size_t service, const char *label,
		    int64_t generation, bool build, int fd)
{
	(void)m;
	(void)service;
	(void)label;
	(void)generation;
	(void)build;
	fd_close(&fd);
}

void logs_follow(struct stack *st)
{
	(void)st;
}

void logs_send_last(struct stack *st, struct client *c, size_t n)
{
	char line[101];
	size_t i;

	(void)st;
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "{\"line\":\"", 9);
	memcpy(line + sizeof(line) - 3, "\"}", 3);
	for (i = 0; i < n && i < fix.history; i++)
		client_send_text(c, line);
}

/* ---- the stack ---------------------------------------------------------- */

static void fix_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

/* db; web, which comes after db; job, a oneshot that is not enabled. */
static void fix_model(void)
{
	static const char *const names[] = { "db", "web", "job" };
	static const char *const nothing[] = { NULL };
	size_t i;

	memset(&fix, 0, sizeof(fix));
	for (i = 0; i < FIX_UNITS; i++) {
		fix.services[i].name = names[i];
		fix.services[i].index = i;
		fix.services[i].instances = 1;
		fix.services[i].enabled = i != JOB;
		fix.services[i].kill_delay_ms = 5000;
	}
	fix.services[WEB].after = fix_web_after;
	fix.services[WEB].n_after = 1;
	fix.services[JOB].oneshot = true;
	fix.model.stack = "test";
	fix.model.dir = "/test";
	fix.model.services = fix.services;
	fix.model.n_services = FIX_UNITS;
	fix.opt.names = nothing;
}

/* After fix_model() and what the test changes in it. */
static void fix_open(void)
{
	struct stack *st = &fix.stack;
	struct err err;

	snprintf(fix.dir, sizeof(fix.dir), "/tmp/hr-control-test-XXXXXX");
	assert_non_null(mkdtemp(fix.dir));
	stack_init(st, &fix.opt, &fix.model);
	st->state_dir = xstrdup(fix.dir);
	st->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	st->control = control_new(st, &err);
	assert_non_null(st->control);
	st->events = events_new(control_event, st->control);
	ev_timer_init(&st->stop_tick, fix_tick, 1., 1.);
	stack_want(st);
	stack_advance(st);
}

static void fix_close(void)
{
	struct stack *st = &fix.stack;

	ev_timer_stop(st->loop, &st->stop_tick);
	control_free(st->control);
	events_free(st->events);
	ev_loop_destroy(st->loop);
	stack_done(st);
	VEC_FREE(&fix.sent);
	assert_int_equal(rmdir(fix.dir), 0);
}

static struct unit *fix_unit(int u)
{
	return &fix.stack.units[u];
}

static void fix_turn(void)
{
	unsigned i;

	for (i = 0; i < 5; i++)
		ev_run(fix.stack.loop, EVRUN_NOWAIT);
}

/* How many messages of this type unit u (-1: any) was sent. */
static unsigned fix_count(int u, uint32_t type)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < fix.sent.n; i++)
		n += fix.sent.v[i].type == type &&
		     (u < 0 || fix.sent.v[i].unit == fix_unit(u));
	return n;
}

/* ---- as a worker -------------------------------------------------------- */

static void fix_says(int u, uint32_t type, struct buf *b)
{
	worker_peer_message(fix_unit(u), type, buf_str(b), b->len, -1);
	buf_done(b);
}

static void fix_state(int u, enum instance_state state, int pid)
{
	struct buf b;

	buf_init(&b, 4096);
	put_u32(&b, 1);
	put_i64(&b, 1);
	put_u32(&b, state);
	put_i32(&b, pid);
	put_str(&b, instance_state_name(state));
	fix_says(u, M_STATE, &b);
}

__attribute__((unused)) static void fix_exited(int u, int status)
{
	struct buf b;

	buf_init(&b, 4096);
	put_u32(&b, 1);
	put_i64(&b, 1);
	put_i32(&b, status);
	put_bool(&b, false);
	put_str(&b, "ended");
	fix_says(u, M_EXITED, &b);
}

static void fix_done(int u, int32_t request, bool ok)
{
	struct buf b;

	buf_init(&b, 4096);
	put_i32(&b, request);
	put_bool(&b, ok);
	put_str(&b, "as the worker says");
	fix_says(u, M_DONE, &b);
}

static void fix_bye(int u)
{
	struct buf b;

	buf_init(&b, 16);
	fix_says(u, M_BYE, &b);
}

/* Its worker was killed and is not replaced yet. */
static void fix_kill_worker(int u)
{
	fix_unit(u)->worker.chan = NULL;
	fix.no_worker = true;
	worker_peer_lost(fix_unit(u));
	stack_advance(&fix.stack);
}

static void fix_new_worker(void)
{
	size_t i;

	fix.no_worker = false;
	for (i = 0; i < FIX_UNITS; i++)
		roles_ensure_worker(&fix.stack.units[i]);
	stack_advance(&fix.stack);
}

/* db and web run. */
static void fix_ready(void)
{
	fix_state(DB, STATE_READY, 101);
	fix_state(WEB, STATE_READY, 102);
}

/* Every request of this type that unit u was sent is done. */
static void fix_all_done(int u, uint32_t type)
{
	size_t i;

	for (i = 0; i < fix.sent.n; i++)
		if (fix.sent.v[i].type == type && fix.sent.v[i].request != 0 &&
		    fix.sent.v[i].unit == fix_unit(u))
			fix_done(u, fix.sent.v[i].request, true);
}

/* ---- as a client -------------------------------------------------------- */

static int fix_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/hr.sock", fix.dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	fix_turn();
	return fd;
}

static void fix_send(int fd, const char *line)
{
	ssize_t n = send(fd, line, strlen(line), MSG_NOSIGNAL);

	assert_int_equal(n, strlen(line));
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
	fix_turn();
}

/* Send one line on a connection of its own. */
static int fix_ask(const char *line)
{
	int fd = fix_connect();

	fix_send(fd, line);
	return fd;
}

/* Everything that came until now; *end: the connection is closed. */
static void fix_read(int fd, struct buf *b, bool *end)
{
	unsigned idle = 0;
	char *room;
	ssize_t n;

	*end = false;
	buf_init(b, (size_t)64 << 20);
	while (idle < FIX_IDLE_READS && !*end) {
		room = buf_reserve(b, 65536);
		assert_non_null(room);
		n = recv(fd, room, 65536, MSG_DONTWAIT);
		if (n > 0)
			buf_commit(b, (size_t)n);
		*end = n == 0 || (n < 0 && errno == ECONNRESET);
		idle = n > 0 ? 0 : idle + 1;
		if (fix.stack.control != NULL)
			fix_turn();
	}
}

/* The last line that came, as JSON; NULL if none did. */
static json_t *fix_last_line(const struct buf *b)
{
	const char *start = buf_str(b), *p;
	size_t len = b->len;

	if (len == 0 || start[len - 1] != '\n')
		return NULL;
	for (p = start + len - 1; p > start && p[-1] != '\n'; p--)
		;
	return json_loads(p, 0, NULL);
}

/* 1: answered ok; 0: answered not ok, or an error; -1: no answer. */
static int fix_answer(int fd)
{
	struct buf b;
	json_t *o;
	bool end;
	int rc;

	fix_read(fd, &b, &end);
	o = fix_last_line(&b);
	rc = json_object_get(o, "ok") != NULL ?
		     json_is_true(json_object_get(o, "ok")) :
	     json_object_get(o, "error") != NULL ? 0 :
						   -1;
	json_decref(o);
	buf_done(&b);
	return rc;
}

#endif
