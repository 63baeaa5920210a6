/* SPDX-License-Identifier: MIT */
/* Values that are read and checked but have no effect yet. */
#include "procfile/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "procfile/conf.h"
#include "procfile/keys.h"
#include "procfile/model.h"

struct notes {
	struct arena *arena;
	struct {
		struct key_set *v;
		size_t n;
		size_t cap;
	} list;
};

static void add(struct notes *n, const char *prefix, const struct conf_value *v)
{
	const char *text = v->n > 0 ? v->items[0].text : "";
	struct key_set set = { .at = v->at };

	if (!key_is_inert(v->key, text))
		return;
	if (strcmp(v->key->inert, "*") == 0)
		set.key = arena_printf(n->arena, "%s%s", prefix, v->key->name);
	else
		set.key = arena_printf(n->arena, "%s%s = \"%s\"", prefix,
				       v->key->name, text);
	VEC_PUSH(&n->list, set);
}

/* prefix: "service web: ready." for what stands in that block. */
static void collect(struct notes *n, const struct conf_block *b,
		    const char *prefix)
{
	const struct conf_value *v;
	const struct conf_block *p;
	const char *outer, *inner;

	for (v = b->values; v != NULL; v = v->next)
		add(n, prefix, v);
	for (p = b->blocks; p != NULL; p = p->next) {
		outer = *p->key->section == '\0' ? ": " : ".";
		inner = arena_printf(n->arena, "%s%s%s%s%s", prefix,
				     p->key->name, p->title ? " " : "",
				     p->title ? p->title : "", outer);
		collect(n, p, inner);
	}
}

void notes_collect(struct model *m, const struct conf *conf)
{
	struct notes n = { .arena = m->arena };
	struct key_set *kept;

	collect(&n, &conf->root, "");
	kept = arena_alloc(m->arena, (n.list.n + 1) * sizeof(*kept));
	if (n.list.n > 0)
		memcpy(kept, n.list.v, n.list.n * sizeof(*kept));
	m->inert = kept;
	m->n_inert = n.list.n;
	VEC_FREE(&n.list);
}

void notes_each(const struct model *m,
		void (*say)(void *data, const char *line), void *data)
{
	const struct key_set *set;
	char *line;
	size_t i;

	for (i = 0; i < m->n_inert; i++) {
		set = &m->inert[i];
		line = xasprintf("%s:%d: %s has no effect yet", set->at.file,
				 set->at.line, set->key);
		say(data, line);
		free(line);
	}
}
