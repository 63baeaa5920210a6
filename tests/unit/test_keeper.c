/* SPDX-License-Identifier: MIT */
/*
 * lib/keeper: the real role over its channel, with services that misbehave.
 *
 * This program is its own keeper (`hr keeper …`) and its own services
 * (`… act NAME`). It is a subreaper: whatever a keeper should leave behind
 * becomes our child, and each test ends by asserting that we have none.
 */
// needs: base wire proc handoff keeper
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/keeper/keeper.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "procfile/model.h"

#define PATIENCE_MS 20000

static char self[PATH_MAX];
static char dir[] = "/tmp/hr-keeper-test-XXXXXX";

/* ---- services that misbehave ------------------------------------------- */

static volatile sig_atomic_t got_signals;

static void count_signal(int signo)
{
	(void)signo;
	got_signals++;
}

static void act_ready(void)
{
	(void)!write(STDOUT_FILENO, "ready\n", 6);
}

_Noreturn static void act_wait(void)
{
	for (;;)
		pause();
}

static void nap_ms(int ms)
{
	int64_t end = clock_mono_ms() + ms;

	while (clock_mono_ms() < end)
		poll(NULL, 0, (int)(end - clock_mono_ms()));
}

/* Works on for ms after the signal; then "NAME drained SIGNALS". */
static void act_drain(const char *name, int ms)
{
	char line[100];
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, &before);
	signal(SIGINT, count_signal);
	act_ready();
	while (got_signals == 0)
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	nap_ms(ms);
	snprintf(line, sizeof(line), "%s drained %d\n", name, (int)got_signals);
	(void)!write(STDOUT_FILENO, line, strlen(line));
	_exit(0);
}

static void act_deaf(void)
{
	signal(SIGINT, SIG_IGN);
	act_ready();
	act_wait();
}

/* A daemon in its own session, outside of the group; we stay, or go. */
static void act_daemon(bool stay, bool deaf)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		if (deaf)
			act_deaf();
		act_drain("daemon", 50);
	}
	waitpid(pid, NULL, 0);
	if (!stay)
		_exit(3);
	act_wait();
}

static void act_sessions(int n, bool deaf)
{
	if (deaf)
		signal(SIGINT, SIG_IGN);
	for (; n > 0; n--) {
		if (fork() == 0) {
			setsid();
			act_wait();
		}
	}
	act_ready();
	act_wait();
}

/* Each link forks the next in a new session and ends. They begin together. */
static void act_chains(int n)
{
	int gate[2];
	char c;

	signal(SIGINT, SIG_IGN);
	if (pipe(gate) < 0)
		_exit(5);
	for (; n > 0; n--) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		(void)!read(gate[0], &c, 1);
		for (;;) {
			setsid();
			if (fork() != 0)
				_exit(0);
		}
	}
	act_ready();
	close(gate[1]);
	act_wait();
}

static void act_stopped(void)
{
	signal(SIGINT, count_signal);
	act_ready();
	raise(SIGSTOP);
	while (got_signals == 0)
		nap_ms(1);
	_exit(4);
}

/* Writes more than any pipe holds, before and after the signal. */
static void act_flood(int blocks)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	signal(SIGINT, count_signal);
	act_ready();
	while (got_signals == 0)
		(void)!write(STDOUT_FILENO, block, sizeof(block));
	while (blocks-- > 0)
		if (write(STDOUT_FILENO, block, sizeof(block)) < 0)
			_exit(5);
	close(open("flooded", O_CREAT | O_WRONLY, 0600));
	_exit(0);
}

static int act(char **argv)
{
	const char *what = argv[0];
	int n = argv[1] != NULL ? (int)strtol(argv[1], NULL, 10) : 0;

	if (str_eq(what, "drain"))
		act_drain("main", n);
	else if (str_eq(what, "deaf"))
		act_deaf();
	else if (str_eq(what, "daemon"))
		act_daemon(true, false);
	else if (str_eq(what, "leave-daemon"))
		act_daemon(false, false);
	else if (str_eq(what, "leave-deaf-daemon"))
		act_daemon(false, true);
	else if (str_eq(what, "sessions"))
		act_sessions(n, false);
	else if (str_eq(what, "deaf-sessions"))
		act_sessions(n, true);
	else if (str_eq(what, "chains"))
		act_chains(n);
	else if (str_eq(what, "stopped"))
		act_stopped();
	else if (str_eq(what, "flood"))
		act_flood(n);
	return 2;
}

