/* SPDX-License-Identifier: MIT */
/*
 * Sets of subscriptions, each different set stored once.
 *
 * A tree has many directories and files but few different sets of those who
 * want them; a node keeps the number of its set. Set 0 is the empty one. Sets
 * are never forgotten: their number is bounded by what the configuration of
 * the services distinguishes.
 */
#ifndef HR_WATCH_SETS_H
#define HR_WATCH_SETS_H

#include <stdbool.h>
#include <stdint.h>

/* Most subscriptions at a time. */
#define SETS_SLOTS 1024
#define SETS_WORDS (SETS_SLOTS / 64)

struct set {
	uint64_t w[SETS_WORDS];
};

struct sets;

struct sets *sets_new(void);
void sets_free(struct sets *s);
uint32_t sets_id(struct sets *s, const struct set *set);
/* BORROWED until the next sets_id. */
const struct set *sets_get(const struct sets *s, uint32_t id);

void set_add(struct set *s, unsigned slot);
void set_del(struct set *s, unsigned slot);
bool set_has(const struct set *s, unsigned slot);
bool set_is_empty(const struct set *s);
void set_join(struct set *s, const struct set *other);
/* The first member from slot on, or -1. */
int set_next(const struct set *s, unsigned slot);
#define SET_EACH(slot, s)                                                      \
	for (int slot = set_next((s), 0); slot >= 0;                           \
	     slot = set_next((s), (unsigned)slot + 1))

#endif
