/* SPDX-License-Identifier: MIT */
/* lib/master/mux: pipes in, one stream out, memory. */
// needs: base master
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/master/mux.h"

#define GIVE_UP_S 60

struct fixture {
	struct ev_loop *loop;
	struct mux *mux;
	struct mux_options opt;
	int out[2];
	struct buf got;
	uint64_t skipped;
	ev_timer heartbeat; /* so that a turn ends though nothing happens */
};

static void on_skipped(void *data, uint64_t lines)
{
	struct fixture *f = data;

	f->skipped += lines;
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

/* Standard output is a pipe unless out_fd says otherwise. */
static struct fixture *start(struct mux_options opt)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	alarm(GIVE_UP_S);
	f->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	ev_timer_init(&f->heartbeat, on_heartbeat, 0.002, 0.002);
	ev_timer_start(f->loop, &f->heartbeat);
	assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
	assert_int_equal(fd_nonblock(f->out[0]), 0);
	buf_init(&f->got, (size_t)256 << 20);
	f->opt = opt;
	if (opt.out_fd <= 0)
		f->opt.out_fd = f->out[1];
	f->opt.on_skipped = on_skipped;
	f->opt.data = f;
	f->mux = mux_new(f->loop, &f->opt);
	mux_add_service(f->mux, "web");
	mux_add_service(f->mux, "ingest");
	return f;
}

static struct fixture *start_plain(void)
{
	return start((struct mux_options){ .time = PAINT_TIME_NONE });
}

static void end(struct fixture *f)
{
	mux_free(f->mux);
	ev_timer_stop(f->loop, &f->heartbeat);
	ev_loop_destroy(f->loop);
	fd_close(&f->out[0]);
	fd_close(&f->out[1]);
	buf_done(&f->got);
	free(f);
}

/* A source; returns where its service writes. */
static int source(struct fixture *f, size_t service, const char *label)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	mux_add_source(f->mux, service, label, 1, false, fds[0]);
	return fds[1];
}

