/* SPDX-License-Identifier: MIT */
/*
 * procfile/conf, survey, keys and value: the tree, the table of keys and that
 * docs/hr.conf.md tells of every one of them. Whole files are in data/.
 */
// needs: base procfile
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/conf.h"
#include "procfile/keys.h"
#include "procfile/load.h"
#include "procfile/value.h"

static struct arena *arena;
static struct problems problems;

static int set_up(void **state)
{
	(void)state;
	arena = arena_new();
	memset(&problems, 0, sizeof(problems));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	problems_free(&problems);
	arena_free(arena);
	return 0;
}

static void parse(struct conf *conf, const char *text)
{
	memset(conf, 0, sizeof(*conf));
	conf_parse(conf, arena, "/x/hr.conf", "/x", text, strlen(text),
		   &problems);
}

static void test_tree(void **state)
{
	const struct conf_block *b, *w;
	const struct conf_value *v;
	struct conf conf;
	char place[64];

	(void)state;
	parse(&conf, "stack = a\n"
		     "service web { env = {\"A=1\", 'B=2'}\n"
		     "  watch { ext = c } port p { number = 1 } }\n"
		     "service db { env += \"C=1\" env += \"D=1\" }\n");
	assert_int_equal(problems.n, 0);
	v = conf_value(&conf.root, "stack");
	assert_string_equal(v->items[0].text, "a");
	assert_int_equal(v->items[0].at.col, 9);
	b = conf_block(&conf.root, "service", "web");
	assert_string_equal(conf_section(b), "service");
	assert_string_equal(conf_place(b, place, sizeof(place)),
			    "in service 'web'");
	v = conf_value(b, "env");
	assert_int_equal(v->n, 2);
	assert_false(v->append);
	assert_string_equal(v->items[1].text, "B=2");
	assert_int_equal(v->items[1].at.line, 2);
	assert_int_equal(v->items[1].at.col, 29);
	assert_string_equal(v->items[1].at.file, "hr.conf");
	w = conf_block(b, "watch", NULL);
	assert_string_equal(conf_value(w, "ext")->items[0].text, "c");
	assert_null(conf_value(w, "dirs"));
	assert_null(conf_value(NULL, "dirs"));
	assert_null(conf_block(b, "port", "q"));
	v = conf_value(conf_block(&conf.root, "service", "db"), "env");
	assert_true(v->append);
	assert_int_equal(v->n, 2);
	assert_string_equal(conf_place(&conf.root, place, sizeof(place)),
			    "at the top level");
}

/* libconfuse agrees with every value, whatever is quoted how. */
static void test_agreement(void **state)
{
	static const char *const texts[] = {
		"stack = '\"'",
		"stack = \"\\\\n\\n\\t\\r\\e\\$\"",
		"stack = '${HOME} $X `a` \\\\ \\' \\n #//'",
		"stack = \"a\\\nb\nc\"",
		"stack = 'a\\\nb\nc'",
		"stack = 0x10",
		"stack = a:b@c%d~e^f!g./-_h",
		"env_file = {}",
		"env_file = {a,b,}",
		"env_file = a env_file += {b} env_file += c",
		"stack = '\xc3\xa9\xff'",
		"service a { watch { } } service b { watch { ext = a } }",
		"defaults { } service a { port p { } port q { } }",
		"stack = 'tab\there'",
	};
	struct conf conf;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(texts); i++) {
		parse(&conf, texts[i]);
		problems_print(&problems, stderr);
		assert_int_equal(problems.n, 0);
	}
}

static void test_going_on(void **state)
{
	struct conf conf;

	(void)state;
	parse(&conf, "a = 1\nservice s { b = 1\n c { d = { } }\n"
		     "dir = \"x\" }\nstack = \"y\"\n");
	assert_int_equal(problems.n_errors, 3);
	assert_non_null(conf_value(&conf.root, "stack"));
	assert_non_null(
		conf_value(conf_block(&conf.root, "service", "s"), "dir"));
	assert_true(conf_block(&conf.root, "service", "s")->broken);
	assert_false(conf.unread);
	parse(&conf, "service s {\n");
	assert_true(conf.unread);
}

