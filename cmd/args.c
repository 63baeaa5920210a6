/* SPDX-License-Identifier: MIT */
/* Options by table. */
#include "cmd/args.h"

#include <stdio.h>
#include <string.h>

#include "cmd/verbs.h"
#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#define NAMES_MAX 64

void args_init(struct args *a, char **argv, const struct option_row *first,
	       const struct option_row *second)
{
	memset(a, 0, sizeof(*a));
	a->argv = argv;
	a->tables[0] = first;
	a->tables[1] = second;
}

static const struct option_row *find(const struct args *a, int id,
				     const char *name, size_t len)
{
	const struct option_row *row;
	size_t t;

	for (t = 0; t < NITEMS(a->tables); t++) {
		row = a->tables[t];
		for (; row != NULL && row->id != 0; row++)
			if (name == NULL ?
				    row->id == id :
				    (strncmp(row->name, name, len) == 0 &&
				     row->name[len] == '\0'))
				return row;
	}
	return NULL;
}

static int unknown(const struct args *a, const char *name, size_t len,
		   struct err *err)
{
	const char *names[NAMES_MAX + 1], *near;
	const struct option_row *row;
	char word[64];
	size_t t, n = 0;

	for (t = 0; t < NITEMS(a->tables); t++)
		for (row = a->tables[t]; row != NULL && row->id != 0; row++)
			if (n < NAMES_MAX)
				names[n++] = row->name;
	names[n] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	err_set(err, ERR_VALUE, "unknown option '--%s'", word);
	near = str_nearest(word, names);
	if (near != NULL)
		err_hint(err, "did you mean '--%s'?", near);
	return ARGS_ERROR;
}

/* inline_value: what stands behind '=' or the letter, or NULL. */
static int take(struct args *a, const char *inline_value, struct err *err)
{
	const struct option_row *row = a->row;

	a->value = "";
	if (row->value == NULL)
		return row->id;
	a->value = inline_value != NULL ? inline_value : *a->argv;
	if (a->value == NULL) {
		err_set(err, ERR_VALUE, "option '--%s' needs a value: %s",
			row->name, row->value);
		return ARGS_ERROR;
	}
	if (inline_value == NULL)
		a->argv++;
	return row->id;
}

static int next_long(struct args *a, const char *name, struct err *err)
{
	const char *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);

	a->row = find(a, 0, name, len);
	if (a->row == NULL)
		return unknown(a, name, len, err);
	if (equals != NULL && a->row->value == NULL) {
		err_set(err, ERR_VALUE, "option '--%s' takes no value",
			a->row->name);
		return ARGS_ERROR;
	}
	return take(a, equals != NULL ? equals + 1 : NULL, err);
}

static int next_letter(struct args *a, struct err *err)
{
	char letter = *a->cluster++;
	const char *rest = *a->cluster != '\0' ? a->cluster : NULL;

	a->row = find(a, letter, NULL, 0);
	if (a->row == NULL) {
		err_set(err, ERR_VALUE, "unknown option '-%c'", letter);
		return ARGS_ERROR;
	}
	if (rest == NULL || a->row->value != NULL)
		a->cluster = NULL;
	return take(a, rest, err);
}

int args_next(struct args *a, struct err *err)
{
	const char *arg;

	if (a->cluster != NULL)
		return next_letter(a, err);
	arg = *a->argv;
	if (arg == NULL)
		return ARGS_END;
	a->argv++;
	if (!a->options_over && str_eq(arg, "--")) {
		a->options_over = 1;
		return args_next(a, err);
	}
	if (a->options_over || arg[0] != '-' || arg[1] == '\0') {
		a->value = arg;
		return ARGS_OPERAND;
	}
	if (arg[1] == '-')
		return next_long(a, arg + 2, err);
	a->cluster = arg + 1;
	return next_letter(a, err);
}
