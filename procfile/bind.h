/* SPDX-License-Identifier: MIT */
/*
 * What the values of hr.conf mean: from the tree of conf.h into the fields of
 * the model, as the table of keys.h says.
 */
#ifndef HR_PROCFILE_BIND_H
#define HR_PROCFILE_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "procfile/conf.h"
#include "procfile/model.h"

struct bind {
	struct arena *arena;
	struct problems *problems;
	const struct conf_file *file; /* what defaults are relative to */
	struct {		      /* keys that were set */
		struct key_set *v;
		size_t n;
		size_t cap;
	} keys;
};

/* Give the fields of an object what the section's keys have by default. */
void bind_defaults(struct bind *b, const char *section, void *object);
/* The values of a block, not the blocks in it; NULL block: none. */
void bind_values(struct bind *b, const struct conf_block *block, void *object);
/* One value into its field. */
void bind_value(struct bind *b, const struct conf_value *v, void *object);
/* The keys set so far, moved into the arena; the list begins anew. */
const struct key_set *bind_take_keys(struct bind *b, size_t *n);

#endif
