/* SPDX-License-Identifier: MIT */
/*
 * Find and read the files of a stack into one frozen model.
 *
 * All errors of all files are collected in one run; a model is returned only
 * if there is none. Warnings never prevent a model.
 */
#ifndef HR_PROCFILE_LOAD_H
#define HR_PROCFILE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/err.h"

struct model;
struct where;

/*
 * Errors and warnings; zero it before use. After load_model() they are in the
 * order of file, line and column. Only the first 200 are kept, all counted.
 */
struct problems {
	struct err *v;
	bool *is_warning;
	size_t n;
	size_t n_errors;
	size_t n_dropped;
};

void problems_add(struct problems *p, const struct err *err, bool is_warning);
/* An error at a place (may be NULL) with a hint (may be NULL). */
void problems_error(struct problems *p, const struct where *at,
		    const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, as an error or a warning. */
void problems_report(struct problems *p, bool is_warning,
		     const struct where *at, const char *hint, const char *fmt,
		     ...) __attribute__((format(printf, 5, 6)));
void problems_sort(struct problems *p);
void problems_free(struct problems *p);
/* One error or `warning: ` per line, hints below. */
void problems_print(const struct problems *p, FILE *out);

/* A larger Procfile, hr.conf or .env is refused. */
#define LOAD_FILE_MAX_BYTES ((size_t)1024 * 1024)
/* Each gets its own hundred ports. */
#define LOAD_SERVICES_MAX 500

struct load_options {
	const char *dir;	/* -C: where to search; NULL: "." */
	const char *procfile;	/* -f, or NULL */
	const char *conf;	/* -c, or NULL */
	const char *const *env; /* -e, NULL-terminated, or NULL */
	bool lenient;
};

/*
 * The directory of the stack: opt->dir (or the working directory) or the
 * nearest directory above it that has a Procfile, Procfile.dev, hr.conf or
 * .hr/. With -f: the Procfile's directory. OWNED: free(). Returns NULL with
 * err (what was looked for, where) if there is none.
 */
char *load_find_dir(const struct load_options *opt, struct err *err);

/* OWNED: model_free(). NULL if problems->n_errors > 0. */
struct model *load_model(const struct load_options *opt,
			 struct problems *problems);

#endif
