/* SPDX-License-Identifier: MIT */
/* lib/master/ansi: which escapes of a service reach the screen. */
// needs: base master
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/master/ansi.h"

static const struct row {
	const char *in;
	const char *sgr;  /* with colours */
	const char *none; /* without */
} rows[] = {
	{ "plain text", "plain text", "plain text" },
	{ "tab\tstays", "tab\tstays", "tab\tstays" },
	{ "bell\a back\b nul", "bell back nul", "bell back nul" },
	{ "delete\x7f", "delete", "delete" },
	/* colours */
	{ "\033[31mred\033[0m", "\033[31mred\033[0m", "red" },
	{ "\033[mx", "\033[mx", "x" },
	{ "\033[1;38;2;1;2;3mx", "\033[1;38;2;1;2;3mx\033[0m", "x" },
	{ "\033[38:2::1:2:3mx", "\033[38:2::1:2:3mx\033[0m", "x" },
	{ "\033[31mred", "\033[31mred\033[0m", "red" },
	{ "\033[31mr\033[1mb", "\033[31mr\033[1mb\033[0m", "rb" },
	{ "\033[31mr\033[0;1mb", "\033[31mr\033[0;1mb\033[0m", "rb" },
	/* not colours though they end in m */
	{ "\033[>4;2mx", "x", "x" },
	{ "\033[?4mx", "x", "x" },
	{ "\033[1 mx", "x", "x" },
	/* cursor, screen, modes, reports */
	{ "a\033[2Jb", "ab", "ab" },
	{ "a\033[10;20Hb", "ab", "ab" },
	{ "a\033[?1049hb", "ab", "ab" },
	{ "a\033[6nb", "ab", "ab" },
	{ "a\033[Kb", "ab", "ab" },
	{ "a\0337b\0338c", "abc", "abc" },
	{ "a\033cb", "ab", "ab" },
	{ "a\033(Bb", "ab", "ab" },
	{ "a\033#8b", "ab", "ab" },
	/* strings: titles, clipboard, links, sixels, tmux */
	{ "a\033]0;title\ab", "ab", "ab" },
	{ "a\033]0;title\033\\b", "ab", "ab" },
	{ "a\033]52;c;aGk=\ab", "ab", "ab" },
	{ "\033]8;;http://x\033\\link\033]8;;\033\\", "link", "link" },
	{ "a\033Pq#0\033\\b", "ab", "ab" },
	{ "a\033_x\033\\b\033^y\033\\c\033Xz\033\\d", "abcd", "abcd" },
	{ "a\033]0;cut by \033[31mb", "a\033[31mb\033[0m", "ab" },
	/* a BEL does not end a DCS */
	{ "a\033Px\ay\033\\b", "ab", "ab" },
	/* cut at the end of the line */
	{ "a\033", "a", "a" },
	{ "a\033[", "a", "a" },
	{ "a\033[31", "a", "a" },
	{ "a\033]0;no end", "a", "a" },
	{ "a\033[3\tb", "a\tb", "a\tb" },
	/* 8-bit controls as UTF-8, and text that looks like them */
	{ "a\xc2\x9b"
	  "31mb",
	  "a\033[31mb\033[0m", "ab" },
	{ "a\xc2\x9b"
	  "2Jb",
	  "ab", "ab" },
	{ "a\xc2\x9d"
	  "0;t\xc2\x9c"
	  "b",
	  "ab", "ab" },
	{ "a\xc2\x85"
	  "b",
	  "ab", "ab" },
	{ "\xc2\xa9 2026", "\xc2\xa9 2026", "\xc2\xa9 2026" },
	{ "トレンド 검색", "トレンド 검색", "トレンド 검색" },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	/* bad UTF-8 goes through as it is */
	{ "a\xff\xe3"
	  "b",
	  "a\xff\xe3"
	  "b",
	  "a\xff\xe3"
	  "b" },
	{ "a\xe3\x81", "a\xe3\x81", "a\xe3\x81" },
};

static void filter(enum ansi_keep keep, const char *in, struct buf *out)
{
	struct ansi a = { .len = 0 };

	buf_clear(out);
	assert_int_equal(ansi_filter(&a, keep, in, strlen(in), false, out),
			 strlen(in));
	if (keep == ANSI_SGR)
		ansi_close(&a, out);
}

static void test_table(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 8192);
	for (i = 0; i < NITEMS(rows); i++) {
		filter(ANSI_SGR, rows[i].in, &out);
		assert_string_equal(buf_str(&out), rows[i].sgr);
		filter(ANSI_NONE, rows[i].in, &out);
		assert_string_equal(buf_str(&out), rows[i].none);
		filter(ANSI_ALL, rows[i].in, &out);
		assert_string_equal(buf_str(&out), rows[i].in);
		/* The fast way may only be taken when it changes nothing. */
		if (ansi_is_plain(rows[i].in, strlen(rows[i].in)))
			assert_string_equal(rows[i].in, rows[i].none);
	}
	buf_done(&out);
}

