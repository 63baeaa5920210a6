/* SPDX-License-Identifier: MIT */
/*
 * Does a path trigger a service, by which pattern of which file:line, and
 * what is done then? For `hr watch --explain`; asks the files as they are
 * now, with no watcher.
 */
#ifndef HR_WATCH_EXPLAIN_H
#define HR_WATCH_EXPLAIN_H

#include <stdbool.h>

#include "procfile/model.h"

struct err;

struct explanation {
	bool triggers;
	enum action action; /* if it does */
	char rule[80];	    /* "" for the default */
	char why[512];	    /* "excluded by gen/ (hr.conf:12)" */
	char rule_why[512]; /* "matches *.html (hr.conf:20)" */
	char at[512];	    /* the directory or file that decided, or "" */
};

/*
 * path: absolute and clean; it need not exist (is_dir is asked of the disk,
 * and a missing path counts as a file). Returns 0, or -1 with err if a
 * regular expression of the service is wrong.
 */
int explain_path(const char *stack_dir, const struct service *s,
		 const char *path, struct explanation *out, struct err *err);

#endif
