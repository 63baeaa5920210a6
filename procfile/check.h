/* SPDX-License-Identifier: MIT */
/* What no single value can show: services against each other. */
#ifndef HR_PROCFILE_CHECK_H
#define HR_PROCFILE_CHECK_H

#include <stdbool.h>

struct model;
struct problems;

/*
 * names_known: false if a file could not be read, so that a service that is
 * not there may only not have been seen.
 */
void check_model(const struct model *m, bool names_known,
		 struct problems *problems);

#endif
