/* SPDX-License-Identifier: MIT */
/*
 * Last words of a process: what has no other way to a reader.
 *
 * What users should know goes through messages to the terminal. This is for
 * bugs and for errors before the channel or after its end; one write() each.
 */
#ifndef HR_BASE_LOG_H
#define HR_BASE_LOG_H

#include <stdarg.h>

/* who: "worker ingest", shown in front of each line. KEPT. */
void log_init(const char *who);
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A state that cannot be: say it and exit EXIT_BUG. */
_Noreturn void log_bug(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

#endif
