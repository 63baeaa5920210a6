/* SPDX-License-Identifier: MIT */
/* One line of log on standard output, whole and at once. */
#ifndef STACK_SAY_H
#define STACK_SAY_H

/* The line ends here: give no newline. Safe from several threads. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
