/* SPDX-License-Identifier: MIT */
/* One line of log on standard output, whole and at once. */
#include "common/say.h"

#include <stdarg.h>
#include <stdio.h>

void say(const char *format, ...)
{
	va_list ap;

	flockfile(stdout);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
}
