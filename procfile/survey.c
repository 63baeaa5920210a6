/* SPDX-License-Identifier: MIT */
/*
 * A recursive descent over the tokens of one hr.conf.
 *
 *	statement := KEY ("=" | "+=") value
 *	           | KEY [TITLE] "{" statement* "}"
 *	           | "include" "(" STRING ("," STRING)* ")"
 *	value     := WORD | STRING | "{" [item ("," item)* [","]] "}"
 *
 * A wrong statement is reported once, blanked for libconfuse, and left behind
 * at the next line that looks like the start of a statement.
 */
#include "procfile/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/conf.h"
#include "procfile/keys.h"
#include "procfile/lines.h"
#include "procfile/load.h"
#include "procfile/normalise.h"

/* Bounds what a hostile file can make us store. */
#define LIST_MAX 1000

struct cursor {
	struct survey *s;
	const struct token *v;
	size_t n;
	size_t i;
	bool balanced;
};

typedef VEC(struct conf_item) item_vec;

/* ---- tokens ------------------------------------------------------------- */

static const struct token *peek(const struct cursor *c, size_t ahead)
{
	size_t i = c->i + ahead;

	return &c->v[i < c->n ? i : c->n - 1];
}

static enum token_kind kind(const struct cursor *c, size_t ahead)
{
	return peek(c, ahead)->kind;
}

static bool is_text(enum token_kind k)
{
	return k == TOKEN_WORD || k == TOKEN_STRING;
}

static struct where place(const struct cursor *c, const struct token *t)
{
	return (struct where){ c->s->file->name, t->line, t->col };
}

/* How a message names a token. */
static const char *describe(const struct token *t, char *buffer, size_t size)
{
	static const char *const signs[] = {
		[TOKEN_END] = "the end of the file",
		[TOKEN_ASSIGN] = "'='",
		[TOKEN_APPEND] = "'+='",
		[TOKEN_OPEN] = "'{'",
		[TOKEN_CLOSE] = "'}'",
		[TOKEN_COMMA] = "','",
		[TOKEN_PAREN_OPEN] = "'('",
		[TOKEN_PAREN_CLOSE] = "')'",
	};

	if (!is_text(t->kind))
		return signs[t->kind];
	snprintf(buffer, size, t->kind == TOKEN_WORD ? "'%.60s'" : "\"%.60s\"",
		 t->text);
	return buffer;
}

/* Whether a statement begins at the next token, as far as one can tell. */
static bool looks_like_statement(const struct cursor *c)
{
	if (kind(c, 0) != TOKEN_WORD)
		return false;
	switch (kind(c, 1)) {
	case TOKEN_ASSIGN:
	case TOKEN_APPEND:
	case TOKEN_OPEN:
	case TOKEN_PAREN_OPEN:
		return true;
	case TOKEN_WORD:
	case TOKEN_STRING:
		return kind(c, 2) == TOKEN_OPEN;
	case TOKEN_END:
	case TOKEN_CLOSE:
	case TOKEN_COMMA:
	case TOKEN_PAREN_CLOSE:
		return false;
	}
	return false;
}

/*
 * Leave a wrong statement behind: up to the next line that begins one, or to
 * the brace that ends the block. Braces opened on the way are skipped whole.
 * in_list: the statement has opened one, which its brace ends.
 */
static void recover(struct cursor *c, size_t from, bool in_list)
{
	size_t start = in_list ? 1 : 0, depth = start;

	while (kind(c, 0) != TOKEN_END) {
		if (kind(c, 0) == TOKEN_CLOSE && depth == 0)
			break;
		if (depth <= start && c->i > from && peek(c, 0)->first &&
		    looks_like_statement(c))
			break;
		depth += kind(c, 0) == TOKEN_OPEN;
		depth -= kind(c, 0) == TOKEN_CLOSE;
		c->i++;
		if (in_list && depth == 0)
			break;
	}
	if (depth > start)
		c->balanced = false;
	normal_blank(c->s->normal, from, c->i);
}

static void expected(struct cursor *c, const char *what, const char *hint)
{
	const struct token *t = peek(c, 0);
	struct where at = place(c, t);
	char buffer[80];

	if (!t->bad)
		problems_error(c->s->problems, &at, hint, "%s expected, not %s",
			       what, describe(t, buffer, sizeof(buffer)));
}

