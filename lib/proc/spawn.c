/* SPDX-License-Identifier: MIT */
/*
 * The only fork and exec of hr.
 *
 * clone(CLONE_VM | CLONE_VFORK) on a stack of its own, as posix_spawn does:
 * the parent sleeps until exec or exit, so the child may write what failed
 * straight into the parent's memory. Everything the child needs is laid out
 * beforehand: between clone and exec nothing allocates.
 */
#include "lib/proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"

#define CHILD_STACK_BYTES ((size_t)64 << 10)
/* What execvp and shells search when PATH is not set. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
/* Another fork may hold a descriptor that is still open for writing on the
 * file, for the moment between its fork and its exec: 30 ms in all. */
#define TEXT_BUSY_TRIES 11
/* Its frames are never left in order, which ASan would remember. */
#define IN_CHILD __attribute__((no_sanitize_address))

enum step {
	STEP_NONE,
	STEP_GROUP,
	STEP_FDS,
	STEP_LIMIT,
	STEP_DIR,
	STEP_EXEC,
};

/* Shared by parent and child. */
struct child {
	const struct spawn *s;
	size_t n;	     /* descriptors of the map, at least 3 */
	int *map;	     /* where each comes from; -1: closed */
	const char *search;  /* PATH, or NULL where path has a slash */
	const char **script; /* argv to run path as a script of sh */
	enum step step;	     /* what failed */
	int error;
	bool found;	     /* the file was there */
	char path[PATH_MAX]; /* tried last */
	char denied[PATH_MAX];
};

/* ---- in the child ------------------------------------------------------ */

IN_CHILD static void reset_signals(void)
{
	/* The kernel's struct sigaction, all zero: SIG_DFL. Not the library's
	 * function: it hides signals 32 and 33, which posix_spawn leaves
	 * ignored in whatever make or a shell has started. */
	const long dfl[8] = { 0 };
	sigset_t none;
	int i;

	for (i = 1; i <= SIGRTMAX; i++)
		syscall(SYS_rt_sigaction, i, dfl, NULL, 8L);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Sources are moved above the map first: then no target can hit one. */
IN_CHILD static int map_fds(struct child *c)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i, n = (int)c->n;

	if (null < 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (i <= 2 && c->map[i] < 0)
			c->map[i] = null;
		if (c->map[i] < 0 || c->map[i] >= n)
			continue;
		c->map[i] = fcntl(c->map[i], F_DUPFD_CLOEXEC, n);
		if (c->map[i] < 0)
			return -1;
	}
	for (i = 0; i < n; i++) {
		if (c->map[i] < 0)
			close(i);
		else if (dup2(c->map[i], i) < 0)
			return -1;
	}
	return 0;
}

IN_CHILD static void close_rest(int first)
{
	struct rlimit limit;
	rlim_t i;

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	for (i = (rlim_t)first; i < limit.rlim_cur && i < 1 << 20; i++)
		close((int)i);
}

IN_CHILD static int limit_files(unsigned long soft)
{
	struct rlimit limit;

	if (soft == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

IN_CHILD static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = 0, .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

/* A file of text without #!: shells run it as a script of sh. */
IN_CHILD static bool is_text(const char *path)
{
	char head[128];
	ssize_t n = -1, i;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, head, sizeof(head));
		close(fd);
	}
	for (i = 0; i < n && head[i] != '\n'; i++)
		if (head[i] == '\0' || head[i] == '\177')
			return false;
	return n >= 0;
}

/* execve of c->path; returns with errno. */
IN_CHILD static void exec_path(struct child *c)
{
	char **argv = (char **)(uintptr_t)c->s->argv;
	char **env = (char **)(uintptr_t)c->s->env;
	int try;

	for (try = 0; try < TEXT_BUSY_TRIES; try++) {
		execve(c->path, argv, env);
		if (errno != ETXTBSY)
			break;
		sleep_ms(1 + try / 2);
	}
	if (errno != ENOEXEC || !is_text(c->path)) {
		c->found = errno == ENOEXEC ||
			   faccessat(AT_FDCWD, c->path, F_OK, AT_EACCESS) == 0;
		return;
	}
	execve("/bin/sh", (char **)(uintptr_t)c->script, env);
	c->found = true;
	errno = ENOEXEC;
}

