/* SPDX-License-Identifier: MIT */
/* The end of a process in words. */
#ifndef HR_WORKER_WORDS_H
#define HR_WORKER_WORDS_H

#include <stddef.h>

/* "exit 3", "killed by SIGSEGV (core dumped)" for a wait status, into buffer.
 * Returns buffer. */
char *words_status(int status, char *buffer, size_t size);

#endif