/* ---- the worker's side ------------------------------------------------- */

struct said {
	enum keeper_says type;
	int64_t at_ms;
	int32_t number; /* pid, status, signo, errno */
	uint32_t count;
	pid_t pid;
	char text[600];
};

struct rig {
	struct ev_loop *loop;
	struct chan *chan;
	pid_t keeper;
	int pidfd;
	int log_fd;
	bool gone;
	VEC(struct said) said;
	struct buf out; /* what the service wrote */
	ev_io readable;
};

static void on_message(void *data, uint32_t type, const void *bytes, size_t len,
		       int fd)
{
	struct rig *r = data;
	struct said s = { .type = (enum keeper_says)type,
			  .at_ms = clock_mono_ms() };
	struct arena *a = arena_new();
	const char *text = "";
	struct get g;

	get_init(&g, bytes, len, a);
	switch (s.type) {
	case K_HELLO:
		assert_int_equal(get_u32(&g), WIRE_VERSION);
		assert_true(fd >= 0);
		r->log_fd = fd;
		ev_io_set(&r->readable, fd, EV_READ);
		ev_io_start(r->loop, &r->readable);
		break;
	case K_LOCK_WAIT:
		text = get_text(&g);
		s.pid = get_i32(&g);
		snprintf(s.text, sizeof(s.text), "%s|%s", text, get_text(&g));
		text = NULL;
		break;
	case K_STARTED:
		s.pid = get_i32(&g);
		(void)get_i64(&g);
		break;
	case K_FAILED:
		s.number = get_i32(&g);
		text = get_text(&g);
		break;
	case K_MAIN_EXIT:
		s.number = get_i32(&g);
		s.count = get_u32(&g);
		break;
	case K_STOPPING:
		s.number = get_i32(&g);
		s.pid = get_i32(&g);
		text = get_text(&g);
		break;
	case K_ENDED:
		s.number = get_i32(&g);
		(void)get_i64(&g);
		break;
	}
	assert_int_equal(get_end(&g), 0);
	if (text != NULL)
		snprintf(s.text, sizeof(s.text), "%s", text);
	VEC_PUSH(&r->said, s);
	arena_free(a);
}

static void on_gone(void *data)
{
	struct rig *r = data;

	r->gone = true;
	chan_free(r->chan);
	r->chan = NULL;
}

static void on_log(struct ev_loop *loop, ev_io *w, int revents)
{
	struct rig *r = w->data;
	char *room = buf_reserve(&r->out, 4096);
	ssize_t n;

	(void)revents;
	assert_non_null(room);
	n = read(w->fd, room, 4096);
	if (n > 0)
		buf_commit(&r->out, (size_t)n);
	else if (n == 0)
		ev_io_stop(loop, w);
}

static const struct chan_ops ops = { on_message, on_gone };

static void rig_init(struct rig *r)
{
	const char *const argv[] = { "hr", "keeper", "web", "7", NULL };
	struct err err;
	int fds[2];

	memset(r, 0, sizeof(*r));
	r->log_fd = -1;
	buf_init(&r->out, (size_t)16 << 20);
	r->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	ev_io_init(&r->readable, on_log, 0, EV_READ);
	r->readable.data = r;
	assert_int_equal(chan_pair(fds, &err), 0);
	r->keeper = spawn_role(argv, fds[1], &r->pidfd, &err);
	assert_true(r->keeper > 0);
	r->chan = chan_new(r->loop, fds[0], &ops, r);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void turn(struct rig *r)
{
	ev_timer t;

	ev_timer_init(&t, on_tick, 0.01, 0);
	ev_timer_start(r->loop, &t);
	ev_run(r->loop, EVRUN_ONCE);
	ev_timer_stop(r->loop, &t);
}

static const struct said *look(const struct rig *r, enum keeper_says type)
{
	size_t i;

	for (i = 0; i < r->said.n; i++)
		if (r->said.v[i].type == type)
			return &r->said.v[i];
	return NULL;
}

static const struct said *find(const struct rig *r, enum keeper_says type)
{
	static const struct said none;
	const struct said *s = look(r, type);

	assert_non_null(s);
	return s != NULL ? s : &none;
}

static const struct said *wait_for(struct rig *r, enum keeper_says type)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	const struct said *s;

	while ((s = look(r, type)) == NULL) {
		assert_false(r->gone);
		assert_true(clock_mono_ms() < end);
		turn(r);
	}
	return s;
}

