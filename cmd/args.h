/* SPDX-License-Identifier: MIT */
/*
 * Command lines by tables of options: -n 5, -n5, -fn5, --lines 5, --lines=5;
 * options and operands in any order; `--` ends options. Strict: what no row
 * has is an error with the nearest name.
 */
#ifndef HR_CMD_ARGS_H
#define HR_CMD_ARGS_H

#include <stddef.h>

struct err;
struct option_row;

struct args {
	/* Tables searched in order, each ends with id 0; may be NULL. */
	const struct option_row *tables[2];
	char **argv;		      /* what is left; KEPT */
	const char *cluster;	      /* rest of -abc, or NULL */
	const struct option_row *row; /* of the last option */
	const char *value;	      /* of the last option or operand */
	int options_over;
};

enum { ARGS_END = 0, ARGS_OPERAND = -1, ARGS_ERROR = -2 };

/* argv: NULL-terminated, without the program's name. KEPT. */
void args_init(struct args *a, char **argv, const struct option_row *first,
	       const struct option_row *second);
/* The id of the next option, with its value in a->value, or one of the above;
 * ARGS_ERROR with err. */
int args_next(struct args *a, struct err *err);

#endif
