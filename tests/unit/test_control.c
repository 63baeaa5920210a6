/* SPDX-License-Identifier: MIT */
/* lib/master/control over a real socket: each question one answer, always. */
// needs: base procfile wire master
#include <sys/resource.h>

#include "stack_fixture.h"

static void open_ready(void)
{
	fix_model();
	fix_open();
	fix_ready();
}

static void test_socket(void **state)
{
	char path[128];
	struct stat st;
	mode_t mask = umask(022);

	(void)state;
	fix_model();
	fix_open();
	snprintf(path, sizeof(path), "%s/hr.sock", fix.dir);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(umask(mask), 022);
	fix_close();
}

static void test_ps(void **state)
{
	struct buf b;
	json_t *o;
	bool end;
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"ps\"}");
	fix_read(fd, &b, &end);
	o = fix_last_line(&b);
	assert_true(end);
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(o, "ps"), "services")),
			 FIX_UNITS);
	json_decref(o);
	buf_done(&b);
	close(fd);
	fix_close();
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"[]",
		"nonsense",
		"{\"do\":1}",
		"{\"do\":\"fly\"}",
		"{\"do\":\"ps\",\"do\":\"ps\"}",
		"{\"do\":\"\xff\xfe\"}",
		"{\"do\":\"stop\"}",
		"{\"do\":\"stop\",\"services\":\"web\"}",
		"{\"do\":\"stop\",\"services\":[1]}",
		"{\"do\":\"stop\",\"services\":[\"wbe\"]}",
		"{\"do\":\"stop\",\"services\":[\"web.2\"]}",
		"{\"do\":\"stop\",\"services\":[\"web.1\"]}",
		"{\"do\":\"signal\",\"services\":[\"web\"]}",
		"{\"do\":\"logs\",\"services\":[\"\xe6\x97\xa5\"]}",
		"{\"do\":\"events\",\"services\":[null]}",
	};
	size_t i;
	int fd;

	(void)state;
	open_ready();
	for (i = 0; i < NITEMS(lines); i++) {
		fd = fix_ask(lines[i]);
		if (fix_answer(fd) != 0)
			fail_msg("no error for %s", lines[i]);
		close(fd);
	}
	assert_int_equal(fix_count(-1, W_STOP), 0);
	fix_close();
}

/* A line without end, and lines without end: one error, then the end. */
static void test_too_much(void **state)
{
	char *flood = xmalloc(CLIENT_LINE_MAX_BYTES * 2);
	struct buf b;
	bool end;
	int round, fd;

	(void)state;
	open_ready();
	for (round = 0; round < 2; round++) {
		memset(flood, round == 0 ? 'x' : '\n',
		       CLIENT_LINE_MAX_BYTES * 2);
		fd = fix_connect();
		assert_int_equal(fd_nonblock(fd), 0);
		while (send(fd, flood, 65536, MSG_NOSIGNAL) > 0)
			fix_turn();
		fix_read(fd, &b, &end);
		assert_true(end);
		assert_true(b.len > 0);
		assert_true(b.len < 1024);
		buf_done(&b);
		close(fd);
	}
	free(flood);
	fix_close();
}

static void test_restart(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"restart\",\"services\":[\"web\",\"db\"]}");
	assert_int_equal(fix_count(WEB, W_RESTART), 1);
	fix_all_done(WEB, W_RESTART);
	assert_int_equal(fix_answer(fd), -1);
	fix_all_done(DB, W_RESTART);
	assert_int_equal(fix_answer(fd), 1);
	/* A second M_DONE has nobody to go to. */
	fix_all_done(DB, W_RESTART);
	close(fd);
	fix_close();
}

static void test_worker_lost(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"restart\",\"services\":[\"web\",\"db\"]}");
	fix_kill_worker(WEB);
	assert_int_equal(fix_answer(fd), -1);
	fix_all_done(DB, W_RESTART);
	assert_int_equal(fix_answer(fd), 0);
	fix_new_worker();
	fix_all_done(WEB, W_RESTART);
	close(fd);
	fix_close();
}

static void test_client_leaves(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"restart\",\"services\":[\"web\",\"db\"]}");
	close(fd);
	fix_turn();
	fix_all_done(WEB, W_RESTART);
	fix_kill_worker(DB);
	fix_close();
}