static void test_limits(void **state)
{
	struct conf conf;
	struct buf text;
	int i;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_add_str(&text, "env_file = {");
	for (i = 0; i <= 1000; i++)
		buf_addf(&text, "f%d,", i);
	buf_add_str(&text, "}\n");
	parse(&conf, buf_str(&text));
	assert_int_equal(problems.n_errors, 1);
	buf_clear(&text);
	for (i = 0; i <= 1000; i++)
		buf_addf(&text, "service s%d { }\n", i);
	parse(&conf, buf_str(&text));
	assert_int_equal(problems.n_errors, 2);
	buf_clear(&text);
	for (i = 0; i < 20000; i++)
		buf_add_str(&text, "watch {");
	parse(&conf, buf_str(&text));
	buf_done(&text);
}

/* ---- the table ---------------------------------------------------------- */

static void test_table(void **state)
{
	const struct conf_key *k;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < conf_n_keys; i++) {
		k = &conf_keys[i];
		assert_ptr_equal(key_find(k->section, k->name), k);
		assert_true(str_ends(k->meaning, "."));
		assert_int_equal(k->type == CONF_BLOCK, k->inner != NULL);
		assert_true(*key_example(k, text, sizeof(text)) != '\0');
		if (k->type == CONF_WORD) {
			assert_non_null(k->words);
			assert_non_null(k->initial);
			key_words(k, text, sizeof(text));
			assert_non_null(strstr(text, k->initial));
		}
	}
	assert_null(key_find("", "dir"));
	assert_string_equal(key_nearest("watch", "dirz")->name, "dirs");
	assert_null(key_nearest("watch", "zzzzzzzz"));
}

