/* SPDX-License-Identifier: MIT */
/* The end of a process that is not our child. */
#ifndef HR_PROC_AWAIT_H
#define HR_PROC_AWAIT_H

#include <sys/types.h>

/* Wait until pid has ended (a zombie has), at most timeout_ms (-1: without
 * end). Returns 1, or 0 if it is still there. pidfd_open, Linux 5.3; without
 * it kill(pid, 0) is asked every 10 ms. */
int await_pid(pid_t pid, int timeout_ms);

#endif
