/* SPDX-License-Identifier: MIT */
/*
 * The role `hr keeper NAME GENERATION`: lock, spawn, reap, stop in steps.
 *
 * K_RUN, K_START -> locks -> spawn -> … -> ECHILD -> locks released, K_ENDED.
 * Stop in steps: kill_signal to the group (or to the main process), to what
 * is outside of the group once that is empty, SIGKILL to all after
 * kill_delay. No process gets a second graceful signal.
 */
#include "lib/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/handoff/diag.h"
#include "lib/handoff/locks.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "procfile/model.h"

#define MESSAGE_MAX_BYTES ((size_t)64 << 10)
/* A lock is tried again after this; more rarely once it has taken long. */
#define LOCK_RETRY_S 0.010
#define LOCK_SLOW_RETRY_S 0.100
#define LOCK_SLOW_AFTER_MS 10000
/* A holder that is gone by then is not worth a message. */
#define LOCK_REPORT_AFTER_MS 50
/* While stopping: members of the group that die below others are not ours to
 * reap, so no SIGCHLD tells of them. */
#define STOP_LOOK_S 0.100
#define STOP_REPORT_MS 1000
/* SIGKILL is repeated, for what was forked meanwhile, at a growing distance:
 * what is left after many may be out of our reach (another user's). */
#define KILL_AGAIN_FIRST_S 0.002
#define KILL_AGAIN_LAST_S 0.200
/* A fork chain can keep us busy: the channel and the timers come in between. */
#define TURN_US 20000
#define DRAIN_EVERY_S 0.100
#define LAST_WORDS_MS 2000
/* Descriptors of locks in the service, above those that programs number
 * themselves. It inherits them so that its locks outlive a killed keeper. */
#define LOCK_FD_FIRST 100
#define LOCK_FDS_MAX 16

enum phase {
	PHASE_NEW,     /* no K_RUN yet */
	PHASE_SET,     /* K_RUN has come */
	PHASE_LOCKING, /* K_START has come, a lock is held by another */
	PHASE_RUNNING,
	PHASE_STOPPING, /* graceful signals are out */
	PHASE_KILLING,	/* SIGKILL until ECHILD */
	PHASE_OVER,
};

/* K_RUN; strings live in the arena. */
struct run {
	const char *command;
	bool shell;
	const char *dir;
	const char *const *env;
	const char *const *locks;
	const char *own_lock;
	int kill_signal;
	enum kill_scope kill_scope;
	int64_t kill_delay_ms;
};

struct keeper {
	struct ev_loop *loop;
	struct chan *chan; /* NULL once it has ended */
	const char *name;
	const char *generation;
	enum phase phase;
	struct arena *arena;
	struct run run;

	struct locks *locks;
	char *owner; /* text in the lock files */
	ev_timer lock_timer;
	int64_t lock_since_ms;
	struct buf lock_reported; /* the holder told of last */

	pid_t main_pid;
	bool main_reaped;
	bool main_told; /* K_MAIN_EXIT has been said */
	int main_status;
	ev_signal child_signal;

	int sent_signal; /* the last one of the steps */
	bool main_signalled;
	bool group_signalled; /* the group as a whole has had its signal */
	bool outside_signalled;
	ev_timer kill_timer; /* kill_delay, then each repetition */
	double kill_again_s;
	struct pids killed;
	ev_timer stop_timer;
	int64_t stop_reported_ms;

	int log_read;  /* ours is read only without a channel */
	int log_write; /* -1 once the service has it */
	bool log_was_full;
	ev_timer drain_timer;
	ev_io drop; /* of the log pipe, once it is known to be unread */
};

/* ---- what the worker is told ------------------------------------------- */

static void say(struct keeper *k, enum keeper_says type, struct buf *body,
		int fd)
{
	struct err err;

	if (k->chan == NULL)
		fd_close(&fd);
	else if (chan_send(k->chan, type, body, fd, &err) < 0 &&
		 err.code != ERR_GONE)
		log_line("%s", err.what);
	buf_done(body);
}

