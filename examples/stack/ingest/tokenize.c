/* SPDX-License-Identifier: MIT */
/* Text into search terms: words, and pairs where a script has no spaces. */
#include "ingest/tokenize.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum script { SCRIPT_NONE, SCRIPT_SPACED, SCRIPT_DENSE };

/* A letter with the marks that belong to it. */
struct cluster {
	const char *start, *end;
	enum script script;
};

/* Scripts that are written without spaces, or (Hangul) glue particles on. */
/* clang-format off */
static const struct {
	int32_t first, last;
} dense[] = {
	{ 0x0e00, 0x0eff },   /* Thai, Lao */
	{ 0x1000, 0x109f },   /* Burmese */
	{ 0x1100, 0x11ff },   /* Hangul jamo */
	{ 0x1780, 0x17ff },   /* Khmer */
	{ 0x3005, 0x3007 },   /* 々 〆 〇 */
	{ 0x3040, 0x318f },   /* kana, bopomofo, jamo */
	{ 0x31f0, 0x31ff },   /* small kana */
	{ 0x3400, 0x9fff },   /* Han */
	{ 0xac00, 0xd7ff },   /* Hangul */
	{ 0xf900, 0xfaff },   /* Han, compatible */
	{ 0x20000, 0x3ffff }, /* Han, rare */
};
/* clang-format on */

static bool is_dense(int32_t letter)
{
	for (size_t i = 0; i < sizeof(dense) / sizeof(dense[0]); i++)
		if (letter >= dense[i].first && letter <= dense[i].last)
			return true;
	return false;
}

static bool is_mark(int32_t letter)
{
	utf8proc_category_t c = utf8proc_category(letter);

	return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC ||
	       c == UTF8PROC_CATEGORY_ME;
}

/* Letters, digits and marks make terms, all else parts them. */
static bool is_term(int32_t letter)
{
	utf8proc_category_t c = utf8proc_category(letter);

	return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NO);
}

static enum script script_of(int32_t letter)
{
	if (!is_term(letter))
		return SCRIPT_NONE;
	return is_dense(letter) ? SCRIPT_DENSE : SCRIPT_SPACED;
}

/* The letter at p, and where the next one starts. 0 at the end. */
static int32_t letter_at(const char *p, const char **next)
{
	int32_t letter;
	utf8proc_ssize_t n =
		utf8proc_iterate((const utf8proc_uint8_t *)p, -1, &letter);

	if (n <= 0 || letter == 0) {
		*next = p;
		return 0;
	}
	*next = p + n;
	return letter;
}

static bool cluster_at(const char *p, struct cluster *c)
{
	int32_t letter = letter_at(p, &c->end);
	const char *next;

	c->start = p;
	c->script = script_of(letter);
	if (letter == 0)
		return false;
	while ((letter = letter_at(c->end, &next)) && is_mark(letter))
		c->end = next;
	return true;
}

static int emit(enum token_kind kind, const char *start, const char *end,
		size_t run, token_fn fn, void *arg)
{
	const struct token token = { .kind = kind,
				     .text = start,
				     .len = (size_t)(end - start),
				     .run = run };

	return fn(&token, arg);
}

/* All that follows c in the same script, as one word. */
static int take_word(struct cluster c, const char **end, size_t run,
		     token_fn fn, void *arg)
{
	struct cluster next = c;

	*end = c.end;
	while (cluster_at(*end, &next) && next.script == c.script)
		*end = next.end;
	return emit(TOKEN_WORD, c.start, *end, run, fn, arg);
}

/* All that follows c in the same script, as pairs. */
static int take_pairs(struct cluster c, const char **end, size_t run,
		      token_fn fn, void *arg)
{
	struct cluster next;
	bool alone = true;
	int rc = 0;

	while (!rc && cluster_at(c.end, &next) && next.script == c.script) {
		rc = emit(TOKEN_PAIR, c.start, next.end, run, fn, arg);
		alone = false;
		c = next;
	}
	*end = c.end;
	return alone ? emit(TOKEN_PAIR, c.start, c.end, run, fn, arg) : rc;
}

int tokenize(const char *normal, token_fn fn, void *arg)
{
	struct cluster c;
	size_t run = 0;
	int rc = 0;

	while (!rc && cluster_at(normal, &c)) {
		normal = c.end;
		if (c.script == SCRIPT_SPACED)
			rc = take_word(c, &normal, run++, fn, arg);
		else if (c.script == SCRIPT_DENSE)
			rc = take_pairs(c, &normal, run++, fn, arg);
	}
	return rc;
}

char *tokenize_normalise(const char *text)
{
	return (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
}

/* đ is a letter of its own in Unicode, with no mark to strip. */
static utf8proc_int32_t strip_stroke(utf8proc_int32_t letter, void *arg)
{
	(void)arg;
	return letter == 0x0111 ? 'd' : letter;
}

char *tokenize_plain(const char *word, size_t len)
{
	utf8proc_uint8_t *plain = NULL;

	utf8proc_map_custom(
		(const utf8proc_uint8_t *)word, (utf8proc_ssize_t)len, &plain,
		UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_STRIPMARK,
		strip_stroke, NULL);
	return (char *)plain;
}
