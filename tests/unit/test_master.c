/* SPDX-License-Identifier: MIT */
/*
 * lib/master whole, in a process of its own, with roles that this program
 * plays: `hr worker NAME`, `hr watcher` and `hr keeper …` are this binary.
 *
 * A worker says it is ready when it is told to start. Roles write what they
 * are told, and their pids, into a journal that the tests read.
 */
// needs: base procfile wire proc master handoff
#include <dirent.h>
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
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
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
#include "lib/master/master.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "procfile/model.h"

#define PATIENCE_MS 20000

/* ---- roles -------------------------------------------------------------- */

static const char *role_name;
static struct chan *role_chan;
static struct ev_loop *role_loop;

/* One line: NAME WORD PID. */
static void journal(const char *name, const char *word)
{
	const char *path = getenv("HR_TEST_JOURNAL");
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	char line[128];

	snprintf(line, sizeof(line), "%s %s %d\n", name, word, (int)getpid());
	(void)!write(fd, line, strlen(line));
	close(fd);
}

static void say_state(enum instance_state s, const char *why)
{
	struct buf b;

	buf_init(&b, 4096);
	put_u32(&b, 1);
	put_i64(&b, 1);
	put_u32(&b, s);
	put_i32(&b, s == STATE_READY ? getpid() : 0);
	put_str(&b, why);
	chan_send(role_chan, M_STATE, &b, -1, NULL);
	buf_done(&b);
}

/* More events than a follower who does not read can be sent. */
static void make_noise(void)
{
	char why[200];
	int i;

	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	for (i = 0; i < 4000; i++)
		say_state(i % 2 ? STATE_STARTING : STATE_DRAINING, why);
}

/* A service under a keeper, as a tree of two processes below us. */
static void run_keeper(void)
{
	const char *const argv[] = { "hr", "keeper", role_name, NULL };
	int fds[2], pidfd = -1;

	if (chan_pair(fds, NULL) == 0)
		spawn_role(argv, fds[1], &pidfd, NULL);
}

static void start(void)
{
	journal(role_name, "START");
	if (str_eq(role_name, "noisy"))
		make_noise();
	if (str_eq(role_name, "kept"))
		run_keeper();
	say_state(STATE_READY, "");
}

static void done(const void *body, size_t len)
{
	struct arena *arena = arena_new();
	struct get g;
	struct buf b;

	get_init(&g, body, len, arena);
	buf_init(&b, 64);
	put_i32(&b, get_i32(&g));
	put_bool(&b, true);
	put_str(&b, "done");
	chan_send(role_chan, M_DONE, &b, -1, NULL);
	buf_done(&b);
	arena_free(arena);
}

static _Noreturn void leave(void)
{
	chan_send(role_chan, M_BYE, NULL, -1, NULL);
	chan_flush(role_chan, 1000);
	_exit(0);
}

static void on_worker_told(void *data, uint32_t type, const void *body,
			   size_t len, int fd)
{
	(void)data;
	fd_close(&fd);
	if (type == W_START) {
		start();
		done(body, len);
	} else if (type == W_STOP || type == W_RESTART) {
		done(body, len);
	} else if (type == W_QUIT) {
		journal(role_name, "QUIT");
		if (!str_eq(role_name, "stubborn"))
			leave();
	} else if (type == W_KILL) {
		journal(role_name, "KILL");
		leave();
	}
}

static void on_nothing(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	(void)data;
	(void)type;
	(void)body;
	(void)len;
	fd_close(&fd);
}

static void on_parent_gone(void *data)
{
	(void)data;
	_exit(0);
}

static const struct chan_ops worker_ops = { on_worker_told, on_parent_gone };
static const struct chan_ops watcher_ops = { on_nothing, on_parent_gone };

static int role_run(const struct chan_ops *ops, const char *name)
{
	role_name = name;
	journal(name, "UP");
	tree_become_subreaper();
	if (str_eq(name, "watcher") && getenv("HR_TEST_STUCK") != NULL)
		raise(SIGSTOP);
	role_loop = ev_loop_new(EVFLAG_AUTO);
	role_chan = chan_new(role_loop, CHAN_PARENT_FD, ops, NULL);
	ev_run(role_loop, 0);
	return 0;
}

/* Neither holds anything nor ends by itself. */
static int keeper_run(const char *name)
{
	tree_become_subreaper();
	if (fork() == 0) {
		journal(name, "SERVICE");
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(127);
	}
	journal(name, "KEEPER");
	for (;;)
		pause();
}

/* ---- the stack ---------------------------------------------------------- */

