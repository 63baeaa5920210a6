/* SPDX-License-Identifier: MIT */
/*
 * Why there is a new generation: the changes and requests since the last one
 * that was ready, HR_CHANGED, and M_RELOADED as their outcome.
 */
#ifndef HR_WORKER_CAUSE_H
#define HR_WORKER_CAUSE_H

#include <stdint.h>

#include "lib/wire/messages.h"

struct instance;
struct worker;

/* A change set of the watcher; everything BORROWED. */
struct change {
	const char *rule;
	int64_t first_us;
	int64_t settled_us;
	uint32_t total;
	const char *const *paths;
};

/* Joined to what is still under way, else a cause of its own. c: NULL for a
 * request. Writes HR_CHANGED. */
void cause_add(struct worker *w, const struct change *c);
/* HR_CHANGED as it should be; also when there was no cause yet. */
void cause_write_file(struct worker *w);
void cause_done(struct worker *w);
/* The outcome for an instance that is due one: M_RELOADED, once. What belongs
 * to an older generation than the one asked for is none. */
void cause_reloaded(struct instance *i, enum reload_result result,
		    const char *why);

#endif
