/* SPDX-License-Identifier: MIT */
/*
 * How a command line is run: by argv, by sh, or by sh with `exec` in front.
 *
 * Pure text. Wherever this is not sure, the shell gets the line untouched:
 * that is always right, and costs only a process that waits.
 */
#include "lib/proc/spawn.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"

/* What a shell would act on, or could. */
static const char shell_bytes[] = "|&;<>()$`\\\"'*?[]#~=%!{}\n\r";

/* Words of sh and bash that are no programs, or not only. */
static const char *const shell_words[] = {
	"!",	     ".",	 ":",	     "[",	"[[",	   "{",
	"}",	     "alias",	 "bg",	     "bind",	"break",   "builtin",
	"caller",    "case",	 "cd",	     "chdir",	"command", "compgen",
	"complete",  "compopt",	 "continue", "coproc",	"declare", "dirs",
	"disown",    "do",	 "done",     "echo",	"elif",	   "else",
	"enable",    "esac",	 "eval",     "exec",	"exit",	   "export",
	"false",     "fc",	 "fg",	     "fi",	"for",	   "function",
	"getopts",   "hash",	 "help",     "history", "if",	   "in",
	"jobs",	     "kill",	 "let",	     "local",	"logout",  "mapfile",
	"newgrp",    "popd",	 "printf",   "pushd",	"pwd",	   "read",
	"readarray", "readonly", "return",   "select",	"set",	   "shift",
	"shopt",     "source",	 "suspend",  "test",	"then",	   "time",
	"times",     "trap",	 "true",     "type",	"typeset", "ulimit",
	"umask",     "unalias",	 "unset",    "until",	"wait",	   "while",
	NULL,
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

char **spawn_split_argv(const char *command)
{
	size_t len = strlen(command), n = 0;
	/* At most one word per two bytes, and the NULL. */
	char **argv = xmalloc((len / 2 + 2) * sizeof(*argv) + len + 1);
	char *p = (char *)(argv + len / 2 + 2);

	memcpy(p, command, len + 1);
	for (;;) {
		while (is_blank(*p))
			*p++ = '\0';
		if (*p == '\0')
			break;
		argv[n++] = p;
		while (*p != '\0' && !is_blank(*p))
			p++;
	}
	argv[n] = NULL;
	return argv;
}

static char **shell_argv(const char *command, bool exec)
{
	static const char sh[] = "/bin/sh", option[] = "-c";
	const char *prefix = exec ? "exec " : "";
	size_t len = strlen(prefix) + strlen(command) + 1;
	char **argv =
		xmalloc(4 * sizeof(*argv) + sizeof(sh) + sizeof(option) + len);
	char *p = (char *)(argv + 4);

	argv[0] = memcpy(p, sh, sizeof(sh));
	argv[1] = memcpy(p + sizeof(sh), option, sizeof(option));
	argv[2] = p + sizeof(sh) + sizeof(option);
	stpcpy(stpcpy(argv[2], prefix), command);
	argv[3] = NULL;
	return argv;
}

/* The end of a quoted part that begins at p, or NULL if it has none or holds
 * a command substitution, which may hold quotes of its own. */
static const char *skip_quoted(const char *p)
{
	char quote = *p++;

	for (; *p != '\0' && *p != quote; p++) {
		if (quote == '\'')
			continue;
		if (*p == '`' || (*p == '$' && p[1] == '('))
			return NULL;
		if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return *p != '\0' ? p + 1 : NULL;
}

/* One step over the text outside of quotes: the next position, or NULL at
 * what makes more than a simple command of it, or is not understood. */
static const char *skip_plain(const char *start, const char *p)
{
	switch (*p) {
	case '\\':
		return p[1] != '\0' ? p + 2 : NULL;
	case '\'':
	case '"':
		return skip_quoted(p);
	case '&':
	case '|':
		/* 2>&1 and >| are redirections. */
		if (p > start && (p[-1] == '>' || (p[-1] == '<' && *p == '&')))
			return p + 1;
		return NULL;
	case '#':
		if (p == start || is_blank(p[-1]))
			return p + strcspn(p, "\n");
		return p + 1;
	case '\n':
		return p[strspn(p, " \t\n")] == '\0' ? p + 1 : NULL;
	case ';':
	case '(':
	case ')':
	case '`':
	case '\r':
		return NULL;
	default:
		return p + 1;
	}
}

static bool is_one_command(const char *p)
{
	const char *start = p;

	while (p != NULL && *p != '\0')
		p = skip_plain(start, p);
	return p != NULL;
}

/* Whether the first word may be the name of a program: no assignment, no
 * redirection, no word of the shell, however quoted. */
static bool starts_with_program(const char *p)
{
	char word[16];
	size_t n = 0;

	p += strspn(p, " \t");
	if (*p == '\0' || *p == '#')
		return false;
	for (; *p != '\0' && !is_blank(*p) && *p != '\n'; p++) {
		if (strchr("=<>", *p) != NULL)
			return false;
		if (strchr("\\\"'", *p) == NULL && n < sizeof(word) - 1)
			word[n++] = *p;
	}
	word[n] = '\0';
	return !strv_has(shell_words, word);
}

char **spawn_command_argv(const char *command)
{
	bool program = starts_with_program(command);

	if (program && command[strcspn(command, shell_bytes)] == '\0')
		return spawn_split_argv(command);
	return shell_argv(command, program && is_one_command(command));
}
