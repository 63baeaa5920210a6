/* SPDX-License-Identifier: MIT */
/* Command line: global options, verb, its options and operands. */
#include "cmd/invoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/args.h"
#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

enum {
	OPT_LENIENT = 10 * OPTION_LONG,
	OPT_COLOR,
	OPT_COLOUR,
	OPT_VERSION,
};

const struct option_row global_options[] = {
	{ 'f', "procfile", "FILE",
	  "the Procfile (default: Procfile, then Procfile.dev)" },
	{ 'c', "config", "FILE", "the configuration (default: hr.conf)" },
	{ 'C', "directory", "DIR",
	  "look for the stack there, not in the working directory" },
	{ 'e', "env", "FILE",
	  "read this .env file; may be given several times" },
	{ OPT_LENIENT, "lenient", NULL,
	  "skip bad lines of Procfile and .env with a warning" },
	{ OPT_COLOR, "color", "WHEN", "auto, always or never" },
	{ OPT_COLOUR, "colour", "WHEN", NULL },
	{ 'h', "help", NULL, "help for the verb" },
	{ OPT_VERSION, "version", NULL, NULL },
	{ 0 },
};

/* An invocation under construction: the lists it will point to. */
struct builder {
	struct invocation v;
	VEC(struct given_option) given;
	VEC(const char *) operands;
	VEC(const char *) env;
	bool want_help;
	bool want_version;
	struct err err;
};

const char *given(const struct invocation *v, int id)
{
	size_t i;

	for (i = v->n_given; i > 0; i--)
		if (v->given[i - 1].id == id)
			return v->given[i - 1].value;
	return NULL;
}

static int take_global(struct builder *b, int id, const char *value)
{
	switch (id) {
	case 'f':
		b->v.load.procfile = value;
		break;
	case 'c':
		b->v.load.conf = value;
		break;
	case 'C':
		b->v.load.dir = value;
		break;
	case 'e':
		VEC_PUSH(&b->env, value);
		break;
	case 'h':
		b->want_help = true;
		break;
	case OPT_LENIENT:
		b->v.load.lenient = true;
		break;
	case OPT_VERSION:
		b->want_version = true;
		break;
	case OPT_COLOR:
	case OPT_COLOUR:
		if (term_parse_colour(value, &b->v.colour) == 0)
			break;
		err_set(&b->err, ERR_VALUE,
			"--color is auto, always or never, not '%s'", value);
		return -1;
	default:
		return 1;
	}
	return 0;
}

/* An option of the verb hides a global one of the same letter. */
static bool is_own(const struct option_row *options,
		   const struct option_row *row)
{
	for (; options != NULL && options->id != 0; options++)
		if (options == row)
			return true;
	return false;
}

static int take_option(struct builder *b, const struct args *a)
{
	struct given_option o = { a->row->id, a->value };

	if (b->v.verb == NULL || !is_own(b->v.verb->options, a->row))
		return take_global(b, a->row->id, a->value);
	VEC_PUSH(&b->given, o);
	return 0;
}

static int find_verb(struct builder *b, struct args *a, const char *word)
{
	const char *near;

	b->v.verb = verbs_find(word);
	if (b->v.verb != NULL && b->v.verb->role == NULL) {
		a->tables[0] = b->v.verb->options;
		a->tables[1] = global_options;
		return 0;
	}
	b->v.verb = NULL;
	err_set(&b->err, ERR_VALUE, "there is no command '%s'", word);
	near = verbs_nearest(word);
	if (near != NULL)
		err_hint(&b->err, "did you mean 'hr %s'?", near);
	else
		err_hint(&b->err, "hr help lists them");
	return -1;
}

static int take_word(struct builder *b, struct args *a)
{
	if (b->v.verb == NULL)
		return find_verb(b, a, a->value);
	if (b->v.verb->operand == NULL)
		return err_set(&b->err, ERR_VALUE,
			       "it takes no names, but was given '%s'",
			       a->value);
	VEC_PUSH(&b->operands, a->value);
	return 0;
}

static int parse(struct builder *b, char **argv)
{
	struct args a;
	int id;

	args_init(&a, argv, global_options, NULL);
	while ((id = args_next(&a, &b->err)) != ARGS_END) {
		if (id == ARGS_ERROR)
			return -1;
		if (id == ARGS_OPERAND ? take_word(b, &a) < 0 :
					 take_option(b, &a) < 0)
			return -1;
	}
	return 0;
}

/* After everything else, so that --help works with anything missing. */
static int check_operands(struct builder *b)
{
	const struct verb *verb = b->v.verb;

	if (b->operands.n >= verb->min_operands)
		return 0;
	err_set(&b->err, ERR_VALUE, "which %s?", verb->operand);
	err_hint(&b->err, "usage: hr %s %s", verb->name, verb->usage);
	return -1;
}

static int report(const struct builder *b)
{
	struct err err = b->err;

	/* Parsers name what is wrong, this names the command. */
	if (b->v.verb != NULL) {
		err_set(&err, b->err.code, "%s: %s", b->v.verb->name,
			b->err.what);
		if (b->err.hint[0] != '\0')
			err_hint(&err, "%s", b->err.hint);
		else
			err_hint(&err, "hr help %s", b->v.verb->name);
	} else if (err.hint[0] == '\0') {
		err_hint(&err, "hr help lists commands and options");
	}
	err_print(&err, stderr);
	return EXIT_USAGE;
}

static int run(struct builder *b)
{
	if (b->want_version)
		return verb_version.run(&b->v);
	if (b->v.verb == NULL || (b->want_help && b->v.verb == &verb_help)) {
		help_print_all();
		return EXIT_DONE;
	}
	if (b->want_help) {
		help_print_verb(b->v.verb);
		return EXIT_DONE;
	}
	if (check_operands(b) < 0)
		return report(b);
	VEC_PUSH(&b->operands, NULL);
	VEC_PUSH(&b->env, NULL);
	b->v.operands = b->operands.v;
	b->v.given = b->given.v;
	b->v.n_given = b->given.n;
	if (b->env.n > 1)
		b->v.load.env = b->env.v;
	return b->v.verb->run(&b->v);
}

int invoke(char **argv)
{
	struct builder b;
	int code;

	memset(&b, 0, sizeof(b));
	code = parse(&b, argv) < 0 ? report(&b) : run(&b);
	VEC_FREE(&b.given);
	VEC_FREE(&b.operands);
	VEC_FREE(&b.env);
	return code;
}
