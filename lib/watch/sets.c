/* SPDX-License-Identifier: MIT */
/* Interned bit sets. */
#include "lib/watch/sets.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

struct sets {
	VEC(struct set) all;
};

struct sets *sets_new(void)
{
	struct sets *s = xcalloc(1, sizeof(*s));
	struct set empty = { { 0 } };

	VEC_PUSH(&s->all, empty);
	return s;
}

void sets_free(struct sets *s)
{
	if (s == NULL)
		return;
	VEC_FREE(&s->all);
	free(s);
}

/* The newest first: neighbours in a tree mostly agree. */
uint32_t sets_id(struct sets *s, const struct set *set)
{
	size_t i;

	for (i = s->all.n; i-- > 0;) {
		if (memcmp(&s->all.v[i], set, sizeof(*set)) == 0)
			return (uint32_t)i;
	}
	VEC_PUSH(&s->all, *set);
	return (uint32_t)(s->all.n - 1);
}

const struct set *sets_get(const struct sets *s, uint32_t id)
{
	return &s->all.v[id];
}

void set_add(struct set *s, unsigned slot)
{
	s->w[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void set_del(struct set *s, unsigned slot)
{
	s->w[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

bool set_has(const struct set *s, unsigned slot)
{
	return (s->w[slot / 64] >> (slot % 64)) & 1;
}

bool set_is_empty(const struct set *s)
{
	return set_next(s, 0) < 0;
}

void set_join(struct set *s, const struct set *other)
{
	size_t i;

	for (i = 0; i < SETS_WORDS; i++)
		s->w[i] |= other->w[i];
}

int set_next(const struct set *s, unsigned slot)
{
	unsigned word = slot / 64;
	uint64_t w;

	if (slot >= SETS_SLOTS)
		return -1;
	w = s->w[word] & (~UINT64_C(0) << (slot % 64));
	while (w == 0) {
		if (++word == SETS_WORDS)
			return -1;
		w = s->w[word];
	}
	return (int)(word * 64 + (unsigned)__builtin_ctzll(w));
}