/* ---- values ------------------------------------------------------------- */

static int add_item(struct cursor *c, item_vec *items, bool *bad)
{
	const struct token *t = peek(c, 0);
	struct conf_item item = { t->text, place(c, t) };

	if (!is_text(t->kind)) {
		expected(c, "a value", NULL);
		return -1;
	}
	*bad = *bad || t->bad;
	VEC_PUSH(items, item);
	c->i++;
	return 0;
}

/* Behind the "{" of a list. Returns 0 behind its "}". */
static int read_list(struct cursor *c, item_vec *items, bool *bad)
{
	const struct token *open = peek(c, 0);
	struct where at = place(c, open);

	c->i++;
	while (kind(c, 0) != TOKEN_CLOSE) {
		if (kind(c, 0) == TOKEN_END) {
			c->balanced = false;
			problems_error(c->s->problems, &at, NULL,
				       "'{' opened here is never closed");
			return -1;
		}
		if (add_item(c, items, bad) < 0)
			return -1;
		if (kind(c, 0) == TOKEN_COMMA) {
			c->i++;
		} else if (kind(c, 0) != TOKEN_CLOSE) {
			expected(c, "',' or '}'",
				 "the items of a list stand between commas");
			return -1;
		}
	}
	c->i++;
	return 0;
}

static struct conf_value *find_value(const struct conf_block *b,
				     const struct conf_key *key)
{
	struct conf_value *v;

	for (v = b->values; v != NULL; v = v->next)
		if (v->key == key)
			return v;
	return NULL;
}

static struct conf_value *new_value(struct cursor *c, struct conf_block *b,
				    const struct conf_key *key, struct where at,
				    bool append)
{
	struct conf_value *v = arena_alloc(c->s->arena, sizeof(*v)), **p;

	v->key = key;
	v->file = c->s->file;
	v->at = at;
	v->append = append;
	for (p = &b->values; *p != NULL; p = &(*p)->next)
		;
	*p = v;
	return v;
}

static void append_items(struct cursor *c, struct conf_value *v,
			 const item_vec *items)
{
	struct conf_item *all =
		arena_alloc(c->s->arena, (v->n + items->n + 1) * sizeof(*all));

	if (v->n > 0)
		memcpy(all, v->items, v->n * sizeof(*all));
	if (items->n > 0)
		memcpy(all + v->n, items->v, items->n * sizeof(*all));
	v->items = all;
	v->n += items->n;
}

static void store(struct cursor *c, struct conf_block *b,
		  const struct conf_key *key, const struct token *name,
		  bool append, const item_vec *items)
{
	struct conf_value *v = find_value(b, key);
	struct where at = place(c, name);

	if (items->n + (v != NULL ? v->n : 0) > LIST_MAX) {
		problems_error(c->s->problems, &at, NULL,
			       "'%s' has more than %d values", key->name,
			       LIST_MAX);
		c->balanced = false; /* what was stored is not all there is */
		return;
	}
	if (v == NULL)
		v = new_value(c, b, key, at, append);
	append_items(c, v, items);
}

/* Whether the value may be stored; says why not. */
static bool check_set(struct cursor *c, const struct conf_block *b,
		      const struct conf_key *key, const struct token *name,
		      bool append, bool list)
{
	const struct conf_value *first = find_value(b, key);
	struct where at = place(c, name);
	char in[128], hint[160], example[64];

	snprintf(hint, sizeof(hint), "%s = %s", key->name,
		 key_example(key, example, sizeof(example)));
	if (append && !key_is_list(key)) {
		problems_error(c->s->problems, &at, hint,
			       "'+=' is for lists; '%s' takes one value",
			       key->name);
		return false;
	}
	if (list && !key_is_list(key)) {
		problems_error(c->s->problems, &at, hint,
			       "'%s' takes one value, not a list", key->name);
		return false;
	}
	if (first == NULL || append)
		return true;
	snprintf(hint, sizeof(hint), "remove one of them%s",
		 key_is_list(key) ? ", or use += to add to a list" : "");
	problems_error(c->s->problems, &at, hint,
		       "'%s' is set twice %s (first at %s:%d)", key->name,
		       conf_place(b, in, sizeof(in)), first->at.file,
		       first->at.line);
	return false;
}

