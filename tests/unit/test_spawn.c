/* SPDX-License-Identifier: MIT */
/* lib/proc/spawn and command: what a child gets, and why it was not born. */
// needs: base proc
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/proc/spawn.h"

static char dir[] = "/tmp/hr-spawn-test-XXXXXX";

static const char *const env[] = { "PATH=/usr/bin:/bin", "A=1", NULL };

/* ---- helpers ----------------------------------------------------------- */

static void write_file(const char *name, const char *text, mode_t mode)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	free(path);
}

/* Its whole output, and its status. */
static void run(struct spawn *s, struct buf *out, int *status)
{
	int fds[2], map[3], pidfd;
	struct err err;
	char *room;
	ssize_t n = 1;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	map[0] = -1;
	map[1] = map[2] = fds[1];
	s->fds = map;
	s->n_fds = 3;
	s->env = s->env != NULL ? s->env : env;
	pid = spawn(s, &pidfd, &err);
	if (pid < 0)
		print_error("%s\n", err.what);
	assert_true(pid > 0);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	close(fds[1]);
	buf_init(out, 1 << 20);
	while (n > 0) {
		room = buf_reserve(out, 4096);
		n = read(fds[0], room, 4096);
		buf_commit(out, n > 0 ? (size_t)n : 0);
	}
	close(fds[0]);
	close(pidfd);
	assert_int_equal(waitpid(pid, status, 0), pid);
}

static void run_sh(const char *script, struct buf *out, int *status)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct spawn s = { .path = "sh", .argv = argv };

	run(&s, out, status);
}

static void assert_fails(const char *path, const char *in, int sys,
			 const char *what, const char *hint)
{
	const char *const argv[] = { path, NULL };
	struct spawn s = { .path = path, .argv = argv, .env = env, .dir = in };
	struct err err;
	int pidfd = 0;

	assert_int_equal(spawn(&s, &pidfd, &err), -1);
	assert_int_equal(pidfd, -1);
	assert_int_equal(err.sys, sys);
	if (strstr(err.what, what) == NULL || strstr(err.hint, hint) == NULL)
		print_error("'%s' '%s'\n", err.what, err.hint);
	assert_non_null(strstr(err.what, what));
	assert_non_null(strstr(err.hint, hint));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* ---- what a child gets ------------------------------------------------- */

static void gives_environment_and_directory(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo $A; pwd; exit 7", NULL };
	struct spawn s = { .path = "sh", .argv = argv, .dir = dir };
	struct buf out;
	char *want = xasprintf("1\n%s\n", dir);
	int status;

	(void)state;
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), want);
	assert_int_equal(WEXITSTATUS(status), 7);
	buf_done(&out);
	free(want);
}

static void gives_only_the_descriptors_of_the_map(void **state)
{
	int leak = open("/dev/null", O_RDONLY), high = dup2(leak, 200), status;
	struct buf out;

	(void)state;
	run_sh("ls /proc/self/fd | wc -w; readlink /proc/self/fd/0", &out,
	       &status);
	/* 0, 1, 2 and the directory that ls reads */
	assert_string_equal(buf_str(&out), "4\n/dev/null\n");
	buf_done(&out);
	close(leak);
	close(high);
}

/* Targets and sources of the same numbers, crosswise. */
static void maps_descriptors_crosswise(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "cat <&4; cat <&3; test ! -e /dev/fd/5; "
				     "echo $? >&6",
				     NULL };
	int map[7], pidfd, out[2], status, three, four;
	struct spawn s = { .path = "sh",
			   .argv = argv,
			   .env = env,
			   .fds = map,
			   .n_fds = NITEMS(map) };
	char text[32] = "", *path = xasprintf("%s/three", dir);
	pid_t pid;

	(void)state;
	write_file("three", "three\n", 0600);
	write_file("four", "four\n", 0600);
	three = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	path = xasprintf("%s/four", dir);
	four = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_true(dup3(three, 54, O_CLOEXEC) == 54);
	close(three);
	if (four != 3)
		assert_int_equal(dup2(four, 3), 3);
	assert_int_equal(dup2(54, 4), 4);
	map[0] = map[2] = map[5] = -1;
	map[1] = map[6] = out[1];
	map[3] = 4;
	map[4] = 3;
	pid = spawn(&s, &pidfd, NULL);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(out[0], text, sizeof(text) - 1), 13);
	assert_string_equal(text, "four\nthree\n0\n");
	assert_true(fcntl(out[1], F_GETFD) >= 0); /* ours stay open */
	close(pidfd);
	close(out[0]);
	close(out[1]);
	close(54);
	close(3);
	close(4);
}