static void put(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Take what has been written. */
static void take(struct fixture *f)
{
	char *room;
	ssize_t n;

	do {
		room = buf_reserve(&f->got, 65536);
		assert_non_null(room);
		n = read(f->out[0], room, 65536);
		if (n > 0)
			buf_commit(&f->got, (size_t)n);
	} while (n > 0);
}

/* Turn until the output so far is want. */
static void expect(struct fixture *f, const char *want)
{
	while (take(f), !str_eq(buf_str(&f->got), want)) {
		if (strncmp(buf_str(&f->got), want, f->got.len) != 0)
			assert_string_equal(buf_str(&f->got), want);
		ev_run(f->loop, EVRUN_ONCE);
	}
	buf_clear(&f->got);
}

static void expect_end(struct fixture *f, const char *end_text)
{
	while (take(f), !str_ends(buf_str(&f->got), end_text))
		ev_run(f->loop, EVRUN_ONCE);
}

static void test_prefix(void **state)
{
	struct fixture *f = start_plain();
	int web, ingest;

	(void)state;
	mux_widen(f->mux, "ingest.12");
	web = source(f, 0, "web");
	ingest = source(f, 1, "ingest.2");
	put(web, "one\ntwo\n\n");
	expect(f, "web       | one\nweb       | two\nweb       | \n");
	put(ingest, "three\n");
	expect(f, "ingest.2  | three\n");
	mux_say(f->mux, "%s: first\nsecond", "note");
	expect(f, "hr        | note: first\nhr        | second\n");
	close(web);
	close(ingest);
	end(f);
}

static void test_time(void **state)
{
	struct fixture *f =
		start((struct mux_options){ .time = PAINT_TIME_MS });

	(void)state;
	mux_say(f->mux, "x");
	expect_end(f, "\n");
	/* 12:04:07.123 hr     | x */
	assert_int_equal(f->got.len, 12 + 1 + 6 + 3 + 2);
	assert_int_equal(f->got.data[2], ':');
	assert_int_equal(f->got.data[8], '.');
	end(f);
}

static void test_end_without_newline(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");

	(void)state;
	put(web, "last words");
	close(web);
	expect(f, "web    | last words\n");
	end(f);
}

/* What is in the pipe is shown before what is said after mux_drain. */
static void test_drain(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web"), ingest = source(f, 1, "ingest");
	char block[4096];
	int i;

	(void)state;
	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	fcntl(web, F_SETPIPE_SZ, 1 << 20);
	for (i = 0; i < 100; i++)
		assert_int_equal(write(web, block, sizeof(block)), 4096);
	put(web, "half");
	put(ingest, "other\n");
	close(web);
	mux_drain(f->mux, 0);
	mux_say(f->mux, "web has ended");
	expect_end(f, "web    | half\nhr     | web has ended\n"
		      "ingest | other\n");
	close(ingest);
	end(f);
}

/* The writer lives: its half line is shown, and goes on where it stopped. */
static void test_partial(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");
	int64_t from = clock_mono_ms();

	(void)state;
	put(web, "Password: ");
	expect(f, "web    | Password: ");
	assert_true(clock_mono_ms() - from >= MUX_PARTIAL_MS - 20);
	put(web, "***");
	expect(f, "***");
	put(web, "\nnext\n");
	expect(f, "\nweb    | next\n");
	close(web);
	end(f);
}

static void test_partial_interrupted(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web"), ingest = source(f, 1, "ingest");

	(void)state;
	put(web, "compiling ");
	expect(f, "web    | compiling ");
	put(ingest, "line\n");
	expect(f, "\ningest | line\n");
	put(web, "done\n");
	expect(f, "web    | done\n");
	put(web, "again");
	expect(f, "web    | again");
	mux_say(f->mux, "note");
	expect(f, "\nhr     | note\n");
	/* Nothing is left of it to show. */
	put(web, "\nnew\n");
	expect(f, "web    | new\n");
	put(web, "cut");
	expect(f, "web    | cut");
	close(web);
	expect(f, "\n");
	close(ingest);
	end(f);
}

/* A half escape or character waits for its other half. */
static void test_partial_cut(void **state)
{
	struct fixture *f = start((struct mux_options){ .time = PAINT_TIME_NONE,
							.colour = true });
	int web = source(f, 0, "web");

	(void)state;
	put(web, "\033[31mr\xe3\x81");
	expect(f, "\033[36mweb    |\033[0m \033[31mr\033[0m");
	put(web, "\x82 blue\033[3");
	expect(f, "\033[31m\xe3\x81\x82 blue\033[0m");
	put(web, "4mb\n");
	expect(f, "\033[31m\033[34mb\033[0m\n");
	put(web, "plain\n");
	expect(f, "\033[36mweb    |\033[0m plain\n");
	close(web);
	end(f);
}

static void test_colours(void **state)
{
	struct fixture *f = start((struct mux_options){ .time = PAINT_TIME_NONE,
							.colour = true });
	int ingest = source(f, 1, "ingest");

	(void)state;
	put(ingest, "\033[2J\033[31mred\nnot\n");
	expect(f, "\033[33mingest |\033[0m \033[31mred\033[0m\n"
		  "\033[33mingest |\033[0m not\n");
	mux_say(f->mux, "x");
	expect(f, "\033[1mhr     |\033[0m x\n");
	close(ingest);
	end(f);
	f = start_plain();
	ingest = source(f, 1, "ingest");
	put(ingest, "\033[31mred\033[0m\n");
	expect(f, "ingest | red\n");
	close(ingest);
	end(f);
}

static void test_raw(void **state)
{
	struct fixture *f = start(
		(struct mux_options){ .time = PAINT_TIME_NONE, .raw = true });
	int web = source(f, 0, "web");

	(void)state;
	put(web, "a\rb\033[2J\033]0;t\a\n");
	expect(f, "web    | a\rb\033[2J\033]0;t\a\n");
	close(web);
	end(f);
}

static void test_progress_in_file(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");

	(void)state;
	put(web, "10%\r20%\r");
	put(web, "30%\r");
	mux_drain(f->mux, 0);
	put(web, "\nCR LF\r\n");
	expect(f, "web    | 30%\nweb    | CR LF\n");
	put(web, "40%\r50%");
	close(web);
	expect(f, "web    | 50%\n");
	end(f);
}

static void test_progress_on_terminal(void **state)
{
	struct fixture *f = start((struct mux_options){ .time = PAINT_TIME_NONE,
							.terminal = true });
	int web = source(f, 0, "web");

	(void)state;
	put(web, "10%");
	expect(f, "web    | 10%");
	put(web, "\r20%");
	expect(f, "\rweb    | 20%\033[K");
	put(web, "\r100%\ndone\n");
	expect(f, "\rweb    | 100%\033[K\nweb    | done\n");
	close(web);
	end(f);
}

/* A megabyte of progress without a newline is no long line. */
static void test_progress_is_bounded(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web"), i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		put(web, "\rsome progress that is long enough to matter");
		if (i % 500 == 0)
			mux_drain(f->mux, 0);
	}
	put(web, "\rend\n");
	expect(f, "web    | end\n");
	close(web);
	end(f);
}

