/* SPDX-License-Identifier: MIT */
/*
 * What one service wants to hear of, and what it does then. Pure, but for
 * compiling regular expressions.
 *
 * Paths are relative to the stack directory, or absolute without the first
 * slash if they lie outside of it. In order of strength:
 *
 *	never		.git, .hr; node_modules unless a root or included
 *	strong include	a pattern with a slash ("vendor/ours/"): beats all
 *	exclude, exclude_regex
 *	editors' temporary names
 *	weak include	a pattern without a slash: beats .gitignore and ext
 *	.gitignore, ext
 *
 * A directory that is excluded is entered only on the way to, or below, a
 * strong include; there nothing else counts (FILTER_NARROW).
 */
#ifndef HR_WATCH_FILTER_H
#define HR_WATCH_FILTER_H

#include <stdbool.h>

#include "procfile/model.h"

struct err;
struct filter;
struct ignore_rule;

/* Why a verdict: which pattern of which file; all BORROWED from the filter. */
struct filter_why {
	const char *what;    /* "excluded by", "has another ending", … */
	const char *pattern; /* or NULL */
	const char *file;    /* or NULL */
	int line;
};

enum filter_dir { FILTER_OUT, FILTER_IN, FILTER_NARROW };

/*
 * s: KEPT. Returns NULL with err if a regular expression is wrong.
 * OWNED: filter_free().
 */
struct filter *filter_new(const struct service *s, struct err *err);
void filter_free(struct filter *f);
/* Whether both let the same paths pass; rules do not count. */
bool filter_equal(const struct filter *a, const struct filter *b);
bool filter_wants_gitignore(const struct filter *f);
bool filter_follows_links(const struct filter *f);

/*
 * git: what .gitignore files say, or NULL. narrow: the parent's verdict was
 * FILTER_NARROW. why: filled, or NULL.
 */
enum filter_dir filter_dir(const struct filter *f, const char *path,
			   const struct ignore_rule *git, bool narrow,
			   struct filter_why *why);
bool filter_file(const struct filter *f, const char *path,
		 const struct ignore_rule *git, bool narrow,
		 struct filter_why *why);
/* The names of the editors' own files: swap, lock, backup. */
bool filter_is_editors(const char *name);

/*
 * What a changed path does. *rule: the rule, or NULL for the default, which
 * is to reload. pattern: filled with what matched, or NULL.
 */
enum action filter_action(const struct filter *f, const char *path,
			  const struct rule **rule, struct filter_why *why);

#endif