static void wait_for_text(struct rig *r, const char *text)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (strstr(buf_str(&r->out), text) == NULL) {
		assert_true(clock_mono_ms() < end);
		turn(r);
	}
}

static void send_empty(struct rig *r, enum keeper_msg type)
{
	assert_int_equal(chan_send(r->chan, type, NULL, -1, NULL), 0);
}

struct run {
	const char *command;
	bool argv; /* not by shell */
	const char *dir;
	const char *const *locks;
	const char *own_lock;
	int kill_signal;
	enum kill_scope scope;
	int64_t kill_delay_ms;
};

static void send_run(struct rig *r, const struct run *run)
{
	char *path = xasprintf("PATH=%s", getenv("PATH"));
	char *me = xasprintf("SELF=%s", self);
	const char *const env[] = { path, me, "GREETING=hello", NULL };
	struct buf b;

	buf_init(&b, 1 << 20);
	put_u32(&b, WIRE_VERSION);
	put_str(&b, run->command);
	put_bool(&b, !run->argv);
	put_str(&b, run->dir != NULL ? run->dir : dir);
	put_strv(&b, env);
	put_strv(&b, run->locks);
	put_str(&b, run->own_lock != NULL ? run->own_lock : "");
	put_i32(&b, run->kill_signal != 0 ? run->kill_signal : SIGINT);
	put_u32(&b, run->scope);
	put_i64(&b, run->kill_delay_ms);
	assert_int_equal(chan_send(r->chan, K_RUN, &b, -1, NULL), 0);
	buf_done(&b);
	free(me);
	free(path);
}

static void rig_start(struct rig *r, const struct run *run)
{
	rig_init(r);
	send_run(r, run);
	send_empty(r, K_START);
}

/* The keeper has left, and nothing of its tree is left to us. */
static int rig_done(struct rig *r)
{
	struct pollfd p = { .fd = r->pidfd, .events = POLLIN };
	int status = 0;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(waitpid(r->keeper, &status, 0), r->keeper);
	if (r->log_fd >= 0)
		ev_io_stop(r->loop, &r->readable);
	fd_close(&r->log_fd);
	chan_free(r->chan);
	fd_close(&r->pidfd);
	buf_done(&r->out);
	VEC_FREE(&r->said);
	ev_loop_destroy(r->loop);
	return status;
}