static void test_long_line(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web"), i;
	char block[1000], rest[34464 + 1], tail[34464 + 64];

	(void)state;
	memset(block, 'x', sizeof(block));
	memset(rest, 'x', sizeof(rest));
	for (i = 0; i < 100; i++) {
		assert_int_equal(write(web, block, sizeof(block)), 1000);
		mux_drain(f->mux, 0);
	}
	put(web, "\nshort\n");
	/* In two lines, without a byte lost. */
	snprintf(tail, sizeof(tail), "x\nweb    | %.*s\nweb    | short\n",
		 (int)(sizeof(block) * 100 - MUX_LINE_BYTES), rest);
	expect_end(f, tail);
	close(web);
	end(f);
}

static void test_big_chunks(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");
	size_t n = 0, lines = 0, i;
	char block[6000];
	ssize_t rc;

	(void)state;
	memset(block, 'y', sizeof(block));
	for (i = 59; i < sizeof(block); i += 60)
		block[i] = '\n';
	fcntl(web, F_SETFL, O_NONBLOCK);
	/* 6 MB through 64 KB pipes, the reader keeping up. */
	while (n < 1000 * sizeof(block)) {
		rc = write(web, block + n % 6000, 6000 - n % 6000);
		if (rc > 0) {
			n += (size_t)rc;
			continue;
		}
		ev_run(f->loop, EVRUN_NOWAIT);
		take(f);
	}
	close(web);
	while (f->got.len < 100000 * 69) {
		ev_run(f->loop, EVRUN_NOWAIT);
		take(f);
	}
	for (i = 0; i < f->got.len; i++)
		lines += f->got.data[i] == '\n';
	assert_int_equal(lines, 100000);
	assert_int_equal(f->skipped, 0);
	end(f);
}

/* Nobody reads: the service goes on, memory is bounded, the count is true. */
static void stall(struct fixture *f, int web, size_t total)
{
	char block[4096];
	size_t n;
	ssize_t rc;

	for (n = 0; n < sizeof(block); n += 16)
		memcpy(block + n, "0123456789abcde\n", 16);
	fcntl(web, F_SETFL, O_NONBLOCK);
	for (n = 0; n < total;) {
		rc = write(web, block + n % 4096, 4096 - n % 4096);
		if (rc > 0)
			n += (size_t)rc;
		else
			ev_run(f->loop, EVRUN_ONCE);
	}
	mux_drain(f->mux, 0);
}

