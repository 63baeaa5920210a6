/* SPDX-License-Identifier: MIT */
/*
 * The role `hr watcher`: subscriptions in, change sets out.
 *
 * One per stack. It may block in a walk: nobody waits for it, and what
 * happens meanwhile is in the kernel's queue. Idle it has no timer running.
 * The end of its channel ends it.
 */
#ifndef HR_WATCHER_WATCHER_H
#define HR_WATCHER_WATCHER_H

/* Channel on CHAN_PARENT_FD. Returns the exit status. */
int watcher_main(int argc, char **argv);

#endif