static void gives_clean_signals(void **state)
{
	const char *const argv[] = { "cat", "/proc/self/status", NULL };
	struct spawn s = { .path = "cat", .argv = argv };
	sigset_t mask, before;
	struct buf out;
	int status;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, &before);
	/* SigCgt is empty after every exec. */
	run(&s, &out, &status);
	assert_non_null(strstr(buf_str(&out), "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(buf_str(&out), "SigIgn:\t0000000000000000\n"));
	buf_done(&out);
	/* Ours are as before. */
	sigprocmask(SIG_SETMASK, &before, &mask);
	assert_true(sigismember(&mask, SIGUSR1));
	assert_true(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	signal(SIGHUP, SIG_DFL);
}

static void gives_its_own_group_or_session(void **state)
{
	static const char script[] = "read -r s < /proc/$$/stat; set -- $s; "
				     "echo $(($1 == $5)) $(($1 == $6))";
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct spawn s = { .path = "sh", .argv = argv };
	struct buf out;
	int status;

	(void)state;
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "1 0\n");
	buf_done(&out);
	s.group = SPAWN_SESSION;
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "1 1\n");
	buf_done(&out);
}

static void gives_a_soft_limit_of_files(void **state)
{
	const char *const argv[] = { "sh", "-c", "ulimit -Sn", NULL };
	struct spawn s = { .path = "sh", .argv = argv, .nofile = 99 };
	struct rlimit before, after;
	struct buf out;
	int status;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "99\n");
	getrlimit(RLIMIT_NOFILE, &after);
	assert_int_equal(before.rlim_cur, after.rlim_cur);
	buf_done(&out);
}

/* ---- finding the program ----------------------------------------------- */

static void searches_path_of_the_child(void **state)
{
	char *path = xasprintf("PATH=/nowhere:%s:/bin", dir);
	const char *const own[] = { path, NULL };
	const char *const argv[] = { "tool", "x y", NULL };
	struct spawn s = { .path = "tool", .argv = argv, .env = own };
	struct buf out;
	int status;

	(void)state;
	write_file("tool", "#!/bin/sh\necho tool \"$1\"\n", 0700);
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "tool x y\n");
	buf_done(&out);
	free(path);
}

static void runs_text_without_interpreter_by_sh(void **state)
{
	const char *const argv[] = { "./plain", "1 2", NULL };
	struct spawn s = { .path = "./plain", .argv = argv, .dir = dir };
	struct buf out;
	int status;

	(void)state;
	write_file("plain", "echo plain \"$1\"\n", 0700);
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "plain 1 2\n");
	buf_done(&out);
}

static void says_why_it_failed(void **state)
{
	char *bad = xasprintf("%s/bad", dir), *gone = xasprintf("%s/gone", dir);

	(void)state;
	write_file("noexec", "#!/bin/sh\n", 0600);
	write_file("bad", "#!/no/such/python -u\n", 0700);
	write_file("dos", "#!/bin/sh\r\necho\r\n", 0700);
	write_file("junk", "\177ELFjunk", 0700);
	assert_fails("no-such-tool", dir, ENOENT,
		     "command not found: no-such-tool", "PATH (/usr/bin:/bin)");
	assert_fails("./no-such-tool", dir, ENOENT,
		     "command not found: ./no-such-tool", dir);
	assert_fails("/no/such/tool", NULL, ENOENT,
		     "command not found: /no/such/tool", "no such file");
	assert_fails("./noexec", dir, EACCES, "not executable: ./noexec",
		     "chmod +x ./noexec");
	assert_fails("/tmp", NULL, EACCES, "it is a directory", "");
	assert_fails("./bad", dir, ENOENT, "names '/no/such/python'",
		     "correct the #! line");
	assert_fails(bad, NULL, ENOENT, "bad interpreter", "");
	assert_fails("./dos", dir, ENOENT, "bad interpreter", "sed -i");
	assert_fails("./junk", dir, ENOEXEC, "no program for this machine",
		     "file ./junk");
	assert_fails("./noexec/x", dir, ENOTDIR, "Not a directory", "");
	assert_fails("sh", gone, ENOENT, "gone does not exist", "'dir'");
	assert_fails("sh", bad, ENOTDIR, "cannot enter directory", "");
	free(bad);
	free(gone);
}

