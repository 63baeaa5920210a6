/* SPDX-License-Identifier: MIT */
/*
 * Every key of hr.conf: one row each. The reader, `hr check`, the notes about
 * keys that have no effect yet, documents and completion all read this table.
 *
 * Sections are named as a file names them; "" is the top level. The keys of
 * `defaults { }` are those of "service".
 */
#ifndef HR_PROCFILE_KEYS_H
#define HR_PROCFILE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_BLOCK,	 /* name { … }, or name TITLE { … } */
	CONF_CALL,	 /* include("…") */
	CONF_TEXT,	 /* one line, not empty */
	CONF_SHELL,	 /* a command for /bin/sh -c */
	CONF_PATH,	 /* one path */
	CONF_HOST,	 /* an address of this machine */
	CONF_INT,	 /* whole number in min … max, or a word */
	CONF_WORD,	 /* one of words */
	CONF_DURATION,	 /* "200ms", or a word; in ms */
	CONF_SIZE,	 /* "10MB"; in bytes */
	CONF_SIGNAL,	 /* "SIGINT" */
	CONF_POLL,	 /* auto, off or a duration: poll and poll_ms */
	CONF_ACTION,	 /* what a rule does */
	CONF_PROBE,	 /* a probe with a target; min is its probe_kind */
	CONF_PROBE_FLAG, /* a probe without; min is its probe_kind */
	CONF_TEXTS,	 /* from here on lists; this: of anything */
	CONF_PATHS,
	CONF_EXTS,
	CONF_ENVS,
	CONF_SERVICES,
	CONF_AFTER,
	CONF_PATTERNS,
	CONF_REGEXES,
};

/* A word that a key takes, and what is stored for it. */
struct conf_word {
	const char *word;
	int value;
};

/* Fields are in the order in which a row is read, not in that of the least
 * padding. */
struct conf_key { /* NOLINT(clang-analyzer-optin.performance.Padding) */
	const char *section;
	const char *name;
	enum conf_type type;
	const char *initial; /* default as a file would have it; NULL: none */
	const char *meaning; /* for people, one or two sentences */
	/*
	 * Which values are read and checked but do nothing yet: NULL none,
	 * "*" all, "a|b" those whose first word is a or b, "!a" all but a.
	 */
	const char *inert;
	const struct conf_word *words; /* up to one whose .word is NULL */
	int64_t min, max;
	size_t offset; /* of the field in the section's struct */
	size_t size;
	const char *inner; /* CONF_BLOCK: the section of its keys */
	bool titled;	   /* CONF_BLOCK: it has a name, may be repeated */
};

/* All rows, section by section; n of them. */
extern const struct conf_key conf_keys[];
extern const size_t conf_n_keys;

/* NULL if the section has no such key. */
const struct conf_key *key_find(const char *section, const char *name);
/* The key of that section nearest to a word, or NULL. */
const struct conf_key *key_nearest(const char *section, const char *word);
bool key_is_list(const struct conf_key *key);
/* What a value looks like, for messages: `"200ms"`, into buffer. */
const char *key_example(const struct conf_key *key, char *buffer, size_t size);
/* "always, on-failure, never" into buffer, which is returned. */
const char *key_words(const struct conf_key *key, char *buffer, size_t size);
/* The word for a stored value, or NULL. */
const char *key_word(const struct conf_key *key, int64_t value);
/* Whether a value as written does nothing yet. */
bool key_is_inert(const struct conf_key *key, const char *text);

#endif