static void rig_end(struct rig *r)
{
	assert_int_equal(rig_done(r), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Nothing may be left by a test that failed. */
static int teardown(void **state)
{
	pid_t pid;

	(void)state;
	do {
		tree_kill(getpid());
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
	} while (pid == 0);
	return 0;
}

/* ---- tests: start and end ---------------------------------------------- */

static void runs_to_its_end(void **state)
{
	struct run run = { .command = "echo $GREETING from $PWD; exit 3" };
	struct rig r;

	(void)state;
	rig_start(&r, &run);
	wait_for(&r, K_ENDED);
	assert_int_equal(WEXITSTATUS(find(&r, K_ENDED)->number), 3);
	assert_int_equal(find(&r, K_MAIN_EXIT)->count, 0);
	assert_true(find(&r, K_STARTED)->pid > 0);
	wait_for_text(&r, "hello from ");
	assert_non_null(strstr(buf_str(&r.out), dir));
	rig_end(&r);
}

static void passes_argv_unsplit_by_shell(void **state)
{
	struct run run = { .command = "echo  a;b $X", .argv = true };
	struct rig r;

	(void)state;
	rig_start(&r, &run);
	wait_for_text(&r, "a;b $X\n");
	rig_end(&r);
}

static void says_why_it_cannot_start(void **state)
{
	static const struct {
		const char *command, *dir, *text;
		int error;
	} cases[] = {
		{ "no-such-program --x", NULL, "command not found", ENOENT },
		{ "true", "/nowhere/at/all", "/nowhere/at/all does not exist",
		  ENOENT },
		{ "", NULL, "command is empty", 0 },
	};
	struct run run = { .argv = true };
	struct rig r;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		run.command = cases[i].command;
		run.dir = cases[i].dir;
		rig_start(&r, &run);
		wait_for(&r, K_FAILED);
		assert_int_equal(find(&r, K_FAILED)->number, cases[i].error);
		assert_non_null(
			strstr(find(&r, K_FAILED)->text, cases[i].text));
		rig_end(&r);
	}
}

static void stops_before_it_starts(void **state)
{
	struct run run = { .command = "true" };
	struct rig r;

	(void)state;
	rig_init(&r);
	send_run(&r, &run);
	send_empty(&r, K_STOP);
	assert_int_equal(wait_for(&r, K_ENDED)->number, 0);
	rig_end(&r);
	rig_init(&r);
	send_empty(&r, K_KILL);
	wait_for(&r, K_ENDED);
	rig_end(&r);
}

static void leaves_when_the_worker_goes_early(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	wait_for(&r, K_HELLO);
	chan_free(r.chan);
	r.chan = NULL;
	rig_end(&r);
}

static void refuses_another_version(void **state)
{
	struct rig r;
	struct buf b;

	(void)state;
	rig_init(&r);
	buf_init(&b, 100);
	put_u32(&b, WIRE_VERSION + 1);
	assert_int_equal(chan_send(r.chan, K_RUN, &b, -1, NULL), 0);
	buf_done(&b);
	rig_end(&r);
}

static void passes_signals_on(void **state)
{
	struct run run = { .command = "trap 'echo usr1' USR1; echo ready;"
				      "while :; do sleep 0.01; done",
			   .kill_delay_ms = 5000 };
	struct rig r;
	struct buf b;

	(void)state;
	rig_start(&r, &run);
	wait_for_text(&r, "ready");
	buf_init(&b, 100);
	put_i32(&b, SIGUSR1);
	chan_send(r.chan, K_SIGNAL, &b, -1, NULL);
	buf_done(&b);
	wait_for_text(&r, "usr1");
	send_empty(&r, K_STOP);
	wait_for(&r, K_ENDED);
	rig_end(&r);
}

/* ---- tests: stop in steps ---------------------------------------------- */

/* Start, wait until ready, stop; returns how long the stop took. */
static int64_t stop_ms(struct rig *r, const struct run *run)
{
	int64_t from;

	rig_start(r, run);
	wait_for_text(r, "ready");
	from = clock_mono_ms();
	send_empty(r, K_STOP);
	return wait_for(r, K_ENDED)->at_ms - from;
}

static void ends_at_once_on_the_signal(void **state)
{
	struct run run = { .command = "echo ready; exec sleep 100",
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 1000);
	assert_int_equal(WTERMSIG(find(&r, K_ENDED)->number), SIGINT);
	assert_int_equal(find(&r, K_STOPPING)->number, SIGINT);
	rig_end(&r);
}

static void kills_the_deaf_at_kill_delay(void **state)
{
	struct run run = { .command = "$SELF act deaf", .kill_delay_ms = 300 };
	int64_t took;
	struct rig r;

	(void)state;
	took = stop_ms(&r, &run);
	assert_in_range(took, 299, 1300);
	assert_int_equal(WTERMSIG(find(&r, K_ENDED)->number), SIGKILL);
	assert_int_equal(r.said.v[3].number, SIGKILL);
	assert_non_null(strstr(r.said.v[3].text, "act deaf"));
	rig_end(&r);
}

static void kills_at_once_without_delay(void **state)
{
	struct run run = { .command = "$SELF act deaf; true" };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 1000);
	rig_end(&r);
	run.kill_delay_ms = 60000;
	rig_start(&r, &run);
	wait_for_text(&r, "ready");
	send_empty(&r, K_STOP);
	wait_for(&r, K_STOPPING);
	send_empty(&r, K_KILL);
	wait_for(&r, K_ENDED);
	rig_end(&r);
}