static struct buf body(void)
{
	struct buf b;

	buf_init(&b, MESSAGE_MAX_BYTES);
	return b;
}

static void say_hello(struct keeper *k)
{
	struct buf b = body();
	int fd = fcntl(k->log_read, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		log_bug("no descriptor for the log: %s", strerror(errno));
	put_u32(&b, WIRE_VERSION);
	say(k, K_HELLO, &b, fd);
}

static void say_lock_wait(struct keeper *k, const char *path, pid_t pid,
			  const char *who)
{
	struct buf b = body();

	put_str(&b, path);
	put_i32(&b, pid);
	put_str(&b, who);
	say(k, K_LOCK_WAIT, &b, -1);
}

static void say_started(struct keeper *k)
{
	struct buf b = body();

	put_i32(&b, k->main_pid);
	put_i64(&b, clock_mono_us());
	say(k, K_STARTED, &b, -1);
}

static void say_main_exit(struct keeper *k, size_t others)
{
	struct buf b = body();

	put_i32(&b, k->main_status);
	put_u32(&b, (uint32_t)others);
	say(k, K_MAIN_EXIT, &b, -1);
}

/* Who is still there: the main process, else the first of the tree. */
static pid_t still_there(const struct keeper *k)
{
	struct pids pids = { 0 };
	pid_t pid = k->main_pid;

	if (k->main_reaped) {
		tree_list(getpid(), &pids);
		pid = pids.n > 0 ? pids.v[0] : 0;
		pids_free(&pids);
	}
	return pid;
}

static void say_stopping(struct keeper *k, int signo)
{
	pid_t pid = k->chan != NULL ? still_there(k) : 0;
	struct buf b = body();
	char command[256];

	k->stop_reported_ms = clock_mono_ms();
	k->sent_signal = signo;
	put_i32(&b, signo);
	put_i32(&b, pid);
	put_str(&b, tree_command(pid, command, sizeof(command)));
	if (pid > 0)
		say(k, K_STOPPING, &b, -1);
	else
		buf_done(&b);
}

/* ---- the end ----------------------------------------------------------- */

static void leave(struct keeper *k)
{
	k->phase = PHASE_OVER;
	if (k->chan != NULL)
		chan_flush(k->chan, LAST_WORDS_MS);
	ev_break(k->loop, EVBREAK_ALL);
}

/* Locks first: whoever hears of the end may start the next at once. */
static void ended(struct keeper *k)
{
	struct buf b = body();

	locks_free(k->locks);
	k->locks = NULL;
	put_i32(&b, k->main_status);
	put_i64(&b, clock_mono_us());
	say(k, K_ENDED, &b, -1);
	leave(k);
}

static void failed(struct keeper *k, const struct err *err)
{
	struct buf b = body();
	char why[sizeof(err->what) + sizeof(err->hint) + 4];

	locks_free(k->locks);
	k->locks = NULL;
	snprintf(why, sizeof(why), err->hint[0] != '\0' ? "%s (%s)" : "%s",
		 err->what, err->hint);
	put_i32(&b, err->sys);
	put_str(&b, why);
	say(k, K_FAILED, &b, -1);
	leave(k);
}

/* Reap what has ended. Returns whether nobody is left. */
static bool reap(struct keeper *k)
{
	int64_t end_us = clock_mono_us() + TURN_US;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		if (pid == k->main_pid) {
			k->main_reaped = true;
			k->main_status = status;
		}
		if (clock_mono_us() >= end_us) {
			ev_feed_signal_event(k->loop, SIGCHLD);
			return false;
		}
	}
	return pid < 0 && errno == ECHILD;
}

/* ---- stop in steps ----------------------------------------------------- */

