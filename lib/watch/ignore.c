/* SPDX-License-Identifier: MIT */
/* Lines to patterns, and patterns to verdicts, as git's dir.c decides. */
#include "lib/watch/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/watch/glob.h"

struct ignore {
	struct arena *arena;
	VEC(struct ignore_rule) rules;
};

struct ignore *ignore_new(void)
{
	struct ignore *ig = xcalloc(1, sizeof(*ig));

	ig->arena = arena_new();
	return ig;
}

void ignore_free(struct ignore *ig)
{
	if (ig == NULL)
		return;
	VEC_FREE(&ig->rules);
	arena_free(ig->arena);
	free(ig);
}

size_t ignore_count(const struct ignore *ig)
{
	return ig->rules.n;
}

const struct ignore_rule *ignore_rule(const struct ignore *ig, size_t i)
{
	return &ig->rules.v[i];
}

void ignore_add(struct ignore *ig, const char *text, const char *file, int line)
{
	struct ignore_rule r = { .file = file, .line = line };
	const char *p;
	size_t len;

	r.text = arena_strdup(ig->arena, text);
	p = r.text;
	if (*p == '!') {
		r.negated = true;
		p++;
	}
	len = strlen(p);
	if (len > 0 && p[len - 1] == '/') {
		r.only_dirs = true;
		len--;
	}
	r.base_only = memchr(p, '/', len) == NULL;
	r.anchored = !r.base_only;
	r.ends_with = *p == '*' && p[1 + glob_literal(p + 1)] == '\0';
	if (len > 0 && !r.base_only && *p == '/') {
		p++;
		len--;
	}
	r.pattern = arena_strndup(ig->arena, p, len);
	r.len = (unsigned)len;
	r.literal = glob_literal(r.pattern);
	VEC_PUSH(&ig->rules, r);
}

/* Cut unescaped spaces at the end. */
static void trim_spaces(char *line)
{
	char *p, *space = NULL;

	for (p = line; *p != '\0'; p++) {
		if (*p == ' ') {
			if (space == NULL)
				space = p;
			continue;
		}
		space = NULL;
		if (*p == '\\' && *++p == '\0')
			return;
	}
	if (space != NULL)
		*space = '\0';
}

void ignore_add_text(struct ignore *ig, const char *text, size_t len,
		     const char *file)
{
	const char *end = text + len, *nl;
	char *line;
	size_t n;
	int number;

	file = arena_strdup(ig->arena, file);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (number = 1; text < end; number++, text = nl + 1) {
		nl = memchr(text, '\n', (size_t)(end - text));
		if (nl == NULL)
			nl = end;
		n = (size_t)(nl - text);
		if (n == 0 || *text == '#')
			continue;
		if (text[n - 1] == '\r')
			n--;
		line = xstrndup(text, n);
		trim_spaces(line);
		ignore_add(ig, line, file, number);
		free(line);
	}
}

static bool match_base(const struct ignore_rule *r, const char *base,
		       size_t len)
{
	if (r->literal == r->len)
		return len == r->len && memcmp(base, r->pattern, len) == 0;
	if (r->ends_with)
		return len >= r->len - 1 &&
		       memcmp(base + len - (r->len - 1), r->pattern + 1,
			      r->len - 1) == 0;
	return glob_match(r->pattern, base, false);
}

/* git compares the literal beginning first and gives only the rest to the
 * wildcard matcher: `c**` + `/x` becomes `c` and a true double star. */
static bool match_path(const struct ignore_rule *r, const char *path,
		       size_t len)
{
	if (r->literal > len || memcmp(r->pattern, path, r->literal) != 0)
		return false;
	if (r->literal == r->len)
		return len == r->len;
	return glob_match(r->pattern + r->literal, path + r->literal, true);
}

static bool matches(const struct ignore_rule *r, const char *path, size_t len,
		    const char *base, bool is_dir)
{
	if (r->only_dirs && !is_dir)
		return false;
	if (r->base_only)
		return match_base(r, base, (size_t)(path + len - base));
	return match_path(r, path, len);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

bool ignore_rule_matches(const struct ignore_rule *r, const char *path,
			 bool is_dir)
{
	return matches(r, path, strlen(path), base_of(path), is_dir);
}

const struct ignore_rule *ignore_match(const struct ignore *ig,
				       const char *path, bool is_dir)
{
	const char *base = base_of(path);
	size_t len = strlen(path), i;

	if (ig == NULL)
		return NULL;
	for (i = ig->rules.n; i-- > 0;) {
		if (matches(&ig->rules.v[i], path, len, base, is_dir))
			return &ig->rules.v[i];
	}
	return NULL;
}