/* `./bin/web -v` without quotes gives a value and then leftovers. */
static bool check_leftover(struct cursor *c, const struct conf_key *key,
			   const struct token *value)
{
	const struct token *t = peek(c, 0);
	struct where at = place(c, t);
	char hint[160];

	if (value->kind != TOKEN_WORD || t->first || !is_text(t->kind) ||
	    looks_like_statement(c))
		return true;
	snprintf(hint, sizeof(hint), "quote the whole value: %s = '%s %s%s'",
		 key->name, value->text, t->text,
		 kind(c, 1) == TOKEN_WORD ? " …" : "");
	if (!t->bad && !value->bad)
		problems_error(c->s->problems, &at, hint,
			       "text after the value of '%s'", key->name);
	return false;
}

/* The key stands alone, or with "=" and nothing behind it. */
static void no_value(struct cursor *c, const struct conf_key *key, size_t from)
{
	struct where at = place(c, &c->v[from]);
	char hint[160], example[64];

	snprintf(hint, sizeof(hint), "%s = %s", key->name,
		 key_example(key, example, sizeof(example)));
	problems_error(c->s->problems, &at, hint, "'%s' has no value",
		       key->name);
	normal_blank(c->s->normal, from, c->i);
}

static void not_assigned(struct cursor *c, const struct conf_key *key)
{
	char hint[160], example[64];

	snprintf(hint, sizeof(hint), "%s = %s", key->name,
		 key_example(key, example, sizeof(example)));
	if (kind(c, 0) == TOKEN_OPEN && !peek(c, 0)->bad) {
		struct where at = place(c, peek(c, 0));

		problems_error(c->s->problems, &at, hint,
			       "'%s' is a value, not a block", key->name);
		return;
	}
	expected(c, "'='", hint);
}

/* "=" or "+=", and something behind it. Returns 0, or -1 when dealt with. */
static int read_operator(struct cursor *c, const struct conf_key *key)
{
	size_t from = c->i - 1;
	bool there = kind(c, 0) == TOKEN_ASSIGN || kind(c, 0) == TOKEN_APPEND;
	bool ends;

	c->i += there;
	ends = kind(c, 0) == TOKEN_CLOSE || kind(c, 0) == TOKEN_END;
	if (peek(c, 0)->first)
		ends = ends || !there || looks_like_statement(c);
	if (ends) {
		no_value(c, key, from);
		return -1;
	}
	if (!there) {
		not_assigned(c, key);
		recover(c, from, false);
		return -1;
	}
	return 0;
}

/* Behind the key: `= value`. */
static void read_value(struct cursor *c, struct conf_block *b,
		       const struct conf_key *key)
{
	size_t from = c->i - 1;
	bool append = kind(c, 0) == TOKEN_APPEND, bad = false, list, good;
	const struct token *value;
	item_vec items = { 0 };

	if (read_operator(c, key) < 0) {
		b->broken = true;
		return;
	}
	value = peek(c, 0);
	list = value->kind == TOKEN_OPEN;
	good = list ? read_list(c, &items, &bad) == 0 :
		      add_item(c, &items, &bad) == 0 &&
			       check_leftover(c, key, value);
	if (!good)
		recover(c, from, list);
	else if (!check_set(c, b, key, &c->v[from], append, list) || bad)
		normal_blank(c->s->normal, from, c->i);
	else
		store(c, b, key, &c->v[from], append, &items);
	b->broken = b->broken || !good || bad;
	VEC_FREE(&items);
}

/* ---- includes ----------------------------------------------------------- */

/* Behind `include`. It is blanked: libconfuse's own leaks descriptors. */
static void read_include(struct cursor *c)
{
	size_t from = c->i - 1;
	const struct token *t;

	if (kind(c, 0) != TOKEN_PAREN_OPEN) {
		expected(c, "'('", "include(\"conf.d/*.conf\")");
		recover(c, from, false);
		return;
	}
	do {
		c->i++;
		t = peek(c, 0);
		if (!is_text(t->kind)) {
			expected(c, "a file name", NULL);
			recover(c, from, false);
			return;
		}
		if (!t->bad)
			c->s->include(c->s->data, t->text, t->line, t->col);
		c->i++;
	} while (kind(c, 0) == TOKEN_COMMA);
	if (kind(c, 0) != TOKEN_PAREN_CLOSE) {
		expected(c, "')'", NULL);
		recover(c, from, false);
		return;
	}
	c->i++;
	normal_blank(c->s->normal, from, c->i);
}

