/* SPDX-License-Identifier: MIT */
/* lib/handoff/locks: two paths to one file meet, and no two hold it. */
// needs: base handoff
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/handoff/locks.h"

static char root[] = "/tmp/hr-locks-test-XXXXXX";
static char *shared;

static char *in_root(const char *name)
{
	return xasprintf("%s/%s", root, name);
}

static void sh(const char *command)
{
	char *line = xasprintf("cd %s && %s", root, command);

	assert_int_equal(system(line), 0);
	free(line);
}

static struct locks *make(const char *name, const char *own)
{
	char *path = in_root(name);
	const char *const paths[] = { path, NULL };
	struct err err;
	struct locks *l = locks_new(shared, paths, own, &err);

	assert_non_null(l);
	free(path);
	return l;
}

static int setup(void **state)
{
	(void)state;
	sh("rm -rf * && mkdir shared a && touch a/db");
	return 0;
}

/* ---- tests ------------------------------------------------------------- */

static void is_held_by_one(void **state)
{
	struct locks *first = make("a/db", NULL), *second = make("a/db", NULL);
	char *path = in_root("a/db");
	const char *who;
	struct err err;
	pid_t pid;

	(void)state;
	assert_int_equal(locks_try(first, "4242 ingest, in ~/x", &err), 1);
	assert_null(locks_blocked_by(first, &pid, &who));
	assert_int_equal(locks_try(second, "1 me", &err), 0);
	assert_string_equal(locks_blocked_by(second, &pid, &who), path);
	assert_int_equal(pid, 4242);
	assert_string_equal(who, "ingest, in ~/x");
	assert_int_equal(locks_try(first, "4242 ingest", &err), 1);
	locks_free(first);
	assert_int_equal(locks_try(second, "1 me", &err), 1);
	locks_free(second);
	free(path);
	/* Nothing is left in the shared directory. */
	sh("test -z \"$(ls shared)\"");
}

/* Each pair names one file; the first is taken before the second is made. */
static void meets_by_any_path(void **state)
{
	static const struct {
		const char *prepare, *first, *between, *second;
	} cases[] = {
		{ "true", "a/db", "true", "a/../a/./db" },
		{ "ln -s a b", "a/db", "true", "b/db" },
		{ "ln -s a/db link", "link", "true", "a/db" },
		{ "ln a/db hard", "hard", "true", "a/db" },
		{ "rm a/db", "a/db", "touch a/db", "a/db" },
		{ "rm a/db", "a/db", "ln -s a b", "b/db" },
		{ "ln -s a/new link", "link", "touch a/new", "a/new" },
		{ "rmdir -p x 2>&1; true", "x/y/db",
		  "mkdir -p x/y; touch x/y/db", "x/y/db" },
		{ "true", "a/db", "mv a/db a/old; touch a/db", "a/db" },
		{ "true", "a/db", "mv a b", "b/db" },
		{ "true", "a", "ln -s a b", "b" },
	};
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		struct locks *first, *second;
		struct err err;

		setup(state);
		sh(cases[i].prepare);
		first = make(cases[i].first, NULL);
		assert_int_equal(locks_try(first, "1 a", &err), 1);
		sh(cases[i].between);
		second = make(cases[i].second, NULL);
		if (locks_try(second, "2 b", &err) != 0)
			print_error("case %zu\n", i);
		assert_int_equal(locks_try(second, "2 b", &err), 0);
		locks_free(first);
		assert_int_equal(locks_try(second, "2 b", &err), 1);
		locks_free(second);
	}
}

static void different_files_do_not_meet(void **state)
{
	struct locks *first, *second;
	struct err err;

	(void)state;
	sh("mkdir b && touch b/db a/other");
	first = make("a/db", NULL);
	second = make("b/db", NULL);
	assert_int_equal(locks_try(first, "1 a", &err), 1);
	assert_int_equal(locks_try(second, "1 a", &err), 1);
	locks_free(second);
	second = make("a/other", NULL);
	assert_int_equal(locks_try(second, "1 a", &err), 1);
	locks_free(second);
	locks_free(first);
}

/* The file itself is never opened: an flock on it would be seen. */
static void leaves_the_file_alone(void **state)
{
	struct locks *l = make("a/db", NULL);
	char *path = in_root("a/db");
	int fd = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(locks_try(l, "1 a", NULL), 1);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	locks_free(l);
	free(path);
}

static void takes_the_own_file_too(void **state)
{
	char *own = in_root("web.1.lock");
	struct locks *first = make("a/db", own), *second = make("a/other", own);
	struct err err;
	const char *who;
	int fds[8];
	pid_t pid;

	(void)state;
	assert_int_equal(locks_try(first, "77 web", &err), 1);
	assert_int_equal(locks_fds(first, fds, 8), 4);
	assert_int_equal(locks_fds(first, fds, 2), 2);
	assert_int_equal(locks_try(second, "1 a", &err), 0);
	assert_string_equal(locks_blocked_by(second, &pid, &who), own);
	assert_string_equal(locks_blocked_file(second), own);
	assert_int_equal(locks_fds(second, fds, 8), 0);
	locks_free(first);
	locks_free(second);
	assert_int_equal(access(own, F_OK), 0); /* it stays */
	first = locks_new(NULL, NULL, own, &err);
	assert_int_equal(locks_try(first, "1 a", &err), 1);
	locks_free(first);
	free(own);
}