/* Every byte alone, at each place of a word: plain means unchanged. */
static void test_plain(void **state)
{
	char text[20];
	struct buf out;
	size_t at;
	int c;

	(void)state;
	buf_init(&out, 8192);
	for (c = 1; c < 256; c++) {
		for (at = 0; at < 19; at++) {
			memset(text, 'x', 19);
			text[19] = '\0';
			text[at] = (char)c;
			filter(ANSI_NONE, text, &out);
			if (ansi_is_plain(text, 19))
				assert_string_equal(buf_str(&out), text);
			else
				assert_true(c < 0x20 || c == 0x7f || c == 0xc2);
		}
	}
	assert_true(ansi_is_plain("", 0));
	buf_done(&out);
}

/* In two pieces, cut anywhere, it is the same as in one. */
static void test_pieces(void **state)
{
	struct buf whole, parts;
	size_t i, cut, len, used;

	(void)state;
	buf_init(&whole, 8192);
	buf_init(&parts, 8192);
	for (i = 0; i < NITEMS(rows); i++) {
		len = strlen(rows[i].in);
		filter(ANSI_SGR, rows[i].in, &whole);
		for (cut = 0; cut <= len; cut++) {
			struct ansi a = { .len = 0 };

			buf_clear(&parts);
			used = ansi_filter(&a, ANSI_SGR, rows[i].in, cut, true,
					   &parts);
			assert_true(used <= cut);
			ansi_filter(&a, ANSI_SGR, rows[i].in + used, len - used,
				    false, &parts);
			ansi_close(&a, &parts);
			assert_string_equal(buf_str(&parts), buf_str(&whole));
		}
	}
	buf_done(&whole);
	buf_done(&parts);
}

/* A string that never ends must not swallow what follows for ever. */
static void test_endless_string(void **state)
{
	char text[10000];
	struct buf out;

	(void)state;
	buf_init(&out, 20000);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "\033]0;", 4);
	filter(ANSI_NONE, text, &out);
	assert_int_equal(out.len, sizeof(text) - 1 - 2);
	buf_done(&out);
}

static void test_many_colours(void **state)
{
	struct buf in, out;
	int i;

	(void)state;
	buf_init(&in, 8192);
	buf_init(&out, 8192);
	for (i = 0; i < 200; i++)
		buf_addf(&in, "\033[38;5;%dmx", i);
	filter(ANSI_SGR, buf_str(&in), &out);
	assert_true(str_ends(buf_str(&out), "x\033[0m"));
	assert_int_equal(out.len, in.len + 4);
	buf_done(&in);
	buf_done(&out);
}

static void test_last_state(void **state)
{
	static const struct {
		const char *in, *out;
	} lines[] = {
		{ "", "" },
		{ "text", "text" },
		{ "text\r", "text" },
		{ "\r", "" },
		{ "10%\r20%\r30%", "30%" },
		{ "10%\r20%\r30%\r", "30%" },
		{ "\r10%", "10%" },
		{ "a\r\r\rb\r\r", "b" },
	};
	const char *text;
	size_t i, len;

	(void)state;
	for (i = 0; i < NITEMS(lines); i++) {
		text = lines[i].in;
		len = strlen(text);
		ansi_last_state(&text, &len);
		assert_int_equal(len, strlen(lines[i].out));
		assert_memory_equal(text, lines[i].out, len);
	}
}

static void test_utf8(void **state)
{
#define BAD "\xef\xbf\xbd"
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "plain", "plain" },
		{ "é 日本 😀", "é 日本 😀" },
		{ "\033[31m\t", "\033[31m\t" },
		{ "a\xff"
		  "b",
		  "a" BAD "b" },
		{ "\xc0\x80", BAD BAD },
		{ "\xed\xa0\x80", BAD BAD BAD },
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD },
		{ "\xe3\x81", BAD BAD },
		{ "\xe3\x81"
		  "x",
		  BAD BAD "x" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < NITEMS(texts); i++) {
		buf_clear(&out);
		ansi_utf8(texts[i].in, strlen(texts[i].in), &out);
		assert_string_equal(buf_str(&out), texts[i].out);
	}
	buf_clear(&out);
	ansi_utf8("a\0b", 3, &out);
	assert_string_equal(buf_str(&out), "a" BAD "b");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_endless_string),
		cmocka_unit_test(test_many_colours),
		cmocka_unit_test(test_last_state),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
