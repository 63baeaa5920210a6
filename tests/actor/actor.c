/* SPDX-License-Identifier: MIT */
/*
 * The misbehaving service of the end to end tests: does what its command
 * line says, in its order, then waits for ever.
 *
 *	actor [--id=NAME] [--on-int=ACT] … [STEP] …
 *
 * Reactions (for int, term, hup, quit, usr1, usr2), each after printing
 * "got SIGINT":
 *	exit:N      exit at once (the default of int and term: exit:0)
 *	after:MS[:N]  drain for MS milliseconds, then exit N
 *	print       go on
 *	ignore      really ignored: prints nothing
 *	default     the kernel's default
 * Steps are in the table below; they are done in their order.
 *
 * With HR_TEST_JOURNAL=FILE in the environment it appends a line
 *	EVENT ID PID GENERATION MONOTONIC_NS NOTE
 * at its start and at its end, and holds FILE.ID.lock (flock) for as long as
 * any of its processes lives; if another one of the same ID has it, the event
 * "overlap" is written. So a test can prove order and that two never meet.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum act { ACT_NONE, ACT_EXIT, ACT_AFTER, ACT_PRINT, ACT_IGNORE, ACT_DEFAULT };

struct reaction {
	const char *name;
	int signo;
	const char *word;
	enum act act;
	long ms;
	int code;
};

static struct reaction reactions[] = {
	{ "int", SIGINT, "SIGINT", ACT_EXIT, 0, 0 },
	{ "term", SIGTERM, "SIGTERM", ACT_EXIT, 0, 0 },
	{ "hup", SIGHUP, "SIGHUP", ACT_NONE, 0, 0 },
	{ "quit", SIGQUIT, "SIGQUIT", ACT_NONE, 0, 0 },
	{ "usr1", SIGUSR1, "SIGUSR1", ACT_NONE, 0, 0 },
	{ "usr2", SIGUSR2, "SIGUSR2", ACT_NONE, 0, 0 },
};
#define N_REACTIONS (sizeof(reactions) / sizeof(reactions[0]))

static int journal_fd = -1;
static const char *id = "?";
static const char *who = ""; /* "child " in children */
static char note[512];
static volatile sig_atomic_t draining;
static int listen_fd = -1;

/* ------------------------------------------------------------- output */

static void write_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, data, n);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (w < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (w < 0 && errno != EINTR)
			return;
		if (w > 0) {
			data += w;
			n -= (size_t)w;
		}
	}
}