struct run {
	char dir[64];
	char journal[96];
	char out[96];
	pid_t pid; /* of the master */
	struct service services[2];
	struct model model;
};

static void prepare(struct run *r, const char *first, const char *second)
{
	static const char *const nothing[] = { NULL };
	size_t i;
	int fd;

	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "/tmp/hr-master-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->journal, sizeof(r->journal), "%s/journal", r->dir);
	snprintf(r->out, sizeof(r->out), "%s/out", r->dir);
	fd = open(r->journal, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	r->services[0].name = first;
	r->services[1].name = second;
	for (i = 0; i < 2; i++) {
		r->services[i].index = i;
		r->services[i].command = "./it";
		r->services[i].dir = r->dir;
		r->services[i].env = r->services[i].env_file = nothing;
		r->services[i].reload_with = r->services[i].lock = nothing;
		r->services[i].watch.dirs = r->services[i].watch.ext = nothing;
		r->services[i].instances = 1;
		r->services[i].enabled = true;
		r->services[i].kill_signal = SIGINT;
		r->services[i].kill_delay_ms = 5000;
	}
	r->model.stack = "test";
	r->model.dir = r->dir;
	r->model.services = r->services;
	r->model.n_services = second != NULL ? 2 : 1;
	r->model.env_file = r->model.files = nothing;
	r->model.shutdown_delay_ms = 120000;
}

static int run_master(const struct run *r)
{
	static const char *const nothing[] = { NULL };
	const struct up_options opt = { .names = nothing };
	int fd = open(r->out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	setenv("HR_TEST_JOURNAL", r->journal, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	return master_run(&opt, &r->model);
}

static void launch(struct run *r)
{
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		_exit(run_master(r));
}

static void nap(void)
{
	usleep(2000);
}

static bool is_running(const struct run *r)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)r->pid, &info,
		      WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

/* Again and again: one soon after another is taken for the same. */
static void interrupt(const struct run *r)
{
	kill(r->pid, SIGINT);
	nap();
}

static void read_file(const char *path, struct buf *b)
{
	buf_init(b, (size_t)16 << 20);
	assert_int_equal(path_read(path, b, NULL), 0);
}

/* Offset of the nth (from 1) line "NAME WORD …" of the journal, or -1; its
 * pid in *pid. */
static long find_line(const struct run *r, const char *name, const char *word,
		      int nth, pid_t *pid)
{
	char start[64], *p;
	struct buf b;
	long at = -1;

	snprintf(start, sizeof(start), "%s %s ", name, word);
	read_file(r->journal, &b);
	for (p = b.data; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1) {
		if (!str_starts(p, start) || --nth > 0)
			continue;
		at = p - b.data;
		if (pid != NULL)
			*pid = (pid_t)strtol(p + strlen(start), NULL, 10);
		break;
	}
	buf_done(&b);
	return at;
}

static pid_t wait_line(const struct run *r, const char *name, const char *word,
		       int nth)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	pid_t pid = 0;

	while (find_line(r, name, word, nth, &pid) < 0) {
		if (clock_mono_ms() > end)
			fail_msg("no %s %s (%d)", name, word, nth);
		nap();
	}
	return pid;
}

static bool says(const struct run *r, const char *text)
{
	struct buf b;
	bool found;

	read_file(r->out, &b);
	found = strstr(buf_str(&b), text) != NULL;
	buf_done(&b);
	return found;
}

/* Its exit code, or 128 + signal. */
static int wait_exit(struct run *r)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	int status;

	while (waitpid(r->pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > end) {
			kill(r->pid, SIGKILL);
			waitpid(r->pid, &status, 0);
			fail_msg("the master does not leave");
		}
		nap();
	}
	r->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void clean(struct run *r)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", r->dir);
	assert_int_equal(system(command), 0);
}

static int connect_to(const struct run *r, const char *question)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/.hr/hr.sock", r->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(fd_write_all(fd, question, strlen(question)), 0);
	return fd;
}

/* Read until text has come; false at the end of the connection. */
static bool read_until(int fd, const char *text)
{
	struct buf b;
	char chunk[4096];
	bool found = false;
	ssize_t n;

	buf_init(&b, (size_t)16 << 20);
	while (!found && (n = read(fd, chunk, sizeof(chunk))) > 0) {
		assert_int_equal(buf_add(&b, chunk, (size_t)n), 0);
		found = strstr(buf_str(&b), text) != NULL;
	}
	buf_done(&b);
	return found;
}

static bool lock_is_free(const struct run *r)
{
	char path[96];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/.hr/lock", r->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	rc = flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return rc == 0;
}

/* ---- tests -------------------------------------------------------------- */

