/* SPDX-License-Identifier: MIT */
/*
 * HTML templates: {{name}} stands for a value, escaped; {{{name}}} for one
 * that is HTML already. A name without a value stands for nothing.
 */
#ifndef WEB_TEMPLATE_H
#define WEB_TEMPLATE_H

#include <stdio.h>

struct field {
	const char *name, *value;
};

/* The template's file. OWNED: free(). NULL with errno. */
char *template_read(const char *dir, const char *name);
/* fields: up to one whose name is NULL. */
void template_put(FILE *out, const char *template, const struct field *fields);

#endif
