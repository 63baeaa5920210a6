/* SPDX-License-Identifier: MIT */
/*
 * A byte buffer that grows up to a maximum given when it is made.
 *
 * data is always NUL-terminated behind len bytes (or NULL while empty), so
 * that text can be read as a C string. Adding beyond max_bytes adds nothing
 * and returns -1: input cannot eat memory.
 */
#ifndef HR_BASE_BUF_H
#define HR_BASE_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max_bytes;
};

void buf_init(struct buf *b, size_t max_bytes);
/* Frees the storage; b may be used again after buf_init. */
void buf_done(struct buf *b);
int buf_add(struct buf *b, const void *data, size_t len);
int buf_add_str(struct buf *b, const char *s);
int buf_add_char(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Make room for len more bytes; returns where they go, or NULL (limit). */
char *buf_reserve(struct buf *b, size_t len);
/* Count len bytes written into reserved room. */
void buf_commit(struct buf *b, size_t len);
/* Drop len bytes from the front (at most all). */
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b);
/* The text, never NULL. BORROWED until the next change. */
const char *buf_str(const struct buf *b);

#endif
