/* SPDX-License-Identifier: MIT */
/* Monotonic time in milliseconds. */
#ifndef STACK_CLOCK_H
#define STACK_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);
/* Sleep until clock_ms() is at least at_ms. */
void clock_sleep_until(int64_t at_ms);

#endif
