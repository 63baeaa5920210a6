/* SPDX-License-Identifier: MIT */
/* Which bytes of a service's line may reach the terminal. */
#include "lib/master/ansi.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"

#define ESC 0x1b
#define BEL 0x07
/* A string sequence (OSC, DCS) longer than this is taken for text gone
 * wrong: only its introducer is dropped. */
#define STRING_MAX_BYTES 4096

enum what { TEXT, SGR, DROP, CUT };

struct token {
	enum what what;
	size_t len;
};

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

/* High bit set in (at least) some byte if any byte of x is below n <= 128. */
static uint64_t has_below(uint64_t x, unsigned n)
{
	return (x - EACH_BYTE(n)) & ~x & EACH_BYTE(0x80);
}

static bool is_special(unsigned char c)
{
	/* 0xc2 begins U+0080 to U+00BF: a C1 control, or harmless. */
	return c < 0x20 || c == 0x7f || c == 0xc2;
}

/* Eight bytes at a time; what looks special is looked at again. */
bool ansi_is_plain(const char *text, size_t len)
{
	uint64_t x;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		memcpy(&x, text + i, 8);
		if ((has_below(x, 0x20) | has_below(x ^ EACH_BYTE(0x7f), 1) |
		     has_below(x ^ EACH_BYTE(0xc2), 1)) != 0)
			return false;
	}
	for (; i < len; i++)
		if (is_special((unsigned char)text[i]))
			return false;
	return true;
}

/* Bytes of the UTF-8 character at p: 1 for a byte that is none, 0 if it is
 * cut by the end of the text. Shortest forms only, no surrogates. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char first, last, low, high;
		size_t len;
	} rows[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i, k;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		for (k = 1; k < rows[i].len; k++) {
			if (k >= left)
				return 0;
			if (p[k] < (k == 1 ? rows[i].low : 0x80) ||
			    p[k] > (k == 1 ? rows[i].high : 0xbf))
				return 1;
		}
		return rows[i].len;
	}
	return 1;
}

/* ESC [ parameters intermediates final. at: behind the introducer. */
static struct token csi(const unsigned char *p, size_t at, size_t left)
{
	size_t i = at;
	bool plain = true;

	for (; i < left && p[i] >= 0x30 && p[i] <= 0x3f; i++)
		plain = plain && p[i] <= 0x3b;
	while (i < left && p[i] >= 0x20 && p[i] <= 0x2f) {
		plain = false;
		i++;
	}
	if (i == left)
		return (struct token){ CUT, left };
	if (p[i] < 0x40 || p[i] > 0x7e)
		return (struct token){ DROP, i };
	return (struct token){ plain && p[i] == 'm' ? SGR : DROP, i + 1 };
}

/* OSC, DCS, SOS, PM, APC: until BEL (OSC only, as xterm) or ST. */
static struct token string(const unsigned char *p, size_t at, size_t left,
			   bool is_osc)
{
	size_t i;

	for (i = at; i < left && i < STRING_MAX_BYTES; i++) {
		if (is_osc && p[i] == BEL)
			return (struct token){ DROP, i + 1 };
		if (p[i] == 0xc2 && i + 1 < left && p[i + 1] == 0x9c)
			return (struct token){ DROP, i + 2 };
		if (p[i] != ESC)
			continue;
		if (i + 1 == left)
			break;
		/* Another escape ends it, as it does in terminals. */
		return (struct token){ DROP, p[i + 1] == '\\' ? i + 2 : i };
	}
	return i >= STRING_MAX_BYTES ? (struct token){ DROP, at } :
				       (struct token){ CUT, left };
}

/* The sequence that kind introduces: '[', ']', 'P', …; at bytes are read. */
static struct token sequence(unsigned char kind, const unsigned char *p,
			     size_t at, size_t left)
{
	switch (kind) {
	case '[':
		return csi(p, at, left);
	case ']':
		return string(p, at, left, true);
	case 'P':
	case 'X':
	case '^':
	case '_':
		return string(p, at, left, false);
	default:
		return (struct token){ DROP, at };
	}
}

/* ESC and what follows it. */
static struct token escape(const unsigned char *p, size_t left)
{
	size_t i = 1;

