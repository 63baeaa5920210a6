/* SPDX-License-Identifier: MIT */
/*
 * The worker alone: this program stands in for the master, at the other end of
 * the channel; started again as `hr worker NAME` and `hr keeper …`, it is the
 * other roles.
 *
 * Commands are shell lines in a directory of the test's own. Waits are for
 * messages and files, never for times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/keeper/keeper.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "lib/worker/worker.h"
#include "procfile/model.h"

#define LIMIT_US ((int64_t)20000000)

/* One message of the worker; fields as far as its type has them. */
struct seen {
	uint32_t type;
	uint32_t instance;
	int64_t generation;
	uint32_t kind; /* state, event, result, wait_for, level */
	int32_t id;    /* pid, request, status */
	bool ok;
	int64_t us[6];
	char text[512];
	char rule[64];
	char path[128]; /* first one */
};

static struct fixture {
	char dir[64];
	struct ev_loop *loop;
	struct chan *chan;
	pid_t worker;
	struct seen *seen;
	size_t n, cap, from; /* from: matches begin there */
	bool gone;
	struct service s;
	struct port port;
	uint32_t instances;
	const char *const *env_files;
	struct buf output;
} f;

/* ---- files ------------------------------------------------------------- */

static char *in_dir(const char *name)
{
	static char path[4][160];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[0]), "%s/%s", f.dir, name);
	return path[turn];
}

