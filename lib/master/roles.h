/* SPDX-License-Identifier: MIT */
/*
 * The processes under the master: spawned, spoken to, respawned.
 *
 * Every role is restarted when it dies without having been told to leave;
 * at once the first time, with a growing delay when it dies quickly again.
 * The master is a subreaper: keepers of a worker that was killed end here.
 */
#ifndef HR_MASTER_ROLES_H
#define HR_MASTER_ROLES_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct role;
struct stack;
struct unit;

/* Spawn and set up. Returns 0, or -1 with err. */
int roles_start_watcher(struct stack *st, struct err *err);
/* Whether u has a worker to talk to; if it never had one and is wanted, or
 * could not get one, this starts it or a timer that will. */
bool roles_ensure_worker(struct unit *u);
/* Send to a role; false if it is not there (a respawn is under way). */
bool roles_send(struct role *r, uint32_t type, const struct buf *body);
/* Close the watcher's channel: it leaves. */
void roles_stop_watcher(struct stack *st);
/* Reap what has ended. Returns whether children are left. */
bool roles_reap(struct stack *st);
void roles_done(struct stack *st);

#endif