/*
 * Rounds until nobody new is met; a turn of the loop is bounded, since a fork
 * chain may win for a while. Killing goes before reaping: it is quick, and
 * whatever runs on makes more to reap.
 */
static void kill_rounds(struct keeper *k)
{
	int64_t end_us = clock_mono_us() + TURN_US;

	while (tree_kill_round(getpid(), &k->killed) > 0 &&
	       clock_mono_us() < end_us)
		;
}

static void kill_all(struct keeper *k)
{
	kill_rounds(k);
	k->kill_timer.repeat = k->kill_again_s;
	ev_now_update(k->loop);
	ev_timer_again(k->loop, &k->kill_timer);
	k->kill_again_s *= 2;
	if (k->kill_again_s > KILL_AGAIN_LAST_S)
		k->kill_again_s = KILL_AGAIN_LAST_S;
}

static void begin_kill(struct keeper *k)
{
	if (k->phase < PHASE_RUNNING) {
		ended(k);
		return;
	}
	if (k->phase != PHASE_KILLING) {
		k->phase = PHASE_KILLING;
		k->kill_again_s = KILL_AGAIN_FIRST_S;
		say_stopping(k, SIGKILL);
		kill_all(k);
		ev_timer_again(k->loop, &k->stop_timer);
	}
}

/* The group keeps its number while it has members; after that the number
 * could be anybody's, so that the cheap test can only deny. */
static bool group_alive(const struct keeper *k)
{
	struct pids pids = { 0 };
	bool alive;

	if (!k->main_reaped)
		return true;
	if (kill(-k->main_pid, 0) < 0 && errno == ESRCH)
		return false;
	tree_list(getpid(), &pids);
	alive = tree_group_alive(&pids, k->main_pid);
	pids_free(&pids);
	return alive;
}

static void signal_group(struct keeper *k, int signo)
{
	if (group_alive(k))
		kill(-k->main_pid, signo);
}

/*
 * The next step that is due: main alone (kill_scope), the group, then what is
 * outside of it. Called again whenever somebody has died.
 */
static void stop_step(struct keeper *k)
{
	bool main_first = k->run.kill_scope == KILL_MAIN && !k->main_reaped;

	if (main_first && !k->main_signalled) {
		k->main_signalled = true;
		kill(k->main_pid, k->run.kill_signal);
	} else if (!main_first && !k->group_signalled) {
		k->group_signalled = true;
		signal_group(k, k->run.kill_signal);
	}
	if (k->group_signalled && !k->outside_signalled && !group_alive(k)) {
		k->outside_signalled = true;
		tree_signal_outside(getpid(), 0, k->run.kill_signal);
	}
}

static void begin_stop(struct keeper *k)
{
	if (k->phase < PHASE_RUNNING) {
		ended(k);
		return;
	}
	if (k->phase != PHASE_RUNNING)
		return;
	if (k->run.kill_delay_ms == 0) {
		begin_kill(k);
		return;
	}
	k->phase = PHASE_STOPPING;
	k->kill_timer.repeat = (double)k->run.kill_delay_ms / 1e3;
	ev_now_update(k->loop);
	ev_timer_again(k->loop, &k->kill_timer);
	ev_timer_again(k->loop, &k->stop_timer);
	say_stopping(k, k->run.kill_signal);
	stop_step(k);
	tree_wake(getpid());
}

static void on_kill_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct keeper *k = w->data;

	(void)loop;
	(void)revents;
	if (k->phase == PHASE_STOPPING)
		begin_kill(k);
	else
		kill_all(k);
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct keeper *k = w->data;

	(void)loop;
	(void)revents;
	if (k->phase == PHASE_STOPPING) {
		stop_step(k);
		tree_wake(getpid());
	}
	if (clock_mono_ms() - k->stop_reported_ms >= STOP_REPORT_MS)
		say_stopping(k, k->sent_signal);
}

/* ---- children ---------------------------------------------------------- */