static const struct after web_after[] = { { "db", AFTER_READY, { 0 } } };

static void come_after(struct run *r)
{
	r->services[1].after = web_after;
	r->services[1].n_after = 1;
}

static void test_interrupt(void **state)
{
	char path[128];
	struct run r;

	(void)state;
	prepare(&r, "db", "web");
	come_after(&r);
	launch(&r);
	wait_line(&r, "web", "START", 1);
	kill(r.pid, SIGINT);
	assert_int_equal(wait_exit(&r), EXIT_INTERRUPTED);
	assert_true(find_line(&r, "web", "QUIT", 1, NULL) <
		    find_line(&r, "db", "QUIT", 1, NULL));
	assert_int_equal(find_line(&r, "db", "KILL", 1, NULL), -1);
	snprintf(path, sizeof(path), "%s/.hr/hr.sock", r.dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(lock_is_free(&r));
	clean(&r);
}

/* The second Ctrl-C reaches all, also those whose turn had not come: a
 * worker that is not told to leave would start again what was killed. */
static void test_second_interrupt(void **state)
{
	static const struct after after[] = { { "db", AFTER_READY, { 0 } } };
	struct run r;

	(void)state;
	prepare(&r, "db", "stubborn");
	r.services[1].after = after;
	r.services[1].n_after = 1;
	launch(&r);
	wait_line(&r, "stubborn", "START", 1);
	kill(r.pid, SIGINT);
	wait_line(&r, "stubborn", "QUIT", 1);
	assert_int_equal(find_line(&r, "db", "QUIT", 1, NULL), -1);
	while (find_line(&r, "stubborn", "KILL", 1, NULL) < 0)
		interrupt(&r);
	assert_int_equal(wait_exit(&r), EXIT_INTERRUPTED);
	wait_line(&r, "db", "QUIT", 1);
	assert_int_equal(find_line(&r, "stubborn", "KILL", 1, NULL) >= 0, 1);
	if (find_line(&r, "db", "KILL", 1, NULL) >= 0)
		assert_true(find_line(&r, "db", "QUIT", 1, NULL) <
			    find_line(&r, "db", "KILL", 1, NULL));
	clean(&r);
}

/* Nobody waits for a watcher. */
static void test_stuck_watcher(void **state)
{
	pid_t watcher;
	struct run r;

	(void)state;
	prepare(&r, "db", "web");
	r.services[1].watched = true;
	setenv("HR_TEST_STUCK", "1", 1);
	launch(&r);
	unsetenv("HR_TEST_STUCK");
	wait_line(&r, "db", "START", 1);
	watcher = wait_line(&r, "watcher", "UP", 1);
	kill(r.pid, SIGTERM);
	assert_int_equal(wait_exit(&r), EXIT_DONE);
	assert_int_equal(kill(watcher, 0), -1);
	clean(&r);
}

/* Workers that are stopped (SIGSTOP) hold up an end as long as it may take. */
static void test_stuck_worker(void **state)
{
	pid_t worker;
	struct run r;

	(void)state;
	prepare(&r, "db", "web");
	come_after(&r);
	r.model.shutdown_delay_ms = 300;
	launch(&r);
	worker = wait_line(&r, "web", "START", 1);
	kill(worker, SIGSTOP);
	kill(r.pid, SIGTERM);
	assert_int_equal(wait_exit(&r), EXIT_DONE);
	assert_int_equal(kill(worker, 0), -1);
	wait_line(&r, "db", "QUIT", 1);
	clean(&r);
}

static size_t count_fds(pid_t pid)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Each death of a worker is said, it is started anew each time, and leaves
 * no descriptor behind. */
static void test_worker_killed(void **state)
{
	const char *p;
	struct buf b;
	struct run r;
	size_t fds;
	int i, n = 0;

	(void)state;
	prepare(&r, "db", NULL);
	launch(&r);
	wait_line(&r, "db", "START", 1);
	fds = count_fds(r.pid);
	for (i = 1; i <= 5; i++)
		kill(wait_line(&r, "db", "START", i), SIGKILL);
	wait_line(&r, "db", "START", 6);
	assert_int_equal(count_fds(r.pid), fds);
	kill(r.pid, SIGTERM);
	assert_int_equal(wait_exit(&r), EXIT_DONE);
	read_file(r.out, &b);
	for (p = b.data; (p = strstr(p, "worker of db")) != NULL; p++)
		n++;
	assert_int_equal(n, 5);
	buf_done(&b);
	clean(&r);
}

/* Stopped in the moment between a worker's death and its replacement. */
static void test_stop_while_worker_is_replaced(void **state)
{
	struct run r;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		prepare(&r, "db", "web");
		come_after(&r);
		launch(&r);
		wait_line(&r, "web", "START", 1);
		kill(wait_line(&r, "db", "START", 1), SIGKILL);
		kill(r.pid, SIGTERM);
		assert_int_equal(wait_exit(&r), EXIT_DONE);
		clean(&r);
	}
}

