/* SPDX-License-Identifier: MIT */
/*
 * The descendants of a child subreaper: who is alive, and how to end them.
 *
 * A walk is a breadth-first queue of pids, filled from the kernel's list of
 * children of each thread (CONFIG_PROC_CHILDREN, proc(5)), or, without that,
 * from one scan of all of /proc. Processes come and go during a walk: what
 * it finds was there, what it misses is found by the next one.
 */
#include "lib/proc/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"

/* An endless fork chain may outrun one call; the caller calls again. */
#define KILL_ROUNDS_MAX 16
/* A set of pids is searched from its end, this far: older ones are dead. */
#define HAS_PID_REACH 2048
#define SIGNAL_ROUNDS_MAX 4
/* What forks while it is listed could lead us on without end. */
#define LIST_MAX 20000
#define CHILDREN_READ_BYTES ((size_t)4 << 10)

struct stat_line {
	char state;
	pid_t parent;
	pid_t group;
	long threads;
};

/* Called for each pid a walk meets. */
typedef void visit_fn(pid_t pid, void *data);

int tree_become_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void pids_free(struct pids *pids)
{
	VEC_FREE(pids);
}

/* ---- /proc ------------------------------------------------------------- */

/* Up to size - 1 bytes and a NUL. Returns the length, or -1. */
static ssize_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, buffer, size - 1);
	fd_close(&fd);
	buffer[n > 0 ? n : 0] = '\0';
	return n;
}

/* proc(5): pid (comm) state ppid pgrp … and num_threads as the 20th; comm may
 * hold anything, also ") ". */
static bool read_stat(pid_t pid, struct stat_line *out)
{
	char line[512], *p;

	if (read_proc(pid, "stat", line, sizeof(line)) <= 0)
		return false;
	p = strrchr(line, ')');
	return p != NULL &&
	       sscanf(p + 1,
		      " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		      "%*d %*d %*d %ld",
		      &out->state, &out->parent, &out->group,
		      &out->threads) == 4;
}

/* A main thread that has ended while others run is a zombie too: alive. */
static bool is_living(const struct stat_line *st)
{
	return (st->state != 'Z' && st->state != 'X') || st->threads > 1;
}

/* ---- the walk ---------------------------------------------------------- */

static void add_pid(struct pids *queue, long pid, visit_fn *visit, void *data)
{
	if (pid <= 0)
		return;
	if (visit != NULL)
		visit((pid_t)pid, data);
	VEC_PUSH(queue, (pid_t)pid);
}

/* The numbers of a children file; it may be longer than one read. */
static void add_numbers(struct pids *queue, int fd, visit_fn *visit, void *data)
{
	char text[CHILDREN_READ_BYTES];
	long pid = 0;
	ssize_t n, i;

	while ((n = read(fd, text, sizeof(text))) > 0) {
		for (i = 0; i < n; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
				continue;
			}
			add_pid(queue, pid, visit, data);
			pid = 0;
		}
	}
	add_pid(queue, pid, visit, data);
}

/* The children that one thread has. False if the kernel has no such file. */
static bool add_of_thread(struct pids *queue, pid_t pid, const char *tid,
			  visit_fn *visit, void *data)
{
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid,
		 tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	add_numbers(queue, fd, visit, data);
	close(fd);
	return true;
}

static void add_children(struct pids *queue, pid_t pid, visit_fn *visit,
			 void *data)
{
	struct dirent *e;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			add_of_thread(queue, pid, e->d_name, visit, data);
	closedir(dir);
}

static bool has_children_files(void)
{
	return access("/proc/thread-self/children", R_OK) == 0;
}

/* Every process and its parent, for kernels without children files. */
static void scan_all(struct pids *all, struct pids *parents)
{
	struct stat_line st;
	struct dirent *e;
	DIR *dir = opendir("/proc");
	int64_t pid;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		if (str_to_int(e->d_name, 1, INT_MAX, &pid) < 0 ||
		    !read_stat((pid_t)pid, &st))
			continue;
		VEC_PUSH(all, (pid_t)pid);
		VEC_PUSH(parents, st.parent);
	}
	closedir(dir);
}

static void walk_scanned(struct pids *queue, pid_t pid, visit_fn *visit,
			 void *data)
{
	struct pids all = { 0 }, parents = { 0 };
	size_t i, next;

	scan_all(&all, &parents);
	for (next = 0; next <= queue->n; next++) {
		pid_t of = next == 0 ? pid : queue->v[next - 1];

		for (i = 0; i < all.n; i++)
			if (parents.v[i] == of)
				add_pid(queue, all.v[i], visit, data);
	}
	pids_free(&all);
	pids_free(&parents);
}

/* Ten times cheaper than /proc, where a fork chain leaves thousands. */
static bool is_own_zombie(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
		       0 &&
	       info.si_pid == pid;
}

/* Zombies have no children, and a fork chain leaves many: who is not living
 * when its turn comes is not descended into. */
