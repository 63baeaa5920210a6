/* SPDX-License-Identifier: MIT */
/*
 * lib/watcher and lib/watch: the real role over its channel, driven through
 * the ways in which files are saved, moved and lost.
 *
 * V_SYNC is the clock of these tests: what was done before it has been dealt
 * with when V_SYNCED comes, so every count is exact and nothing waits for a
 * time.
 */
// needs: base procfile wire watch watcher
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
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
#include "lib/base/str.h"
#include "lib/watcher/watcher.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "procfile/model.h"

#define PATIENCE_S 20.
#define IDS 24

/* What was heard about one subscription since the last reset(). */
struct heard {
	unsigned armed, touched, calm, changed, ignored;
	uint32_t dirs;
	enum action action;
	char rule[64];
	uint32_t total;
	int64_t first_us, settled_us, settled_real_us;
	char paths[16384]; /* of all change sets, each followed by a space */
	char why[256];
};

static struct {
	char dir[PATH_MAX];
	pid_t pid;
	struct ev_loop *loop;
	struct chan *chan;
	struct heard ids[IDS];
	uint32_t synced;
	unsigned degraded, hellos;
	char degraded_why[512];
	bool gone;
	bool live;
	const char *limit; /* of watches or instances, in a namespace */
	const char *limit_file;
} rig;

/* ---- hearing ------------------------------------------------------------ */

static void hear_changed(struct heard *h, struct get *g)
{
	const char *const *p;

	h->changed++;
	h->action = (enum action)get_enum(g, ACTION_RELOAD + 1);
	snprintf(h->rule, sizeof(h->rule), "%s", get_text(g));
	h->first_us = get_i64(g);
	h->settled_us = get_i64(g);
	h->settled_real_us = get_i64(g);
	h->total = get_u32(g);
	for (p = get_strv(g); *p != NULL; p++) {
		size_t len = strlen(h->paths);

		snprintf(h->paths + len, sizeof(h->paths) - len, "%s ", *p);
	}
}

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct arena *arena = arena_new();
	struct heard *h = &rig.ids[0];
	struct get g;

	(void)data;
	assert_int_equal(fd, -1);
	get_init(&g, body, len, arena);
	if (type != V_DEGRADED && type != V_SYNCED && type != V_HELLO) {
		uint32_t id = get_u32(&g);

		assert_in_range(id, 0, IDS - 1);
		h = &rig.ids[id];
	}
	switch ((enum watcher_says)type) {
	case V_HELLO:
		assert_int_equal(get_u32(&g), WIRE_VERSION);
		rig.hellos++;
		break;
	case V_ARMED:
		h->armed++;
		h->dirs = get_u32(&g);
		get_i64(&g);
		break;
	case V_TOUCHED:
		h->touched++;
		break;
	case V_CALM:
		h->calm++;
		break;
	case V_CHANGED:
		hear_changed(h, &g);
		break;
	case V_IGNORED:
		h->ignored++;
		get_text(&g);
		snprintf(h->why, sizeof(h->why), "%s", get_text(&g));
		break;
	case V_DEGRADED:
		rig.degraded++;
		get_text(&g);
		snprintf(rig.degraded_why, sizeof(rig.degraded_why), "%s",
			 get_text(&g));
		get_text(&g);
		break;
	case V_SYNCED:
		rig.synced = get_u32(&g);
		break;
	}
	assert_int_equal(get_end(&g), 0);
	arena_free(arena);
}

static void on_gone(void *data)
{
	(void)data;
	rig.gone = true;
}

static const struct chan_ops ops = { on_message, on_gone };

static void on_patience(struct ev_loop *loop, ev_timer *t, int revents)
{
	(void)loop;
	(void)revents;
	*(bool *)t->data = true;
}

/* Run the loop until *what == want, or fail. */
static void until(const volatile uint32_t *what, uint32_t want,
		  const char *name)
{
	bool late = false;
	ev_timer t;

	ev_now_update(rig.loop);
	ev_timer_init(&t, on_patience, PATIENCE_S, 0.);
	t.data = &late;
	ev_timer_start(rig.loop, &t);
	while (*what != want && !late && !rig.gone)
		ev_run(rig.loop, EVRUN_ONCE);
	ev_timer_stop(rig.loop, &t);
	if (*what != want)
		fail_msg("%s: %u, not %u after %.0f s%s", name, *what, want,
			 PATIENCE_S, rig.gone ? " (watcher is gone)" : "");
}

static void freeze(void)
{
	int status;

	kill(rig.pid, SIGSTOP);
	waitpid(rig.pid, &status, WUNTRACED);
	assert_true(WIFSTOPPED(status));
}

/* By the shell. Unless rig.live the watcher is stopped meanwhile: a command
 * is one burst, however slow the machine. */
__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (!rig.live)
		freeze();
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	if (!rig.live)
		kill(rig.pid, SIGCONT);
}

