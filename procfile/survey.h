/* SPDX-License-Identifier: MIT */
/* Tokens of one file into the tree of conf.h; going on after every error. */
#ifndef HR_PROCFILE_SURVEY_H
#define HR_PROCFILE_SURVEY_H

#include <stdbool.h>

struct arena;
struct conf_block;
struct conf_file;
struct normal;
struct problems;

struct survey {
	struct normal *normal;
	struct arena *arena;
	const struct conf_file *file;
	struct problems *problems;
	/* Called for each include("pattern"). */
	void (*include)(void *data, const char *pattern, int line, int col);
	void *data;
};

/*
 * Add what the file says to root; blank in the normalised text what is wrong
 * or an include.
 * Returns whether the braces match, so that libconfuse can read the rest.
 */
bool survey_run(struct survey *s, struct conf_block *root);

#endif
