/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM as a descriptor instead of a handler. */
#include "common/stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

int stop_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* A reader of our log that goes away must not end us. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool stop_wait(int stop_fd, int64_t ms)
{
	struct pollfd p = { .fd = stop_fd, .events = POLLIN };
	int rc;

	if (ms > INT_MAX)
		ms = INT_MAX;
	do
		rc = poll(&p, 1, (int)ms);
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}
