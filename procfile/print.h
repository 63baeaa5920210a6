/* SPDX-License-Identifier: MIT */
/* The model as `hr check` shows it. */
#ifndef HR_PROCFILE_PRINT_H
#define HR_PROCFILE_PRINT_H

#include <stdio.h>

struct model;

/*
 * Every service with every value, in the syntax of hr.conf: what is printed,
 * put in the same directory, is read back as the same model. A comment behind
 * a value says which file set it; values without one are defaults.
 */
void model_print(const struct model *m, FILE *out);

#endif