/* ---- the role ----------------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

/* A user namespace counts, and limits, for itself. */
static int limit_watches(void)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %d 1", (int)geteuid());
	if (unshare(CLONE_NEWUSER) < 0 ||
	    write_text("/proc/self/uid_map", map) < 0)
		return -1;
	return write_text(rig.limit_file, rig.limit);
}

static void start_role(void)
{
	int fds[2];
	struct err err;

	assert_int_equal(chan_pair(fds, &err), 0);
	rig.gone = false;
	rig.pid = fork();
	assert_true(rig.pid >= 0);
	if (rig.pid == 0) {
		char name[] = "watcher";
		char *argv[] = { name, NULL };
		int fd = fcntl(fds[1], F_DUPFD_CLOEXEC, 100);

		/* What the test holds is not the role's. */
		dup2(fd, CHAN_PARENT_FD);
		close_range(CHAN_PARENT_FD + 1, ~0u, 0);
		if (rig.limit != NULL && limit_watches() < 0)
			_exit(0);
		exit(watcher_main(1, argv));
	}
	close(fds[1]);
	rig.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	rig.chan = chan_new(rig.loop, fds[0], &ops, NULL);
}

static void send_setup(void)
{
	struct buf b;

	buf_init(&b, 65536);
	put_u32(&b, WIRE_VERSION);
	put_str(&b, rig.dir);
	put_str(&b, "");
	assert_int_equal(chan_send(rig.chan, V_SETUP, &b, -1, NULL), 0);
	buf_done(&b);
}

static void stop_role(bool kill_it)
{
	int status;

	if (kill_it)
		kill(rig.pid, SIGKILL);
	chan_free(rig.chan);
	ev_loop_destroy(rig.loop);
	assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
	if (!kill_it) {
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static int setup(void **state)
{
	char name[] = "/tmp/hr-watcher-XXXXXX";

	(void)state;
	memset(&rig, 0, sizeof(rig));
	assert_non_null(mkdtemp(name));
	assert_non_null(realpath(name, rig.dir));
	assert_int_equal(chdir(rig.dir), 0);
	start_role();
	send_setup();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_role(false);
	rig.live = true;
	assert_int_equal(chdir("/"), 0);
	sh("chmod -R u+rwx %s; rm -rf %s", rig.dir, rig.dir);
	return 0;
}

static const char *const none[] = { NULL };
static const char *dirs_default[2];

static struct service service_make(const char *name)
{
	dirs_default[0] = rig.dir;
	return (struct service){
		.name = name,
		.command = "true",
		.dir = rig.dir,
		.env = none,
		.env_file = none,
		.reload_with = none,
		.lock = none,
		.instances = 1,
		.debounce_ms = DEBOUNCE_AUTO,
		.max_wait_ms = 10000,
		.watched = true,
		.watch = { .dirs = dirs_default,
			   .ext = none,
			   .gitignore = true,
			   .skip_unchanged = true },
	};
}

static void send_subscribe(uint32_t id, const struct service *s,
			   int64_t since_us)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	put_u32(&b, id);
	put_i64(&b, since_us);
	spec_put(&b, s);
	assert_int_equal(chan_send(rig.chan, V_SUBSCRIBE, &b, -1, NULL), 0);
	buf_done(&b);
}

/* Everything done until now has been dealt with. */
static void sync_now(void)
{
	static uint32_t token = 1000;
	struct buf b;

	buf_init(&b, 64);
	put_u32(&b, ++token);
	assert_int_equal(chan_send(rig.chan, V_SYNC, &b, -1, NULL), 0);
	buf_done(&b);
	until(&rig.synced, token, "synced");
}

static void subscribe(uint32_t id, const struct service *s)
{
	unsigned armed = rig.ids[id].armed;

	send_subscribe(id, s, 0);
	until(&rig.ids[id].armed, armed + 1, "armed");
	/* And every file is recorded. */
	sync_now();
}

static void subscribe_default(void)
{
	struct service s = service_make("one");

	subscribe(1, &s);
}

static void reset(void)
{
	unsigned i, armed;

	for (i = 0; i < IDS; i++) {
		armed = rig.ids[i].armed;
		memset(&rig.ids[i], 0, sizeof(rig.ids[i]));
		rig.ids[i].armed = armed;
	}
}

/* Exactly one change set with these paths. */
static void expect(const char *what, const char *paths)
{
	struct heard *h = &rig.ids[1];

	sync_now();
	if (h->changed != 1 || strcmp(h->paths, paths) != 0)
		fail_msg("%s: %u change sets, '%s', not one of '%s' (%u calm, "
			 "%u ignored: %s)",
			 what, h->changed, h->paths, paths, h->calm, h->ignored,
			 h->why);
	reset();
}

static void expect_nothing(const char *what)
{
	struct heard *h = &rig.ids[1];

	sync_now();
	if (h->changed != 0)
		fail_msg("%s: %u change sets, '%s'", what, h->changed,
			 h->paths);
	if (h->touched != h->calm)
		fail_msg("%s: %u touched, %u calm", what, h->touched, h->calm);
	reset();
}

/* A file whose content the watcher knows. */
static void known(const char *name, const char *text)
{
	sh("printf '%%s' '%s' >%s", text, name);
	sync_now();
	reset();
}

static bool have(const char *program)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null 2>&1", program);
	return system(cmd) == 0;
}

