/* SPDX-License-Identifier: MIT */
/* From argv to a verb's run(). */
#ifndef HR_CMD_INVOKE_H
#define HR_CMD_INVOKE_H

#include "cmd/verbs.h"

/* Options that every verb has. Ends with id 0. */
extern const struct option_row global_options[];

/* argv: NULL-terminated, without the program's name. Returns the exit code;
 * what is wrong with the command line is on standard error. */
int invoke(char **argv);

#endif
