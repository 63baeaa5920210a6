/* SPDX-License-Identifier: MIT */
/*
 * The master: one per stack, `hr up`. Spawns and watches the other roles,
 * orders starts and stops, shows the log, answers hr.sock. Never blocks.
 */
#ifndef HR_MASTER_MASTER_H
#define HR_MASTER_MASTER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/master/paint.h"
#include "procfile/load.h"

struct model;

struct up_formation {
	const char *name;
	int count; /* instances, 0: do not start it */
};

/*
 * What the command line of `hr up` says. Everything is checked: names are
 * services of the model, counts are at most INSTANCES_MAX, `all=N` of -m is
 * one row for each service without a row of its own. All BORROWED, until
 * master_run() returns.
 */
struct up_options {
	const char *const *names; /* NULL-terminated; empty: all enabled */
	const struct up_formation *formation;
	size_t n_formation;
	struct load_options load; /* to read the files again */
	bool no_watch;
	bool background;      /* second half of `hr up -d` */
	bool colour;	      /* escapes wanted on standard output */
	bool terminal;	      /* standard output is one */
	bool raw;	      /* pass all escapes of services */
	enum paint_time time; /* in front of each line */
};

/* Run the stack until it has left. Returns the exit code of `hr up`. */
int master_run(const struct up_options *opt, const struct model *model);

#endif