/* The same file twice in one list must not block itself. */
static void copes_with_doubles(void **state)
{
	char *path = in_root("a/db"), *again = in_root("a/../a/db");
	const char *const paths[] = { path, again, path, NULL };
	struct locks *l = locks_new(shared, paths, NULL, NULL);

	(void)state;
	assert_int_equal(locks_try(l, "1 a", NULL), 1);
	locks_free(l);
	free(path);
	free(again);
}

/* Lists in opposite order, again and again, in two processes: no deadlock,
 * and never both. */
static void two_never_hold_at_once(void **state)
{
	volatile int *inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *x = in_root("a/db"), *y = in_root("a/other");
	const char *const forth[] = { x, y, NULL }, *const back[] = { y, x,
								      NULL };
	int i, status;
	pid_t pid;

	(void)state;
	pid = fork();
	for (i = 0; i < 300; i++) {
		struct locks *l =
			locks_new(shared, pid == 0 ? forth : back, NULL, NULL);
		struct err err;
		int got;

		while ((got = locks_try(l, "1 a", &err)) == 0)
			;
		if (got < 0 ||
		    __atomic_fetch_add(inside, 1, __ATOMIC_SEQ_CST) != 0)
			*inside = 1000;
		__atomic_fetch_sub(inside, 1, __ATOMIC_SEQ_CST);
		locks_free(l);
	}
	if (pid == 0)
		_exit(*inside >= 100);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(*inside < 100);
	free(x);
	free(y);
}

/* A cleaner of /tmp removes the lock file under the holder's feet: the next
 * try opens a new one, but an old descriptor does not count. */
static void a_removed_file_is_made_anew(void **state)
{
	struct locks *first = make("a/db", NULL), *second = make("a/db", NULL);
	struct err err;

	(void)state;
	assert_int_equal(locks_try(first, "1 a", &err), 1);
	sh("rm shared/p.*");
	assert_int_equal(locks_try(second, "2 b", &err), 0); /* by inode */
	locks_free(first);
	assert_int_equal(locks_try(second, "2 b", &err), 1);
	sh("test $(ls shared | wc -l) = 3");
	locks_free(second);
}

/* kill -9 of the one that took it: a process that inherited it holds on. */
static void lives_as_long_as_the_last_that_inherited_it(void **state)
{
	struct locks *second = make("a/db", NULL);
	int fds[2], status;
	const char *who;
	struct err err;
	pid_t pid, heir, owner;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct locks *l = make("a/db", NULL);

		locks_try(l, "5 keeper", &err);
		heir = fork();
		if (heir == 0)
			for (;;)
				pause();
		(void)!write(fds[1], &heir, sizeof(heir));
		raise(SIGKILL);
	}
	assert_int_equal(read(fds[0], &heir, sizeof(heir)), sizeof(heir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(locks_try(second, "2 b", &err), 0);
	assert_non_null(locks_blocked_by(second, &owner, &who));
	assert_int_equal(owner, 5);
	assert_string_equal(who, "keeper");
	kill(heir, SIGKILL);
	while (locks_try(second, "2 b", &err) == 0)
		;
	locks_free(second);
	close(fds[0]);
	close(fds[1]);
}

static void reports_what_it_cannot_do(void **state)
{
	const char *const relative[] = { "a/db", NULL };
	char *own = in_root("missing/web.1.lock");
	struct locks *l;
	struct err err;

	(void)state;
	assert_null(locks_new(shared, relative, NULL, &err));
	assert_non_null(strstr(err.what, "not absolute"));
	l = locks_new(NULL, NULL, own, &err);
	assert_int_equal(locks_try(l, "1 a", &err), -1);
	assert_int_equal(err.sys, ENOENT);
	locks_free(l);
	free(own);
	/* A link in the place of a lock file is not followed. */
	sh("ln -s /etc/passwd link.lock");
	own = in_root("link.lock");
	l = locks_new(NULL, NULL, own, &err);
	assert_int_equal(locks_try(l, "1 a", &err), -1);
	assert_int_equal(err.sys, ELOOP);
	locks_free(l);
	free(own);
	locks_free(NULL);
}

static void has_a_private_shared_directory(void **state)
{
	struct err err;
	struct stat st;
	char *dir = locks_shared_dir(&err);

	(void)state;
	assert_non_null(dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, getuid());
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_held_by_one, setup),
		cmocka_unit_test_setup(meets_by_any_path, setup),
		cmocka_unit_test_setup(different_files_do_not_meet, setup),
		cmocka_unit_test_setup(leaves_the_file_alone, setup),
		cmocka_unit_test_setup(takes_the_own_file_too, setup),
		cmocka_unit_test_setup(copes_with_doubles, setup),
		cmocka_unit_test_setup(two_never_hold_at_once, setup),
		cmocka_unit_test_setup(a_removed_file_is_made_anew, setup),
		cmocka_unit_test_setup(
			lives_as_long_as_the_last_that_inherited_it, setup),
		cmocka_unit_test_setup(reports_what_it_cannot_do, setup),
		cmocka_unit_test_setup(has_a_private_shared_directory, setup),
	};
	char *command;
	int failed;

	if (mkdtemp(root) == NULL)
		return 1;
	shared = in_root("shared");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	command = xasprintf("rm -rf %s", root);
	(void)!system(command);
	free(command);
	free(shared);
	return failed;
}