/* One signal, however long it takes; a report each second. */
static void drains_with_one_signal(void **state)
{
	struct run run = { .command = "$SELF act drain 1300",
			   .kill_delay_ms = 60000 };
	size_t i, reports = 0;
	struct rig r;

	(void)state;
	assert_in_range(stop_ms(&r, &run), 1299, 5000);
	wait_for_text(&r, "main drained 1\n");
	for (i = 0; i < r.said.n; i++) {
		if (r.said.v[i].type == K_STOPPING) {
			assert_int_equal(r.said.v[i].number, SIGINT);
			assert_int_equal(r.said.v[i].pid,
					 find(&r, K_STARTED)->pid);
			reports++;
		}
	}
	assert_in_range(reports, 2, 4);
	assert_int_equal(find(&r, K_ENDED)->number, 0);
	rig_end(&r);
}

static void drains_behind_a_shell(void **state)
{
	struct run run = { .command = "$SELF act drain 100; true",
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 5000);
	wait_for_text(&r, "main drained 1\n");
	rig_end(&r);
}

/* The signal goes to main first, to the rest when main has ended. */
static void signals_main_alone_by_scope(void **state)
{
	struct run run = { .command = "$SELF act drain 100 & "
				      "trap 'echo main; exit 0' TERM INT; "
				      "while :; do sleep 0.01; done",
			   .scope = KILL_MAIN,
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	/* sh starts background jobs deaf to SIGINT; ours listens again. */
	assert_true(stop_ms(&r, &run) < 5000);
	wait_for_text(&r, "main drained 1\n");
	assert_non_null(strstr(buf_str(&r.out), "main\n"));
	assert_in_range(find(&r, K_MAIN_EXIT)->count, 1, 2);
	rig_end(&r);
}

static void signals_the_outside_once_the_group_is_gone(void **state)
{
	struct run run = { .command = "$SELF act daemon",
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 5000);
	wait_for_text(&r, "daemon drained 1\n");
	assert_int_equal(find(&r, K_MAIN_EXIT)->count, 1);
	rig_end(&r);
}

static void stops_what_main_leaves_behind(void **state)
{
	struct run run = { .command = "$SELF act leave-daemon",
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	rig_start(&r, &run);
	wait_for(&r, K_ENDED);
	assert_int_equal(WEXITSTATUS(find(&r, K_ENDED)->number), 3);
	assert_int_equal(find(&r, K_MAIN_EXIT)->count, 1);
	rig_end(&r);
	run.command = "$SELF act leave-deaf-daemon";
	run.kill_delay_ms = 200;
	rig_start(&r, &run);
	assert_int_equal(WEXITSTATUS(wait_for(&r, K_ENDED)->number), 3);
	rig_end(&r);
}

static void ends_many_sessions(void **state)
{
	struct run run = { .command = "$SELF act sessions 200",
			   .kill_delay_ms = 10000 };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 5000);
	rig_end(&r);
	run.command = "$SELF act deaf-sessions 200";
	run.kill_delay_ms = 200;
	assert_in_range(stop_ms(&r, &run), 199, 1200);
	rig_end(&r);
}

static void ends_fork_chains(void **state)
{
	static const char *const commands[] = { "$SELF act chains 5",
						"$SELF act chains 50" };
	struct run run = { .kill_delay_ms = 100 };
	struct rig r;
	int64_t took;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(commands); i++) {
		run.command = commands[i];
		took = stop_ms(&r, &run);
		print_message("%s: %d ms after the kill\n", commands[i],
			      (int)took - 100);
		assert_in_range(took, 99, 10000);
		rig_end(&r);
	}
}

static void wakes_the_stopped(void **state)
{
	struct run run = { .command = "$SELF act stopped; true",
			   .kill_delay_ms = 60000 };
	struct rig r;

	(void)state;
	assert_true(stop_ms(&r, &run) < 5000);
	rig_end(&r);
}

/* ---- tests: locks ------------------------------------------------------ */