/* dir/name into c->path; false if it is too long. dir ends at a colon. */
IN_CHILD static bool join(struct child *c, const char *dir)
{
	const char *name = c->s->path;
	size_t n = 0;

	for (; *dir != '\0' && *dir != ':' && n < PATH_MAX - 1; dir++)
		c->path[n++] = *dir;
	if (n == 0)
		c->path[n++] = '.';
	c->path[n++] = '/';
	for (; *name != '\0' && n < PATH_MAX - 1; name++)
		c->path[n++] = *name;
	c->path[n < PATH_MAX ? n : PATH_MAX - 1] = '\0';
	return *name == '\0' && n < PATH_MAX;
}

/* As shells: EACCES of a file that is there is kept while the search goes on,
 * a directory that may not be searched is passed over. */
IN_CHILD static void exec_search(struct child *c)
{
	const char *dir = c->search;

	while (dir != NULL) {
		if (join(c, dir)) {
			int error;

			exec_path(c);
			error = errno;
			if (error == EACCES && c->found && c->denied[0] == '\0')
				memcpy(c->denied, c->path, PATH_MAX);
			errno = error;
			if (error != EACCES && error != ENOTDIR &&
			    (error != ENOENT || c->found))
				return;
		}
		while (*dir != '\0' && *dir != ':')
			dir++;
		dir = *dir == ':' ? dir + 1 : NULL;
	}
	errno = ENOENT;
	if (c->denied[0] != '\0') {
		memcpy(c->path, c->denied, PATH_MAX);
		errno = EACCES;
	}
}

IN_CHILD static enum step child_steps(struct child *c)
{
	const struct spawn *s = c->s;

	if ((s->group == SPAWN_SESSION ? setsid() : setpgid(0, 0)) < 0)
		return STEP_GROUP;
	if (map_fds(c) < 0)
		return STEP_FDS;
	close_rest((int)c->n);
	if (limit_files(s->nofile) < 0)
		return STEP_LIMIT;
	if (s->dir != NULL && chdir(s->dir) < 0)
		return STEP_DIR;
	reset_signals();
	if (c->search != NULL)
		exec_search(c);
	else
		exec_path(c);
	return STEP_EXEC;
}

IN_CHILD static int child_main(void *data)
{
	struct child *c = data;

	c->step = child_steps(c);
	c->error = errno;
	syscall(SYS_exit_group, 127);
	return 127;
}

/* ---- errors in words --------------------------------------------------- */

