/* SPDX-License-Identifier: MIT */
/*
 * Wildcards with git's semantics.
 *
 * Backtracking, but a failure says how far it reaches: once the text has run
 * out no earlier star can help (NEVER), and once a star was stopped by a
 * slash only a double star can (NOT_HERE). So the time is not exponential.
 */
#include "lib/watch/glob.h"

#include <ctype.h>
#include <string.h>

enum outcome { YES, NO, NEVER, NOT_HERE };

struct class
{
	const char *name;
	int (*has)(int c);
};

static int is_blank(int c)
{
	return c == ' ' || c == '\t';
}

/* ASCII only, whatever the locale. */
static const struct class classes[] = {
	{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", is_blank },
	{ "cntrl", iscntrl }, { "digit", isdigit }, { "graph", isgraph },
	{ "lower", islower }, { "print", isprint }, { "punct", ispunct },
	{ "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
};

unsigned glob_literal(const char *pattern)
{
	return (unsigned)strcspn(pattern, "*?[\\");
}

/* name: behind "[:". Returns the length up to and with "]", 0 if there is no
 * such class. */
static size_t class_match(const char *name, unsigned char c, bool *hit)
{
	size_t len = strcspn(name, "]"), i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) + 1 != len ||
		    strncmp(name, classes[i].name, len - 1) != 0)
			continue;
		*hit |= c < 128 && classes[i].has(c);
		return len + 1;
	}
	return 0;
}

/*
 * One item of a bracket at *p: a class, a range, a character. *last is the
 * character a range may begin with, 0 if none. Returns false if the bracket
 * never closes.
 */
static bool bracket_item(const char **p, unsigned char c, unsigned char *last,
			 bool *hit)
{
	unsigned char at = (unsigned char)**p;
	size_t len;

	if (at == '\\') {
		at = (unsigned char)*++*p;
		if (at == '\0')
			return false;
	} else if (at == '-' && *last != 0 && (*p)[1] != '\0' &&
		   (*p)[1] != ']') {
		at = (unsigned char)*++*p;
		if (at == '\\' && (at = (unsigned char)*++*p) == '\0')
			return false;
		*hit |= c >= *last && c <= at;
		*last = 0;
		++*p;
		return true;
	} else if (at == '[' && (*p)[1] == ':' && strchr(*p + 2, ']') != NULL &&
		   strchr(*p + 2, ']')[-1] == ':' &&
		   strchr(*p + 2, ']') > *p + 2) {
		len = class_match(*p + 2, c, hit);
		*p += 2 + len;
		*last = 0;
		return len > 0;
	}
	*hit |= c == at;
	*last = at;
	++*p;
	return true;
}

/* *p: behind "["; moved behind "]". */
static enum outcome bracket(const char **p, unsigned char c, bool pathname)
{
	bool negated = **p == '!' || **p == '^', hit = false, first = true;
	unsigned char last = 0;

	if (negated)
		++*p;
	while (first || **p != ']') {
		first = false;
		if (**p == '\0' || !bracket_item(p, c, &last, &hit))
			return NEVER;
	}
	++*p;
	return hit == negated || (pathname && c == '/') ? NO : YES;
}

static enum outcome match(const char *p, const char *t, bool pathname);

/* What is left to try behind a star, for each length that it may have. */
static enum outcome star_rest(const char *p, const char *t, bool slash,
			      bool pathname)
{
	enum outcome o;

	for (; *t != '\0'; t++) {
		if (strchr("*?[\\", *p) == NULL) {
			while (*t != '\0' && *t != *p && (slash || *t != '/'))
				t++;
			if (*t != *p)
				return NO;
		}
		o = match(p, t, pathname);
		if (o != NO) {
			if (!slash || o != NOT_HERE)
				return o;
		} else if (!slash && *t == '/') {
			return NOT_HERE;
		}
	}
	return NEVER;
}

/* p: at the first star; start: of the pattern that match() was given. */
static enum outcome star(const char *start, const char *p, const char *t,
			 bool pathname)
{
	const char *first = p;
	bool slash = !pathname;

	while (*p == '*')
		p++;
	if (pathname && p - first > 1 && (first == start || first[-1] == '/') &&
	    (*p == '\0' || *p == '/' || (p[0] == '\\' && p[1] == '/'))) {
		if (*p == '/' && match(p + 1, t, pathname) == YES)
			return YES;
		slash = true;
	}
	if (*p == '\0')
		return slash || strchr(t, '/') == NULL ? YES : NO;
	if (!slash && *p == '/') {
		t = strchr(t, '/');
		return t == NULL ? NO : match(p + 1, t + 1, pathname);
	}
	return star_rest(p, t, slash, pathname);
}

static enum outcome match(const char *p, const char *t, bool pathname)
{
	const char *start = p;
	enum outcome o;

	for (; *p != '\0'; t++) {
		if (*t == '\0' && *p != '*')
			return NEVER;
		switch (*p) {
		case '*':
			return star(start, p, t, pathname);
		case '?':
			if (pathname && *t == '/')
				return NO;
			p++;
			break;
		case '[':
			p++;
			o = bracket(&p, (unsigned char)*t, pathname);
			if (o != YES)
				return o;
			break;
		case '\\':
			p++;
			/* fall through */
		default:
			if (*p != *t)
				return NO;
			p++;
		}
	}
	return *t == '\0' ? YES : NO;
}

bool glob_match(const char *pattern, const char *text, bool pathname)
{
	return match(pattern, text, pathname) == YES;
}