/* ---- blocks ------------------------------------------------------------- */

static void read_statements(struct cursor *c, struct conf_block *b,
			    const struct token *open);

static void skip_statement(struct cursor *c, size_t from)
{
	size_t depth = 0;

	/* Up to and with the "{ … }" of it, or the value behind its "=". */
	while (kind(c, 0) != TOKEN_END && kind(c, 0) != TOKEN_OPEN &&
	       kind(c, 0) != TOKEN_CLOSE && kind(c, 0) != TOKEN_ASSIGN &&
	       kind(c, 0) != TOKEN_APPEND && !peek(c, 0)->first)
		c->i++;
	if (kind(c, 0) == TOKEN_ASSIGN || kind(c, 0) == TOKEN_APPEND) {
		c->i++;
		if (is_text(kind(c, 0)))
			c->i++;
	}
	while (kind(c, 0) == TOKEN_OPEN || depth > 0) {
		if (kind(c, 0) == TOKEN_END) {
			c->balanced = false;
			break;
		}
		depth += kind(c, 0) == TOKEN_OPEN;
		depth -= kind(c, 0) == TOKEN_CLOSE;
		c->i++;
		if (depth == 0)
			break;
	}
	normal_blank(c->s->normal, from, c->i);
}

static struct conf_block *add_block(struct cursor *c, struct conf_block *b,
				    const struct conf_key *key,
				    const struct token *name,
				    const struct token *title)
{
	struct conf_block *new = arena_alloc(c->s->arena, sizeof(*new)), **p;

	new->key = key;
	new->file = c->s->file;
	new->title = title != NULL ? title->text : NULL;
	new->at = place(c, name);
	new->title_at = place(c, title != NULL ? title : name);
	for (p = &b->blocks; *p != NULL; p = &(*p)->next)
		;
	*p = new;
	return new;
}

/* Whether the title is right for the key; says why not. */
static bool check_title(struct cursor *c, const struct conf_key *key,
			const struct token *title)
{
	const struct token *t = title != NULL ? title : peek(c, 0);
	struct where at = place(c, t);
	const char *fault;
	char hint[80];

	snprintf(hint, sizeof(hint), key->titled ? "%s NAME { … }" : "%s { … }",
		 key->name);
	if (key->titled != (title != NULL)) {
		problems_error(c->s->problems, &at, hint,
			       key->titled ? "'%s' needs a name" :
					     "'%s' takes no name",
			       key->name);
		return false;
	}
	fault = title != NULL && !title->bad ? lines_name_fault(title->text) :
					       NULL;
	if (fault != NULL)
		problems_error(c->s->problems, &at, NULL, "the name of a %s %s",
			       key->name, fault);
	return fault == NULL && (title == NULL || !title->bad);
}

static size_t count_blocks(const struct conf_block *b,
			   const struct conf_key *key)
{
	const struct conf_block *p;
	size_t n = 0;

	for (p = b->blocks; p != NULL; p = p->next)
		n += p->key == key;
	return n;
}

static bool check_repeat(struct cursor *c, const struct conf_block *b,
			 const struct conf_key *key, const struct token *name,
			 const struct token *title)
{
	const char *text = title != NULL ? title->text : NULL;
	const struct conf_block *first = conf_block(b, key->name, text);
	struct where at = place(c, title != NULL ? title : name);
	char in[128], called[100] = "";

	if (first == NULL && count_blocks(b, key) < LIST_MAX)
		return true;
	if (first == NULL) {
		problems_error(c->s->problems, &at, NULL,
			       "more than %d blocks of this kind", LIST_MAX);
		return false;
	}
	if (text != NULL)
		snprintf(called, sizeof(called), " '%s'", text);
	problems_error(c->s->problems, &at, "put its keys into the first one",
		       "%s%s stands twice %s (first at %s:%d)", key->name,
		       called, conf_place(b, in, sizeof(in)), first->at.file,
		       first->at.line);
	return false;
}

