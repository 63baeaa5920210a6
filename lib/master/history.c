/* SPDX-License-Identifier: MIT */
/* A ring of log lines. Layout: record, text, size of both; no line wraps. */
#include "lib/master/history.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

#define FIRST_BYTES 4096
#define OVERHEAD (sizeof(struct history_record) + sizeof(uint32_t))

void history_init(struct history *h, size_t max_bytes)
{
	memset(h, 0, sizeof(*h));
	h->max_bytes = max_bytes;
}

void history_done(struct history *h)
{
	free(h->data);
	history_init(h, h->max_bytes);
}

static uint32_t size_at(const struct history *h, size_t at)
{
	struct history_record r;

	memcpy(&r, h->data + at, sizeof(r));
	return (uint32_t)(OVERHEAD + r.len);
}

static bool is_wrapped(const struct history *h)
{
	return h->n > 0 && h->tail <= h->head;
}

static void drop_oldest(struct history *h)
{
	bool wrapped = is_wrapped(h);

	h->head += size_at(h, h->head);
	h->n--;
	if (h->n == 0)
		h->head = h->tail = 0;
	else if (wrapped && h->head == h->wrap)
		h->head = 0;
}

/* Twice the room, records in one piece from the start. */
static void grow(struct history *h)
{
	size_t cap = h->cap == 0 ? FIRST_BYTES : h->cap * 2, first;
	char *data;

	if (cap > h->max_bytes)
		cap = h->max_bytes;
	data = xmalloc(cap);
	if (is_wrapped(h)) {
		first = h->wrap - h->head;
		memcpy(data, h->data + h->head, first);
		memcpy(data + first, h->data, h->tail);
		h->tail += first;
	} else if (h->n > 0) {
		memcpy(data, h->data + h->head, h->tail - h->head);
		h->tail -= h->head;
	}
	h->head = 0;
	free(h->data);
	h->data = data;
	h->cap = cap;
}

/* Where size bytes fit without dropping anything, or SIZE_MAX. */
static size_t find_room(struct history *h, size_t size)
{
	if (is_wrapped(h))
		return h->head - h->tail >= size ? h->tail : SIZE_MAX;
	if (h->cap - h->tail >= size)
		return h->tail;
	if (h->head >= size) {
		h->wrap = h->tail;
		return 0;
	}
	return SIZE_MAX;
}

static size_t make_room(struct history *h, size_t size)
{
	size_t at;

	while ((at = find_room(h, size)) == SIZE_MAX) {
		if (h->cap < h->max_bytes)
			grow(h);
		else
			drop_oldest(h);
	}
	return at;
}

void history_add(struct history *h, const struct history_record *r,
		 const char *text)
{
	struct history_record copy = *r;
	uint32_t size;
	size_t at;

	if (copy.len + OVERHEAD > h->max_bytes)
		copy.len = (uint32_t)(h->max_bytes - OVERHEAD);
	size = (uint32_t)(OVERHEAD + copy.len);
	at = make_room(h, size);
	memcpy(h->data + at, &copy, sizeof(copy));
	if (copy.len > 0)
		memcpy(h->data + at + sizeof(copy), text, copy.len);
	memcpy(h->data + at + size - sizeof(size), &size, sizeof(size));
	h->tail = at + size;
	h->n++;
}

struct history_cursor history_end(const struct history *h)
{
	return (struct history_cursor){ h->tail, h->n };
}

bool history_older(const struct history *h, struct history_cursor *c,
		   struct history_record *r, const char **text)
{
	uint32_t size;

	if (c->left == 0)
		return false;
	if (c->at == 0)
		c->at = h->wrap;
	memcpy(&size, h->data + c->at - sizeof(size), sizeof(size));
	c->at -= size;
	c->left--;
	memcpy(r, h->data + c->at, sizeof(*r));
	*text = h->data + c->at + sizeof(*r);
	return true;
}