/* ---- saving ------------------------------------------------------------- */

static void test_saves(void **state)
{
	(void)state;
	subscribe_default();
	sh("echo 1 >f");
	expect("created", "f ");
	sh("echo 22 >>f");
	expect("in place", "f ");
	sh(": >f; echo 333 >>f");
	expect("truncate and write", "f ");
	sh(": >f");
	expect("emptied", "f ");
	sh("echo 4444 >.f.tmp; mv .f.tmp f");
	expect("renamed over", "f ");
	sh("sed -i s/4/5/ f");
	expect("sed -i", "f ");
	sh("cp f ___jb_tmp___; echo 6 >>___jb_tmp___; mv f f___jb_old___; "
	   "mv ___jb_tmp___ f; rm f___jb_old___");
	expect("safe write", "f ");
	sh("rm f");
	expect("removed", "f ");
	sh("ln -s a link");
	expect("link made", "link ");
	sh("ln -sfn b link");
	expect("link retargeted", "link ");
}

static void test_nothing(void **state)
{
	(void)state;
	subscribe_default();
	known("f", "one");
	sh("touch f");
	expect_nothing("touch");
	sh("chmod +x f");
	expect_nothing("chmod");
	sh("printf one >f");
	expect_nothing("same bytes");
	sh("printf one >g; mv g f");
	expect_nothing("same bytes renamed over");
	sh("echo x >4914; rm 4914");
	expect_nothing("temporary file");
	sh("mv f h; mv h f");
	expect_nothing("there and back");
	sh("rm f; printf one >f");
	expect_nothing("removed and written again");
	sh("mkdir empty; rmdir empty");
	expect_nothing("empty directory");
	sh("echo x >.f.swp; echo x >f~; ln -s x .#f; echo x >'#f#'");
	expect_nothing("names of editors");
}

static void test_why(void **state)
{
	(void)state;
	subscribe_default();
	known("f", "one");
	sh("printf one >f");
	sync_now();
	assert_int_equal(rig.ids[1].ignored, 1);
	assert_string_equal(rig.ids[1].why, "same content as before");
	assert_int_equal(rig.ids[1].touched, 1);
	assert_int_equal(rig.ids[1].calm, 1);
}

static void test_unchanged_reloads(void **state)
{
	struct service s = service_make("one");

	(void)state;
	s.watch.skip_unchanged = false;
	subscribe(1, &s);
	known("f", "one");
	sh("touch f");
	expect("touch", "f ");
	sh("echo x >4914; rm 4914");
	expect_nothing("temporary file");
}

static void test_vim(void **state)
{
	static const char *const modes[] = { "set backupcopy=no writebackup",
					     "set backupcopy=yes",
					     "set nowritebackup",
					     "set backup backupcopy=no",
					     "set backup backupcopy=yes" };
	size_t i;

	(void)state;
	if (!have("vim"))
		skip();
	subscribe_default();
	known("f.c", "one");
	for (i = 0; i < NITEMS(modes); i++) {
		sh("HOME=%s vim -u NONE -i NONE -n -es -c 'set backupskip=' "
		   "-c '%s' -c 's/$/x/' -c 'wq' f.c </dev/null >/dev/null 2>&1",
		   rig.dir, modes[i]);
		expect(modes[i], "f.c ");
		sh("HOME=%s vim -u NONE -i NONE -es -c 'set backupskip=' "
		   "-c '%s' -c 's/$/x/' -c 'wq' f.c </dev/null >/dev/null 2>&1",
		   rig.dir, modes[i]);
		expect("with a swap file", "f.c ");
	}
}

/* Not before it is closed. */
static void test_slow_writer(void **state)
{
	int fd;

	(void)state;
	subscribe_default();
	fd = open("big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "half", 4), 4);
	expect_nothing("half written");
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	expect("closed", "big ");
	fd = open("big", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "more", 4), 4);
	expect_nothing("half written again");
	close(fd);
	expect("closed again", "big ");
}

static void test_hard_links(void **state)
{
	(void)state;
	subscribe_default();
	known("a", "one");
	sh("ln a b");
	expect("linked", "b ");
	sh("echo two >>a");
	sync_now();
	assert_int_equal(rig.ids[1].changed, 1);
}

static void test_revert_one(void **state)
{
	(void)state;
	subscribe_default();
	known("a", "one");
	known("b", "one");
	sh("printf two >a; printf two >b");
	expect("both", "a b ");
	sh("printf one >a");
	expect("one of them back", "a ");
	sh("printf two >a");
	expect("and again", "a ");
}

static void test_same_size(void **state)
{
	unsigned i;

	(void)state;
	subscribe_default();
	known("a", "0000");
	for (i = 0; i < 50; i++) {
		sh("printf %04u >a", i + 1);
		expect("same size, same moment", "a ");
	}
}

