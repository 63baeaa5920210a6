/* SPDX-License-Identifier: MIT */
/*
 * The role `hr worker NAME`: one service, all instances of it; builds,
 * replaces, starts again, and says how it went.
 *
 * A child subreaper: what a killed keeper leaves lands here and is killed
 * before anything new starts. Leaves at W_QUIT once nothing is left, and at
 * the end of its channel at once: its keepers then stop by themselves.
 */
#ifndef HR_WORKER_WORKER_H
#define HR_WORKER_WORKER_H

/* Channel on CHAN_PARENT_FD. Returns the exit status. */
int worker_main(int argc, char **argv);

#endif