void tree_list(pid_t pid, struct pids *pids)
{
	struct pids queue = { 0 };
	bool by_thread = has_children_files();
	struct stat_line st;
	size_t i;

	pids->n = 0;
	if (by_thread)
		add_children(&queue, pid, NULL, NULL);
	else
		walk_scanned(&queue, pid, NULL, NULL);
	for (i = 0; i < queue.n && i < LIST_MAX; i++) {
		if (is_own_zombie(queue.v[i]) || !read_stat(queue.v[i], &st) ||
		    !is_living(&st))
			continue;
		VEC_PUSH(pids, queue.v[i]);
		if (by_thread)
			add_children(&queue, queue.v[i], NULL, NULL);
	}
	pids_free(&queue);
}

void tree_children(pid_t pid, struct pids *pids)
{
	struct pids all = { 0 };
	struct stat_line st;
	size_t i;

	pids->n = 0;
	tree_list(pid, &all);
	for (i = 0; i < all.n; i++)
		if (read_stat(all.v[i], &st) && st.parent == pid)
			VEC_PUSH(pids, all.v[i]);
	pids_free(&all);
}

/* ---- groups and signals ------------------------------------------------ */

bool tree_group_alive(const struct pids *pids, pid_t group)
{
	struct stat_line st;
	size_t i;

	for (i = 0; i < pids->n; i++)
		if (read_stat(pids->v[i], &st) && is_living(&st) &&
		    st.group == group)
			return true;
	return false;
}

static bool has_pid(const struct pids *pids, pid_t pid)
{
	size_t end = pids->n > HAS_PID_REACH ? pids->n - HAS_PID_REACH : 0, i;

	for (i = pids->n; i > end; i--)
		if (pids->v[i - 1] == pid)
			return true;
	return false;
}

/* The walk loses what changes its parent meanwhile: it is repeated until it
 * meets nobody new, and nobody is signalled twice. */
size_t tree_signal_outside(pid_t pid, pid_t group, int signo)
{
	struct pids pids = { 0 }, done = { 0 };
	struct stat_line st;
	size_t i, n = 0, before;
	int round;

	for (round = 0; round < SIGNAL_ROUNDS_MAX; round++) {
		before = done.n;
		tree_list(pid, &pids);
		for (i = 0; i < pids.n; i++) {
			if (has_pid(&done, pids.v[i]) ||
			    !read_stat(pids.v[i], &st) ||
			    (group != 0 && st.group == group))
				continue;
			VEC_PUSH(&done, pids.v[i]);
			if (kill(pids.v[i], signo) == 0)
				n++;
		}
		if (done.n == before)
			break;
	}
	pids_free(&pids);
	pids_free(&done);
	return n;
}

void tree_wake(pid_t pid)
{
	struct pids pids = { 0 };
	struct stat_line st;
	size_t i;

	tree_list(pid, &pids);
	for (i = 0; i < pids.n; i++)
		if (read_stat(pids.v[i], &st) && st.state == 'T')
			kill(pids.v[i], SIGCONT);
	pids_free(&pids);
}

struct kill_round {
	struct pids *hit;
	size_t at; /* the next pid is mostly hit->v[at] again */
	size_t fresh;
};

/* At once when met: in a fork chain a moment later it would be its child. */
static void kill_one(pid_t pid, void *data)
{
	struct kill_round *round = data;

	if (kill(pid, SIGKILL) < 0)
		return;
	if (round->at < round->hit->n && round->hit->v[round->at] == pid) {
		round->at++;
	} else if (!has_pid(round->hit, pid)) {
		VEC_PUSH(round->hit, pid);
		round->fresh++;
	}
}

/* Of each process only what its main thread has forked: quicker, and the
 * rest comes to us when it dies. */
size_t tree_kill_round(pid_t pid, struct pids *hit)
{
	struct kill_round round = { .hit = hit };
	struct pids queue = { 0 };
	char tid[16];
	size_t i;

	if (!has_children_files()) {
		walk_scanned(&queue, pid, kill_one, &round);
		pids_free(&queue);
		return round.fresh;
	}
	add_children(&queue, pid, kill_one, &round);
	for (i = 0; i < queue.n && i < LIST_MAX; i++) {
		if (is_own_zombie(queue.v[i]))
			continue;
		snprintf(tid, sizeof(tid), "%d", (int)queue.v[i]);
		add_of_thread(&queue, queue.v[i], tid, kill_one, &round);
	}
	pids_free(&queue);
	return round.fresh;
}

size_t tree_kill(pid_t pid)
{
	struct pids hit = { 0 };
	size_t n;
	int i;

	for (i = 0; i < KILL_ROUNDS_MAX; i++)
		if (tree_kill_round(pid, &hit) == 0)
			break;
	n = hit.n;
	pids_free(&hit);
	return n;
}

char *tree_command(pid_t pid, char *buffer, size_t size)
{
	ssize_t n = read_proc(pid, "cmdline", buffer, size), i;

	if (n <= 0) {
		n = read_proc(pid, "comm", buffer + 1, size - 2);
		if (n <= 0) {
			snprintf(buffer, size, "?");
			return buffer;
		}
		buffer[0] = '[';
		buffer[n] = ']'; /* over the newline */
		buffer[n + 1] = '\0';
		n = 0;
	}
	while (n > 0 && buffer[n - 1] == '\0')
		n--;
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)buffer[i];

		if (c == '\0')
			buffer[i] = ' ';
		else if (c < ' ' || c == 127)
			buffer[i] = ' ';
	}
	return buffer;
}