/* ---- trees -------------------------------------------------------------- */

static void test_deep(void **state)
{
	(void)state;
	subscribe_default();
	sh("mkdir -p 1/2/3/4/5/6/7/8/9; echo x >1/2/3/4/5/6/7/8/9/f");
	expect("nine levels", "1/2/3/4/5/6/7/8/9/f ");
	sh("echo y >>1/2/3/4/5/6/7/8/9/f");
	expect("nine levels again", "1/2/3/4/5/6/7/8/9/f ");
}

static void test_many_dirs(void **state)
{
	unsigned i;

	(void)state;
	subscribe_default();
	sh("for i in $(seq 200); do mkdir d$i; echo $i >d$i/f; done");
	sync_now();
	assert_int_equal(rig.ids[1].changed, 1);
	assert_int_equal(rig.ids[1].total, 200);
	reset();
	for (i = 1; i <= 200; i += 40) {
		char want[32];

		sh("echo x >>d%u/f", i);
		snprintf(want, sizeof(want), "d%u/f ", i);
		expect("one of 200", want);
	}
}

static void test_renamed_dirs(void **state)
{
	(void)state;
	sh("mkdir -p a/sub; echo x >a/sub/f");
	subscribe_default();
	sh("mv a b");
	expect("renamed", "a/sub/f b/sub/f ");
	sh("mv b c; mv c d");
	expect("renamed twice", "b/sub/f d/sub/f ");
	sh("echo y >>d/sub/f");
	expect("edited in the new place", "d/sub/f ");
	sh("mv d a; mv a d");
	expect_nothing("there and back");
	sh("rm -rf d; mkdir -p d/sub; printf 'x\\ny\\n' >d/sub/f");
	expect_nothing("removed and made again");
	sh("echo z >>d/sub/f");
	expect("still watched", "d/sub/f ");
	sh("mv d ../hr-moved-out-$$; mv ../hr-moved-out-$$ e");
	expect("out and in", "d/sub/f e/sub/f ");
	sh("rm -rf e");
	expect("removed", "e/sub/f ");
}

static void test_more_moves(void **state)
{
	(void)state;
	subscribe_default();
	sh("touch a; mkdir d1 d2; mv d1 d2; mv d2/d1 .; mv a d1");
	expect("watchman's", "d1/a ");
	sh("echo x >d1/a");
	expect("edited", "d1/a ");
	sh("mv d1 d3; ln -s d3 d1");
	/* d1/a leads to the same file as before. */
	expect("link in its place", "d1 d3/a ");
	sh("rm d1; mkdir d1; echo x >d1/d3");
	expect("directory in its place", "d1 d1/d3 ");
	sh("rm -r d1; echo x >d1");
	expect("file in its place", "d1 d1/d3 ");
}

static void test_moved_out(void **state)
{
	(void)state;
	sh("mkdir a; echo x >a/f");
	subscribe_default();
	sh("mv a %s-out", rig.dir);
	expect("moved out", "a/f ");
	sh("echo y >>%s-out/f", rig.dir);
	expect_nothing("edited outside");
	sh("rm -r %s-out", rig.dir);
	expect_nothing("removed outside");
}

static void test_circle(void **state)
{
	struct service s = service_make("one");

	(void)state;
	sh("mkdir -p a/b other; ln -s ../.. a/b/up; ln -s a there; "
	   "ln -s there again");
	s.watch.follow_symlinks = true;
	s.watch.dirs = (const char *const[]){
		strcat(strcpy((char[64]){ 0 }, rig.dir), "/a"), NULL
	};
	sh("ln -s %s/other a/link", rig.dir);
	subscribe(1, &s);
	sh("echo x >other/f");
	expect("through a link", "a/link/f ");
	sh("mkdir other/sub; echo x >other/sub/f");
	expect("below a link", "a/link/sub/f ");
	sh("echo x >a/b/g");
	expect("beside a circle", "a/b/g ");
	sh("mkdir else; echo 1 >else/f; ln -sfn %s/else a/link", rig.dir);
	sync_now();
	assert_true(rig.ids[1].changed >= 1);
	reset();
	sh("echo 22 >else/f");
	expect("through the new link", "a/link/f ");
}

static void test_root_comes_and_goes(void **state)
{
	struct service s = service_make("one");
	char path[PATH_MAX + 16];
	const char *dirs[] = { path, NULL };

	(void)state;
	snprintf(path, sizeof(path), "%s/x/y/src", rig.dir);
	s.watch.dirs = dirs;
	subscribe(1, &s);
	assert_int_equal(rig.ids[1].dirs, 0);
	sh("mkdir x; mkdir other; touch x/no");
	expect_nothing("not there yet");
	sh("mkdir -p x/y/src; echo 1 >x/y/src/f");
	expect("there", "x/y/src/f ");
	sh("echo 2 >>x/y/src/f");
	expect("edited", "x/y/src/f ");
	sh("rm -rf x");
	expect("removed with the way to it", "x/y/src/f ");
	sh("mkdir -p x/y/src; echo 3 >x/y/src/f");
	expect("there again", "x/y/src/f ");
	sh("mv x z");
	expect("the way renamed", "x/y/src/f ");
	sh("echo 4 >z/y/src/f");
	expect_nothing("edited elsewhere");
	sh("mv z x");
	expect("renamed back", "x/y/src/f ");
	sh("echo 5 >>x/y/src/f");
	expect("edited", "x/y/src/f ");
}

