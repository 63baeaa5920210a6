/* SPDX-License-Identifier: MIT */
/* lib/handoff/diag: who listens, who holds a file. */
// needs: base handoff
// link: -Wl,--wrap=socket
#include <arpa/inet.h>
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/handoff/diag.h"

/* A kernel without tcp_diag, or a sandbox without netlink. */
static bool no_netlink;

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	if (family == AF_NETLINK && no_netlink) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	return __real_socket(family, type, protocol);
}

/* ---- helpers ----------------------------------------------------------- */

static int bound(const char *host, int *port, bool v6_only)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	bool is_v6 = strchr(host, ':') != NULL;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
			0);
	int on = v6_only;
	socklen_t len = is_v6 ? sizeof(v6) : sizeof(v4);
	struct sockaddr *a =
		is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;

	if (fd < 0)
		return -1;
	v4.sin_port = v6.sin6_port = htons((uint16_t)*port);
	if (is_v6) {
		assert_int_equal(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	} else {
		assert_int_equal(inet_pton(AF_INET, host, &v4.sin_addr), 1);
	}
	if (bind(fd, a, len) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, a, &len), 0);
	*port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

static int listening(const char *host, int *port, bool v6_only)
{
	int fd = bound(host, port, v6_only);

	if (fd >= 0)
		assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static size_t count(int port, const char *host)
{
	struct listeners l;

	assert_int_equal(diag_listeners(port, host, &l, NULL), 0);
	return l.n;
}

/* ---- ports ------------------------------------------------------------- */

/* Which bind meets which listener: asked of the kernel, and of diag. */
static void knows_what_collides(void **state)
{
	static const struct {
		const char *listener;
		bool v6_only;
		const char *host;
		size_t want;
	} cases[] = {
		{ "127.0.0.1", false, "127.0.0.1", 1 },
		{ "127.0.0.1", false, "127.0.0.2", 0 },
		{ "127.0.0.1", false, "0.0.0.0", 1 },
		{ "127.0.0.1", false, "localhost", 1 },
		{ "127.0.0.1", false, "::1", 0 },
		{ "127.0.0.1", false, "::", 1 },
		{ "127.0.0.1", false, "", 1 },
		{ "127.0.0.1", false, NULL, 1 },
		{ "0.0.0.0", false, "127.0.0.1", 1 },
		{ "0.0.0.0", false, "::1", 0 },
		{ "0.0.0.0", false, "::", 1 },
		{ "::1", false, "127.0.0.1", 0 },
		{ "::1", false, "::1", 1 },
		{ "::1", false, "0.0.0.0", 0 },
		{ "::1", false, "::", 1 },
		{ "::1", false, NULL, 1 },
		{ "::", false, "127.0.0.1", 1 },
		{ "::", false, "0.0.0.0", 1 },
		{ "::", true, "127.0.0.1", 0 },
		{ "::", true, "0.0.0.0", 0 },
		{ "::", true, "::1", 1 },
		{ "::ffff:127.0.0.1", false, "127.0.0.1", 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int port = 0, fd;

		fd = listening(cases[i].listener, &port, cases[i].v6_only);
		if (fd < 0) { /* no v6 here */
			assert_non_null(strchr(cases[i].listener, ':'));
			continue;
		}
		if (count(port, cases[i].host) != cases[i].want)
			print_error("case %zu\n", i);
		assert_int_equal(count(port, cases[i].host), cases[i].want);
		assert_int_equal(diag_port_is_free(port, cases[i].host, NULL),
				 cases[i].want == 0);
		close(fd);
		assert_int_equal(count(port, cases[i].host), 0);
		assert_int_equal(diag_port_is_free(port, cases[i].host, NULL),
				 1);
	}
}

static void works_without_netlink(void **state)
{
	int port = 0, fd = listening("127.0.0.1", &port, false), six = 0, fd6;

	no_netlink = true;
	assert_int_equal(count(port, "127.0.0.1"), 1);
	assert_int_equal(count(port, "127.0.0.2"), 0);
	fd6 = listening("::1", &six, false);
	if (fd6 >= 0) {
		assert_int_equal(count(six, "::1"), 1);
		assert_int_equal(count(six, "127.0.0.1"), 0);
		close(fd6);
	}
	close(fd);
	(void)state;
	no_netlink = false;
}

static void does_not_count_what_only_binds(void **state)
{
	int port = 0, fd = bound("127.0.0.1", &port, false);

	(void)state;
	assert_int_equal(count(port, NULL), 0);
	close(fd);
}

static void finds_the_listener_among_pids(void **state)
{
	int port = 0, fd = listening("127.0.0.1", &port, false);
	pid_t pids[] = { 1, getppid(), getpid() };
	struct listeners l;
	struct holder h;

	(void)state;
	assert_int_equal(diag_listeners(port, NULL, &l, NULL), 0);
	assert_true(diag_is_held_by(&l, pids, 3));
	assert_false(diag_is_held_by(&l, pids, 2));
	assert_int_equal(diag_port_holder(port, "127.0.0.1", &h, NULL), 1);
	assert_int_equal(h.pid, getpid());
	assert_int_equal(h.uid, getuid());
	assert_int_equal(h.inode, l.v[0].inode);
	assert_non_null(strstr(h.command, "test_diag"));
	close(fd);
	assert_int_equal(diag_port_holder(port, "127.0.0.1", &h, NULL), 0);
}

/* Nobody listens, and still it cannot be bound: a connection to itself. */
static void finds_who_is_connected_from_the_port(void **state)
{
	int port = 0, fd = bound("127.0.0.1", &port, false);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct holder h;

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(diag_port_is_free(port, "127.0.0.1", NULL), 0);
	assert_int_equal(count(port, NULL), 0);
	assert_int_equal(diag_port_holder(port, "127.0.0.1", &h, NULL), 1);
	assert_int_equal(h.pid, getpid());
	close(fd);
}

static void says_why_a_port_cannot_be(void **state)
{
	struct err err;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(diag_port_is_free(8080, "example.test", &err), -1);
	assert_int_equal(err.code, ERR_VALUE);
	assert_int_equal(diag_port_is_free(8080, "192.0.2.1", &err), -1);
	assert_int_equal(err.sys, EADDRNOTAVAIL);
	assert_non_null(strstr(err.hint, "no interface"));
	pid = fork();
	if (pid == 0) { /* an ordinary user */
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(0);
		status = diag_port_is_free(7, "127.0.0.1", &err);
		_exit(status == 1 || (status == -1 && err.sys == EACCES) ? 0 :
									   1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- files ------------------------------------------------------------- */

static char path[] = "/tmp/hr-diag-test-XXXXXX";

/* A child with the file open and locked in some way; it says so, and waits. */
enum how { OPEN, FLOCK, POSIX, OFD, INHERITED };

static void lock_it(int fd, enum how how)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (how == FLOCK || how == INHERITED)
		flock(fd, LOCK_EX);
	else if (how == POSIX)
		fcntl(fd, F_SETLK, &l);
	else if (how == OFD)
		fcntl(fd, F_OFD_SETLK, &l);
}

static pid_t holder(enum how how, pid_t *holding)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		lock_it(open(path, O_RDWR), how);
		/* The one that locked dies, its child keeps the descriptor. */
		if (how == INHERITED && fork() != 0)
			_exit(0);
		pid = getpid();
		(void)!write(fds[1], &pid, sizeof(pid));
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], holding, sizeof(*holding)),
			 sizeof(*holding));
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void finds_who_holds_a_file(void **state)
{
	enum how how;

	(void)state;
	for (how = OPEN; how <= INHERITED; how++) {
		pid_t holding = 0, pid = holder(how, &holding);
		struct holder h;

		if (how == INHERITED)
			assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(diag_file_holder(path, NULL, 0, &h), 1);
		assert_int_equal(h.pid, holding);
		assert_non_null(strstr(h.command, "test_diag"));
		assert_int_equal(diag_file_holder(path, &holding, 1, &h), 0);
		kill(holding, SIGKILL);
		if (how != INHERITED)
			assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (kill(holding, 0) == 0 &&
		       diag_file_holder(path, NULL, 0, &h) == 1)
			;
	}
}

static void prefers_who_locks_to_who_reads(void **state)
{
	pid_t reading, locking;
	struct holder h;

	(void)state;
	holder(OPEN, &reading);
	holder(OFD, &locking);
	assert_int_equal(diag_file_holder(path, NULL, 0, &h), 1);
	assert_int_equal(h.pid, locking);
	kill(reading, SIGKILL);
	kill(locking, SIGKILL);
	waitpid(reading, NULL, 0);
	waitpid(locking, NULL, 0);
	assert_int_equal(diag_file_holder("/no/such/file", NULL, 0, &h), 0);
}

static void is_quick(void **state)
{
	int port = 0, fd = listening("127.0.0.1", &port, false), i;
	struct holder h;
	int64_t from = clock_mono_us();

	(void)state;
	for (i = 0; i < 100; i++)
		count(port, NULL);
	print_message("listeners: %d us, ",
		      (int)(clock_mono_us() - from) / 100);
	from = clock_mono_us();
	diag_port_holder(port, NULL, &h, NULL);
	print_message("holder: %d us\n", (int)(clock_mono_us() - from));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_collides),
		cmocka_unit_test(works_without_netlink),
		cmocka_unit_test(does_not_count_what_only_binds),
		cmocka_unit_test(finds_the_listener_among_pids),
		cmocka_unit_test(finds_who_is_connected_from_the_port),
		cmocka_unit_test(says_why_a_port_cannot_be),
		cmocka_unit_test(finds_who_holds_a_file),
		cmocka_unit_test(prefers_who_locks_to_who_reads),
		cmocka_unit_test(is_quick),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