static void holds_locks_to_the_last_process(void **state)
{
	char *own = xasprintf("%s/web.1.lock", dir);
	char *data = xasprintf("%s/trends.db", dir);
	const char *const locks[] = { data, NULL };
	struct run run = { .command = "$SELF act leave-daemon",
			   .locks = locks,
			   .own_lock = own,
			   .kill_delay_ms = 60000 };
	struct rig first, second;
	const struct said *wait;
	char *who;

	(void)state;
	run.command = "$SELF act daemon";
	rig_start(&first, &run);
	wait_for_text(&first, "ready");
	run.command = "echo second";
	rig_start(&second, &run);
	wait = wait_for(&second, K_LOCK_WAIT);
	assert_int_equal(wait->pid, first.keeper);
	who = xasprintf("%s|web, generation 7, in %s", own, dir);
	assert_string_equal(wait->text, who);
	assert_null(look(&second, K_STARTED));
	send_empty(&first, K_STOP);
	wait_for(&first, K_ENDED);
	wait_for_text(&first, "daemon drained 1");
	wait_for(&second, K_ENDED);
	assert_true(find(&second, K_STARTED)->at_ms >=
		    find(&first, K_ENDED)->at_ms - 20);
	assert_int_equal(rig_done(&first), 0);
	rig_end(&second);
	free(who);
	free(own);
	free(data);
}

static void stops_while_it_waits_for_a_lock(void **state)
{
	char *own = xasprintf("%s/wait.lock", dir);
	struct run run = { .command = "echo ready; sleep 100",
			   .own_lock = own,
			   .kill_delay_ms = 60000 };
	struct rig first, second;

	(void)state;
	rig_start(&first, &run);
	wait_for_text(&first, "ready");
	rig_start(&second, &run);
	wait_for(&second, K_LOCK_WAIT);
	send_empty(&second, K_STOP);
	wait_for(&second, K_ENDED);
	assert_int_equal(rig_done(&second), 0);
	send_empty(&first, K_STOP);
	wait_for(&first, K_ENDED);
	rig_end(&first);
	free(own);
}

/* kill -9 of the keeper: the service, which nobody keeps any more, still holds
 * the lock, and is named. */
static void locks_outlive_a_killed_keeper(void **state)
{
	char *own = xasprintf("%s/outlive.lock", dir);
	struct run run = { .command = "echo ready; exec sleep 100",
			   .own_lock = own,
			   .kill_delay_ms = 60000 };
	struct rig first, second;
	pid_t survivor;

	(void)state;
	rig_start(&first, &run);
	wait_for_text(&first, "ready");
	survivor = wait_for(&first, K_STARTED)->pid;
	kill(first.keeper, SIGKILL);
	assert_int_equal(WTERMSIG(rig_done(&first)), SIGKILL);
	run.command = "true";
	rig_start(&second, &run);
	assert_int_equal(wait_for(&second, K_LOCK_WAIT)->pid, survivor);
	assert_non_null(strstr(find(&second, K_LOCK_WAIT)->text, "sleep 100"));
	kill(survivor, SIGKILL);
	assert_int_equal(waitpid(survivor, NULL, 0), survivor);
	wait_for(&second, K_ENDED);
	rig_end(&second);
	free(own);
}

/* ---- tests: the end of the channel ------------------------------------- */

static void drains_at_the_end_of_its_channel(void **state)
{
	static const int noise[] = { SIGHUP, SIGINT, SIGTERM };
	struct run run = { .command = "$SELF act drain 300; true",
			   .kill_delay_ms = 60000 };
	struct rig r;
	size_t i;

	(void)state;
	rig_start(&r, &run);
	wait_for_text(&r, "ready");
	chan_free(r.chan);
	r.chan = NULL;
	for (i = 0; i < NITEMS(noise); i++)
		kill(r.keeper, noise[i]);
	wait_for_text(&r, "main drained 1");
	rig_end(&r);
}

static void drains_what_writes_without_a_reader(void **state)
{
	struct run run = { .command = "$SELF act flood 100",
			   .kill_delay_ms = 60000 };
	char *flag = xasprintf("%s/flooded", dir);
	struct rig r;

	(void)state;
	rig_start(&r, &run);
	wait_for(&r, K_STARTED);
	wait_for_text(&r, "ready");
	ev_io_stop(r.loop, &r.readable);
	fd_close(&r.log_fd);
	chan_free(r.chan);
	r.chan = NULL;
	rig_end(&r);
	assert_int_equal(access(flag, F_OK), 0);
	free(flag);
}