static void test_inert(void **state)
{
	static const struct {
		const char *section, *name, *value;
		bool inert;
	} rows[] = {
		{ "service", "tty", "auto", false },
		{ "service", "tty", "true", true },
		{ "service", "handoff", "overlap", true },
		{ "service", "handoff", "exclusive", false },
		{ "service", "drain", "1s", true },
		{ "service", "dir", "x", false },
		{ "rule", "do", "run make", true },
		{ "rule", "do", "runner", false },
		{ "rule", "do", "restart", false },
		{ "port", "mode", "pass", true },
		{ "port", "mode", "wait", false },
		{ "watch", "poll", "auto", false },
		{ "watch", "poll", "1s", true },
		{ "", "backpressure", "block", true },
		{ "", "notify", "off", false },
		{ "ready", "listen", "true", false },
		{ "ready", "notify", "false", false },
		{ "ready", "http", "http://x", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		assert_int_equal(
			key_is_inert(key_find(rows[i].section, rows[i].name),
				     rows[i].value),
			rows[i].inert);
}

/* The line of a key in the manual: | `key` | default | meaning |. */
static char *manual_line(const struct conf_key *k)
{
	const char *initial = k->initial;
	char quoted[64];

	if (initial == NULL)
		return xasprintf("| `%s` | | %s |\n", k->name, k->meaning);
	if (str_eq(initial, "true") || str_eq(initial, "false") ||
	    (k->type == CONF_INT && strspn(initial, "0123456789") > 0))
		snprintf(quoted, sizeof(quoted), "%s", initial);
	else if (key_is_list(k))
		snprintf(quoted, sizeof(quoted), "{\"%s\"}", initial);
	else
		snprintf(quoted, sizeof(quoted), "\"%s\"", initial);
	return xasprintf("| `%s` | `%s` | %s |\n", k->name, quoted, k->meaning);
}

/* docs/hr.conf.md has the line of every key, as the table would write it. */
static void test_manual(void **state)
{
	struct buf manual;
	struct err err;
	char *line;
	size_t i, missing = 0;

	(void)state;
	buf_init(&manual, 1 << 20);
	assert_int_equal(path_read("docs/hr.conf.md", &manual, &err), 0);
	for (i = 0; i < conf_n_keys; i++) {
		line = manual_line(&conf_keys[i]);
		if (strstr(buf_str(&manual), line) == NULL) {
			print_message("docs/hr.conf.md lacks, in [%s]:\n%s",
				      conf_keys[i].section, line);
			missing++;
		}
		free(line);
	}
	buf_done(&manual);
	assert_int_equal(missing, 0);
}

/* ---- values ------------------------------------------------------------- */

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		enum value_result rc;
		int64_t ms;
		const char *again;
	} rows[] = {
		{ "200ms", VALUE_OK, 200, "200ms" },
		{ "0ms", VALUE_OK, 0, "0s" },
		{ "5s", VALUE_OK, 5000, "5s" },
		{ "1.5s", VALUE_OK, 1500, "1500ms" },
		{ "0.001s", VALUE_OK, 1, "1ms" },
		{ "1m30s", VALUE_OK, 90000, "90s" },
		{ "2h", VALUE_OK, 7200000, "2h" },
		{ "60m", VALUE_OK, 3600000, "1h" },
		{ "8760h", VALUE_OK, DURATION_MAX_MS, "8760h" },
		{ "8761h", VALUE_TOO_LARGE, 0, NULL },
		{ "8760h1ms", VALUE_TOO_LARGE, 0, NULL },
		{ "99999999999999999999ms", VALUE_TOO_LARGE, 0, NULL },
		{ "0.5ms", VALUE_TOO_FINE, 0, NULL },
		{ "0.0001s", VALUE_TOO_FINE, 0, NULL },
		{ "5", VALUE_NO_UNIT, 0, NULL },
		{ "0", VALUE_NO_UNIT, 0, NULL },
		{ "1m30", VALUE_MALFORMED, 0, NULL },
		{ "", VALUE_MALFORMED, 0, NULL },
		{ "s", VALUE_MALFORMED, 0, NULL },
		{ "-1s", VALUE_MALFORMED, 0, NULL },
		{ "1 s", VALUE_MALFORMED, 0, NULL },
		{ "1.s", VALUE_MALFORMED, 0, NULL },
		{ ".5s", VALUE_MALFORMED, 0, NULL },
		{ "1sec", VALUE_MALFORMED, 0, NULL },
		{ "1S", VALUE_MALFORMED, 0, NULL },
		{ "1us", VALUE_MALFORMED, 0, NULL },
	};
	char text[40];
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		assert_int_equal(value_duration(rows[i].text, &ms), rows[i].rc);
		if (rows[i].rc != VALUE_OK)
			continue;
		assert_int_equal(ms, rows[i].ms);
		assert_string_equal(value_duration_text(ms, text, sizeof(text)),
				    rows[i].again);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		enum value_result rc;
		int64_t bytes;
		const char *again;
	} rows[] = {
		{ "10MB", VALUE_OK, 10000000, "10MB" },
		{ "1MiB", VALUE_OK, 1048576, "1MiB" },
		{ "64kB", VALUE_OK, 64000, "64kB" },
		{ "64KB", VALUE_OK, 64000, "64kB" },
		{ "1KiB", VALUE_OK, 1024, "1KiB" },
		{ "1GiB", VALUE_OK, 1073741824, "1GiB" },
		{ "0.5GB", VALUE_OK, 500000000, "500MB" },
		{ "7B", VALUE_OK, 7, "7B" },
		{ "0B", VALUE_OK, 0, "0B" },
		{ "0.5B", VALUE_TOO_FINE, 0, NULL },
		{ "10", VALUE_NO_UNIT, 0, NULL },
		{ "10MB5kB", VALUE_MALFORMED, 0, NULL },
		{ "10M", VALUE_MALFORMED, 0, NULL },
		{ "10mb", VALUE_MALFORMED, 0, NULL },
		{ "9999999999GB", VALUE_TOO_LARGE, 0, NULL },
	};
	char text[40];
	int64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		assert_int_equal(value_size(rows[i].text, &bytes), rows[i].rc);
		if (rows[i].rc != VALUE_OK)
			continue;
		assert_int_equal(bytes, rows[i].bytes);
		assert_string_equal(value_size_text(bytes, text, sizeof(text)),
				    rows[i].again);
	}
}

static void test_regex(void **state)
{
	char message[128];
	size_t offset;

	(void)state;
	assert_int_equal(
		value_regex("^a(b|c)\\d+$", message, sizeof(message), &offset),
		0);
	assert_int_equal(value_regex("ab(", message, sizeof(message), &offset),
			 -1);
	assert_int_equal(offset, 3);
	assert_non_null(strstr(message, "parenthesis"));
	assert_int_equal(value_regex("\xff", message, sizeof(message), &offset),
			 -1);
}

#define WITH_ARENA(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ARENA(test_tree),	       WITH_ARENA(test_agreement),
		WITH_ARENA(test_going_on),     WITH_ARENA(test_limits),
		cmocka_unit_test(test_table),  cmocka_unit_test(test_inert),
		cmocka_unit_test(test_manual), cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),  cmocka_unit_test(test_regex),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
