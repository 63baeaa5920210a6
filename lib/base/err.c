/* SPDX-License-Identifier: MIT */
/* Errors as values; nothing here allocates or prints by itself. */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static void
fill(struct err *err, enum err_code code, int sys, const char *fmt, va_list ap)
{
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->sys = sys;
	vsnprintf(err->what, sizeof(err->what), fmt, ap);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	fill(err, code, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int sys = errno;
	size_t len;
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	fill(err, ERR_SYS, sys, fmt, ap);
	va_end(ap);
	len = strlen(err->what);
	snprintf(err->what + len, sizeof(err->what) - len, ": %s",
		 strerror(sys));
	errno = sys;
	return -1;
}

int err_at(struct err *err, const char *file, int line, int col)
{
	if (err == NULL)
		return -1;
	snprintf(err->file, sizeof(err->file), "%s", file);
	err->line = line;
	err->col = col;
	return -1;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

void err_print(const struct err *err, FILE *out)
{
	if (err->file[0] == '\0')
		fprintf(out, "hr: %s\n", err->what);
	else if (err->line == 0)
		fprintf(out, "%s: %s\n", err->file, err->what);
	else if (err->col == 0)
		fprintf(out, "%s:%d: %s\n", err->file, err->line, err->what);
	else
		fprintf(out, "%s:%d:%d: %s\n", err->file, err->line, err->col,
			err->what);
	if (err->hint[0] != '\0')
		fprintf(out, "  hint: %s\n", err->hint);
}
