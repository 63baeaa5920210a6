/* SPDX-License-Identifier: MIT */
/* Last words of a process on standard error. */
#include "lib/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"

static const char *log_who = "hr";

void log_init(const char *who)
{
	log_who = who;
}

__attribute__((format(printf, 2, 0))) static void
put(const char *kind, const char *fmt, va_list ap)
{
	char line[1024];
	size_t len;

	snprintf(line, sizeof(line), "hr: %s: %s", log_who, kind);
	len = strlen(line);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	len = strlen(line);
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put("", fmt, ap);
	va_end(ap);
}

void log_bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put("bug: ", fmt, ap);
	va_end(ap);
	_exit(EXIT_BUG);
}
