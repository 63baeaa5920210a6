/* SPDX-License-Identifier: MIT */
/*
 * .hr/: the state beside the Procfile, and the lock that makes a stack one.
 *
 *	.hr/lock        pid of the running master, which has the directory
 *	                above locked (flock), or this file where it cannot
 *	.hr/hr.sock     control socket
 *	.hr/run/        lock files of instances, lists of changed paths
 *	.hr/build/      build results, NAME.GENERATION
 *	.hr/logs/
 *	.hr/.gitignore  "*"
 */
#ifndef HR_MASTER_STATEDIR_H
#define HR_MASTER_STATEDIR_H

struct err;

/*
 * Make what is missing of dir/.hr, take the lock, and empty build/ (nobody
 * else can be using it: keepers hold results open, not by name). *lock_fd:
 * OWNED, keep it open as long as the stack runs. Returns the path of .hr,
 * OWNED: free(); or NULL with err: ERR_BUSY with the pid of the master that
 * runs, or what could not be made and why.
 */
char *statedir_open(const char *dir, int *lock_fd, struct err *err);

#endif
