/* SPDX-License-Identifier: MIT */
/* Waiting for somebody else's child. */
#include "lib/proc/await.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"

static int wait_until(struct pollfd *p, nfds_t n, int64_t end_ms, int step_ms)
{
	int64_t left = end_ms - clock_mono_ms();
	int wait = end_ms < 0 ? -1 : left > 0 ? (int)left : 0;

	if (step_ms > 0 && (wait < 0 || wait > step_ms))
		wait = step_ms;
	return poll(p, n, wait);
}

int await_pid(pid_t pid, int timeout_ms)
{
	int64_t end_ms = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), rc;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0 && errno == ESRCH)
		return 1;
	if (fd >= 0) {
		do
			rc = wait_until(&p, 1, end_ms, 0);
		while (rc < 0 && errno == EINTR);
		close(fd);
		return rc > 0;
	}
	while (kill(pid, 0) == 0 || errno != ESRCH) {
		if (end_ms >= 0 && clock_mono_ms() >= end_ms)
			return 0;
		wait_until(NULL, 0, end_ms, 10);
	}
	return 1;
}
