/* SPDX-License-Identifier: MIT */
/*
 * The environment of a generation, or of a build: interface.md section 5.
 *
 * Shell, .env files (read anew at each call), the service's own, and then
 * hr's variables, which win.
 */
#ifndef HR_WORKER_ENVIRONMENT_H
#define HR_WORKER_ENVIRONMENT_H

#include <stdint.h>

#include "procfile/model.h"

struct problems;

/* Everything BORROWED. */
struct environment {
	const struct service *s;
	char *const *shell; /* environ */
	const char *const *stack_files;
	enum env_precedence precedence;
	const char *const *ports; /* "HR_PORT_WEB=5000" */
	int instance;		  /* from 1 */
	int64_t generation;
	const char *out;     /* HR_OUT, or NULL */
	const char *changed; /* HR_CHANGED */
};

/* NULL-terminated "K=V". OWNED: one block, free(). */
char **environment_build(const struct environment *e,
			 struct problems *problems);

#endif
