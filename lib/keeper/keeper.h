/* SPDX-License-Identifier: MIT */
/*
 * The role `hr keeper NAME GENERATION`: one generation of a service, or one
 * build, from before its exec until waitpid says ECHILD.
 *
 * A child subreaper: whatever its command ever forks stays below it. It holds
 * the lock files, spawns, reaps, and stops the tree in steps; the end of its
 * channel means: stop, then leave. The smallest role, since there is one for
 * each running service, and since everything rests on it.
 */
#ifndef HR_KEEPER_KEEPER_H
#define HR_KEEPER_KEEPER_H

/*
 * Channel on CHAN_PARENT_FD. HR_NOFILE in the environment: soft limit of
 * descriptors for the service (the one hr itself was started with). The
 * service inherits the descriptors of its locks, from 100 on, so that they
 * outlive a keeper that is killed. Returns the exit status.
 */
int keeper_main(int argc, char **argv);

#endif
