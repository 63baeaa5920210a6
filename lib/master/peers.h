/* SPDX-License-Identifier: MIT */
/* What each peer may say to the master: one dispatch function per peer. */
#ifndef HR_MASTER_PEERS_H
#define HR_MASTER_PEERS_H

#include <stddef.h>
#include <stdint.h>

struct unit;
struct stack;

/* Messages WORKER_TO_MASTER; fd: -1 or TAKEN. A malformed one is a bug. */
void worker_peer_message(struct unit *u, uint32_t type, const void *body,
			 size_t len, int fd);
/* The channel of the worker is gone without W_QUIT: before its respawn. */
void worker_peer_lost(struct unit *u);
/* Messages WATCHER_TO_MASTER. */
void watcher_peer_message(struct stack *st, uint32_t type, const void *body,
			  size_t len, int fd);
void watcher_peer_lost(struct stack *st);

#endif