/* A file as the child saw it, after its chdir. */
static int open_in_dir(const struct spawn *s, const char *path)
{
	int dir = open(s->dir != NULL ? s->dir : ".",
		       O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(dir < 0 ? AT_FDCWD : dir, path,
			O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	fd_close(&dir);
	return fd;
}

/* The interpreter a script names, into buffer; false if it is no script. */
static bool interpreter(const struct spawn *s, const char *path, char *buffer,
			size_t size)
{
	int fd = open_in_dir(s, path);
	char line[256] = "";
	ssize_t n = -1;
	char *p;

	if (fd >= 0)
		n = read(fd, line, sizeof(line) - 1);
	fd_close(&fd);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	p = line + 2 + strspn(line + 2, " \t");
	p[strcspn(p, " \t\n")] = '\0';
	if (strlen(p) >= size)
		return false;
	memcpy(buffer, p, strlen(p) + 1);
	return true;
}

static void say_missing(const struct child *c, struct err *err)
{
	char program[256];
	size_t len;

	if (!c->found && c->search != NULL) {
		err_set(err, ERR_SYS, "command not found: %s", c->s->path);
		err_hint(err, "no '%s' in PATH (%.60s%s)", c->s->path,
			 c->search, strlen(c->search) > 60 ? "…" : "");
		return;
	}
	if (!c->found) {
		err_set(err, ERR_SYS, "command not found: %s", c->path);
		err_hint(err, "there is no such file%s%s",
			 c->path[0] == '/' || c->s->dir == NULL ? "" : " in ",
			 c->path[0] == '/' || c->s->dir == NULL ? "" :
								  c->s->dir);
		return;
	}
	if (!interpreter(c->s, c->path, program, sizeof(program))) {
		err_set(err, ERR_SYS, "cannot run %s: its loader is missing",
			c->path);
		err_hint(err,
			 "it was built for another system or C library; "
			 "'file %s' tells which",
			 c->path);
		return;
	}
	err_set(err, ERR_SYS,
		"bad interpreter: the first line of %s names "
		"'%s', which does not exist",
		c->path, program);
	len = strlen(program);
	if (len > 0 && program[len - 1] == '\r')
		err_hint(err,
			 "the file has Windows line ends; mend it with: "
			 "sed -i 's/\\r$//' %s",
			 c->path);
	else
		err_hint(err, "install it, or correct the #! line");
}

static void say_denied(const struct child *c, struct err *err)
{
	const struct spawn *s = c->s;
	int dir = open(s->dir != NULL ? s->dir : ".",
		       O_PATH | O_DIRECTORY | O_CLOEXEC),
	    fd;
	struct statvfs fs;
	struct stat st;
	bool seen = fstatat(dir, c->path, &st, 0) == 0;

	err_set(err, ERR_SYS, "permission denied: %s", c->path);
	if (seen && S_ISDIR(st.st_mode)) {
		err_set(err, ERR_SYS, "cannot run %s: it is a directory",
			c->path);
	} else if (seen && (st.st_mode & 0111) == 0) {
		err_set(err, ERR_SYS, "not executable: %s", c->path);
		err_hint(err, "chmod +x %s", c->path);
	} else if (seen) {
		fd = openat(dir, c->path, O_PATH | O_CLOEXEC);
		if (fd >= 0 && fstatvfs(fd, &fs) == 0 &&
		    (fs.f_flag & ST_NOEXEC) != 0)
			err_hint(err, "its file system is mounted noexec");
		else
			err_hint(err,
				 "look at 'ls -l %s', and at its "
				 "interpreter if it is a script",
				 c->path);
		fd_close(&fd);
	} else {
		err_hint(err, "one of its directories may not be searched");
	}
	fd_close(&dir);
}

static size_t bytes_of(const char *const *v)
{
	size_t n = 0;

	for (; *v != NULL; v++)
		n += strlen(*v) + 1 + sizeof(*v);
	return n;
}

static void say_exec(const struct child *c, struct err *err)
{
	const struct spawn *s = c->s;

	switch (c->error) {
	case ENOENT:
		say_missing(c, err);
		break;
	case EACCES:
		say_denied(c, err);
		break;
	case ETXTBSY:
		err_set(err, ERR_SYS,
			"text file busy: %s is still open for "
			"writing",
			c->path);
		err_hint(err,
			 "a build should write a new file and rename it; "
			 "'fuser -v %s' names the writer",
			 c->path);
		break;
	case ENOEXEC:
		err_set(err, ERR_SYS,
			"cannot run %s: no program for this "
			"machine",
			c->path);
		err_hint(err, "'file %s' tells what it is", c->path);
		break;
	case E2BIG:
		err_set(err, ERR_SYS,
			"arguments and environment of %s are too "
			"large: %zu bytes",
			c->path, bytes_of(s->argv) + bytes_of(s->env));
		err_hint(err,
			 "the kernel takes %ld bytes in all and 128 KiB "
			 "for one string",
			 sysconf(_SC_ARG_MAX));
		break;
	default:
		errno = c->error;
		err_sys(err, "cannot run %s", c->path);
	}
}

static void say_fork(int error, struct err *err)
{
	errno = error;
	if (error == EAGAIN) {
		err_set(err, ERR_SYS,
			"cannot start a process: the limit of "
			"processes is reached");
		err_hint(err, "see 'ulimit -u', and pids.max of the container "
			      "if this is one");
	} else if (error == EMFILE || error == ENFILE) {
		err_set(err, ERR_SYS,
			"cannot start a process: no descriptor "
			"is free");
		err_hint(err, "see 'ulimit -n'");
	} else {
		err_sys(err, "cannot start a process");
	}
}

static void say_dir(const struct child *c, struct err *err)
{
	errno = c->error;
	if (c->error == ENOENT) {
		err_set(err, ERR_SYS, "directory %s does not exist", c->s->dir);
		err_hint(err, "make it, or correct 'dir' in hr.conf");
	} else {
		err_sys(err, "cannot enter directory %s", c->s->dir);
	}
}

static void say(const struct child *c, struct err *err)
{
	errno = c->error;
	switch (c->step) {
	case STEP_NONE:
		say_fork(c->error, err);
		break;
	case STEP_GROUP:
		err_sys(err, "cannot make a process group for %s", c->s->path);
		break;
	case STEP_FDS:
		err_sys(err, "cannot set up the descriptors of %s", c->s->path);
		break;
	case STEP_LIMIT:
		err_sys(err, "cannot limit the descriptors of %s", c->s->path);
		break;
	case STEP_DIR:
		say_dir(c, err);
		break;
	case STEP_EXEC:
		say_exec(c, err);
		break;
	}
	if (err != NULL)
		err->sys = c->error;
	errno = c->error;
}

/* ---- in the parent ----------------------------------------------------- */

static const char *env_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static void child_init(struct child *c, const struct spawn *s)
{
	size_t i, argc = strv_len(s->argv), len = strlen(s->path);
	const char *path = env_get(s->env, "PATH");

	memset(c, 0, sizeof(*c));
	c->s = s;
	c->n = s->n_fds > 3 ? s->n_fds : 3;
	c->map = xmalloc(c->n * sizeof(*c->map));
	for (i = 0; i < c->n; i++)
		c->map[i] = i < s->n_fds ? s->fds[i] : -1;
	c->script = xcalloc(argc + 3, sizeof(*c->script));
	c->script[0] = "sh";
	c->script[1] = c->path;
	for (i = 1; i < argc; i++)
		c->script[i + 1] = s->argv[i];
	if (strchr(s->path, '/') == NULL)
		c->search = path != NULL && *path != '\0' ? path : DEFAULT_PATH;
	memcpy(c->path, s->path, len < PATH_MAX ? len + 1 : 0);
}

static void child_done(struct child *c)
{
	free(c->map);
	free(c->script);
}

/* clone and wait for exec or failure. Returns the pid, or -1 with c->error. */
static pid_t run_child(struct child *c, int *pidfd)
{
	int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
	sigset_t all, before;
	pid_t pid;
	char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED) {
		c->error = errno;
		return -1;
	}
	/* No handler of ours may run in the child, on our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone(child_main, stack + CHILD_STACK_BYTES, flags, c, pidfd);
	if (pid < 0)
		c->error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(stack, CHILD_STACK_BYTES);
	return pid;
}

pid_t spawn(const struct spawn *s, int *pidfd, struct err *err)
{
	struct child c;
	pid_t pid;

	*pidfd = -1;
	child_init(&c, s);
	pid = run_child(&c, pidfd);
	if (c.error != 0) {
		say(&c, err);
		if (pid > 0) {
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
			fd_close(pidfd);
		}
		pid = -1;
		errno = c.error;
	}
	child_done(&c);
	return pid;
}

/* ---- roles ------------------------------------------------------------- */

/* Protocols of whoever started hr: their descriptors are not passed on, and
 * a program that believed in them would fail. */
static const char *const foreign[] = {
	"LISTEN_FDS=",	  "LISTEN_PID=",   "LISTEN_FDNAMES=", "LISTEN_PIDFDID=",
	"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=",  "EINHORN_",
};

static bool is_foreign(const char *entry)
{
	size_t i;

	for (i = 0; i < NITEMS(foreign); i++)
		if (str_starts(entry, foreign[i]))
			return true;
	return false;
}

/* OWNED: free(); the strings are environ's. */
static const char **role_env(void)
{
	const char **env, **to;
	char **from;
	size_t n = 0;

	while (environ[n] != NULL)
		n++;
	env = to = xmalloc((n + 1) * sizeof(*env));
	for (from = environ; *from != NULL; from++)
		if (!is_foreign(*from))
			*to++ = *from;
	*to = NULL;
	return env;
}

pid_t spawn_role(const char *const *argv, int channel, int *pidfd,
		 struct err *err)
{
	const char **env = role_env();
	int fds[] = { -1, -1, STDERR_FILENO, channel };
	struct spawn s = { .path = "/proc/self/exe",
			   .argv = argv,
			   .env = env,
			   .fds = fds,
			   .n_fds = NITEMS(fds),
			   .group = SPAWN_GROUP };
	pid_t pid = spawn(&s, pidfd, err);

	fd_close(&channel);
	free(env);
	return pid;
}