static void say(int fd, const char *text, const char *end)
{
	char line[4096];
	int n = snprintf(line, sizeof(line), "%s%s%s", who, text, end);

	if (n > 0)
		write_all(fd, line,
			  (size_t)n < sizeof(line) ? (size_t)n : sizeof(line));
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void journal(const char *event, const char *text)
{
	const char *gen = getenv("HR_GENERATION");
	char line[1024];
	int n;

	if (journal_fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %s %d %s %lld %s\n", event, id,
		     (int)getpid(), gen ? gen : "0", (long long)now_ns(), text);
	if (n > 0 && (size_t)n < sizeof(line))
		write_all(journal_fd, line, (size_t)n);
}

/* fd moved to number or above, where closefds leaves it, if that can be. */
static int move_up(int fd, int number, int how)
{
	int high = fcntl(fd, how, number);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

static _Noreturn void leave(int code)
{
	char why[32];

	snprintf(why, sizeof(why), "exit:%d", code);
	journal(*who ? "child-end" : "end", why);
	_exit(code);
}

static _Noreturn void die(const char *what, int code)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	say(2, text, "\n");
	leave(code);
}

/* Sleeps the whole time, whatever signals come. */
static void sleep_ms(long ms)
{
	int64_t until = now_ns() + ms * 1000000;

	for (;;) {
		int64_t left = until - now_ns();
		struct timespec t = { .tv_sec = left / 1000000000,
				      .tv_nsec = left % 1000000000 };

		if (left <= 0)
			return;
		nanosleep(&t, NULL);
	}
}

/* ------------------------------------------------------------ signals */

/* One thread, write(2) only: what is called here is safe enough for a test
 * program. A second signal while draining is printed and changes nothing. */
static void on_signal(int signo)
{
	int saved = errno;
	char text[64];

	for (size_t i = 0; i < N_REACTIONS; i++) {
		const struct reaction *r = &reactions[i];

		if (r->signo != signo)
			continue;
		snprintf(text, sizeof(text), "got %s", r->word);
		say(1, text, "\n");
		journal(*who ? "child-signal" : "signal", r->word);
		if (r->act == ACT_EXIT && !draining)
			leave(r->code);
		if (r->act == ACT_AFTER && !draining) {
			draining = 1;
			sleep_ms(r->ms);
			say(1, "drained", "\n");
			leave(r->code);
		}
	}
	errno = saved;
}

static void install(const struct reaction *r)
{
	struct sigaction sa = { .sa_flags = SA_NODEFER | SA_RESTART };

	if (r->act == ACT_NONE)
		return;
	sa.sa_handler = on_signal;
	if (r->act == ACT_IGNORE)
		sa.sa_handler = SIG_IGN;
	if (r->act == ACT_DEFAULT)
		sa.sa_handler = SIG_DFL;
	sigaction(r->signo, &sa, NULL);
}

static void parse_act(struct reaction *r, const char *text)
{
	char *end = NULL;

	if (strncmp(text, "exit:", 5) == 0) {
		r->act = ACT_EXIT;
		r->code = atoi(text + 5);
	} else if (strncmp(text, "after:", 6) == 0) {
		r->act = ACT_AFTER;
		r->ms = strtol(text + 6, &end, 10);
		r->code = *end == ':' ? atoi(end + 1) : 0;
	} else if (strcmp(text, "print") == 0) {
		r->act = ACT_PRINT;
	} else if (strcmp(text, "ignore") == 0) {
		r->act = ACT_IGNORE;
	} else if (strcmp(text, "default") == 0) {
		r->act = ACT_DEFAULT;
	} else {
		die(text, 64);
	}
	install(r);
}

/* --on-SIGNAL=ACT */
static void parse_reaction(const char *arg)
{
	for (size_t i = 0; i < N_REACTIONS; i++) {
		size_t n = strlen(reactions[i].name);

		if (strncmp(arg + 5, reactions[i].name, n) == 0 &&
		    arg[5 + n] == '=') {
			parse_act(&reactions[i], arg + 5 + n + 1);
			return;
		}
	}
	die(arg, 64);
}

/* ------------------------------------------------------------ waiting */

static void answer(void)
{
	const char *gen = getenv("HR_GENERATION");
	char text[128];
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	int n;

	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%s %s %d\n", id, gen ? gen : "0",
		     (int)getpid());
	write_all(fd, text, (size_t)n);
	close(fd);
}

/* For ms milliseconds, or for ever (-1); answers connections meanwhile. */
static void wait_ms(long ms)
{
	int64_t until = now_ns() + ms * 1000000;

	for (;;) {
		struct pollfd p = { .fd = listen_fd, .events = POLLIN };
		int64_t left = (until - now_ns() + 999999) / 1000000;

		if (ms >= 0 && left <= 0)
			return;
		if (poll(&p, 1, ms < 0 ? -1 : (int)left) > 0)
			answer();
	}
}

/* -------------------------------------------------------------- steps */

static void step_print(const char *arg)
{
	say(1, arg, "\n");
}

static void step_partial(const char *arg)
{
	say(1, arg, "");
}

static void step_err(const char *arg)
{
	say(2, arg, "\n");
}

static int hex_digit(char c)
{
	const char *all = "0123456789abcdef", *at = strchr(all, c);

	return c && at ? (int)(at - all) : -1;
}

static void step_hex(const char *arg)
{
	for (; hex_digit(arg[0]) >= 0 && hex_digit(arg[1]) >= 0; arg += 2) {
		char byte = (char)(hex_digit(arg[0]) * 16 + hex_digit(arg[1]));

		write_all(1, &byte, 1);
	}
}

/* N lines of WIDTH characters, numbered from 1, as fast as they go; every
 * tenth to stderr with a negative WIDTH. */
static void step_flood(const char *arg)
{
	char *end = NULL;
	long n = strtol(arg, &end, 10);
	long width = *end == ':' ? strtol(end + 1, NULL, 10) : 40;
	bool both = width < 0;
	char line[4096];

	if (both)
		width = -width;
	if (width > 4000)
		width = 4000;
	for (long i = 1; i <= n; i++) {
		int used = snprintf(line, sizeof(line), "line %08ld ", i);

		for (; used < width; used++)
			line[used] = (char)('a' + used % 26);
		line[used++] = '\n';
		write_all(both && i % 10 == 0 ? 2 : 1, line, (size_t)used);
	}
}

/* MS[:N]: "tick 1", "tick 2" … every MS milliseconds, N times or for ever. */
static void step_tick(const char *arg)
{
	char *end = NULL;
	long ms = strtol(arg, &end, 10);
	long n = *end == ':' ? strtol(end + 1, NULL, 10) : -1;
	char text[64];

	for (long i = 1; n < 0 || i <= n; i++) {
		snprintf(text, sizeof(text), "tick %ld", i);
		say(1, text, "\n");
		wait_ms(ms);
	}
}