/* Behind the key: `[title] { … }`. */
static void read_block(struct cursor *c, struct conf_block *b,
		       const struct conf_key *key)
{
	size_t from = c->i - 1;
	const struct token *name = &c->v[from], *title = NULL, *open;
	struct conf_block aside = { .key = key, .file = c->s->file }, *into;
	bool good;
	char hint[80];

	if (is_text(kind(c, 0)) && !peek(c, 0)->first)
		title = &c->v[c->i++];
	open = peek(c, 0);
	if (open->kind != TOKEN_OPEN) {
		snprintf(hint, sizeof(hint), "'%s' is a block: %s%s { … }",
			 key->name, key->name, key->titled ? " NAME" : "");
		expected(c, "'{'", hint);
		recover(c, from, false);
		return;
	}
	good = check_title(c, key, title);
	good = good && check_repeat(c, b, key, name, title);
	/* What stands in a wrong block is still read, for its errors. */
	aside.title = title != NULL ? title->text : NULL;
	into = good ? add_block(c, b, key, name, title) : &aside;
	c->i++;
	read_statements(c, into, open);
	if (!good)
		normal_blank(c->s->normal, from, c->i);
}

/* The section where such a key belongs, if it is another one. */
static const char *section_of(const char *name)
{
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if (str_eq(conf_keys[i].name, name))
			return conf_keys[i].section;
	return NULL;
}

static void unknown_key(struct cursor *c, const struct conf_block *b,
			const struct token *name)
{
	const char *section = conf_section(b);
	const struct conf_key *near = key_nearest(section, name->text);
	const char *home = section_of(name->text);
	struct where at = place(c, name);
	char hint[160] = "", in[128];

	if (home != NULL && *home == '\0')
		snprintf(hint, sizeof(hint), "'%s' belongs at the top level",
			 name->text);
	else if (home != NULL && str_eq(home, "service"))
		snprintf(hint, sizeof(hint),
			 "'%s' belongs in service NAME { … } or defaults { … }",
			 name->text);
	else if (home != NULL)
		snprintf(hint, sizeof(hint), "'%s' belongs in %s { … }",
			 name->text, home);
	else if (near != NULL)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near->name);
	if (!name->bad)
		problems_error(c->s->problems, &at, *hint != '\0' ? hint : NULL,
			       "unknown key '%s' %s", name->text,
			       conf_place(b, in, sizeof(in)));
}

static void read_statement(struct cursor *c, struct conf_block *b)
{
	const struct token *name = peek(c, 0);
	const struct conf_key *key;
	size_t from = c->i;

	key = name->kind == TOKEN_WORD && !name->bad ?
		      key_find(conf_section(b), name->text) :
		      NULL;
	if (key == NULL && (!looks_like_statement(c) || name->bad)) {
		expected(c, "a key and its value", NULL);
		b->broken = true;
		c->i += name->kind != TOKEN_OPEN;
		/* A stray sign at the end of a line costs no more than that. */
		if (c->i > from && peek(c, 0)->first)
			normal_blank(c->s->normal, from, c->i);
		else
			recover(c, from, false);
		return;
	}
	c->i++;
	if (key == NULL) {
		unknown_key(c, b, name);
		b->broken = true;
		skip_statement(c, from);
	} else if (key->type == CONF_BLOCK) {
		read_block(c, b, key);
	} else if (key->type == CONF_CALL) {
		read_include(c);
	} else {
		read_value(c, b, key);
	}
}

/* Up to the "}" of the block, or the end of the file at the top level. */
static void read_statements(struct cursor *c, struct conf_block *b,
			    const struct token *open)
{
	struct where at;

	for (;;) {
		if (kind(c, 0) == TOKEN_END)
			break;
		if (kind(c, 0) != TOKEN_CLOSE) {
			read_statement(c, b);
			continue;
		}
		c->i++;
		if (open != NULL)
			return;
		at = place(c, &c->v[c->i - 1]);
		problems_error(c->s->problems, &at, NULL, "'}' closes nothing");
		normal_blank(c->s->normal, c->i - 1, c->i);
	}
	if (open == NULL)
		return;
	at = place(c, open);
	c->balanced = false;
	problems_error(c->s->problems, &at, NULL,
		       "'{' opened here is never closed");
}

bool survey_run(struct survey *s, struct conf_block *root)
{
	struct cursor c = {
		.s = s, .v = s->normal->v, .n = s->normal->n, .balanced = true
	};

	read_statements(&c, root, NULL);
	return c.balanced;
}