/* `echo … | nc -UN hr.sock`: no more questions is not "no more answers". */
static void test_half_close(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"restart\",\"services\":[\"web\"]}");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	fix_turn();
	fix_all_done(WEB, W_RESTART);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

/* Two who stop the same service both wait until it is down. */
static void test_stop_twice(void **state)
{
	int first, second;

	(void)state;
	open_ready();
	first = fix_ask("{\"do\":\"stop\",\"services\":[\"web\"]}");
	fix_state(WEB, STATE_DRAINING, 102);
	second = fix_ask("{\"do\":\"stop\",\"services\":[\"web\"]}");
	assert_int_equal(fix_unit(WEB)->instances[0].state, STATE_DRAINING);
	assert_int_equal(fix_answer(first), -1);
	assert_int_equal(fix_answer(second), -1);
	fix_state(WEB, STATE_STOPPED, 0);
	fix_all_done(WEB, W_STOP);
	assert_int_equal(fix_answer(first), 1);
	assert_int_equal(fix_answer(second), 1);
	close(first);
	close(second);
	fix_close();
}

static void test_stop_named_twice(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"web\",\"web\"]}");
	assert_int_equal(fix_unit(WEB)->instances[0].state, STATE_READY);
	fix_state(WEB, STATE_STOPPED, 0);
	fix_all_done(WEB, W_STOP);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

/* What is stopped by hand may be started again: the stack stays. */
static void test_stop_keeps_stack(void **state)
{
	int fd;

	(void)state;
	fix_model();
	fix.services[JOB].enabled = true;
	fix_open();
	fix_ready();
	fix_state(JOB, STATE_DONE, 0);
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"web\",\"db\"]}");
	fix_state(WEB, STATE_STOPPED, 0);
	fix_state(DB, STATE_STOPPED, 0);
	assert_false(fix.stack.stopping);
	fix_all_done(WEB, W_STOP);
	fix_all_done(DB, W_STOP);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fd = fix_ask("{\"do\":\"start\",\"services\":[\"db\"]}");
	fix_state(DB, STATE_READY, 103);
	fix_all_done(DB, W_START);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

static void test_stop_before_start_keeps_stack(void **state)
{
	int fd;

	(void)state;
	fix_model();
	fix_open();
	fix_state(DB, STATE_STARTING, 101);
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"db\"]}");
	fix_state(DB, STATE_STOPPED, 0);
	fix_all_done(DB, W_STOP);
	assert_int_equal(fix_answer(fd), 1);
	assert_false(fix.stack.stopping);
	close(fd);
	fix_close();
}

/* `hr up -d` waits for web alone; then nobody wants web any more. */
static void test_stop_ends_waiting(void **state)
{
	int waiting, fd;

	(void)state;
	fix_model();
	fix.services[WEB].after = NULL;
	fix.services[WEB].n_after = 0;
	fix.services[WEB].watched = true;
	fix_open();
	fix_state(DB, STATE_READY, 101);
	fix_unit(DB)->instances[0].up_since_us = 1; /* for long */
	assert_false(fix_unit(WEB)->started);
	waiting = fix_ask("{\"do\":\"wait\"}");
	assert_int_equal(fix_answer(waiting), -1);
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"web\"]}");
	assert_int_equal(fix_answer(fd), 1);
	assert_int_equal(fix_answer(waiting), 1);
	close(waiting);
	close(fd);
	fix_close();
}