static void test_stalled(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");
	size_t total = (size_t)8 << 20, shown = 0, i;
	unsigned long long said = 0;
	const char *p;

	(void)state;
	stall(f, web, total);
	put(web, "the end\n");
	close(web);
	mux_drain(f->mux, 0);
	expect_end(f, "skipped on this screen\n");
	assert_true(f->got.len < MUX_PENDING_BYTES + ((size_t)256 << 10));
	for (i = 0; i + 4 < f->got.len; i++)
		shown += memcmp(f->got.data + i, "web ", 4) == 0;
	p = strstr(buf_str(&f->got), "hr     | … ");
	assert_non_null(p);
	for (p += strlen("hr     | … "); *p != ' '; p++)
		if (*p != ',')
			said = said * 10 + (unsigned)(*p - '0');
	assert_int_equal(said, f->skipped);
	assert_int_equal(shown + f->skipped, total / 16 + 1);
	/* And it goes on. */
	buf_clear(&f->got);
	mux_say(f->mux, "here");
	expect(f, "hr     | here\n");
	end(f);
}

/* backpressure = "block": the service waits, nothing is lost. */
static void test_block(void **state)
{
	struct fixture *f = start(
		(struct mux_options){ .time = PAINT_TIME_NONE, .block = true });
	int web = source(f, 0, "web");
	size_t n = 0;
	int idle = 0;

	(void)state;
	fcntl(web, F_SETFL, O_NONBLOCK);
	while (idle < 50) {
		if (write(web, "0123456789abcde\n", 16) == 16) {
			n++;
			idle = 0;
		} else {
			ev_run(f->loop, EVRUN_NOWAIT);
			idle++;
		}
	}
	close(web);
	while (f->got.len < n * 25) {
		take(f);
		ev_run(f->loop, EVRUN_NOWAIT);
	}
	assert_int_equal(f->got.len, n * 25);
	assert_int_equal(f->skipped, 0);
	end(f);
}

static void test_reader_leaves(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");

	(void)state;
	fd_close(&f->out[0]);
	stall(f, web, (size_t)4 << 20);
	mux_say(f->mux, "nobody hears this");
	close(web);
	mux_flush(f->mux, 1000);
	assert_int_equal(f->skipped, 0);
	end(f);
}

/* O_NONBLOCK is a property of the description that we share with the shell. */
static void test_flags_untouched(void **state)
{
	struct fixture *f = start_plain();

	(void)state;
	assert_int_equal(fcntl(f->out[1], F_GETFL) & O_NONBLOCK, 0);
	end(f);
}

static void test_socket(void **state)
{
	int fds[2];
	struct fixture *f;
	char text[100];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	f = start((struct mux_options){ .out_fd = fds[1],
					.time = PAINT_TIME_NONE });
	stall(f, source(f, 0, "web"), (size_t)4 << 20);
	assert_int_equal(read(fds[0], text, 12), 12);
	assert_memory_equal(text, "web    | 012", 12);
	close(fds[0]);
	mux_flush(f->mux, 1000);
	end(f);
	close(fds[1]);
}

/* A terminal that is stopped (Ctrl-S) blocks write(2), but not us. */
static void test_stopped_terminal(void **state)
{
	struct fixture *f;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char text[100];

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcflow(slave, TCOOFF), 0);
	f = start((struct mux_options){
		.out_fd = slave, .time = PAINT_TIME_NONE, .terminal = true });
	stall(f, source(f, 0, "web"), (size_t)4 << 20);
	assert_int_equal(tcflow(slave, TCOON), 0);
	ev_run(f->loop, EVRUN_ONCE);
	assert_int_equal(read(master, text, 12), 12);
	assert_memory_equal(text, "web    | 012", 12);
	end(f);
	close(slave);
	close(master);
}

/* --- memory ---------- */

static void collect(void *data, const struct mux_line *line)
{
	struct buf *b = data;

	assert_int_equal(strlen(line->text), line->len);
	buf_addf(b, "%s.%u:%s;", line->service, line->instance, line->text);
}

static const char *history(struct fixture *f, const size_t *services, size_t n,
			   size_t lines)
{
	buf_clear(&f->got);
	mux_history(f->mux, services, n, lines, collect, &f->got);
	return buf_str(&f->got);
}

