/* SPDX-License-Identifier: MIT */
/*
 * Settings: `key = value` a line, and `#` comments. The environment wins over
 * the file: KEY of the environment is key of the file (batch_ms, BATCH_MS).
 */
#ifndef STACK_CONFIG_H
#define STACK_CONFIG_H

#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_ITEMS = 32,
	CONFIG_KEY_BYTES = 32,
	CONFIG_VALUE_BYTES = 256,
};

struct config {
	size_t n;
	struct {
		char key[CONFIG_KEY_BYTES];
		char value[CONFIG_VALUE_BYTES];
	} items[CONFIG_ITEMS];
};

/*
 * Read `--config FILE` if it is among the arguments; without it c is empty
 * and the environment alone counts. Says what is wrong; returns 0 or -1.
 */
int config_init(struct config *c, int argc, char **argv);

/* The value, or initial. BORROWED from c or the environment. */
const char *config_text(const struct config *c, const char *key,
			const char *initial);

/* A whole number within [min, max] into *value, which is left alone if the
 * key is not set. Says what is wrong; returns 0 or -1. */
int config_int(const struct config *c, const char *key, int64_t min,
	       int64_t max, int64_t *value);

/* The port to listen on: PORT, or initial. -1 if it is none. */
int config_port(int initial);

/* A whole decimal number; returns 0, or -1. */
int parse_int(const char *s, int64_t min, int64_t max, int64_t *value);

#endif