static void test_single_file(void **state)
{
	struct service s = service_make("one");
	char path[PATH_MAX + 16];
	const char *dirs[] = { path, NULL };

	(void)state;
	snprintf(path, sizeof(path), "%s/etc/app.conf", rig.dir);
	s.watch.dirs = dirs;
	sh("mkdir etc; echo 1 >etc/app.conf");
	subscribe(1, &s);
	sh("echo 2 >etc/other.conf; echo 3 >g");
	expect_nothing("siblings");
	sh("echo 22 >etc/app.conf");
	expect("edited", "etc/app.conf ");
	sh("echo 333 >etc/t; mv etc/t etc/app.conf");
	expect("renamed over", "etc/app.conf ");
	sh("rm -r etc");
	expect("removed", "etc/app.conf ");
	sh("mkdir etc; echo 1 >etc/app.conf");
	expect("there again", "etc/app.conf ");
}

static void test_unreadable(void **state)
{
	(void)state;
	if (geteuid() == 0)
		skip();
	sh("mkdir a b; chmod 0 a");
	subscribe_default();
	assert_int_equal(rig.degraded, 1);
	sh("echo x >b/f");
	expect("the rest is watched", "b/f ");
}

/* ---- filters ------------------------------------------------------------ */

static struct patterns patterns_of(struct pattern *v, size_t n)
{
	return (struct patterns){ v, n };
}

static void test_filters(void **state)
{
	struct service s = service_make("one");
	struct pattern exclude[] = { { .text = "gen/" }, { .text = "*.log" } };
	struct pattern include[] = { { .text = "gen/keep/" },
				     { .text = "*.html" } };
	struct pattern regex[] = { { .text = "_test\\.c$" },
				   { .text = "^old/" } };

	(void)state;
	s.watch.ext = (const char *const[]){ "c", "h", NULL };
	s.watch.exclude = patterns_of(exclude, 2);
	s.watch.include = patterns_of(include, 2);
	s.watch.exclude_regex = patterns_of(regex, 2);
	sh("mkdir -p gen/keep/sub gen/no old/sub node_modules/a src .hr");
	subscribe(1, &s);
	/* ., src, gen, gen/keep, gen/keep/sub */
	assert_int_equal(rig.ids[1].dirs, 5);
	sh("for f in gen/x.c gen/no/x.c x.log old/x.c node_modules/a/x.c "
	   "src/a_test.c src/x.o .hr/x.c old/sub/x.c; do echo 1 >$f; done");
	expect_nothing("excluded");
	sh("for f in src/x.c gen/keep/sub/x.o y.html src/z.h; do "
	   "echo 1 >$f; done");
	expect("included", "gen/keep/sub/x.o src/x.c src/z.h y.html ");
	sh("mkdir old/new node_modules/b; echo 1 >old/new/x.c");
	expect_nothing("made later in excluded ones");
}

static void test_gitignore(void **state)
{
	(void)state;
	sh("git init -q . && printf '*.o\\nbuild/\\n!keep.o\\n' >.gitignore && "
	   "mkdir -p build src/deep .git/info && "
	   "printf '*.tmp\\n' >.git/info/exclude && "
	   "printf '/local\\n!z.o\\n' >src/.gitignore");
	subscribe_default();
	assert_int_equal(rig.ids[1].dirs, 3);
	sh("echo 1 >x.o; echo 1 >build/x.c; echo 1 >src/x.tmp; "
	   "echo 1 >src/local; echo 1 >src/deep/y.o");
	expect_nothing("ignored");
	sh("echo 1 >keep.o; echo 1 >src/z.o; echo 1 >src/deep/local");
	expect("negated", "keep.o src/deep/local src/z.o ");
	sh("echo '!y.o' >src/deep/.gitignore");
	expect("a nested list", "src/deep/.gitignore ");
	sh("echo 22 >src/deep/y.o");
	expect("no longer ignored", "src/deep/y.o ");
	sh("printf '*.o\\n' >.gitignore");
	expect("edited", ".gitignore ");
	sh("echo 22 >build/x.c");
	expect("a directory is back", "build/x.c ");
	sh("echo build >.git/info/exclude");
	expect_nothing("info/exclude edited");
	sh("echo 333 >build/x.c");
	expect_nothing("ignored again");
}