static void test_history(void **state)
{
	static const size_t web_hr[] = { 0, MUX_HR }, ingest_only[] = { 1 };
	struct fixture *f = start_plain();
	int web = source(f, 0, "web.3"), ingest = source(f, 1, "ingest");

	(void)state;
	put(web, "w1\nw2\n");
	mux_drain(f->mux, 0);
	put(ingest, "i1\n\033[1mi2\033[0;2J\n");
	mux_drain(f->mux, 1);
	mux_say(f->mux, "h1");
	put(web, "w\xff\nhalf");
	mux_drain(f->mux, 0);
	assert_string_equal(
		history(f, NULL, 0, 100),
		"web.3:w1;web.3:w2;ingest.1:i1;ingest.1:\033[1mi2;hr.0:h1;"
		"web.3:w\xef\xbf\xbd;");
	assert_string_equal(history(f, web_hr, 2, 2),
			    "hr.0:h1;web.3:w\xef\xbf\xbd;");
	assert_string_equal(history(f, ingest_only, 1, 1),
			    "ingest.1:\033[1mi2;");
	assert_string_equal(history(f, ingest_only, 1, 0), "");
	close(web);
	close(ingest);
	end(f);
}

static void test_follow(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	put(web, "before\n");
	mux_drain(f->mux, 0);
	mux_follow(f->mux, collect, &b);
	put(web, "w\n");
	mux_drain(f->mux, 0);
	mux_say(f->mux, "h");
	assert_string_equal(buf_str(&b), "web.1:w;hr.0:h;");
	mux_follow(f->mux, NULL, NULL);
	mux_say(f->mux, "h2");
	assert_string_equal(buf_str(&b), "web.1:w;hr.0:h;");
	buf_done(&b);
	close(web);
	end(f);
}

/* A terminal's trouble is not the memory's: all of the last 1 MB is there. */
static void test_history_when_stalled(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");

	(void)state;
	stall(f, web, (size_t)8 << 20);
	put(web, "the end\n");
	mux_drain(f->mux, 0);
	assert_string_equal(history(f, NULL, 0, 2),
			    "web.1:0123456789abcde;web.1:the end;");
	history(f, NULL, 0, SIZE_MAX);
	assert_true(f->got.len > MUX_HISTORY_BYTES / 4);
	assert_true(f->got.len < MUX_HISTORY_BYTES);
	close(web);
	end(f);
}

static void test_flush(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");

	(void)state;
	put(web, "unread\nhalf");
	mux_flush(f->mux, 1000);
	take(f);
	assert_string_equal(buf_str(&f->got), "web    | unread\n"
					      "web    | half\n");
	close(web);
	end(f);
}

/* Bounded, also when nobody reads. */
static void test_flush_stalled(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web");
	int64_t from;

	(void)state;
	stall(f, web, (size_t)1 << 20);
	from = clock_mono_ms();
	mux_flush(f->mux, 50);
	assert_true(clock_mono_ms() - from < 10000);
	close(web);
	end(f);
}

static void count_turn(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)loop;
	(void)revents;
	(*(int *)w->data)++;
}

static void stop_loop(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* With everything shown, the only wake-up is the test's own timer. */
static void test_idle(void **state)
{
	struct fixture *f = start_plain();
	int web = source(f, 0, "web"), turns = 0;
	ev_check check;
	ev_timer timer;

	(void)state;
	put(web, "line\nprompt> ");
	expect(f, "web    | line\nweb    | prompt> ");
	ev_timer_stop(f->loop, &f->heartbeat);
	ev_check_init(&check, count_turn);
	check.data = &turns;
	ev_check_start(f->loop, &check);
	ev_timer_init(&timer, stop_loop, 0.3, 0.);
	ev_timer_start(f->loop, &timer);
	ev_run(f->loop, 0);
	assert_in_range(turns, 1, 2);
	ev_check_stop(f->loop, &check);
	close(web);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_end_without_newline),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_partial_interrupted),
		cmocka_unit_test(test_partial_cut),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_progress_in_file),
		cmocka_unit_test(test_progress_on_terminal),
		cmocka_unit_test(test_progress_is_bounded),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_big_chunks),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_reader_leaves),
		cmocka_unit_test(test_flags_untouched),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_stopped_terminal),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_history_when_stalled),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_flush_stalled),
		cmocka_unit_test(test_idle),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