/* The end of the main process is the end of the service. */
static void main_ended(struct keeper *k, bool alone)
{
	struct pids pids = { 0 };

	tree_list(getpid(), &pids);
	k->main_told = true;
	say_main_exit(k, alone ? 0 : pids.n);
	pids_free(&pids);
	if (!alone)
		begin_stop(k);
}

static void look_at_children(struct keeper *k)
{
	bool nobody;

	if (k->phase < PHASE_RUNNING || k->phase == PHASE_OVER)
		return;
	nobody = reap(k);
	if (nobody && !k->main_reaped)
		log_bug("the end of process %d was lost", (int)k->main_pid);
	if (k->main_reaped && !k->main_told)
		main_ended(k, nobody);
	if (nobody)
		ended(k);
	else if (k->phase == PHASE_STOPPING)
		stop_step(k);
	else if (k->phase == PHASE_KILLING)
		kill_rounds(k);
}

static void on_child(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	look_at_children(w->data);
}

/* ---- start ------------------------------------------------------------- */

static pid_t spawn_service(struct keeper *k, struct err *err)
{
	char **argv = k->run.shell ? spawn_command_argv(k->run.command) :
				     spawn_split_argv(k->run.command);
	const char *files = getenv("HR_NOFILE");
	int fds[LOCK_FD_FIRST + LOCK_FDS_MAX], pidfd = -1;
	struct spawn s = { .path = argv[0],
			   .argv = (const char *const *)argv,
			   .env = k->run.env,
			   .dir = k->run.dir[0] != '\0' ? k->run.dir : NULL,
			   .fds = fds,
			   .group = SPAWN_SESSION };
	pid_t pid = -1;
	size_t i;

	for (i = 0; i < NITEMS(fds); i++)
		fds[i] = i == 1 || i == 2 ? k->log_write : -1;
	s.n_fds = 3;
	if (sysconf(_SC_OPEN_MAX) >= LOCK_FD_FIRST + LOCK_FDS_MAX)
		s.n_fds =
			LOCK_FD_FIRST +
			locks_fds(k->locks, fds + LOCK_FD_FIRST, LOCK_FDS_MAX);
	s.nofile = files != NULL ? strtoul(files, NULL, 10) : 0;
	if (s.path == NULL)
		err_set(err, ERR_VALUE, "the command is empty");
	else
		pid = spawn(&s, &pidfd, err);
	fd_close(&pidfd);
	free(argv);
	return pid;
}

static void start_service(struct keeper *k)
{
	struct err err;
	pid_t pid = spawn_service(k, &err);

	fd_close(&k->log_write);
	if (pid < 0) {
		failed(k, &err);
		return;
	}
	k->main_pid = pid;
	k->phase = PHASE_RUNNING;
	say_started(k);
	arena_free(k->arena);
	k->arena = NULL;
	k->run.command = k->run.dir = k->run.own_lock = NULL;
	k->run.env = k->run.locks = NULL;
}

/* Tell of each new holder once. */
static void report_lock(struct keeper *k)
{
	pid_t pid;
	const char *who, *path = locks_blocked_by(k->locks, &pid, &who);
	struct holder holder;
	struct buf now;

	if (clock_mono_ms() - k->lock_since_ms < LOCK_REPORT_AFTER_MS)
		return;
	buf_init(&now, MESSAGE_MAX_BYTES);
	buf_addf(&now, "%s\n%d\n%s", path, (int)pid, who);
	if (!str_eq(buf_str(&now), buf_str(&k->lock_reported))) {
		/* The writer may be dead, and the lock inherited. */
		if ((pid <= 0 || kill(pid, 0) < 0) &&
		    diag_file_holder(locks_blocked_file(k->locks), NULL, 0,
				     &holder) == 1 &&
		    holder.pid > 0)
			say_lock_wait(k, path, holder.pid, holder.command);
		else
			say_lock_wait(k, path, pid, who);
		buf_clear(&k->lock_reported);
		buf_add_str(&k->lock_reported, buf_str(&now));
	}
	buf_done(&now);
}

