/* SPDX-License-Identifier: MIT */
/* The list of everything wrong with the files of a stack. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/load.h"
#include "procfile/model.h"

/* Nobody reads more; a megabyte of nonsense must not become a gigabyte. */
#define PROBLEMS_KEPT_MAX 200

void problems_add(struct problems *p, const struct err *err, bool is_warning)
{
	size_t cap = 8;

	if (!is_warning)
		p->n_errors++;
	if (p->n >= PROBLEMS_KEPT_MAX) {
		p->n_dropped++;
		return;
	}
	/* Room doubles at powers of two, so it need not be remembered. */
	while (cap < p->n)
		cap *= 2;
	if (p->n == 0 || p->n == cap) {
		cap = p->n == 0 ? 8 : cap * 2;
		p->v = xreallocarray(p->v, cap, sizeof(*p->v));
		p->is_warning = xreallocarray(p->is_warning, cap, sizeof(bool));
	}
	p->v[p->n] = *err;
	p->is_warning[p->n++] = is_warning;
}

static void add(struct problems *p, const struct where *at, bool is_warning,
		const char *hint, const char *fmt, va_list ap)
	__attribute__((format(printf, 5, 0)));

static void add(struct problems *p, const struct where *at, bool is_warning,
		const char *hint, const char *fmt, va_list ap)
{
	struct err err = { .code = ERR_SYNTAX };

	vsnprintf(err.what, sizeof(err.what), fmt, ap);
	if (at != NULL && at->file != NULL)
		err_at(&err, at->file, at->line, at->col);
	if (hint != NULL)
		err_hint(&err, "%s", hint);
	problems_add(p, &err, is_warning);
}

void problems_error(struct problems *p, const struct where *at,
		    const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, at, false, hint, fmt, ap);
	va_end(ap);
}

void problems_report(struct problems *p, bool is_warning,
		     const struct where *at, const char *hint, const char *fmt,
		     ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, at, is_warning, hint, fmt, ap);
	va_end(ap);
}

void problems_free(struct problems *p)
{
	free(p->v);
	free(p->is_warning);
	memset(p, 0, sizeof(*p));
}

void problems_print(const struct problems *p, FILE *out)
{
	struct err err;
	size_t i;

	for (i = 0; i < p->n; i++) {
		err = p->v[i];
		if (p->is_warning[i])
			snprintf(err.what, sizeof(err.what), "warning: %.700s",
				 p->v[i].what);
		err_print(&err, out);
	}
	if (p->n_dropped > 0)
		fprintf(out, "hr: %zu more problems are not shown\n",
			p->n_dropped);
}

/* The rank of a file is where it was first complained about. */
static size_t file_rank(const struct problems *p, const char *file)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (str_eq(p->v[i].file, file))
			break;
	return i;
}

struct sort_row {
	size_t rank;
	size_t index;
	const struct err *err;
	bool is_warning;
};

static int compare(const void *a, const void *b)
{
	const struct sort_row *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->err->line != y->err->line)
		return x->err->line < y->err->line ? -1 : 1;
	if (x->err->col != y->err->col)
		return x->err->col < y->err->col ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

void problems_sort(struct problems *p)
{
	struct sort_row *rows = xcalloc(p->n, sizeof(*rows));
	struct problems sorted = { .n_errors = p->n_errors,
				   .n_dropped = p->n_dropped };
	size_t i, errors = 0;

	for (i = 0; i < p->n; i++)
		rows[i] = (struct sort_row){ file_rank(p, p->v[i].file), i,
					     &p->v[i], p->is_warning[i] };
	if (p->n > 0)
		qsort(rows, p->n, sizeof(*rows), compare);
	for (i = 0; i < p->n; i++) {
		problems_add(&sorted, rows[i].err, rows[i].is_warning);
		errors += !rows[i].is_warning;
	}
	sorted.n_errors -= errors;
	free(rows);
	problems_free(p);
	*p = sorted;
}
