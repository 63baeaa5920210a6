/* SPDX-License-Identifier: MIT */
/* Settings: `key = value` a line; the environment wins over the file. */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_int(const char *s, int64_t min, int64_t max, int64_t *value)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno || end == s || *end || n < min || n > max)
		return -1;
	*value = n;
	return 0;
}

/* Cut white space off both ends, in place. */
static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

static bool copy(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from) < size;
}

/* Returns NULL, or what is wrong with the line. */
static const char *add_line(struct config *c, char *line)
{
	char *key = trim(line), *value = strchr(key, '=');

	if (!*key || *key == '#')
		return NULL;
	if (!value)
		return "expected key = value";
	if (c->n == CONFIG_ITEMS)
		return "too many settings";
	*value++ = '\0';
	if (!copy(c->items[c->n].key, CONFIG_KEY_BYTES, trim(key)) ||
	    !copy(c->items[c->n].value, CONFIG_VALUE_BYTES, trim(value)))
		return "too long";
	c->n++;
	return NULL;
}

static int read_file(struct config *c, const char *path)
{
	FILE *f = fopen(path, "re");
	const char *wrong = NULL;
	char line[512];
	int number = 0;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (!wrong && fgets(line, sizeof(line), f)) {
		number++;
		wrong = add_line(c, line);
	}
	fclose(f);
	if (wrong)
		fprintf(stderr, "%s:%d: %s\n", path, number, wrong);
	return wrong ? -1 : 0;
}

int config_init(struct config *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	c->n = 0;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1)
		if (option != 'c' || read_file(c, optarg) < 0)
			return -1;
	if (optind < argc) {
		fprintf(stderr, "usage: %s [--config FILE]\n", argv[0]);
		return -1;
	}
	return 0;
}

/* The environment's name for a key: batch_ms, BATCH_MS. */
static const char *from_environment(const char *key)
{
	char name[CONFIG_KEY_BYTES];
	size_t i;

	for (i = 0; key[i] && i + 1 < sizeof(name); i++)
		name[i] = (char)toupper((unsigned char)key[i]);
	name[i] = '\0';
	return getenv(name);
}

const char *config_text(const struct config *c, const char *key,
			const char *initial)
{
	const char *value = from_environment(key);

	if (value && *value)
		return value;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->items[i].key, key) == 0)
			return c->items[i].value;
	return initial;
}

int config_int(const struct config *c, const char *key, int64_t min,
	       int64_t max, int64_t *value)
{
	const char *text = config_text(c, key, NULL);

	if (!text || parse_int(text, min, max, value) == 0)
		return 0;
	fprintf(stderr,
		"%s is '%s', must be a number from %" PRId64 " to %" PRId64
		"\n",
		key, text, min, max);
	return -1;
}

int config_port(int initial)
{
	const struct config none = { 0 };
	int64_t port = initial;

	return config_int(&none, "port", 1, 65535, &port) < 0 ? -1 : (int)port;
}
