/* SPDX-License-Identifier: MIT */
/*
 * Encoding and decoding of message bodies, field by field.
 *
 * Fixed width, little endian; a string is u32 length and bytes, NULL is
 * length UINT32_MAX; a string list is u32 count and strings. put_* append to
 * a buf. get_* never fail one by one: after the last field get_end() says
 * whether everything was there and nothing was left over. Strings that are
 * got live in the arena given to get_init and never contain NUL.
 */
#ifndef HR_WIRE_PUT_H
#define HR_WIRE_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

void put_u8(struct buf *b, uint8_t v);
void put_u32(struct buf *b, uint32_t v);
void put_i32(struct buf *b, int32_t v);
void put_i64(struct buf *b, int64_t v);
void put_bool(struct buf *b, bool v);
void put_str(struct buf *b, const char *s);	    /* s may be NULL */
void put_strv(struct buf *b, const char *const *v); /* v may be NULL */

struct get {
	const unsigned char *p;
	size_t left;
	bool failed;
	struct arena *arena;
};

/* data: KEPT until get_end. arena: where strings go, KEPT by them. */
void get_init(struct get *g, const void *data, size_t len, struct arena *arena);
uint8_t get_u8(struct get *g);
uint32_t get_u32(struct get *g);
int32_t get_i32(struct get *g);
int64_t get_i64(struct get *g);
bool get_bool(struct get *g);
/* May be NULL if NULL was put; also NULL after a failure. */
const char *get_str(struct get *g);
/* As get_str, but a NULL is a failure and reads as "". */
const char *get_text(struct get *g);
/* Never NULL. */
const char *const *get_strv(struct get *g);
/* A count of things of at least min_bytes each: bounded by what is left. */
uint32_t get_count(struct get *g, size_t min_bytes);
/* An enum value below limit; a larger one is a failure and reads as 0. */
uint32_t get_enum(struct get *g, uint32_t limit);
/* Returns 0, or -1 if a field was missing, malformed, or bytes are left. */
int get_end(const struct get *g);

#endif