/* ---- measures ---------------------------------------------------------- */

static long private_kib(pid_t pid)
{
	char *path = xasprintf("/proc/%d/smaps_rollup", (int)pid);
	long dirty = 0;
	struct buf text;
	const char *p;

	buf_init(&text, 1 << 16);
	if (path_read(path, &text, NULL) == 0) {
		p = strstr(buf_str(&text), "Private_Dirty:");
		if (p != NULL)
			dirty = strtol(p + strlen("Private_Dirty:"), NULL, 10);
	}
	buf_done(&text);
	free(path);
	return dirty;
}

static void is_small_and_quick(void **state)
{
	struct run run = { .command = "echo ready; exec sleep 100",
			   .kill_delay_ms = 60000 };
	int64_t from, hello_us = INT64_MAX, start_us = INT64_MAX, us;
	struct rig r;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		from = clock_mono_us();
		rig_init(&r);
		while (look(&r, K_HELLO) == NULL)
			ev_run(r.loop, EVRUN_ONCE);
		us = clock_mono_us() - from;
		hello_us = us < hello_us ? us : hello_us;
		send_run(&r, &run);
		from = clock_mono_us();
		send_empty(&r, K_START);
		while (look(&r, K_STARTED) == NULL)
			ev_run(r.loop, EVRUN_ONCE);
		us = clock_mono_us() - from;
		start_us = us < start_us ? us : start_us;
		wait_for_text(&r, "ready");
		if (i == 4)
			print_message("hello after %d us, start %d us, "
				      "private %ld KiB\n",
				      (int)hello_us, (int)start_us,
				      private_kib(r.keeper));
		send_empty(&r, K_STOP);
		wait_for(&r, K_ENDED);
		rig_end(&r);
	}
}

static void clear_up(void)
{
	char *command = xasprintf("rm -rf %s", dir);

	(void)!system(command);
	free(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(runs_to_its_end, teardown),
		cmocka_unit_test_teardown(passes_argv_unsplit_by_shell,
					  teardown),
		cmocka_unit_test_teardown(says_why_it_cannot_start, teardown),
		cmocka_unit_test_teardown(stops_before_it_starts, teardown),
		cmocka_unit_test_teardown(leaves_when_the_worker_goes_early,
					  teardown),
		cmocka_unit_test_teardown(refuses_another_version, teardown),
		cmocka_unit_test_teardown(passes_signals_on, teardown),
		cmocka_unit_test_teardown(ends_at_once_on_the_signal, teardown),
		cmocka_unit_test_teardown(kills_the_deaf_at_kill_delay,
					  teardown),
		cmocka_unit_test_teardown(kills_at_once_without_delay,
					  teardown),
		cmocka_unit_test_teardown(drains_with_one_signal, teardown),
		cmocka_unit_test_teardown(drains_behind_a_shell, teardown),
		cmocka_unit_test_teardown(signals_main_alone_by_scope,
					  teardown),
		cmocka_unit_test_teardown(
			signals_the_outside_once_the_group_is_gone, teardown),
		cmocka_unit_test_teardown(stops_what_main_leaves_behind,
					  teardown),
		cmocka_unit_test_teardown(ends_many_sessions, teardown),
		cmocka_unit_test_teardown(ends_fork_chains, teardown),
		cmocka_unit_test_teardown(wakes_the_stopped, teardown),
		cmocka_unit_test_teardown(holds_locks_to_the_last_process,
					  teardown),
		cmocka_unit_test_teardown(stops_while_it_waits_for_a_lock,
					  teardown),
		cmocka_unit_test_teardown(locks_outlive_a_killed_keeper,
					  teardown),
		cmocka_unit_test_teardown(drains_at_the_end_of_its_channel,
					  teardown),
		cmocka_unit_test_teardown(drains_what_writes_without_a_reader,
					  teardown),
		cmocka_unit_test_teardown(is_small_and_quick, teardown),
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int failed;

	if (argc > 1 && str_eq(argv[1], "keeper"))
		return keeper_main(argc, argv);
	if (argc > 2 && str_eq(argv[1], "act"))
		return act(argv + 2);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (n <= 0 || tree_become_subreaper() < 0 || mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	clear_up();
	return failed;
}