static void test_start_waits_for_after(void **state)
{
	int fd;

	(void)state;
	fix_model();
	fix_open();
	fd = fix_ask("{\"do\":\"start\",\"services\":[\"web\"]}");
	assert_int_equal(fix_count(WEB, W_START), 0);
	fix_state(DB, STATE_READY, 101);
	assert_int_equal(fix_count(WEB, W_START), 1);
	fix_all_done(WEB, W_START);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

/* What it comes after has failed: start that anew, or say so; never hang. */
static void test_start_after_failed(void **state)
{
	int fd;

	(void)state;
	fix_model();
	fix.services[JOB].enabled = true; /* so that the stack goes on */
	fix_open();
	fix_state(JOB, STATE_READY, 103);
	fix_state(DB, STATE_FAILED, 0);
	fix.sent.n = 0;
	fd = fix_ask("{\"do\":\"start\",\"services\":[\"web\"]}");
	if (fix_count(DB, W_START) == 0)
		assert_int_equal(fix_answer(fd), 0);
	close(fd);
	fix_close();
}

/* web <- api <- db: db was stopped while api waits for it. */
static void test_start_wants_all(void **state)
{
	static const struct after job_after[] = {
		{ "web", AFTER_READY, { 0 } }
	};
	int fd;

	(void)state;
	fix_model();
	fix.services[JOB].enabled = true;
	fix.services[JOB].after = job_after;
	fix.services[JOB].n_after = 1;
	fix_open();
	fix_state(DB, STATE_STARTING, 101);
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"db\"]}");
	fix_state(DB, STATE_STOPPED, 0);
	fix_all_done(DB, W_STOP);
	close(fd);
	fix.sent.n = 0;
	fd = fix_ask("{\"do\":\"start\",\"services\":[\"job\"]}");
	assert_true(fix_unit(DB)->wanted);
	assert_int_equal(fix_count(DB, W_START), 1);
	close(fd);
	fix_close();
}

/* Whoever waits for an outcome when the stack ends is told. */
static void test_end_answers_all(void **state)
{
	static const char *const questions[] = {
		"{\"do\":\"restart\",\"services\":[\"db\"]}",
		"{\"do\":\"start\",\"services\":[\"web\"]}",
		"{\"do\":\"wait\"}",
	};
	int fds[NITEMS(questions)], down;
	size_t i;

	(void)state;
	fix_model();
	fix_open();
	for (i = 0; i < NITEMS(questions); i++)
		fds[i] = fix_ask(questions[i]);
	down = fix_ask("{\"do\":\"down\"}");
	assert_true(fix.stack.stopping);
	fix_bye(WEB);
	fix_bye(DB);
	control_finish(fix.stack.control);
	for (i = 0; i < NITEMS(questions); i++) {
		if (fix_answer(fds[i]) != 0)
			fail_msg("no answer to %s", questions[i]);
		close(fds[i]);
	}
	assert_int_equal(fix_answer(down), 1);
	close(down);
	fix_close();
}

/* Readers that stand still hold up the end once, not once each. */
static void test_end_is_not_held_up(void **state)
{
	int fds[12], size = 4096;
	int64_t begin;
	size_t i;

	(void)state;
	open_ready();
	fix.history = 20000;
	for (i = 0; i < NITEMS(fds); i++) {
		fds[i] = fix_connect();
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		fix_send(fds[i], "{\"do\":\"logs\",\"follow\":true,"
				 "\"lines\":20000}");
	}
	begin = clock_mono_ms();
	control_finish(fix.stack.control);
	assert_true(clock_mono_ms() - begin < 1200);
	for (i = 0; i < NITEMS(fds); i++)
		close(fds[i]);
	fix_close();
}

/* More than waits for a slow reader is still one whole answer. */
static void test_long_answer(void **state)
{
	struct buf b;
	json_t *o;
	bool end;
	int fd;

	(void)state;
	open_ready();
	fix.history = 200000; /* 20 MB */
	fd = fix_ask("{\"do\":\"logs\",\"lines\":200000}");
	fix_read(fd, &b, &end);
	assert_true(end);
	o = fix_last_line(&b);
	assert_true(json_object_get(o, "ok") != NULL ||
		    json_object_get(o, "error") != NULL);
	json_decref(o);
	buf_done(&b);
	close(fd);
	fix_close();
}

/* A follower is not too far behind because of what it asked for first. */
static void test_long_answer_then_follow(void **state)
{
	struct buf b;
	bool end;
	int fd;

	(void)state;
	open_ready();
	fix.history = 200000; /* 20 MB */
	fd = fix_ask("{\"do\":\"logs\",\"lines\":200000,\"follow\":true}");
	control_log(fix.stack.control, "web", "{\"line\":\"the last\"}");
	fix_read(fd, &b, &end);
	assert_false(end);
	assert_non_null(strstr(buf_str(&b), "the last"));
	buf_done(&b);
	close(fd);
	fix_close();
}