static void says_when_arguments_are_too_large(void **state)
{
	char *large = xmalloc(200000);
	const char *const argv[] = { "true", large, NULL };
	struct spawn s = { .path = "true", .argv = argv, .env = env };
	struct err err;
	int pidfd;

	(void)state;
	memset(large, 'x', 199999);
	large[199999] = '\0';
	assert_int_equal(spawn(&s, &pidfd, &err), -1);
	assert_int_equal(err.sys, E2BIG);
	assert_non_null(strstr(err.what, "too large: 200"));
	free(large);
}

/* As a build that has just been written, by a process that still holds the
 * descriptor for a moment. */
static void waits_while_a_text_is_busy(void **state)
{
	char *path = xasprintf("%s/busy", dir);
	const char *const argv[] = { path, NULL };
	struct spawn s = { .path = path, .argv = argv };
	struct buf out;
	int fd, status;
	pid_t writer;

	(void)state;
	write_file("busy", "#!/bin/sh\necho free\n", 0700);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	writer = fork();
	if (writer == 0) {
		usleep(8000);
		_exit(0);
	}
	close(fd);
	run(&s, &out, &status);
	assert_string_equal(buf_str(&out), "free\n");
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	buf_done(&out);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_fails(path, NULL, ETXTBSY, "text file busy", "fuser");
	close(fd);
	free(path);
}

/* In a child: with no process, or no descriptor for the pidfd, left. */
static int spawn_without(bool process)
{
	const char *const argv[] = { "true", NULL };
	struct spawn s = { .path = "true", .argv = argv, .env = env };
	const struct rlimit none = { 0, 0 }, few = { 4, 4 };
	const char *want = process ? "limit of processes" : "no descriptor";
	struct err err;
	int pidfd;

	if (process) {
		if (getuid() == 0 && setuid(54321) < 0)
			return 1;
		setrlimit(RLIMIT_NPROC, &none);
	} else {
		setrlimit(RLIMIT_NOFILE, &few);
		while (dup(0) >= 0)
			;
	}
	if (spawn(&s, &pidfd, &err) != -1)
		return 2;
	if (err.sys != (process ? EAGAIN : EMFILE))
		return 3;
	return strstr(err.what, want) != NULL ? 0 : 4;
}

static void says_when_fork_is_refused(void **state)
{
	int status, i;
	pid_t pid;

	(void)state;
	for (i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			_exit(spawn_without(i == 0));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* ---- roles ------------------------------------------------------------- */

static int role_main(void)
{
	char letter;

	if (getpgrp() != getpid() || getenv("LISTEN_FDS") != NULL ||
	    getenv("HR_TEST_KEPT") == NULL || read(0, &letter, 1) != 0 ||
	    read(3, &letter, 1) != 1)
		return 1;
	return write(3, "y", 1) == 1 ? 0 : 1;
}

static void starts_a_role(void **state)
{
	const char *const argv[] = { "hr", "role", NULL };
	int fds[2], pidfd, status;
	struct err err;
	char letter = 'x';
	pid_t pid;

	(void)state;
	setenv("LISTEN_FDS", "1", 1);
	setenv("HR_TEST_KEPT", "1", 1);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pid = spawn_role(argv, fds[1], &pidfd, &err);
	assert_true(pid > 0);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1); /* taken */
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(fds[0], &letter, 1), 1);
	assert_int_equal(letter, 'y');
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(pidfd);
	unsetenv("LISTEN_FDS");
}

