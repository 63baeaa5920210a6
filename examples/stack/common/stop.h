/* SPDX-License-Identifier: MIT */
/*
 * SIGINT and SIGTERM as a descriptor instead of a handler.
 *
 * The signals are blocked and never read, so the descriptor stays readable
 * from the first one on: whoever polls it, and however often, sees the stop.
 */
#ifndef STACK_STOP_H
#define STACK_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Call before any thread starts: threads inherit what is blocked. Returns the
 * descriptor, or -1 with errno. */
int stop_open(void);
/* Wait at most ms (-1: for ever); true as soon as a stop was asked for. */
bool stop_wait(int stop_fd, int64_t ms);

#endif
