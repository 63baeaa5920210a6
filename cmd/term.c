/* SPDX-License-Identifier: MIT */
/* Terminals and colours. */
#include "cmd/term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"

int term_parse_colour(const char *word, enum term_colour *out)
{
	static const struct {
		const char *word;
		enum term_colour colour;
	} words[] = {
		{ "auto", TERM_AUTO },
		{ "always", TERM_ALWAYS },
		{ "never", TERM_NEVER },
	};
	size_t i;

	for (i = 0; i < NITEMS(words); i++) {
		if (str_eq(words[i].word, word)) {
			*out = words[i].colour;
			return 0;
		}
	}
	return -1;
}

bool term_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

bool term_want_colour(enum term_colour wish, int fd)
{
	const char *term = getenv("TERM");

	if (wish != TERM_AUTO)
		return wish == TERM_ALWAYS;
	if (is_set("NO_COLOR"))
		return false;
	if (is_set("CLICOLOR_FORCE") && !str_eq(getenv("CLICOLOR_FORCE"), "0"))
		return true;
	return term_is_terminal(fd) && (term == NULL || !str_eq(term, "dumb"));
}