/* ---- command lines ----------------------------------------------------- */

#define ARGV ""
#define SHELL "/bin/sh|-c|"
#define EXEC "/bin/sh|-c|exec "

/* want: ARGV with the words, or SHELL or EXEC with the line again. */
static const struct {
	const char *command, *want;
} commands[] = {
	{ "sleep 5", ARGV "sleep|5" },
	{ "  ./bin/web\t-p   80 ", ARGV "./bin/web|-p|80" },
	{ "/usr/bin/python3 -m http.server",
	  ARGV "/usr/bin/python3|-m|http.server" },
	{ "a@b:c,d+e-f_g/h.i^j", ARGV "a@b:c,d+e-f_g/h.i^j" },
	/* one simple command, but the shell has something to do */
	{ "cmd \"a b\" $X", EXEC },
	{ "cmd 'a; b' \"c & d\"", EXEC },
	{ "$HR_OUT --port $PORT", EXEC },
	{ "\"$HR_OUT\" -v", EXEC },
	{ "${HR_OUT} -v", EXEC },
	{ "./web --port=8080", EXEC },
	{ "ls *.c", EXEC },
	{ "ls a?[bc]", EXEC },
	{ "~/bin/x", EXEC },
	{ "cmd > f", EXEC },
	{ "cmd >f 2>&1 <g", EXEC },
	{ "cmd >| f", EXEC },
	{ "cmd 5<&3", EXEC },
	{ "cmd a\\ b", EXEC },
	{ "cmd \\; x", EXEC },
	{ "cmd # note; not & run", EXEC },
	{ "cmd a#b", EXEC },
	{ "cmd {a,b}", EXEC },
	{ "env A=1 cmd", EXEC },
	{ "cmd \\\n  --more", EXEC },
	{ "cmd x\n", EXEC },
	{ "cmd 100%", EXEC },
	/* more than that */
	{ "cd x && y", SHELL },
	{ "a && b", SHELL },
	{ "a || b", SHELL },
	{ "a | b", SHELL },
	{ "a; b", SHELL },
	{ "a & b", SHELL },
	{ "a &", SHELL },
	{ "a &> f", SHELL },
	{ "(a)", SHELL },
	{ "{ a; }", SHELL },
	{ "a\nb", SHELL },
	{ "a <<E\nx\nE", SHELL },
	{ "f() { a; }", SHELL },
	{ "A=1 cmd", SHELL },
	{ "A=1", SHELL },
	{ "A=\"x y\" cmd", SHELL },
	{ "> f cmd", SHELL },
	{ "2>f cmd", SHELL },
	{ "cmd $(date)", SHELL },
	{ "cmd \"$(date)\"", SHELL },
	{ "cmd `date`", SHELL },
	{ "cmd \"`date`\"", SHELL },
	{ "cmd \"open", SHELL },
	{ "cmd 'open", SHELL },
	{ "cmd \\", SHELL },
	{ "! cmd", SHELL },
	/* words of the shell */
	{ "if a; then b; fi", SHELL },
	{ "while true; do x; done", SHELL },
	{ "for i in 1 2; do x; done", SHELL },
	{ "case x in esac", SHELL },
	{ "time x", SHELL },
	{ ":", SHELL },
	{ ". ./env", SHELL },
	{ "[ -f x ]", SHELL },
	{ "exec foo", SHELL },
	{ "cd x", SHELL },
	{ "echo hi", SHELL },
	{ "'cd' x", SHELL },
	{ "c\\d x", SHELL },
	{ "  cd x", SHELL },
	{ "cd\n", SHELL },
	{ "export A", SHELL },
	{ "wait", SHELL },
	{ "# nothing", SHELL },
	{ "", SHELL },
	{ "   ", SHELL },
	{ "cdrom x", ARGV "cdrom|x" },
	{ "timeout 5 x", ARGV "timeout|5|x" },
};