static void write_file(const char *name, const char *text)
{
	char *path = in_dir(name);
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static char *read_file(const char *name)
{
	static char text[8192];
	int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

static int count_lines(const char *name)
{
	const char *p = read_file(name);
	int n = 0;

	for (; *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* ---- what the worker says ---------------------------------------------- */

static void drain(int fd)
{
	char bytes[4096];
	ssize_t n;

	/* Only what is there: tests look at files. */
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(&f.output, bytes, (size_t)n);
	close(fd);
}

static void get_reloaded(struct get *g, struct seen *s)
{
	const char *const *paths;
	int i;

	s->instance = get_u32(g);
	s->generation = get_i64(g);
	s->kind = get_enum(g, RESULT_LIMIT);
	snprintf(s->rule, sizeof(s->rule), "%s", get_text(g));
	for (i = 0; i < 6; i++)
		s->us[i] = get_i64(g);
	get_u32(g);
	paths = get_strv(g);
	if (paths[0] != NULL)
		snprintf(s->path, sizeof(s->path), "%s", paths[0]);
}

static void get_fields(struct get *g, struct seen *s)
{
	switch ((enum master_msg)s->type) {
	case M_HELLO:
		assert_int_equal(get_u32(g), WIRE_VERSION);
		return;
	case M_BYE:
		return;
	case M_STATE:
		s->instance = get_u32(g);
		s->generation = get_i64(g);
		s->kind = get_enum(g, STATE_LIMIT);
		s->id = get_i32(g);
		break;
	case M_LOG:
		s->instance = get_u32(g);
		s->generation = get_i64(g);
		s->kind = get_enum(g, LOG_SOURCE_LIMIT);
		return;
	case M_BUILD:
		s->generation = get_i64(g);
		s->kind = get_enum(g, BUILD_EVENT_LIMIT);
		get_i64(g);
		break;
	case M_EXITED:
		s->instance = get_u32(g);
		s->generation = get_i64(g);
		s->id = get_i32(g);
		s->ok = get_bool(g);
		break;
	case M_WAITING:
		s->instance = get_u32(g);
		s->kind = get_enum(g, WAIT_FOR_LIMIT);
		break;
	case M_STOPPING:
		s->instance = get_u32(g);
		s->generation = get_i64(g);
		get_i32(g);
		get_i32(g);
		break;
	case M_RELOADED:
		get_reloaded(g, s);
		break;
	case M_DONE:
		s->id = get_i32(g);
		s->ok = get_bool(g);
		break;
	case M_NOTE:
		s->kind = get_enum(g, NOTE_LEVEL_LIMIT);
		break;
	}
	snprintf(s->text, sizeof(s->text), "%s", get_text(g));
}

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct seen s = { .type = type };
	struct arena *arena = arena_new();
	struct get g;

	(void)data;
	get_init(&g, body, len, arena);
	get_fields(&g, &s);
	assert_int_equal(get_end(&g), 0);
	if (fd >= 0)
		drain(fd);
	if (getenv("HR_TEST_TRACE") != NULL)
		fprintf(stderr, "%u inst %u gen %d kind %u id %d ok %d %s\n",
			s.type, s.instance, (int)s.generation, s.kind, s.id,
			s.ok, s.text);
	if (f.n == f.cap) {
		f.cap = f.cap * 2 + 64;
		f.seen = xreallocarray(f.seen, f.cap, sizeof(s));
	}
	f.seen[f.n++] = s;
	arena_free(arena);
}

static void on_gone(void *data)
{
	(void)data;
	chan_free(f.chan);
	f.chan = NULL;
	f.gone = true;
	ev_break(f.loop, EVBREAK_ALL);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
	(void)loop;
	(void)t;
	(void)revents;
}

static void turn(void)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.01, 0.);
	ev_now_update(f.loop);
	ev_timer_start(f.loop, &tick);
	ev_run(f.loop, EVRUN_ONCE);
	ev_timer_stop(f.loop, &tick);
}

/* The next message like this after the last one that was waited for; -1 and 0
 * match anything. */
static const struct seen *expect(uint32_t type, int64_t kind, int64_t id,
				 int64_t generation)
{
	int64_t until = clock_mono_us() + LIMIT_US;
	const struct seen *s;
	size_t i = f.from;

	for (;;) {
		for (; i < f.n; i++) {
			s = &f.seen[i];
			if (s->type != type ||
			    (kind >= 0 && s->kind != (uint32_t)kind) ||
			    (id > 0 && s->id != id) ||
			    (generation > 0 && s->generation != generation))
				continue;
			f.from = i + 1;
			return s;
		}
		if (clock_mono_us() > until || f.gone)
			fail_msg("no message %u kind %d id %d generation %d",
				 type, (int)kind, (int)id, (int)generation);
		turn();
	}
}

static const struct seen *expect_state(enum instance_state state)
{
	return expect(M_STATE, state, -1, 0);
}

static const struct seen *expect_done(int32_t id, bool ok)
{
	const struct seen *s = expect(M_DONE, -1, id, 0);

	if (s->ok != ok)
		fail_msg("request %d: %s", id, s->text);
	return s;
}

static size_t count(uint32_t type, int64_t kind)
{
	size_t i, n = 0;

	for (i = 0; i < f.n; i++)
		n += f.seen[i].type == type &&
		     (kind < 0 || f.seen[i].kind == (uint32_t)kind);
	return n;
}

#define UNTIL(condition)                                                       \
	do {                                                                   \
		int64_t until_us = clock_mono_us() + LIMIT_US;                 \
		while (!(condition)) {                                         \
			if (clock_mono_us() > until_us)                        \
				fail_msg("not: %s", #condition);               \
			turn();                                                \
		}                                                              \
	} while (0)

/* ---- what it is told --------------------------------------------------- */

static void send_body(uint32_t type, struct buf *b)
{
	assert_int_equal(chan_send(f.chan, type, b, -1, NULL), 0);
	if (b != NULL)
		buf_done(b);
}

static void ask(uint32_t type, int32_t id)
{
	struct buf b;

	buf_init(&b, 1024);
	put_i32(&b, id);
	if (type == W_RESTART || type == W_RELOAD)
		put_u32(&b, 0);
	put_str(&b, "test");
	send_body(type, &b);
}

static void changed_by(enum action action, const char *rule)
{
	static const char *const paths[] = { "src/a.c", NULL };
	int64_t now_us = clock_mono_us();
	struct buf b;

	buf_init(&b, 1024);
	put_u32(&b, action);
	put_str(&b, rule);
	put_i64(&b, now_us - 3000);
	put_i64(&b, now_us - 1000);
	put_u32(&b, 1);
	put_strv(&b, paths);
	send_body(W_CHANGED, &b);
}

static void changed(void)
{
	changed_by(ACTION_RELOAD, "");
}

static void setup_worker(void)
{
	static const char *const ports[] = { "HR_PORT_WEB=5000", NULL };
	static const char *const none[] = { NULL };
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, WIRE_VERSION);
	put_i64(&b, 0);
	put_str(&b, in_dir(".hr"));
	put_str(&b, f.dir);
	put_u32(&b, ENV_FILE_WINS);
	put_strv(&b, f.env_files != NULL ? f.env_files : none);
	put_strv(&b, ports);
	put_u32(&b, f.instances);
	spec_put(&b, &f.s);
	send_body(W_SETUP, &b);
}

/* ---- fixture ----------------------------------------------------------- */

static int set_up(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "/tmp/hr-worker-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	f.instances = 1;
	buf_init(&f.output, 1 << 20);
	f.s = (struct service){ .name = "web",
				.command = "exec sleep 1000",
				.dir = f.dir,
				.env = none,
				.env_file = none,
				.instances = 1,
				.kill_signal = SIGTERM,
				.kill_delay_ms = 2000,
				.backoff_ms = 20,
				.max_restarts = MAX_RESTARTS_NONE,
				.reload_with = none,
				.lock = none,
				.base_port = 5000 };
	f.s.watch.dirs = f.s.watch.ext = none;
	return 0;
}

static void run(void)
{
	static const struct chan_ops ops = { on_message, on_gone };
	static const char *const argv[] = { "hr", "worker", "web", NULL };
	int fds[2], pidfd = -1;

	assert_int_equal(chan_pair(fds, NULL), 0);
	f.worker = spawn_role(argv, fds[1], &pidfd, NULL);
	assert_true(f.worker > 0);
	fd_close(&pidfd);
	f.loop = ev_loop_new(0);
	f.chan = chan_new(f.loop, fds[0], &ops, NULL);
	setup_worker();
	expect(M_HELLO, -1, -1, 0);
}

static void start(void)
{
	run();
	ask(W_START, 1);
	expect_done(1, true);
}

static pid_t child_of(pid_t pid, const char *what)
{
	struct pids pids = { 0 };
	char command[256];
	pid_t found = 0;
	size_t i;

	tree_list(pid, &pids);
	for (i = 0; i < pids.n && found == 0; i++)
		if (strstr(tree_command(pids.v[i], command, sizeof(command)),
			   what) != NULL)
			found = pids.v[i];
	pids_free(&pids);
	return found;
}

/* Who ends while we look is not left. The leak checker forks at the worker's
 * exit: not what is meant. */
static bool is_left(const char *command)
{
	return strcmp(command, "?") != 0 &&
	       strstr(command, "hr worker") == NULL;
}

static bool anything_left(void)
{
	struct pids pids = { 0 };
	char command[256];
	bool any = false;
	size_t i;

	tree_list(f.worker, &pids);
	for (i = 0; i < pids.n; i++)
		any |= is_left(
			tree_command(pids.v[i], command, sizeof(command)));
	pids_free(&pids);
	return any;
}

/* Quit leaves nothing, in every test. */
static int tear_down(void **state)
{
	int status = -1;

	(void)state;
	if (f.chan != NULL) {
		chan_send(f.chan, W_QUIT, NULL, -1, NULL);
		expect(M_BYE, -1, -1, 0);
#ifdef __SANITIZE_ADDRESS__
		/* A keeper's leak checker may outlive it a moment. */
		UNTIL(!anything_left());
#endif
		assert_false(anything_left());
		UNTIL(f.gone);
	}
	if (f.worker > 0) {
		assert_int_equal(waitpid(f.worker, &status, 0), f.worker);
		if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			assert_int_equal(status, 0);
	}
	if (f.loop != NULL)
		ev_loop_destroy(f.loop);
	free(f.seen);
	buf_done(&f.output);
	nftw(f.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void with_port(int number)
{
	f.port = (struct port){ .name = "main",
				.number = number,
				.host = "127.0.0.1" };
	f.s.ports = &f.port;
	f.s.n_ports = 1;
	f.s.base_port = number;
}

static int listen_on(int number)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* ---- start, stop, restart ---------------------------------------------- */

static void test_start_and_answers(void **state)
{
	const struct seen *s;
	pid_t pid;

	(void)state;
	run();
	ask(W_START, 1);
	expect_state(STATE_STARTING);
	s = expect_state(STATE_READY);
	assert_int_equal(s->generation, 1);
	assert_true(s->id > 0);
	pid = s->id;
	assert_string_equal(expect_done(1, true)->text, "generation 1 ready");
	ask(W_START, 2);
	assert_string_equal(expect_done(2, true)->text, "already running");
	ask(W_RESTART, 3);
	expect_state(STATE_DRAINING);
	s = expect(M_EXITED, -1, -1, 1);
	assert_true(s->ok);
	assert_string_equal(s->text, "killed by SIGTERM");
	s = expect_state(STATE_READY);
	assert_int_equal(s->generation, 2);
	assert_int_not_equal(s->id, pid);
	s = expect(M_RELOADED, RESULT_READY, -1, 2);
	assert_true(s->us[2] > 0 && s->us[5] >= s->us[2]);
	assert_string_equal(expect_done(3, true)->text, "generation 2 ready");
	ask(W_STOP, 4);
	expect_state(STATE_STOPPED);
	assert_string_equal(expect_done(4, true)->text, "stopped");
	ask(W_STOP, 5);
	expect_done(5, true);
	ask(W_RESTART, 6);
	assert_string_equal(expect_done(6, true)->text, "generation 3 ready");
	assert_int_equal(count(M_DONE, -1), 6);
}

static void test_stop_wins(void **state)
{
	(void)state;
	f.s.command = "trap 'sleep 0.3; exit 0' TERM; touch up; "
		      "while :; do sleep 0.01; done";
	start();
	UNTIL(exists("up"));
	ask(W_RESTART, 2);
	expect_state(STATE_DRAINING);
	ask(W_RELOAD, 3);
	ask(W_STOP, 4);
	expect(M_RELOADED, RESULT_CANCELLED, -1, 0);
	expect_done(2, false);
	expect_done(3, false);
	expect_done(4, true);
	assert_int_equal(count(M_STATE, STATE_STARTING), 1);
	assert_int_equal(count(M_DONE, -1), 4);
}

static void test_many_restarts_at_once(void **state)
{
	int32_t id;

	(void)state;
	start();
	for (id = 2; id < 10; id++)
		ask(W_RESTART, id);
	for (id = 2; id < 10; id++)
		expect_done(id, true);
	assert_int_equal(count(M_DONE, -1), 9);
}

static void test_environment(void **state)
{
	static const char *files[2];
	char *env;

	(void)state;
	files[0] = xstrdup(in_dir(".env"));
	f.env_files = files;
	write_file(".env", "A=1\nbad line\n");
	setenv("LISTEN_FDS", "1", 1);
	f.s.command = "env >env.$HR_GENERATION; cat $HR_CHANGED >changed; "
		      "touch up.$HR_GENERATION; exec sleep 1000";
	start();
	unsetenv("LISTEN_FDS");
	UNTIL(exists("up.1"));
	env = read_file("env.1");
	assert_non_null(strstr(env, "\nPORT=5000\n"));
	assert_non_null(strstr(env, "PS=web.1\n"));
	assert_non_null(strstr(env, "HR_SERVICE=web\n"));
	assert_non_null(strstr(env, "HR_INSTANCE=1\n"));
	assert_non_null(strstr(env, "HR_PORT_WEB=5000\n"));
	assert_non_null(strstr(env, "A=1\n"));
	assert_null(strstr(env, "LISTEN_FDS"));
	assert_null(strstr(env, "HR_OUT"));
	assert_string_equal(read_file("changed"), "");
	assert_int_equal(count(M_NOTE, NOTE_WARNING), 1);
	write_file(".env", "A=2\n");
	changed();
	UNTIL(exists("up.2"));
	assert_non_null(strstr(read_file("env.2"), "A=2\n"));
	assert_string_equal(read_file("changed"), "src/a.c\n");
	assert_int_equal(count(M_NOTE, NOTE_WARNING), 1);
	free((char *)(uintptr_t)files[0]);
}

static void test_instances_one_after_the_other(void **state)
{
	size_t i;
	int down = 0;

	(void)state;
	f.instances = 3;
	start();
	assert_int_equal(count(M_STATE, STATE_READY), 3);
	f.from = f.n;
	ask(W_RESTART, 2);
	i = f.n;
	expect_done(2, true);
	for (; i < f.n; i++) {
		if (f.seen[i].type != M_STATE)
			continue;
		down += f.seen[i].kind == STATE_DRAINING;
		down -= f.seen[i].kind == STATE_READY;
		assert_true(down <= 1);
		if (f.seen[i].kind == STATE_READY)
			assert_int_equal(f.seen[i].generation, 2);
	}
	assert_int_equal(count(M_RELOADED, RESULT_READY), 3);
}

/* ---- builds ------------------------------------------------------------ */

static void with_build(void)
{
	/* Slow while there is a file "slow"; bad while there is "bad". */
	f.s.build = "echo begin >>builds; echo building; while test -e slow; "
		    "do sleep 0.01; done; test ! -e bad || exit 2; "
		    "cp src $HR_OUT; echo end >>builds";
	f.s.command = "cat $HR_OUT >>ran; exec sleep 1000";
	write_file("src", "1\n");
}

static void test_first_start_builds(void **state)
{
	const struct seen *s;

	(void)state;
	with_build();
	run();
	ask(W_START, 1);
	assert_int_equal(expect(M_BUILD, BUILD_STARTED, -1, 0)->generation, 1);
	expect_state(STATE_BUILDING);
	expect(M_BUILD, BUILD_DONE, -1, 1);
	s = expect_state(STATE_READY);
	assert_int_equal(s->generation, 1);
	expect_done(1, true);
	assert_int_equal(count(M_RELOADED, -1), 0);
	UNTIL(exists("ran"));
	UNTIL(strcmp(read_file("ran"), "1\n") == 0);
	write_file("src", "2\n");
	changed();
	s = expect(M_RELOADED, RESULT_READY, -1, 2);
	assert_string_equal(s->path, "src/a.c");
	assert_int_equal(s->us[0], 2000);
	assert_true(s->us[1] > 0);
	UNTIL(strcmp(read_file("ran"), "1\n2\n") == 0);
	assert_true(count(M_LOG, LOG_BUILD) == 2);
}

static void test_failing_build_keeps(void **state)
{
	const struct seen *s;

	(void)state;
	with_build();
	start();
	write_file("bad", "");
	changed();
	s = expect(M_BUILD, BUILD_FAILED, -1, 2);
	assert_non_null(strstr(s->text, "build failed (exit 2) in "));
	assert_non_null(strstr(s->text, "; generation 1 serves on"));
	expect(M_RELOADED, RESULT_BUILD_FAILED, -1, 2);
	ask(W_RELOAD, 2);
	assert_non_null(strstr(expect_done(2, false)->text, "build failed"));
	assert_int_equal(count(M_STATE, STATE_DRAINING), 0);
	/* A restart runs the last good build. */
	ask(W_RESTART, 3);
	expect_done(3, true);
	UNTIL(strcmp(read_file("ran"), "1\n1\n") == 0);
	unlink(in_dir("bad"));
	write_file("src", "2\n");
	changed();
	expect(M_RELOADED, RESULT_READY, -1, 0);
	UNTIL(strcmp(read_file("ran"), "1\n1\n2\n") == 0);
}

static void test_failing_first_build(void **state)
{
	(void)state;
	with_build();
	write_file("bad", "");
	run();
	ask(W_START, 1);
	assert_non_null(strstr(expect_done(1, false)->text, "the next change"));
	ask(W_RESTART, 2);
	expect_done(2, false);
	unlink(in_dir("bad"));
	changed();
	expect_state(STATE_READY);
	assert_int_equal(count_lines("builds"), 4);
}

static void test_failing_build_stops(void **state)
{
	(void)state;
	with_build();
	f.s.on_build_error = BUILD_ERROR_STOP;
	start();
	write_file("bad", "");
	changed();
	expect(M_BUILD, BUILD_FAILED, -1, 0);
	expect_state(STATE_STOPPED);
	unlink(in_dir("bad"));
	changed();
	expect_state(STATE_READY);
}

static void test_change_during_build(void **state)
{
	(void)state;
	with_build();
	start();
	write_file("slow", "");
	write_file("src", "2\n");
	changed();
	UNTIL(count_lines("builds") == 3);
	write_file("src", "3\n");
	unlink(in_dir("slow"));
	changed();
	expect(M_BUILD, BUILD_CANCELLED, -1, 2);
	expect(M_BUILD, BUILD_DONE, -1, 3);
	assert_int_equal(expect(M_RELOADED, -1, -1, 0)->generation, 3);
	UNTIL(strcmp(read_file("ran"), "1\n3\n") == 0);
	assert_false(exists(".hr/build/web.2"));
	assert_int_equal(count(M_RELOADED, -1), 1);
}

static void test_touched_and_calm(void **state)
{
	(void)state;
	with_build();
	start();
	write_file("slow", "");
	changed();
	UNTIL(count_lines("builds") == 3);
	send_body(W_TOUCHED, NULL);
	unlink(in_dir("slow"));
	UNTIL(count_lines("builds") == 4);
	UNTIL(child_of(f.worker, "hr keeper web.build") == 0);
	assert_int_equal(count(M_BUILD, BUILD_DONE), 1);
	send_body(W_CALM, NULL);
	expect(M_BUILD, BUILD_DONE, -1, 2);
	expect(M_RELOADED, RESULT_READY, -1, 2);
	/* And with a change instead: the result is dropped. */
	send_body(W_TOUCHED, NULL);
	ask(W_RELOAD, 2);
	UNTIL(count_lines("builds") == 6);
	changed();
	expect(M_BUILD, BUILD_CANCELLED, -1, 3);
	expect(M_BUILD, BUILD_DONE, -1, 4);
	expect_done(2, true);
}

static void test_build_timeout(void **state)
{
	const struct seen *s;

	(void)state;
	with_build();
	f.s.build_timeout_ms = 100;
	write_file("slow", "");
	run();
	ask(W_START, 1);
	s = expect(M_BUILD, BUILD_FAILED, -1, 1);
	assert_non_null(strstr(s->text, "100 ms"));
	expect_done(1, false);
}

static void test_restart_rule_waits_for_the_build(void **state)
{
	(void)state;
	with_build();
	start();
	write_file("slow", "");
	write_file("bad", "");
	changed();
	UNTIL(count_lines("builds") == 3);
	changed_by(ACTION_RESTART, "config");
	unlink(in_dir("slow"));
	expect(M_BUILD, BUILD_FAILED, -1, 2);
	assert_string_equal(expect(M_RELOADED, RESULT_READY, -1, 0)->rule,
			    "config");
	UNTIL(strcmp(read_file("ran"), "1\n1\n") == 0);
}

static void test_old_builds_go(void **state)
{
	char name[64];
	int n;

	(void)state;
	with_build();
	start();
	for (n = 2; n <= 6; n++) {
		changed();
		expect(M_RELOADED, RESULT_READY, -1, n);
	}
	UNTIL(!exists(".hr/build/web.3"));
	for (n = 1; n <= 6; n++) {
		snprintf(name, sizeof(name), ".hr/build/web.%d", n);
		assert_int_equal(exists(name), n >= 4);
	}
}

/* ---- ends -------------------------------------------------------------- */

static void test_crash_and_back_off(void **state)
{
	const struct seen *s;

	(void)state;
	f.s.command = "test -e ok && exec sleep 1000; exit 3";
	run();
	ask(W_START, 0);
	s = expect(M_EXITED, -1, -1, 1);
	assert_string_equal(s->text, "exit 3");
	assert_false(s->ok);
	s = expect_state(STATE_BACKOFF);
	assert_string_equal(s->text, "exit 3; starting again in 20 ms");
	s = expect_state(STATE_BACKOFF);
	assert_string_equal(s->text, "exit 3; starting again in 40 ms");
	write_file("ok", "");
	expect_state(STATE_READY);
}

static void test_change_ends_back_off(void **state)
{
	(void)state;
	f.s.command = "test -e ok && exec sleep 1000; kill -SEGV $$";
	f.s.backoff_ms = 600000;
	run();
	ask(W_START, 0);
	assert_non_null(strstr(expect_state(STATE_BACKOFF)->text, "SIGSEGV"));
	write_file("ok", "");
	changed();
	expect(M_RELOADED, RESULT_READY, -1, 2);
}

static void test_oneshot_and_policies(void **state)
{
	(void)state;
	f.s.command = "test ! -e bad";
	f.s.oneshot = true;
	run();
	ask(W_START, 1);
	expect_done(1, true);
	expect_state(STATE_DONE);
	write_file("bad", "");
	changed();
	assert_string_equal(expect_state(STATE_FAILED)->text, "exit 1");
	unlink(in_dir("bad"));
	changed();
	expect_state(STATE_DONE);
}

static void test_cannot_be_started(void **state)
{
	(void)state;
	f.s.command = "./none --x";
	f.s.restart = RESTART_NEVER;
	run();
	ask(W_START, 1);
	assert_non_null(strstr(expect_done(1, false)->text, "./none"));
	assert_int_equal(count(M_EXITED, -1), 0);
}

static void limit_files(rlim_t n)
{
	struct rlimit limit = { n, 4096 };

	assert_int_equal(prlimit(f.worker, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void test_refused(void **state)
{
	(void)state;
	f.s.restart = RESTART_NEVER;
	run();
	limit_files(4);
	ask(W_START, 1);
	assert_non_null(strstr(expect_state(STATE_BACKOFF)->text, "started"));
	expect_done(1, false);
	limit_files(4096);
	expect_state(STATE_READY);
}

static void test_refused_build(void **state)
{
	(void)state;
	with_build();
	run();
	limit_files(4);
	ask(W_START, 1);
	expect(M_NOTE, NOTE_WARNING, -1, 0);
	limit_files(4096);
	expect(M_BUILD, BUILD_DONE, -1, 1);
	expect_done(1, true);
	assert_int_equal(count(M_BUILD, BUILD_FAILED), 0);
	/* And given up while it waits to be tried again. */
	limit_files(4);
	ask(W_STOP, 2);
	expect_done(2, true);
	ask(W_START, 3);
	expect(M_NOTE, NOTE_WARNING, -1, 0);
	ask(W_STOP, 4);
	expect_done(3, false);
	expect_done(4, true);
	limit_files(4096);
}

static void test_killed_keeper(void **state)
{
	const struct seen *s;
	pid_t pid;

	(void)state;
	f.s.command = "setsid -f sleep 999; touch up; exec sleep 1000";
	start();
	UNTIL(exists("up"));
	UNTIL(child_of(f.worker, "sleep 999") != 0);
	pid = child_of(f.worker, "hr keeper web.1 1");
	assert_int_not_equal(pid, 0);
	kill(pid, SIGKILL);
	s = expect(M_EXITED, -1, -1, 1);
	assert_false(s->ok);
	s = expect_state(STATE_READY);
	assert_int_equal(s->generation, 2);
}

static void test_killed_build_keeper(void **state)
{
	pid_t pid;

	(void)state;
	with_build();
	start();
	write_file("slow", "");
	changed();
	UNTIL(count_lines("builds") == 3);
	pid = child_of(f.worker, "hr keeper web.build 2");
	assert_int_not_equal(pid, 0);
	kill(pid, SIGKILL);
	/* No verdict on the sources: the build takes place again. */
	UNTIL(count_lines("builds") == 4);
	assert_int_equal(count(M_BUILD, BUILD_FAILED), 0);
	assert_int_equal(count(M_STATE, STATE_DRAINING), 0);
	unlink(in_dir("slow"));
	changed();
	expect(M_RELOADED, RESULT_READY, -1, 0);
}

static void test_end_of_channel(void **state)
{
	pid_t pid;

	(void)state;
	f.s.command = "trap 'sleep 0.1; touch drained; exit 0' TERM; touch up; "
		      "while :; do sleep 0.01; done";
	start();
	UNTIL(exists("up"));
	pid = child_of(f.worker, "hr keeper");
	chan_free(f.chan);
	f.chan = NULL;
	f.gone = true;
	UNTIL(exists("drained"));
	UNTIL(kill(pid, 0) < 0);
}

static void test_quit_while_everything_is_under_way(void **state)
{
	(void)state;
	with_build();
	f.s.command = "trap 'sleep 0.2; exit 0' TERM; touch up; "
		      "while :; do sleep 0.01; done";
	start();
	UNTIL(exists("up"));
	write_file("slow", "");
	changed();
	UNTIL(count_lines("builds") == 3);
	ask(W_RESTART, 2);
	expect_state(STATE_DRAINING);
	send_body(W_QUIT, NULL);
	expect_done(2, false);
	/* tear_down expects M_BYE and that nothing is left. */
}

static void test_kill_hastens(void **state)
{
	(void)state;
	f.s.kill_delay_ms = 600000;
	f.s.command = "trap '' TERM; touch up; while :; do sleep 0.01; done";
	start();
	UNTIL(exists("up"));
	send_body(W_QUIT, NULL);
	expect_state(STATE_DRAINING);
	send_body(W_KILL, NULL);
}

/* ---- ports ------------------------------------------------------------- */

static void test_port_of_a_stranger(void **state)
{
	int port = free_port(), fd = listen_on(port);
	const struct seen *s;
	char text[64];

	(void)state;
	with_port(port);
	f.s.ready.timeout_ms = 100;
	f.s.restart = RESTART_NEVER;
	run();
	ask(W_START, 1);
	s = expect(M_WAITING, WAIT_PORT, -1, 0);
	snprintf(text, sizeof(text), "port %d is held by pid %d", port,
		 (int)getpid());
	assert_non_null(strstr(s->text, text));
	s = expect_state(STATE_WAITING);
	assert_int_equal(s->id, 0);
	close(fd);
	expect_state(STATE_STARTING);
	/* It never listens: sleep(1) does not. */
	s = expect_state(STATE_FAILED);
	assert_non_null(strstr(s->text, "does not listen on port"));
	expect_done(1, false);
	assert_int_equal(count(M_WAITING, -1), 1);
}

static void test_stop_while_waiting(void **state)
{
	int port = free_port(), fd = listen_on(port);

	(void)state;
	with_port(port);
	run();
	ask(W_START, 1);
	expect(M_WAITING, WAIT_PORT, -1, 0);
	ask(W_STOP, 2);
	expect_done(1, false);
	expect_done(2, true);
	close(fd);
	assert_int_equal(count(M_STATE, STATE_STARTING), 0);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_start_and_answers),
		CASE(test_stop_wins),
		CASE(test_many_restarts_at_once),
		CASE(test_environment),
		CASE(test_instances_one_after_the_other),
		CASE(test_first_start_builds),
		CASE(test_failing_build_keeps),
		CASE(test_failing_first_build),
		CASE(test_failing_build_stops),
		CASE(test_change_during_build),
		CASE(test_touched_and_calm),
		CASE(test_build_timeout),
		CASE(test_restart_rule_waits_for_the_build),
		CASE(test_old_builds_go),
		CASE(test_crash_and_back_off),
		CASE(test_change_ends_back_off),
		CASE(test_oneshot_and_policies),
		CASE(test_cannot_be_started),
		CASE(test_refused),
		CASE(test_refused_build),
		CASE(test_killed_keeper),
		CASE(test_killed_build_keeper),
		CASE(test_end_of_channel),
		CASE(test_quit_while_everything_is_under_way),
		CASE(test_kill_hastens),
		CASE(test_port_of_a_stranger),
		CASE(test_stop_while_waiting),
	};

	if (argc > 1 && strcmp(argv[1], "keeper") == 0)
		return keeper_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "worker") == 0)
		return worker_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
