/* SPDX-License-Identifier: MIT */
/*
 * The grammar of a Procfile: `name: command` a line.
 *
 *	^[ \t]*([A-Za-z0-9_][A-Za-z0-9_.-]*)[ \t]*:[ \t]*(.+?)[ \t]*$
 *
 * Lines whose first visible character is `#` are comments; blank lines, a
 * BOM and CRLF are accepted; an odd number of `\` at the end of a line joins
 * the next one, as in sh. Anything else is an error.
 */
#ifndef HR_PROCFILE_LINES_H
#define HR_PROCFILE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "procfile/model.h"

struct arena;
struct problems;

struct line {
	const char *name;
	const char *command; /* NULL: the line is wrong, but has a name */
	struct where at;     /* of the name */
	struct where command_at;
};

struct lines {
	struct line *v;
	size_t n;
	size_t cap;
};

/*
 * Parse text into lines (zeroed; free with lines_free), each name once.
 * Strings live in the arena; file is KEPT by it. With lenient, problems are
 * warnings.
 */
void lines_parse(struct lines *out, struct arena *a, const char *file,
		 const char *text, size_t len, bool lenient,
		 struct problems *problems);
void lines_free(struct lines *l);

/* Length of the name at the start of s: 0 if there is none. */
size_t lines_name_len(const char *s);
/*
 * NULL if name is a good name for a service, rule or port, else what is wrong
 * with it, to follow "a name …".
 */
const char *lines_name_fault(const char *name);

#endif