static void chooses_how_to_run_a_command(void **state)
{
	struct buf got, want;
	char **argv;
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(commands); i++) {
		buf_init(&got, 4096);
		buf_init(&want, 4096);
		argv = spawn_command_argv(commands[i].command);
		for (j = 0; argv[j] != NULL; j++)
			buf_addf(&got, "%s%s", j > 0 ? "|" : "", argv[j]);
		buf_add_str(&want, commands[i].want);
		if (str_starts(commands[i].want, SHELL))
			buf_add_str(&want, commands[i].command);
		assert_string_equal(buf_str(&got), buf_str(&want));
		free(argv);
		buf_done(&got);
		buf_done(&want);
	}
}

/* What `exec ` is put before does the same as without it. */
static void exec_changes_nothing(void **state)
{
	static const char *const lines[] = {
		"printenv A # x; y",
		"env B=2 printenv B",
		"expr \"$A\" + 2",
		"env printf '%s;' a \"b c\" d\\ e",
		"ls /nowhere 2>/dev/null",
		"cat </dev/null >|/dev/null",
		"$EMPTY",
	};
	struct buf plain, out;
	int status, plain_status;
	char **argv;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(lines); i++) {
		struct spawn s;

		argv = spawn_command_argv(lines[i]);
		assert_true(str_starts(argv[2], "exec "));
		memset(&s, 0, sizeof(s));
		s.path = argv[0];
		s.argv = (const char *const *)argv;
		run(&s, &out, &status);
		run_sh(lines[i], &plain, &plain_status);
		assert_string_equal(buf_str(&out), buf_str(&plain));
		assert_int_equal(status, plain_status);
		buf_done(&out);
		buf_done(&plain);
		free(argv);
	}
}

static void splits_at_blanks_only(void **state)
{
	char **argv = spawn_split_argv(" a 'b  c' $d\t");

	(void)state;
	assert_string_equal(argv[0], "a");
	assert_string_equal(argv[1], "'b");
	assert_string_equal(argv[2], "c'");
	assert_string_equal(argv[3], "$d");
	assert_null(argv[4]);
	free(argv);
	argv = spawn_split_argv("");
	assert_null(argv[0]);
	free(argv);
}

static void is_quick(void **state)
{
	const char *const argv[] = { "/bin/true", NULL };
	struct spawn s = { .path = argv[0], .argv = argv, .env = env };
	int64_t from, best = INT64_MAX, us;
	int i, pidfd;
	pid_t pid;

	(void)state;
	for (i = 0; i < 50; i++) {
		from = clock_mono_us();
		pid = spawn(&s, &pidfd, NULL);
		us = clock_mono_us() - from;
		best = us < best ? us : best;
		assert_true(pid > 0);
		close(pidfd);
		waitpid(pid, NULL, 0);
	}
	print_message("spawn takes %d us\n", (int)best);
}

static void clear_up(void)
{
	char *command = xasprintf("rm -rf %s", dir);

	(void)!system(command);
	free(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_environment_and_directory),
		cmocka_unit_test(gives_only_the_descriptors_of_the_map),
		cmocka_unit_test(maps_descriptors_crosswise),
		cmocka_unit_test(gives_clean_signals),
		cmocka_unit_test(gives_its_own_group_or_session),
		cmocka_unit_test(gives_a_soft_limit_of_files),
		cmocka_unit_test(searches_path_of_the_child),
		cmocka_unit_test(runs_text_without_interpreter_by_sh),
		cmocka_unit_test(says_why_it_failed),
		cmocka_unit_test(says_when_arguments_are_too_large),
		cmocka_unit_test(waits_while_a_text_is_busy),
		cmocka_unit_test(says_when_fork_is_refused),
		cmocka_unit_test(starts_a_role),
		cmocka_unit_test(chooses_how_to_run_a_command),
		cmocka_unit_test(exec_changes_nothing),
		cmocka_unit_test(splits_at_blanks_only),
		cmocka_unit_test(is_quick),
	};
	int failed;

	if (argc > 1 && str_eq(argv[1], "role"))
		return role_main();
	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	clear_up();
	return failed;
}
