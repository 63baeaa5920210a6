/* SPDX-License-Identifier: MIT */
/*
 * hr.conf as a tree of blocks and values, each with its place.
 *
 * A file is read in three steps: normalise() makes tokens; survey() makes the
 * tree from them, naming everything that is wrong by line and column and
 * going on behind it; libconfuse reads what is left and must agree on every
 * value. What values mean is not decided here, see bind.h.
 */
#ifndef HR_PROCFILE_CONF_H
#define HR_PROCFILE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "procfile/model.h"

struct arena;
struct conf_key;
struct normal;
struct problems;

struct conf_file {
	const char *path; /* absolute */
	const char *name; /* as shown */
	const char *dir;  /* what relative paths in it are relative to */
	struct conf_file *next;
};

struct conf_item {
	const char *text;
	struct where at;
};

/* One key that is set: `key = text` or `key = {items}`, `+=` put to it. */
struct conf_value {
	const struct conf_key *key;
	const struct conf_file *file;
	struct where at;
	struct conf_item *items;
	size_t n;
	bool append; /* only by +=: what it adds to comes from elsewhere */
	struct conf_value *next;
};

/* One block, or the top level of all files: key and title are NULL then. */
struct conf_block {
	const struct conf_key *key;
	const struct conf_file *file;
	const char *title;
	struct where at;       /* of the key */
	struct where title_at; /* or of the key, without a title */
	bool broken; /* a statement in it is wrong: keys may be missing */
	struct conf_value *values;
	struct conf_block *blocks;
	struct conf_block *next;
};

struct conf {
	struct conf_block root;
	struct conf_file *files; /* in the order read */
	bool unread; /* a file could not be read, or not to its end */
};

/*
 * Read the file at path (absolute), shown as name, and what it includes, into
 * conf (zeroed). Everything lives in the arena.
 */
void conf_read(struct conf *conf, struct arena *a, const char *path,
	       const char *dir, struct problems *problems);
/* As conf_read, of text in memory; includes are read from disk. */
void conf_parse(struct conf *conf, struct arena *a, const char *path,
		const char *dir, const char *text, size_t len,
		struct problems *problems);

/* NULL if the block does not set the key, or b is NULL. */
const struct conf_value *conf_value(const struct conf_block *b,
				    const char *key);
/* The first block of that name (and title, if not NULL) in b, or NULL. */
struct conf_block *conf_block(const struct conf_block *b, const char *name,
			      const char *title);
/* "service", the section whose keys stand in the block; "" at the top. */
const char *conf_section(const struct conf_block *b);
/* "in service 'web'", "in watch", "at the top level": for messages. */
const char *conf_place(const struct conf_block *b, char *buffer, size_t size);

#endif