/* One that does not read is dropped before it has eaten much. */
static void test_stalled_follower(void **state)
{
	size_t bytes = 0;
	char line[1000];
	struct buf b;
	bool end;
	int fd;

	(void)state;
	open_ready();
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	fd = fix_ask("{\"do\":\"logs\",\"lines\":0,\"follow\":true}");
	while (control_has_log_followers(fix.stack.control)) {
		control_log(fix.stack.control, "web", line);
		fix_turn();
		bytes += sizeof(line);
		assert_true(bytes < CLIENT_OUT_MAX_BYTES * 2);
	}
	fix_read(fd, &b, &end);
	assert_true(end);
	buf_done(&b);
	close(fd);
	fix_close();
}

/* Askers who leave before their answer do not take the places of others. */
static void test_many_leave(void **state)
{
	int fd, i;

	(void)state;
	open_ready();
	for (i = 0; i < 300; i++)
		close(fix_ask("{\"do\":\"restart\",\"services\":[\"web\"]}"));
	for (i = 0; i < 300; i++)
		close(fix_ask("{\"do\":\"wait\"}"));
	fd = fix_ask("{\"do\":\"ps\"}");
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

static void test_many_clients(void **state)
{
	int fds[300], fd;
	size_t i;

	(void)state;
	open_ready();
	for (i = 0; i < NITEMS(fds); i++)
		fds[i] = fix_connect();
	for (i = 0; i < NITEMS(fds); i++)
		close(fds[i]);
	fix_turn();
	for (i = 0; i < 100; i++)
		fix_turn();
	fd = fix_ask("{\"do\":\"ps\"}");
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

static void stop_loop(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Out of descriptors: no busy loop, and service again when there are some. */
static void test_no_descriptors(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct rlimit limit, low;
	ev_timer patience;
	unsigned before;
	int fd, last;

	(void)state;
	open_ready();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	last = dup(fd);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = (rlim_t)last; /* all below are taken */
	close(last);
	setrlimit(RLIMIT_NOFILE, &low);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/hr.sock", fix.dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	before = ev_iteration(fix.stack.loop);
	ev_timer_init(&patience, stop_loop, 0.2, 0.);
	ev_now_update(fix.stack.loop);
	ev_timer_start(fix.stack.loop, &patience);
	ev_run(fix.stack.loop, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_true(ev_iteration(fix.stack.loop) - before < 100);
	close(fd);
	fix_turn();
	fd = fix_ask("{\"do\":\"ps\"}");
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix_close();
}

static void test_followers(void **state)
{
	struct buf b;
	bool end;
	int all, web;

	(void)state;
	open_ready();
	all = fix_ask("{\"do\":\"events\",\"follow\":true}");
	web = fix_ask("{\"do\":\"events\",\"follow\":true,"
		      "\"services\":[\"web.1\"]}");
	fix_state(DB, STATE_BACKOFF, 0);
	fix_state(WEB, STATE_DRAINING, 102);
	fix_read(all, &b, &end);
	assert_false(end);
	assert_non_null(strstr(buf_str(&b), "backoff"));
	assert_non_null(strstr(buf_str(&b), "draining"));
	buf_done(&b);
	fix_read(web, &b, &end);
	assert_null(strstr(buf_str(&b), "backoff"));
	assert_non_null(strstr(buf_str(&b), "draining"));
	buf_done(&b);
	close(all);
	close(web);
	fix_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_ps),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_worker_lost),
		cmocka_unit_test(test_client_leaves),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_stop_twice),
		cmocka_unit_test(test_stop_named_twice),
		cmocka_unit_test(test_stop_keeps_stack),
		cmocka_unit_test(test_stop_before_start_keeps_stack),
		cmocka_unit_test(test_stop_ends_waiting),
		cmocka_unit_test(test_start_waits_for_after),
		cmocka_unit_test(test_start_after_failed),
		cmocka_unit_test(test_start_wants_all),
		cmocka_unit_test(test_end_answers_all),
		cmocka_unit_test(test_end_is_not_held_up),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_long_answer_then_follow),
		cmocka_unit_test(test_stalled_follower),
		cmocka_unit_test(test_many_leave),
		cmocka_unit_test(test_many_clients),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_followers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