static void test_gitignore_above(void **state)
{
	struct service s = service_make("one");
	char path[PATH_MAX + 16];
	const char *dirs[] = { path, NULL };

	(void)state;
	snprintf(path, sizeof(path), "%s/app", rig.dir);
	s.watch.dirs = dirs;
	sh("git init -q . && mkdir app && echo '*.o' >.gitignore");
	subscribe(1, &s);
	sh("echo 1 >app/x.o");
	expect_nothing("ignored from above");
	sh("echo '*.p' >.gitignore");
	expect_nothing("not watched itself");
	sh("echo 22 >app/x.o; echo 1 >app/x.p");
	expect("edited above", "app/x.o ");
}

static void test_rules(void **state)
{
	struct service s = service_make("one");
	struct pattern templates = { .text = "templates/" };
	struct pattern conf[] = { { .text = "*.conf" }, { .text = "/etc/" } };
	struct rule rules[] = {
		{ .name = "html",
		  .match = { &templates, 1 },
		  .action = ACTION_NOTHING },
		{ .name = "conf",
		  .match = { conf, 2 },
		  .action = ACTION_RESTART },
	};

	(void)state;
	s.rules = rules;
	s.n_rules = 2;
	sh("mkdir -p templates/a etc");
	subscribe(1, &s);
	sh("echo 1 >templates/a/x.conf");
	sync_now();
	assert_int_equal(rig.ids[1].action, ACTION_NOTHING);
	assert_string_equal(rig.ids[1].rule, "html");
	sh("echo 2 >templates/a/x.conf; echo 1 >etc/y");
	sync_now();
	assert_int_equal(rig.ids[1].action, ACTION_RESTART);
	assert_string_equal(rig.ids[1].rule, "conf");
	sh("echo 3 >templates/a/x.conf; echo 2 >etc/y; echo 1 >main.c");
	sync_now();
	assert_int_equal(rig.ids[1].action, ACTION_RELOAD);
	assert_string_equal(rig.ids[1].rule, "");
	assert_int_equal(rig.ids[1].changed, 3);
}

/* ---- bursts ------------------------------------------------------------- */

static void test_git_checkout(void **state)
{
	(void)state;
	sh("git init -q . && git config user.email a@b && "
	   "git config user.name a && mkdir -p d/e && "
	   "for i in $(seq 2000); do echo $i >d/e/f$i; done && git add . && "
	   "git commit -qm 1 && for i in $(seq 2000); do echo x >>d/e/f$i; "
	   "done "
	   "&& git commit -qam 2");
	subscribe_default();
	sh("git checkout -q HEAD~1");
	sync_now();
	assert_int_equal(rig.ids[1].changed, 1);
	assert_int_equal(rig.ids[1].total, 2000);
	reset();
	sh("git checkout -q - 2>/dev/null || "
	   "git checkout -q master 2>/dev/null "
	   "|| git checkout -q main");
	sync_now();
	assert_int_equal(rig.ids[1].changed, 1);
	assert_int_equal(rig.ids[1].total, 2000);
	reset();
	sh("git checkout -q HEAD~1; git checkout -q -");
	sync_now();
	assert_int_equal(rig.ids[1].changed, 0);
}

/* Each service settles at its own time; all hear the same. */
static void test_two_services(void **state)
{
	struct service s = service_make("one");
	unsigned i;

	(void)state;
	subscribe(1, &s);
	s.debounce_ms = 0;
	subscribe(2, &s);
	s.debounce_ms = 100;
	subscribe(3, &s);
	for (i = 0; i < 20; i++) {
		sh("echo %u >f; echo %u >>f; echo x%u >g", i, i, i);
		sync_now();
		assert_int_equal(rig.ids[2].changed, 1);
		assert_int_equal(rig.ids[1].changed, 1);
		assert_string_equal(rig.ids[1].paths, "f g ");
		assert_int_equal(rig.ids[3].changed, 1);
		assert_string_equal(rig.ids[3].paths, "f g ");
		assert_true(rig.ids[3].settled_us - rig.ids[3].first_us >=
			    100000);
		reset();
	}
}

static void test_shared(void **state)
{
	struct service s = service_make("one");
	uint32_t i;
	struct buf b;

	(void)state;
	sh("mkdir -p a/b c");
	for (i = 1; i <= 20; i++)
		send_subscribe(i, &s, 0);
	for (i = 1; i <= 20; i++)
		until(&rig.ids[i].armed, 1, "armed");
	sh("echo x >a/b/f");
	sync_now();
	for (i = 1; i <= 20; i++)
		assert_string_equal(rig.ids[i].paths, "a/b/f ");
	reset();
	buf_init(&b, 16);
	put_u32(&b, 7);
	chan_send(rig.chan, V_UNSUBSCRIBE, &b, -1, NULL);
	buf_done(&b);
	sh("echo y >>a/b/f");
	sync_now();
	assert_int_equal(rig.ids[7].changed, 0);
	assert_int_equal(rig.ids[8].changed, 1);
}