	while (i < left && p[i] >= 0x20 && p[i] <= 0x2f)
		i++;
	if (i == left)
		return (struct token){ CUT, left };
	if (i > 1) /* ESC ( B and the like: one final byte */
		return (struct token){ DROP, p[i] >= 0x30 ? i + 1 : i };
	if (p[1] < 0x30 || p[1] > 0x7e)
		return (struct token){ DROP, 1 };
	return sequence(p[1], p, 2, left);
}

static struct token next(const unsigned char *p, size_t left)
{
	size_t len;

	if (p[0] == ESC)
		return escape(p, left);
	if (p[0] == '\t')
		return (struct token){ TEXT, 1 };
	if (p[0] < 0x20 || p[0] == 0x7f)
		return (struct token){ DROP, 1 };
	len = utf8_len(p, left);
	if (len == 0)
		return (struct token){ CUT, left };
	/* C1 controls as UTF-8: U+009B is ESC [ to some terminals. */
	if (len == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return sequence((unsigned char)(p[1] - 0x40), p, 2, left);
	return (struct token){ TEXT, len };
}

/* ESC [ m, ESC [ 0 m, ESC [ 0;…m: nothing before it counts any more. */
static bool is_reset(const char *sgr, size_t len)
{
	return len == 3 || (sgr[2] == '0' && (sgr[3] == 'm' || sgr[3] == ';'));
}

/* Remember an SGR sequence (ESC [ form) for ansi_close and reopening. */
static void remember(struct ansi *a, const char *sgr, size_t len)
{
	if (is_reset(sgr, len))
		a->len = 0;
	if (len <= 4 && is_reset(sgr, len))
		return;
	if (a->len + len > sizeof(a->sgr))
		return;
	memcpy(a->sgr + a->len, sgr, len);
	a->len += len;
}

static void keep_sgr(struct ansi *a, const char *p, size_t len, struct buf *out)
{
	char seven[ANSI_SGR_MAX_BYTES];

	if (len > sizeof(seven))
		return;
	memcpy(seven, p, len);
	seven[0] = ESC;
	seven[1] = '[';
	remember(a, seven, len);
	buf_add(out, seven, len);
}

static size_t text_run(const unsigned char *p, size_t len)
{
	size_t i = 0;

	while (i < len && p[i] >= 0x20 && p[i] < 0x7f)
		i++;
	return i;
}

size_t ansi_filter(struct ansi *a, enum ansi_keep keep, const char *text,
		   size_t len, bool more, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)text;
	struct token t;
	size_t i = 0;

	if (keep == ANSI_ALL) {
		buf_add(out, text, len);
		return len;
	}
	while (i < len) {
		t.len = text_run(p + i, len - i);
		t.what = TEXT;
		if (t.len == 0)
			t = next(p + i, len - i);
		if (t.what == CUT && more)
			return i;
		if (t.what == TEXT || (t.what == CUT && p[i] != ESC &&
				       !(p[i] == 0xc2 && t.len > 1)))
			buf_add(out, text + i, t.len);
		else if (t.what == SGR && keep == ANSI_SGR)
			keep_sgr(a, text + i, t.len, out);
		i += t.len;
	}
	return len;
}

void ansi_close(const struct ansi *a, struct buf *out)
{
	if (a->len > 0)
		buf_add_str(out, "\033[0m");
}

void ansi_last_state(const char **text, size_t *len)
{
	const char *cr;

	while (*len > 0 && (*text)[*len - 1] == '\r')
		(*len)--;
	cr = memrchr(*text, '\r', *len);
	if (cr == NULL)
		return;
	*len -= (size_t)(cr + 1 - *text);
	*text = cr + 1;
}

void ansi_utf8(const char *text, size_t len, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0, n;

	while (i < len) {
		n = text_run(p + i, len - i);
		if (n == 0)
			n = utf8_len(p + i, len - i);
		if (n > 1 || (n == 1 && p[i] < 0x80 && p[i] != 0)) {
			buf_add(out, text + i, n);
		} else {
			buf_add_str(out, "\xef\xbf\xbd");
			n = 1;
		}
		i += n;
	}
}
