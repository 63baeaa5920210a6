/* SPDX-License-Identifier: MIT */
/* lib/proc/tree: who is below a subreaper, and how it ends. */
// needs: base proc
// link: -Wl,--wrap=access
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/proc/tree.h"

#define PATIENCE_MS 10000

/* A kernel without CONFIG_PROC_CHILDREN. */
static bool no_children_files;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	return no_children_files ? -1 : __real_access(path, mode);
}

_Noreturn static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* A child that forks `deep` more below it, each in a new session if asked. */
static pid_t line_of(int deep, bool session)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (session)
		setsid();
	if (deep > 1)
		line_of(deep - 1, session);
	wait_for_ever();
}

static size_t count(void)
{
	struct pids pids = { 0 };
	size_t n;

	tree_list(getpid(), &pids);
	n = pids.n;
	pids_free(&pids);
	return n;
}

static void wait_for_count(size_t n)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (count() != n) {
		assert_true(clock_mono_ms() < end);
		poll(NULL, 0, 1);
	}
}

/* Ends everything; all of it must become ours to reap. */
static size_t end_all(void)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	size_t n = 0;
	pid_t pid;

	do {
		tree_kill(getpid());
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			n++;
		assert_true(clock_mono_ms() < end);
	} while (pid == 0);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count(), 0);
	return n;
}

/* Nothing may be left by a test that failed. */
static int teardown(void **state)
{
	(void)state;
	no_children_files = false;
	end_all();
	return 0;
}

static void lists_parents_first(void **state)
{
	struct pids pids = { 0 };
	pid_t first;

	(void)state;
	assert_int_equal(count(), 0);
	first = line_of(5, false);
	wait_for_count(5);
	tree_list(getpid(), &pids);
	assert_int_equal(pids.v[0], first);
	tree_list(first, &pids);
	assert_int_equal(pids.n, 4);
	tree_children(getpid(), &pids);
	assert_int_equal(pids.n, 1);
	assert_int_equal(pids.v[0], first);
	pids_free(&pids);
	assert_int_equal(end_all(), 5);
}

static void leaves_zombies_out(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	wait_for_count(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void *thread_forks(void *data)
{
	(void)data;
	if (fork() == 0)
		wait_for_ever();
	wait_for_ever();
}

/* Children of another thread than the first, whose main thread has gone. */
static void sees_children_of_threads(void **state)
{
	struct pids pids = { 0 };
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, thread_forks, NULL);
		pthread_exit(NULL);
	}
	wait_for_count(2);
	tree_list(getpid(), &pids);
	assert_int_equal(pids.v[0], pid);
	pids_free(&pids);
	assert_int_equal(end_all(), 2);
}

/* Until each of the n children and grandchildren leads a group of its own. */
static void wait_for_leaders(struct pids *pids, size_t n)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	size_t i;

	wait_for_count(n);
	tree_list(getpid(), pids);
	assert_int_equal(pids->n, n);
	for (i = 0; i < n; i++) {
		while (getpgid(pids->v[i]) != pids->v[i]) {
			assert_true(clock_mono_ms() < end);
			poll(NULL, 0, 1);
		}
	}
}

static void knows_groups(void **state)
{
	struct pids pids = { 0 };
	pid_t pid = line_of(2, true);

	(void)state;
	wait_for_leaders(&pids, 2);
	assert_true(tree_group_alive(&pids, pid));
	assert_false(tree_group_alive(&pids, getpgrp()));
	kill(pid, SIGKILL);
	wait_for_count(1);
	assert_false(tree_group_alive(&pids, pid)); /* a zombie is none */
	pids_free(&pids);
	assert_int_equal(end_all(), 2);
}

static void signals_what_is_outside(void **state)
{
	struct pids pids = { 0 };
	pid_t inside = line_of(1, true), outside = line_of(1, true);
	int status;

	(void)state;
	wait_for_leaders(&pids, 2);
	pids_free(&pids);
	assert_int_equal(tree_signal_outside(getpid(), inside, SIGTERM), 1);
	assert_int_equal(waitpid(outside, &status, 0), outside);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(tree_signal_outside(getpid(), 0, SIGTERM), 1);
	assert_int_equal(waitpid(inside, &status, 0), inside);
}

static void wakes_what_is_stopped(void **state)
{
	pid_t pid = line_of(1, false);
	int status;

	(void)state;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	tree_wake(getpid());
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	assert_true(WIFCONTINUED(status));
	end_all();
}

static void kills_a_wide_and_deep_tree(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		line_of(4, i % 2 == 0);
	wait_for_count(200);
	assert_int_equal(end_all(), 200);
}

static void kills_fork_chains(void **state)
{
	int64_t from;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		if (fork() != 0)
			continue;
		for (;;) {
			setsid();
			if (fork() != 0)
				_exit(0);
		}
	}
	for (i = 0; i < 100; i++)
		waitpid(-1, NULL, 0);
	from = clock_mono_ms();
	end_all();
	print_message("5 chains: %d ms\n", (int)(clock_mono_ms() - from));
}

static void works_without_children_files(void **state)
{
	no_children_files = true;
	lists_parents_first(state);
	knows_groups(state);
	kills_a_wide_and_deep_tree(state);
	no_children_files = false;
}

static void shows_commands(void **state)
{
	static const char line[] = "echo\n'\033[2J' >/dev/null; read x";
	char buffer[64], small[8];
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[0], STDIN_FILENO);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(1);
	}
	while (!str_starts(tree_command(pid, buffer, sizeof(buffer)), "sh -c"))
		assert_true(clock_mono_ms() < end);
	assert_string_equal(buffer, "sh -c echo ' [2J' >/dev/null; read x");
	assert_int_equal(strlen(tree_command(pid, small, sizeof(small))), 7);
	kill(pid, SIGKILL);
	while (!str_eq(tree_command(pid, buffer, sizeof(buffer)), "[sh]"))
		assert_true(clock_mono_ms() < end); /* as a zombie */
	waitpid(pid, NULL, 0);
	assert_string_equal(tree_command(pid, buffer, sizeof(buffer)), "?");
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lists_parents_first, teardown),
		cmocka_unit_test_teardown(leaves_zombies_out, teardown),
		cmocka_unit_test_teardown(sees_children_of_threads, teardown),
		cmocka_unit_test_teardown(knows_groups, teardown),
		cmocka_unit_test_teardown(signals_what_is_outside, teardown),
		cmocka_unit_test_teardown(wakes_what_is_stopped, teardown),
		cmocka_unit_test_teardown(kills_a_wide_and_deep_tree, teardown),
		cmocka_unit_test_teardown(kills_fork_chains, teardown),
		cmocka_unit_test_teardown(works_without_children_files,
					  teardown),
		cmocka_unit_test_teardown(shows_commands, teardown),
	};

	if (tree_become_subreaper() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