/* A subscription replaced in the middle of a batch forgets nothing. */
static void test_replaced(void **state)
{
	struct service s = service_make("one");

	(void)state;
	s.debounce_ms = 0;
	subscribe(1, &s);
	known("f", "one");
	s.debounce_ms = 5000;
	subscribe(1, &s);
	sh("printf two >f");
	until(&rig.ids[1].touched, 1, "touched");
	s.debounce_ms = 0;
	subscribe(1, &s);
	assert_int_equal(rig.ids[1].changed, 1);
	reset();
	sh("printf three >f");
	expect("afterwards", "f ");
}

/* ---- faults ------------------------------------------------------------- */

/* Stopped, the watcher reads nothing: the kernel's queue runs over. */
static void test_overflow(void **state)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	unsigned limit = 0, i;

	(void)state;
	if (f == NULL || fscanf(f, "%u", &limit) != 1 || limit > 40000)
		skip();
	fclose(f);
	subscribe_default();
	sh("mkdir d e");
	known("d/kept", "one");
	known("d/gone", "one");
	freeze();
	for (i = 0; i < limit / 2 + 100; i++) {
		int fd = open(i % 2 ? "x" : "y", O_WRONLY | O_CREAT, 0644);

		close(fd);
		unlink(i % 2 ? "x" : "y");
	}
	rig.live = true;
	sh("printf two >d/kept; rm d/gone; mkdir -p e/new/deep; "
	   "echo 1 >e/new/deep/f");
	rig.live = false;
	kill(rig.pid, SIGCONT);
	sync_now();
	assert_int_equal(rig.ids[1].changed, 1);
	assert_string_equal(rig.ids[1].paths, "d/gone d/kept e/new/deep/f ");
	reset();
	sh("echo 2 >>e/new/deep/f");
	expect("watched since", "e/new/deep/f ");
}

static bool restart_limited(const char *file, const char *limit)
{
	rig.limit = limit;
	rig.limit_file = file;
	stop_role(false);
	start_role();
	rig.limit = NULL;
	while (rig.pid > 0 && !rig.gone && rig.hellos == 0)
		ev_run(rig.loop, EVRUN_ONCE);
	if (!rig.gone)
		send_setup();
	return !rig.gone;
}

/* What has no watch is polled, and nothing is missed. */
static void limited(const char *file, const char *limit, const char *why)
{
	if (!restart_limited(file, limit))
		skip();
	rig.live = true;
	sh("for i in $(seq 60); do mkdir d$i; echo $i >d$i/f; done");
	subscribe_default();
	assert_int_equal(rig.degraded, 1);
	if (strstr(rig.degraded_why, why) == NULL)
		fail_msg("'%s'", rig.degraded_why);
	sh("for i in $(seq 60); do echo x >>d$i/f; done");
	sync_now();
	assert_int_equal(rig.ids[1].total, 60);
	reset();
	sh("mkdir -p d7/new/deep; echo 1 >d7/new/deep/f; rm d8/f");
	expect("made and removed", "d7/new/deep/f d8/f ");
	sh("touch d9/f");
	expect_nothing("touch");
}

static void test_watch_limit(void **state)
{
	(void)state;
	rig.hellos = 0;
	limited("/proc/sys/user/max_inotify_watches", "20", "inotify watches");
}

static void test_instance_limit(void **state)
{
	(void)state;
	rig.hellos = 0;
	limited("/proc/sys/user/max_inotify_instances", "0", "inotify");
}

/* Without a change nothing runs: no timer, no wake-up. */
static unsigned long switches(void)
{
	char path[64], line[256];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			n = strtoul(line + 24, NULL, 10);
	}
	fclose(f);
	return n;
}

static void test_idle(void **state)
{
	unsigned long before;

	(void)state;
	sh("mkdir -p a/b/c; echo 1 >a/b/f");
	subscribe_default();
	sh("echo 2 >a/b/f");
	sync_now();
	usleep(20000);
	before = switches();
	usleep(500000);
	assert_int_equal(switches(), before);
}

/* Killed, and started again with the time of the last change set. */
static void test_since(void **state)
{
	struct service s = service_make("one");
	int64_t since;

	(void)state;
	subscribe(1, &s);
	sh("mkdir a; echo 1 >a/f; echo 1 >g; echo 1 >h");
	sync_now();
	since = rig.ids[1].settled_real_us;
	assert_true(since > 0);
	reset();
	/* The clock of files is coarse. */
	while (clock_real_us() < since + 50000)
		usleep(1000);
	stop_role(true);
	start_role();
	send_setup();
	send_subscribe(1, &s, clock_real_us());
	until(&rig.ids[1].armed, 2, "armed");
	expect_nothing("nothing happened");
	stop_role(true);
	rig.live = true;
	sh("echo 2 >>g; rm a/f");
	start_role();
	send_setup();
	send_subscribe(1, &s, since + 40000);
	until(&rig.ids[1].armed, 3, "armed");
	expect("while nobody watched", "a g ");
}

/* ---- at random ---------------------------------------------------------- */

#define FILES 20 /* in up to four places: less than are named */

static uint64_t seed;

