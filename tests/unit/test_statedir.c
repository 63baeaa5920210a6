/* SPDX-License-Identifier: MIT */
/* lib/master/statedir: what may stand where .hr/ should be, and its lock. */
// needs: base master handoff
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/master/statedir.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hr-statedir-test-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int clean(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", dir,
		 dir);
	return system(command);
}

/* BORROWED until the next call. */
static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(in_dir(name), mode), 0);
	assert_int_equal(chmod(in_dir(name), mode), 0);
}

static void make_file(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(in_dir(name), &st), 0);
	return st.st_mode & 07777;
}

static void test_new(void **state)
{
	mode_t mask = umask(0);
	char *path;
	struct err err;
	int fd;

	(void)state;
	path = statedir_open(dir, &fd, &err);
	umask(mask);
	assert_string_equal(path, in_dir(".hr"));
	assert_int_equal(mode_of(".hr"), 0700);
	assert_int_equal(mode_of(".hr/build"), 0700);
	assert_int_equal(mode_of(".hr/run"), 0700);
	assert_int_equal(mode_of(".hr/lock"), 0600);
	assert_int_equal(access(in_dir(".hr/.gitignore"), R_OK), 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	free(path);
	fd_close(&fd);
}

static void test_second(void **state)
{
	int fd, other = 77;
	struct err err;
	char pid[32], *path;

	(void)state;
	path = statedir_open(dir, &fd, &err);
	assert_non_null(path);
	make_file(".hr/build/web.1");
	assert_null(statedir_open(dir, &other, &err));
	assert_int_equal(other, -1);
	assert_int_equal(err.code, ERR_BUSY);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_non_null(strstr(err.what, pid));
	/* The refused one touched nothing of the first. */
	assert_int_equal(access(in_dir(".hr/build/web.1"), F_OK), 0);
	free(path);
	fd_close(&fd);
}

/* Results of an earlier stack go, also what it made unwritable. */
static void test_old_results(void **state)
{
	struct err err;
	char *path;
	int fd;

	(void)state;
	make(".hr", 0700);
	make(".hr/build", 0700);
	make(".hr/build/web.1", 0700);
	make(".hr/build/web.1/mod", 0700);
	make_file(".hr/build/web.1/mod/file");
	assert_int_equal(symlink("/etc", in_dir(".hr/build/link")), 0);
	assert_int_equal(chmod(in_dir(".hr/build/web.1/mod"), 0555), 0);
	path = statedir_open(dir, &fd, &err);
	assert_non_null(path);
	assert_int_equal(access(in_dir(".hr/build/web.1"), F_OK), -1);
	assert_int_equal(access(in_dir(".hr/build/link"), F_OK), -1);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	free(path);
	fd_close(&fd);
}

/* Others must not be able to put a socket or results there. */
static void test_too_open(void **state)
{
	struct err err;
	char *path;
	int fd;

	(void)state;
	make(".hr", 0777);
	path = statedir_open(dir, &fd, &err);
	if (path != NULL)
		assert_int_equal(mode_of(".hr"), 0700);
	free(path);
	fd_close(&fd);
}

static void test_not_ours(void **state)
{
	struct err err;
	int fd;

	(void)state;
	make("elsewhere", 0700);
	assert_int_equal(symlink("elsewhere", in_dir(".hr")), 0);
	assert_null(statedir_open(dir, &fd, &err));
	assert_int_equal(fd, -1);
	assert_non_null(strstr(err.what, ".hr"));
	assert_int_equal(access(in_dir("elsewhere/lock"), F_OK), -1);
	assert_int_equal(unlink(in_dir(".hr")), 0);
	make_file(".hr");
	assert_null(statedir_open(dir, &fd, &err));
	assert_int_equal(unlink(in_dir(".hr")), 0);
	make(".hr", 0700);
	make(".hr/lock", 0700);
	assert_null(statedir_open(dir, &fd, &err));
	assert_int_equal(fd, -1);
}

static void test_gone(void **state)
{
	struct err err;
	int fd;

	(void)state;
	assert_null(statedir_open(in_dir("nowhere"), &fd, &err));
	assert_non_null(strstr(err.what, "nowhere"));
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new, set_up, clean),
		cmocka_unit_test_setup_teardown(test_second, set_up, clean),
		cmocka_unit_test_setup_teardown(test_old_results, set_up,
						clean),
		cmocka_unit_test_setup_teardown(test_too_open, set_up, clean),
		cmocka_unit_test_setup_teardown(test_not_ours, set_up, clean),
		cmocka_unit_test_setup_teardown(test_gone, set_up, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
