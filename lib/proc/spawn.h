/* SPDX-License-Identifier: MIT */
/*
 * The only fork and exec of hr.
 *
 * A child gets exactly the descriptors of its map, a clean signal mask and
 * default dispositions, its own session or group, and nothing else of ours.
 * vfork semantics: cheap at any size of the parent.
 */
#ifndef HR_PROC_SPAWN_H
#define HR_PROC_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct err;

enum spawn_group {
	SPAWN_GROUP,   /* setpgid: own process group */
	SPAWN_SESSION, /* setsid: own session, no controlling terminal */
};

struct spawn {
	const char *path;	 /* absolute, or searched in PATH of env */
	const char *const *argv; /* NULL-terminated */
	const char *const *env;	 /* NULL-terminated */
	const char *dir;	 /* or NULL */
	/* fds[i] becomes descriptor i of the child; -1: closed there (0, 1, 2
	 * get /dev/null instead). BORROWED: the parent still closes its own. */
	const int *fds;
	size_t n_fds;
	enum spawn_group group;
	unsigned long nofile; /* soft RLIMIT_NOFILE for it; 0: unchanged */
};

/*
 * Returns the pid with *pidfd (CLOEXEC, OWNED: close), or -1 with err: which
 * step failed (fork, chdir, exec), on what and why; err->sys is its errno.
 * As in shells, text without #! is run by /bin/sh. A file that is still open
 * for writing (ETXTBSY) is tried again for 30 ms.
 */
pid_t spawn(const struct spawn *s, int *pidfd, struct err *err);

/*
 * Start a role of hr itself (/proc/self/exe) with argv, which begins "hr",
 * in its own process group, with fd 3 = channel (TAKEN in every case),
 * stderr inherited, stdin and stdout /dev/null, and our environment less
 * what belongs to others (LISTEN_*, NOTIFY_SOCKET, WATCHDOG_*).
 */
pid_t spawn_role(const char *const *argv, int channel, int *pidfd,
		 struct err *err);

/*
 * How a command line of a Procfile or hr.conf is run: argv directly when it
 * holds nothing a shell would act on, else /bin/sh -c, with `exec ` in front
 * when it is one simple command, so that the pid is the program's own.
 * OWNED: free() (one block).
 */
char **spawn_command_argv(const char *command);
/* The words of command, split at blanks and nothing else. OWNED: free(). */
char **spawn_split_argv(const char *command);

#endif