static void step_sleep(const char *arg)
{
	wait_ms(strtol(arg, NULL, 10));
}

static void step_env(const char *arg)
{
	(void)arg;
	for (char **e = environ; *e; e++) {
		char line[2048];

		snprintf(line, sizeof(line), "env %s", *e);
		say(1, line, "\n");
	}
	say(1, "env-end", "\n");
}

/* Every open descriptor (but the directory's own) and where it leads. */
static void step_fds(const char *arg)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	char path[320], target[256], line[640];

	(void)arg;
	while (d && (e = readdir(d))) {
		ssize_t n;

		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		snprintf(line, sizeof(line), "fd %s %s", e->d_name, target);
		say(1, line, "\n");
	}
	if (d)
		closedir(d);
	say(1, "fds-end", "\n");
}

/* "ids pid= pgid= sid=", and the signal lines of /proc/self/status as they
 * were before this program installed its handlers. */
static char mask_at_start[512];

static void read_mask(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t used = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "SigBlk", 6) == 0 ||
		    strncmp(line, "SigIgn", 6) == 0)
			used += (size_t)snprintf(mask_at_start + used,
						 sizeof(mask_at_start) - used,
						 "%s", line);
	if (f)
		fclose(f);
}

static void step_mask(const char *arg)
{
	char line[128];

	(void)arg;
	snprintf(line, sizeof(line), "ids pid=%d pgid=%d sid=%d", (int)getpid(),
		 (int)getpgrp(), (int)getsid(0));
	say(1, line, "\n");
	say(1, mask_at_start, "mask-end\n");
}

static size_t slurp(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		n = snprintf(buffer, size, "(no %s)", path);
	buffer[n] = '\0';
	return (size_t)n;
}

/* First line of FILE: printed, and the note of journal lines from now. */
static void step_read(const char *arg)
{
	slurp(arg, note, sizeof(note));
	note[strcspn(note, "\n")] = '\0';
	say(1, note, "\n");
	journal("read", note);
}

static void step_mark(const char *arg)
{
	journal("mark", arg);
}

static void step_append(const char *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd < 0)
		die(arg, 65);
	write_all(fd, "appended\n", 9);
	close(fd);
}

/* Opened and never closed: its holder is visible, its close is our death. */
static void step_open(const char *arg)
{
	if (open(arg, O_WRONLY | O_CREAT | O_APPEND, 0666) < 0)
		die(arg, 65);
}

/* A file that only one may hold, like a database: no waiting for it. */
static void step_flock(const char *arg)
{
	int fd = open(arg, O_RDWR | O_CREAT, 0666);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
		say(2, "database is locked", "\n");
		leave(9);
	}
}

static void step_listen(const char *arg)
{
	const char *port = strcmp(arg, "env") == 0 ? getenv("PORT") : arg;
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons((uint16_t)atoi(port ? port : "0"));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 128) != 0) {
		say(2,
		    errno == EADDRINUSE ? "address already in use" :
					  "cannot listen",
		    "\n");
		leave(98);
	}
	listen_fd = fd;
	say(1, "listening", "\n");
	journal("listen", note);
}

static void step_until(const char *arg)
{
	while (access(arg, F_OK) != 0)
		wait_ms(5);
}

static void step_exit(const char *arg)
{
	leave(atoi(arg));
}

static void step_kill(const char *arg)
{
	signal(atoi(arg), SIG_DFL);
	journal("end", "by signal");
	kill(getpid(), atoi(arg));
}

static void step_close_out(const char *arg)
{
	(void)arg;
	close(1);
	close(2);
}

static bool has_flag(const char *list, const char *flag)
{
	size_t n = strlen(flag);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, flag, n) == 0 && (!at[n] || at[n] == ','))
			return true;
	}
	return false;
}

static void child_setup(const char *flags)
{
	who = "child ";
	if (listen_fd >= 0 && !has_flag(flags, "port"))
		close(listen_fd);
	listen_fd = -1;
	for (size_t i = 0; i < N_REACTIONS; i++) {
		struct reaction *r = &reactions[i];

		if (r->signo != SIGINT && r->signo != SIGTERM)
			continue;
		r->act = has_flag(flags, "ignore") ? ACT_IGNORE :
			 has_flag(flags, "slow")   ? ACT_AFTER :
						     ACT_EXIT;
		r->ms = 300;
		r->code = 0;
		install(r);
	}
	if (has_flag(flags, "ignore"))
		signal(SIGHUP, SIG_IGN);
	if (has_flag(flags, "closefds"))
		for (int fd = 0; fd < 64; fd++)
			close(fd);
}

