/* SPDX-License-Identifier: MIT */
/*
 * The verbs of hr as a table: parser, help and tests read the same rows.
 *
 * One file per verb or group holds its row and a run function, which gets
 * everything parsed and returns the exit code. Parsing is strict and done
 * before: run() sees only options of its row and as many names as it takes.
 */
#ifndef HR_CMD_VERBS_H
#define HR_CMD_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/term.h"
#include "procfile/load.h"

/* Ids of options without a letter begin here. */
#define OPTION_LONG 256

struct option_row {
	int id;		   /* its letter, or OPTION_LONG and above */
	const char *name;  /* without "--" */
	const char *value; /* how help names its value; NULL: takes none */
	const char *help;  /* one line; NULL: hidden */
};

struct invocation;

struct verb {
	const char *name;
	const char *alias;		  /* or NULL */
	const char *usage;		  /* what follows the name */
	const char *summary;		  /* one line */
	const char *help;		  /* paragraphs */
	const struct option_row *options; /* ends with id 0; NULL: none */
	const char *operand; /* what names are: "service"; NULL: none taken */
	size_t min_operands;
	int (*run)(const struct invocation *v);
	/* A process of ours (design: re-executed roles), not for people. */
	int (*role)(int argc, char **argv);
	bool hidden;
};

struct given_option {
	int id;
	const char *value; /* "" for one without */
};

/* A command line, parsed. */
struct invocation {
	const struct verb *verb;
	struct load_options load;
	enum term_colour colour;
	const struct given_option *given;
	size_t n_given;
	const char *const *operands; /* NULL-terminated */
};

/* The last value given for an option, "" if it takes none, NULL if absent. */
const char *given(const struct invocation *v, int id);

/* In the order of `hr help`. NULL-terminated. */
extern const struct verb *const verbs[];
/* By name or alias, hidden ones too; NULL if there is none. */
const struct verb *verbs_find(const char *name);
/* The nearest visible name, or NULL. */
const char *verbs_nearest(const char *name);

extern const struct verb verb_up, verb_down, verb_ps, verb_restart, verb_reload,
	verb_start, verb_stop, verb_signal, verb_logs, verb_events, verb_check,
	verb_help, verb_version, verb_watcher, verb_worker, verb_keeper;

/* `hr help`, `hr VERB --help`. */
void help_print_all(void);
void help_print_verb(const struct verb *verb);

#endif
