/* SPDX-License-Identifier: MIT */
/* Message bodies to bytes and back. */
#include "lib/wire/put.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"

#define NULL_STRING UINT32_MAX

void put_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

static void put_le(struct buf *b, uint64_t v, size_t bytes)
{
	unsigned char out[8];
	size_t i;

	for (i = 0; i < bytes; i++)
		out[i] = (unsigned char)(v >> (8 * i));
	buf_add(b, out, bytes);
}

void put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void put_i32(struct buf *b, int32_t v)
{
	put_le(b, (uint32_t)v, 4);
}

void put_i64(struct buf *b, int64_t v)
{
	put_le(b, (uint64_t)v, 8);
}

void put_bool(struct buf *b, bool v)
{
	put_u8(b, v);
}

void put_str(struct buf *b, const char *s)
{
	size_t len;

	if (s == NULL) {
		put_u32(b, NULL_STRING);
		return;
	}
	len = strlen(s);
	put_u32(b, (uint32_t)len);
	buf_add(b, s, len);
}

void put_strv(struct buf *b, const char *const *v)
{
	put_u32(b, (uint32_t)strv_len(v));
	for (; v != NULL && *v != NULL; v++)
		put_str(b, *v);
}

void get_init(struct get *g, const void *data, size_t len, struct arena *arena)
{
	g->p = data;
	g->left = len;
	g->failed = false;
	g->arena = arena;
}

static uint64_t get_le(struct get *g, size_t bytes)
{
	uint64_t v = 0;
	size_t i;

	if (g->failed || g->left < bytes) {
		g->failed = true;
		return 0;
	}
	for (i = 0; i < bytes; i++)
		v |= (uint64_t)g->p[i] << (8 * i);
	g->p += bytes;
	g->left -= bytes;
	return v;
}

uint8_t get_u8(struct get *g)
{
	return (uint8_t)get_le(g, 1);
}

uint32_t get_u32(struct get *g)
{
	return (uint32_t)get_le(g, 4);
}

int32_t get_i32(struct get *g)
{
	return (int32_t)(uint32_t)get_le(g, 4);
}

int64_t get_i64(struct get *g)
{
	return (int64_t)get_le(g, 8);
}

bool get_bool(struct get *g)
{
	uint8_t v = get_u8(g);

	if (v > 1)
		g->failed = true;
	return v == 1;
}

const char *get_str(struct get *g)
{
	uint32_t len = get_u32(g);
	const char *s;

	if (g->failed || len == NULL_STRING)
		return NULL;
	if (len > g->left || memchr(g->p, '\0', len) != NULL) {
		g->failed = true;
		return NULL;
	}
	s = arena_strndup(g->arena, (const char *)g->p, len);
	g->p += len;
	g->left -= len;
	return s;
}

const char *get_text(struct get *g)
{
	const char *s = get_str(g);

	if (s != NULL)
		return s;
	g->failed = true;
	return "";
}

const char *const *get_strv(struct get *g)
{
	uint32_t n = get_count(g, 4), i;
	const char **v = arena_alloc(g->arena, (n + 1) * sizeof(*v));

	for (i = 0; i < n; i++)
		v[i] = get_text(g);
	return v;
}

uint32_t get_count(struct get *g, size_t min_bytes)
{
	uint32_t n = get_u32(g);

	if (g->failed || n > g->left / min_bytes) {
		g->failed = true;
		return 0;
	}
	return n;
}

uint32_t get_enum(struct get *g, uint32_t limit)
{
	uint32_t v = get_u32(g);

	if (v >= limit) {
		g->failed = true;
		return 0;
	}
	return v;
}

int get_end(const struct get *g)
{
	return g->failed || g->left > 0 ? -1 : 0;
}