static unsigned rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Contents of all files, "" for one that is not there. */
static void look(char contents[FILES][32])
{
	char path[64];
	size_t i;
	ssize_t n;
	int fd;

	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "d%zu/s/f%zu", i % 4, i);
		contents[i][0] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, contents[i], 31);
		contents[i][n] = '\0';
		close(fd);
	}
}

static void one_edit(unsigned step)
{
	unsigned i = rnd(FILES), d = i % 4;
	char path[64], other[64], text[32];

	snprintf(path, sizeof(path), "d%u/s/f%u", d, i);
	snprintf(other, sizeof(other), "d%u/s/tmp", d);
	snprintf(text, sizeof(text), "%u", rnd(3) == 0 ? 7 : step);
	switch (rnd(9)) {
	case 0:
		unlink(path);
		break;
	case 1:
	case 2:
		put_file(other, text);
		rename(other, path);
		break;
	case 3:
		snprintf(path, sizeof(path), "d%u", d);
		snprintf(other, sizeof(other), "e%u", d);
		rename(path, other);
		if (rnd(2) == 0)
			sched_yield();
		rename(other, path);
		break;
	case 4:
		snprintf(path, sizeof(path), "d%u/s", d);
		snprintf(other, sizeof(other), "d%u/s", rnd(4));
		rename(path, "swap");
		rename(other, path);
		rename("swap", other);
		mkdir(path, 0755);
		mkdir(other, 0755);
		break;
	case 5:
		put_file(other, text);
		unlink(other);
		break;
	default:
		put_file(path, text);
	}
}

static bool is_told(const struct heard *h, size_t i)
{
	char word[64], dir[64];

	snprintf(word, sizeof(word), "d%zu/s/f%zu ", i % 4, i);
	snprintf(dir, sizeof(dir), "d%zu/s ", i % 4);
	return strstr(h->paths, word) != NULL || strstr(h->paths, dir) != NULL;
}

/* The watcher runs while files are saved, moved and removed. Whatever differs
 * from the last sync must have been told; a batch is at most 30 edits. */
static void test_random(void **state)
{
	static char before[FILES][32], now[FILES][32];
	struct service s = service_make("one");
	const char *env = getenv("HR_SEED");
	unsigned round, edits, step = 100, missed = 0;
	size_t i;

	(void)state;
	seed = env ? strtoull(env, NULL, 10) : (uint64_t)clock_real_us();
	print_message("HR_SEED=%llu\n", (unsigned long long)seed);
	sh("mkdir -p d0/s d1/s d2/s d3/s");
	subscribe(1, &s);
	s.debounce_ms = 0;
	subscribe(2, &s);
	look(before);
	for (round = 0; round < 30; round++) {
		for (edits = rnd(30); edits > 0; edits--) {
			one_edit(step++);
			if (rnd(4) == 0)
				usleep(rnd(3000));
		}
		sync_now();
		look(now);
		for (i = 0; i < FILES; i++) {
			if (strcmp(before[i], now[i]) == 0)
				continue;
			missed += !is_told(&rig.ids[1], i);
			missed += !is_told(&rig.ids[2], i);
		}
		if (missed > 0)
			fail_msg("round %u: %u missed; one '%s' two '%s'",
				 round, missed, rig.ids[1].paths,
				 rig.ids[2].paths);
		memcpy(before, now, sizeof(now));
		reset();
	}
}

static void test_rapid(void **state)
{
	unsigned i, changed = 0;

	(void)state;
	subscribe_default();
	known("f", "0");
	for (i = 0; i < 300; i++) {
		FILE *f = fopen(i % 3 == 0 ? "t" : "f", "w");

		fprintf(f, "%u", i + 1);
		fclose(f);
		if (i % 3 == 0)
			rename("t", "f");
		if (i % 10 == 0) {
			sync_now();
			changed += rig.ids[1].changed;
			assert_true(rig.ids[1].changed >= 1);
			reset();
		}
	}
	assert_true(changed >= 30);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_saves),
		T(test_nothing),
		T(test_why),
		T(test_unchanged_reloads),
		T(test_vim),
		T(test_slow_writer),
		T(test_hard_links),
		T(test_revert_one),
		T(test_same_size),
		T(test_deep),
		T(test_many_dirs),
		T(test_renamed_dirs),
		T(test_more_moves),
		T(test_moved_out),
		T(test_circle),
		T(test_root_comes_and_goes),
		T(test_single_file),
		T(test_unreadable),
		T(test_filters),
		T(test_gitignore),
		T(test_gitignore_above),
		T(test_rules),
		T(test_git_checkout),
		T(test_two_services),
		T(test_shared),
		T(test_replaced),
		T(test_overflow),
		T(test_watch_limit),
		T(test_instance_limit),
		T(test_idle),
		T(test_since),
		T(test_random),
		T(test_rapid),
	};

	/* No test may hang; cmocka has no limit of its own. */
	alarm(110);
	cmocka_set_test_filter(getenv("HR_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