static void try_locks(struct keeper *k)
{
	struct err err;
	int got = locks_try(k->locks, k->owner, &err);

	if (got < 0) {
		failed(k, &err);
	} else if (got == 1) {
		ev_timer_stop(k->loop, &k->lock_timer);
		start_service(k);
	} else {
		report_lock(k);
		k->lock_timer.repeat = clock_mono_ms() - k->lock_since_ms <
						       LOCK_SLOW_AFTER_MS ?
					       LOCK_RETRY_S :
					       LOCK_SLOW_RETRY_S;
		ev_timer_again(k->loop, &k->lock_timer);
	}
}

static void on_lock_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct keeper *k = w->data;

	(void)loop;
	(void)revents;
	if (k->phase == PHASE_LOCKING)
		try_locks(k);
}

static void make_locks(struct keeper *k, struct err *err)
{
	const char *own = k->run.own_lock[0] != '\0' ? k->run.own_lock : NULL;
	char *dir = NULL;

	if (k->run.locks[0] != NULL) {
		dir = locks_shared_dir(err);
		if (dir == NULL)
			return;
	}
	k->owner = xasprintf("%d %s, generation %s, in %s", (int)getpid(),
			     k->name, k->generation, k->run.dir);
	k->locks = locks_new(dir, k->run.locks, own, err);
	free(dir);
}

static void begin_start(struct keeper *k)
{
	struct err err;

	k->phase = PHASE_LOCKING;
	k->lock_since_ms = clock_mono_ms();
	make_locks(k, &err);
	if (k->locks == NULL)
		failed(k, &err);
	else
		try_locks(k);
}

/* ---- the worker's messages --------------------------------------------- */

static void take_run(struct keeper *k, struct get *g)
{
	struct run *r = &k->run;

	if (get_u32(g) != WIRE_VERSION) {
		log_line("hr was replaced while it runs; start it again");
		leave(k);
		return;
	}
	r->command = get_text(g);
	r->shell = get_bool(g);
	r->dir = get_text(g);
	r->env = get_strv(g);
	r->locks = get_strv(g);
	r->own_lock = get_text(g);
	r->kill_signal = get_i32(g);
	r->kill_scope = (enum kill_scope)get_enum(g, KILL_MAIN + 1);
	r->kill_delay_ms = get_i64(g);
	k->phase = PHASE_SET;
}

static void take_signal(struct keeper *k, struct get *g)
{
	int signo = get_i32(g);

	if (k->phase == PHASE_RUNNING || k->phase == PHASE_STOPPING)
		signal_group(k, signo);
}

static void take(struct keeper *k, enum keeper_msg type, struct get *g)
{
	switch (type) {
	case K_RUN:
		if (k->phase == PHASE_NEW)
			take_run(k, g);
		return;
	case K_START:
		if (k->phase == PHASE_SET)
			begin_start(k);
		return;
	case K_STOP:
		begin_stop(k);
		return;
	case K_KILL:
		begin_kill(k);
		return;
	case K_SIGNAL:
		take_signal(k, g);
		return;
	}
	log_bug("message %u from the worker", (unsigned)type);
}

static void on_message(void *data, uint32_t type, const void *bytes, size_t len,
		       int fd)
{
	struct keeper *k = data;
	struct get g;

	fd_close(&fd);
	if (k->phase == PHASE_OVER)
		return;
	get_init(&g, bytes, len, k->arena);
	take(k, (enum keeper_msg)type, &g);
	if (k->phase != PHASE_OVER && get_end(&g) < 0)
		log_bug("message %u from the worker is malformed", type);
}

/* The worker is dead: nobody needs the service any more, and nobody may read
 * its output. */
