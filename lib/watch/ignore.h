/* SPDX-License-Identifier: MIT */
/*
 * Pattern lists of .gitignore syntax: parsed once, asked often. Pure.
 *
 * A list belongs to a directory (its base); paths are asked relative to it.
 * The last pattern that matches decides. That nothing below an ignored
 * directory comes back is the caller's: it asks directory by directory and
 * stops at the first that is ignored.
 */
#ifndef HR_WATCH_IGNORE_H
#define HR_WATCH_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct ignore;

struct ignore_rule {
	const char *text; /* as written, for people */
	const char *file; /* BORROWED from the list; NULL: none */
	int line;
	const char *pattern; /* without '!', leading and trailing '/' */
	unsigned len;
	unsigned literal; /* length of the part before any wildcard */
	bool negated;
	bool only_dirs;
	bool base_only; /* no slash: matches the last component */
	bool ends_with; /* '*' and then only literal */
	bool anchored;	/* has a slash that is not the last character */
};

/* OWNED: ignore_free(). NULL is fine for ignore_free and ignore_match. */
struct ignore *ignore_new(void);
void ignore_free(struct ignore *ig);
/* One pattern as it stands on a line, without comments and trimming. */
void ignore_add(struct ignore *ig, const char *text, const char *file,
		int line);
/* A whole file: BOM, comments, CR LF, trailing spaces as git reads them. */
void ignore_add_text(struct ignore *ig, const char *text, size_t len,
		     const char *file);
size_t ignore_count(const struct ignore *ig);
const struct ignore_rule *ignore_rule(const struct ignore *ig, size_t i);

/* path: relative to the base, no leading or trailing slash. NULL: nothing
 * matches; a negated rule means "not ignored after all". */
const struct ignore_rule *ignore_match(const struct ignore *ig,
				       const char *path, bool is_dir);
bool ignore_rule_matches(const struct ignore_rule *r, const char *path,
			 bool is_dir);

#endif
