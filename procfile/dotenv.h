/* SPDX-License-Identifier: MIT */
/*
 * .env files, and the environment of a service.
 *
 * Grammar: interface.md section 2 (a superset of dotenv's; never `$(…)`).
 */
#ifndef HR_PROCFILE_DOTENV_H
#define HR_PROCFILE_DOTENV_H

#include <stddef.h>

#include "procfile/model.h"

struct problems;

/* One variable and what set it. */
struct env_var {
	char *name;
	char *value;
	char *origin; /* "shell", ".env:3", "hr.conf:12", "hr" */
};

/* An environment under construction: unique names, sorted by name. */
struct env {
	struct env_var *v;
	size_t n;
	size_t cap;
};

/* From a NULL-terminated "K=V" array (environ); e must be zeroed. */
void env_init(struct env *e, char *const *environment);
void env_free(struct env *e);
/* NULL if unset. BORROWED until the next change. */
const char *env_get(const struct env *e, const char *name);
void env_set(struct env *e, const char *name, const char *value,
	     const char *origin);
void env_unset(struct env *e, const char *name);
/* Apply one "K=V". */
void env_put(struct env *e, const char *assignment, const char *origin);
/* NULL-terminated "K=V" array for exec. OWNED: strv in one block, free(). */
char **env_strv(const struct env *e);

/*
 * Parse text of a .env file into e. shell: variables that win over the file
 * (ENV_SHELL_WINS), or NULL. Bad lines cost that line only and go to
 * problems as errors with file:line.
 */
void dotenv_parse(struct env *e, const char *file, const char *text, size_t len,
		  const struct env *shell, struct problems *problems);

/*
 * The environment of one service before hr's own variables: shell, then the
 * files of the stack, the service's env_file, the service's env. The files
 * are read anew at each call. A file that is gone is a problem, not an end.
 */
void dotenv_build(struct env *e, char *const *environment,
		  const char *const *stack_files, enum env_precedence order,
		  const struct service *s, struct problems *problems);

#endif
