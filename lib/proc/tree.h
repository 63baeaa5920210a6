/* SPDX-License-Identifier: MIT */
/*
 * The descendants of a child subreaper: who is alive, and how to end them.
 *
 * Reads /proc/PID/task/TID/children where the kernel has it, else parent ids
 * of all of /proc. Safe only in the process that is the subreaper: nobody
 * else reaps these pids, so none of them can be reused under us.
 */
#ifndef HR_PROC_TREE_H
#define HR_PROC_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pids {
	pid_t *v;
	size_t n;
	size_t cap;
};

/* Make this process a subreaper. Returns 0, or -1 with errno. */
int tree_become_subreaper(void);
/* All living descendants of pid (without it; zombies left out), parents
 * first. pids: OWNED, pids_free(). */
void tree_list(pid_t pid, struct pids *pids);
/* The living children of pid. pids: OWNED, pids_free(). */
void tree_children(pid_t pid, struct pids *pids);
void pids_free(struct pids *pids);
/* Whether a process group still has a living (not zombie) member. */
bool tree_group_alive(const struct pids *pids, pid_t group);
/* signo to each descendant of pid outside group (0: to all). Returns how
 * many were signalled. */
size_t tree_signal_outside(pid_t pid, pid_t group, int signo);
/* SIGCONT to each descendant of pid that is stopped: it could not act on a
 * signal otherwise. */
void tree_wake(pid_t pid);
/*
 * SIGKILL to all descendants of pid, each at once when it is met, until a
 * round meets no new one. They still have to be reaped; a fork chain may
 * outrun one call: reap, and call again, until waitpid says ECHILD. Returns
 * how many were hit, zombies not yet reaped included.
 */
size_t tree_kill(pid_t pid);
/* One round of it. hit: collects who was hit; zero it before the first round,
 * pids_free() after the last. Returns how many were new. */
size_t tree_kill_round(pid_t pid, struct pids *hit);
/* Command line (or [comm]) of a pid for messages, into buffer, control bytes
 * made spaces. Returns buffer ("?" if it is gone). */
char *tree_command(pid_t pid, char *buffer, size_t size);

#endif