/* Worker and keeper die together: their service must not outlive them. */
static void test_stray_service(void **state)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	pid_t worker, keeper, service;
	struct run r;

	(void)state;
	prepare(&r, "kept", NULL);
	launch(&r);
	keeper = wait_line(&r, "kept", "KEEPER", 1);
	service = wait_line(&r, "kept", "SERVICE", 1);
	worker = wait_line(&r, "kept", "START", 1);
	kill(keeper, SIGSTOP);
	kill(worker, SIGKILL);
	kill(keeper, SIGKILL);
	while (kill(service, 0) == 0) {
		if (clock_mono_ms() > end)
			fail_msg("the service lives on");
		nap();
	}
	/* The keeper of the next worker is no stray. */
	keeper = wait_line(&r, "kept", "KEEPER", 2);
	service = wait_line(&r, "kept", "SERVICE", 2);
	assert_int_equal(kill(keeper, 0), 0);
	assert_int_equal(kill(service, 0), 0);
	kill(wait_line(&r, "kept", "START", 2), SIGKILL);
	wait_line(&r, "kept", "SERVICE", 3);
	assert_int_equal(kill(keeper, 0), 0);
	assert_int_equal(kill(service, 0), 0);
	/* These keepers never leave by themselves. */
	while (is_running(&r))
		interrupt(&r);
	wait_line(&r, "kept", "QUIT", 1);
	assert_int_equal(wait_exit(&r), EXIT_INTERRUPTED);
	assert_int_equal(kill(service, 0), -1);
	clean(&r);
}

/* When `hr down` has its answer, `hr up` must succeed at once, whoever else
 * is connected and does not read. */
static void test_down_means_down(void **state)
{
	int stalled[4], down;
	struct run r;
	size_t i;

	(void)state;
	prepare(&r, "noisy", NULL);
	launch(&r);
	wait_line(&r, "noisy", "START", 1);
	down = connect_to(&r, "{\"do\":\"wait\"}\n");
	assert_true(read_until(down, "\"ok\":true"));
	close(down);
	for (i = 0; i < NITEMS(stalled); i++)
		stalled[i] =
			connect_to(&r, "{\"do\":\"events\",\"follow\":true}\n");
	down = connect_to(&r, "{\"do\":\"down\"}\n");
	assert_true(read_until(down, "\"ok\":true"));
	assert_true(lock_is_free(&r));
	assert_int_equal(wait_exit(&r), EXIT_DONE);
	for (i = 0; i < NITEMS(stalled); i++)
		close(stalled[i]);
	close(down);
	clean(&r);
}

static void test_second_up(void **state)
{
	char pid[32];
	struct run r, second;

	(void)state;
	prepare(&r, "db", NULL);
	launch(&r);
	wait_line(&r, "db", "START", 1);
	second = r;
	launch(&second);
	assert_int_equal(wait_exit(&second), EXIT_FAILED);
	snprintf(pid, sizeof(pid), "pid %d", (int)r.pid);
	assert_true(says(&r, pid));
	/* The refused one took nothing away. */
	close(connect_to(&r, "{\"do\":\"ps\"}\n"));
	kill(r.pid, SIGKILL);
	wait_exit(&r);
	/* A socket and a lock file that nobody holds are no obstacle. */
	launch(&r);
	wait_line(&r, "db", "START", 2);
	kill(r.pid, SIGTERM);
	assert_int_equal(wait_exit(&r), EXIT_DONE);
	clean(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_second_interrupt),
		cmocka_unit_test(test_stuck_watcher),
		cmocka_unit_test(test_stuck_worker),
		cmocka_unit_test(test_worker_killed),
		cmocka_unit_test(test_stop_while_worker_is_replaced),
		cmocka_unit_test(test_stray_service),
		cmocka_unit_test(test_down_means_down),
		cmocka_unit_test(test_second_up),
	};

	if (argc > 2 && str_eq(argv[1], "worker"))
		return role_run(&worker_ops, argv[2]);
	if (argc > 2 && str_eq(argv[1], "keeper"))
		return keeper_run(argv[2]);
	if (argc > 1 && str_eq(argv[1], "watcher"))
		return role_run(&watcher_ops, "watcher");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
