/* SPDX-License-Identifier: MIT */
/*
 * Errors as values: code, place, text and hint in the caller's storage.
 *
 * Functions return 0 or -1 with a `struct err *err` last; err may be NULL
 * where the caller does not care. Nothing here allocates. Libraries return
 * errors; the outermost caller prints each once with err_print().
 */
#ifndef HR_BASE_ERR_H
#define HR_BASE_ERR_H

#include <stdio.h>

/* Exit codes of hr: interface.md section 4. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_STACK = 3,
	EXIT_BUG = 70,
	EXIT_INTERRUPTED = 130,
};

enum err_code {
	ERR_NONE,
	ERR_SYS,    /* a system call failed; errno in .sys */
	ERR_SYNTAX, /* input that cannot be read: place in .file .line .col */
	ERR_VALUE,  /* input that can be read but makes no sense */
	ERR_LIMIT,  /* a bound of ours was reached */
	ERR_GONE,   /* the peer or object is no longer there */
	ERR_BUSY,   /* somebody else holds it */
	ERR_PROTO,  /* a peer broke the protocol */
};

struct err {
	enum err_code code;
	int sys;  /* errno, or 0 */
	int line; /* 1-based, 0: no place */
	int col;  /* 1-based, 0: whole line */
	char file[512];
	char what[768];
	char hint[512];
};

/* Fill err (may be NULL) and return -1, so that `return err_set(…)` reads. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As err_set with ERR_SYS; ": " and strerror(errno) are appended. */
int err_sys(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Set the place of an error already filled. Returns -1. */
int err_at(struct err *err, const char *file, int line, int col);
/* Set the hint of an error already filled. Returns -1. */
int err_hint(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* `file:line:col: what` and, on a second line, `  hint: …`. */
void err_print(const struct err *err, FILE *out);

#endif
