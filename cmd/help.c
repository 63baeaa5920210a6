/* SPDX-License-Identifier: MIT */
/* hr help: the tables of verbs and options, as text. */
#include <stdio.h>
#include <string.h>

#include "cmd/invoke.h"
#include "cmd/verbs.h"
#include "lib/base/err.h"

static void print_option(const struct option_row *row)
{
	char left[64], letter[8] = "    ";

	if (row->help == NULL)
		return;
	if (row->id < OPTION_LONG)
		snprintf(letter, sizeof(letter), "-%c, ", row->id);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name,
		 row->value != NULL ? " " : "",
		 row->value != NULL ? row->value : "");
	printf("  %-24s %s\n", left, row->help);
}

static void print_options(const char *title, const struct option_row *row)
{
	if (row == NULL || row->id == 0)
		return;
	printf("\n%s:\n", title);
	for (; row->id != 0; row++)
		print_option(row);
}

void help_print_all(void)
{
	size_t i;

	printf("usage: hr [OPTION…] COMMAND …\n\n"
	       "Runs the services of a Procfile and replaces each when its "
	       "files change.\n\nCommands:\n");
	for (i = 0; verbs[i] != NULL; i++)
		if (!verbs[i]->hidden)
			printf("  %-10s %s\n", verbs[i]->name,
			       verbs[i]->summary);
	print_options("Options of every command", global_options);
	printf("\nhr help COMMAND tells more. The stack is looked for in the "
	       "working directory\nand above it, as git does.\n");
}

void help_print_verb(const struct verb *verb)
{
	printf("usage: hr %s%s%s\n", verb->name,
	       verb->usage[0] != '\0' ? " " : "", verb->usage);
	if (verb->alias != NULL)
		printf("       also: hr %s\n", verb->alias);
	printf("\n%s", verb->help);
	print_options("Options", verb->options);
	print_options("Options of every command", global_options);
}

static int run(const struct invocation *v)
{
	const struct verb *verb;
	const char *near;
	struct err err;

	if (v->operands[0] == NULL) {
		help_print_all();
		return EXIT_DONE;
	}
	verb = verbs_find(v->operands[0]);
	if (verb != NULL && !verb->hidden) {
		help_print_verb(verb);
		return EXIT_DONE;
	}
	err_set(&err, ERR_VALUE, "there is no command '%s'", v->operands[0]);
	near = verbs_nearest(v->operands[0]);
	if (near != NULL)
		err_hint(&err, "did you mean 'hr help %s'?", near);
	else
		err_hint(&err, "hr help lists them");
	err_print(&err, stderr);
	return EXIT_USAGE;
}

const struct verb verb_help = {
	.name = "help",
	.usage = "[COMMAND]",
	.summary = "tell about hr or one of its commands",
	.help = "hr COMMAND --help prints the same.\n",
	.operand = "command",
	.run = run,
};
