/* SPDX-License-Identifier: MIT */
/*
 * Memory: allocators that never return NULL, and an arena.
 *
 * x*: on failure print one line and exit EXIT_BUG; callers do not check.
 * arena: many small objects with one end of life; nothing is freed alone.
 */
#ifndef HR_BASE_ALLOC_H
#define HR_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* Grow or shrink to n * size bytes; the product is checked. */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct arena;

/* OWNED: arena_free(), which frees everything allocated from it. */
struct arena *arena_new(void);
void arena_free(struct arena *a);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A growing array of T: declare with VEC(T), zero it, push, free v.v.
 *	VEC(int) list = { 0 };
 *	VEC_PUSH(&list, 3);
 */
#define VEC(T)                                                                 \
	struct {                                                               \
		T *v;                                                          \
		size_t n;                                                      \
		size_t cap;                                                    \
	}
#define VEC_PUSH(vec, item)                                                    \
	do {                                                                   \
		if ((vec)->n == (vec)->cap) {                                  \
			(vec)->cap = (vec)->cap ? (vec)->cap * 2 : 8;          \
			(vec)->v = xreallocarray((vec)->v, (vec)->cap,         \
						 sizeof(*(vec)->v));           \
		}                                                              \
		(vec)->v[(vec)->n++] = (item);                                 \
	} while (0)
#define VEC_FREE(vec)                                                          \
	do {                                                                   \
		free((vec)->v);                                                \
		(vec)->v = NULL;                                               \
		(vec)->n = (vec)->cap = 0;                                     \
	} while (0)

#define NITEMS(array) (sizeof(array) / sizeof((array)[0]))

#endif