static _Noreturn void child_run(const char *flags, int report)
{
	char text[32];

	if (has_flag(flags, "setsid") || has_flag(flags, "daemon"))
		setsid();
	if (has_flag(flags, "pgrp"))
		setpgid(0, 0);
	if (has_flag(flags, "daemon") && fork() > 0)
		_exit(0);
	child_setup(flags);
	if (!has_flag(flags, "closefds"))
		journal("child-start", flags);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	write_all(report, text, strlen(text));
	close(report);
	if (has_flag(flags, "exit"))
		leave(0);
	wait_ms(-1);
	_exit(0);
}

/* FLAG[,FLAG…]: plain ignore slow setsid daemon pgrp closefds port exit.
 * Prints "child PID". The report pipe is above what closefds closes. */
static void step_spawn(const char *arg)
{
	char text[64] = "child ";
	int p[2], high;
	ssize_t n;

	if (pipe(p) != 0)
		die("pipe", 66);
	high = move_up(p[1], 100, F_DUPFD);
	if (fork() == 0)
		child_run(arg, high);
	close(high);
	n = read(p[0], text + 6, sizeof(text) - 7);
	text[6 + (n > 0 ? n : 0)] = '\0';
	close(p[0]);
	say(1, text, "\n");
}

/* A process that for ever forks its successor, in a new session, and ends. */
static _Noreturn void chain_run(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	for (;;) {
		pid_t pid;

		setsid();
		pid = fork();
		if (pid > 0)
			_exit(0);
		if (pid < 0)
			_exit(1);
		sleep_ms(1);
	}
}

static void step_chain(const char *arg)
{
	for (int i = atoi(arg); i > 0; i--)
		if (fork() == 0)
			chain_run();
	say(1, "chains run", "\n");
}

struct step {
	const char *name;
	void (*run)(const char *arg);
};

static const struct step steps[] = {
	{ "print", step_print },   { "partial", step_partial },
	{ "err", step_err },	   { "hex", step_hex },
	{ "flood", step_flood },   { "tick", step_tick },
	{ "sleep", step_sleep },   { "env", step_env },
	{ "fds", step_fds },	   { "mask", step_mask },
	{ "read", step_read },	   { "mark", step_mark },
	{ "append", step_append }, { "open", step_open },
	{ "flock", step_flock },   { "listen", step_listen },
	{ "until", step_until },   { "exit", step_exit },
	{ "kill", step_kill },	   { "close-out", step_close_out },
	{ "spawn", step_spawn },   { "chain", step_chain },
};

/* ------------------------------------------------------------ journal */

/* Held by every process of ours until the last one is gone. */
static void take_life_lock(const char *path)
{
	char name[1024];
	int fd;

	snprintf(name, sizeof(name), "%s.%s.lock", path, id);
	fd = open(name, O_RDWR | O_CREAT, 0666);
	if (fd < 0)
		return;
	fd = move_up(fd, 101, F_DUPFD);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		journal("overlap", "another one of this id is alive");
		say(2, "OVERLAP", "\n");
	}
}

static void journal_open(void)
{
	const char *path = getenv("HR_TEST_JOURNAL");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;

	if (fd < 0)
		return;
	journal_fd = move_up(fd, 102, F_DUPFD_CLOEXEC);
	take_life_lock(path);
	journal("start", note);
}

static void run_step(const char *arg)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		size_t n = strlen(steps[i].name);

		if (strncmp(arg + 2, steps[i].name, n) != 0)
			continue;
		if (arg[2 + n] == '=' || !arg[2 + n]) {
			steps[i].run(arg[2 + n] ? arg + 2 + n + 1 : "");
			return;
		}
	}
	errno = EINVAL;
	die(arg, 64);
}

int main(int argc, char **argv)
{
	const char *ps = getenv("PS");

	if (ps)
		id = ps;
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--id=", 5) == 0)
			id = argv[i] + 5;
	read_mask();
	journal_open();
	for (size_t i = 0; i < N_REACTIONS; i++)
		install(&reactions[i]);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--on-", 5) == 0)
			parse_reaction(argv[i]);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0)
			die(argv[i], 64);
		if (strncmp(argv[i], "--id=", 5) != 0 &&
		    strncmp(argv[i], "--on-", 5) != 0)
			run_step(argv[i]);
	}
	wait_ms(-1);
	return 0;
}