static void on_gone(void *data)
{
	struct keeper *k = data;

	chan_free(k->chan);
	k->chan = NULL;
	if (k->phase == PHASE_OVER)
		return;
	ev_timer_again(k->loop, &k->drain_timer);
	begin_stop(k);
}

/* ---- the log pipe without a reader ------------------------------------- */

/* The master may still read it: only a pipe that stays over half full is
 * emptied here. */
static void on_drain_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct keeper *k = w->data;
	int held = 0, size = fcntl(k->log_read, F_GETPIPE_SZ);
	bool full;

	(void)loop;
	(void)revents;
	ioctl(k->log_read, FIONREAD, &held);
	full = held * 2 >= size;
	if (full && k->log_was_full)
		ev_io_start(k->loop, &k->drop);
	k->log_was_full = full;
}

/* Nobody reads: from now on as fast as the service writes, or a talkative
 * one would not end in time. */
static void on_drop(struct ev_loop *loop, ev_io *w, int revents)
{
	struct keeper *k = w->data;
	char dropped[16384];

	(void)revents;
	if (read(k->log_read, dropped, sizeof(dropped)) == 0)
		ev_io_stop(loop, w);
}

/* ---- the role ---------------------------------------------------------- */

static void watchers_init(struct keeper *k)
{
	ev_timer_init(&k->lock_timer, on_lock_timer, 0, LOCK_RETRY_S);
	ev_timer_init(&k->kill_timer, on_kill_timer, 0, 1);
	ev_timer_init(&k->stop_timer, on_stop_timer, 0, STOP_LOOK_S);
	ev_timer_init(&k->drain_timer, on_drain_timer, 0, DRAIN_EVERY_S);
	ev_io_init(&k->drop, on_drop, k->log_read, EV_READ);
	k->drop.data = k;
	ev_signal_init(&k->child_signal, on_child, SIGCHLD);
	k->lock_timer.data = k->kill_timer.data = k->stop_timer.data = k;
	k->drain_timer.data = k->child_signal.data = k;
	ev_signal_start(k->loop, &k->child_signal);
}

/* Whoever wants an end of the service tells the worker; a terminal's or a
 * logout's signal must not cut the drain short. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM,
				       SIGPIPE };
	size_t i;

	for (i = 0; i < NITEMS(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static void make_log_pipe(struct keeper *k)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		log_bug("no pipe for the log: %s", strerror(errno));
	k->log_read = fds[0];
	k->log_write = fds[1];
	fd_nonblock(k->log_read);
}

static void keeper_done(struct keeper *k)
{
	chan_free(k->chan);
	locks_free(k->locks);
	free(k->owner);
	buf_done(&k->lock_reported);
	pids_free(&k->killed);
	fd_close(&k->log_read);
	fd_close(&k->log_write);
	if (k->arena != NULL)
		arena_free(k->arena);
	ev_loop_destroy(k->loop);
}

int keeper_main(int argc, char **argv)
{
	static const struct chan_ops ops = { on_message, on_gone };
	struct keeper k = { .phase = PHASE_NEW };
	char *who;

	if (argc != 4)
		log_bug("keeper: wants NAME and GENERATION");
	k.name = argv[2];
	k.generation = argv[3];
	who = xasprintf("keeper %s %s", k.name, k.generation);
	log_init(who);
	prctl(PR_SET_NAME, "hr-keeper");
	ignore_signals();
	if (tree_become_subreaper() < 0)
		log_bug("cannot become a subreaper: %s", strerror(errno));
	k.arena = arena_new();
	buf_init(&k.lock_reported, MESSAGE_MAX_BYTES);
	make_log_pipe(&k);
	k.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (k.loop == NULL)
		log_bug("no event loop: %s", strerror(errno));
	watchers_init(&k);
	k.chan = chan_new(k.loop, CHAN_PARENT_FD, &ops, &k);
	say_hello(&k);
	ev_run(k.loop, 0);
	keeper_done(&k);
	log_init("keeper");
	free(who);
	return 0;
}
