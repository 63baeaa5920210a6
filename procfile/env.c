/* SPDX-License-Identifier: MIT */
/* An environment under construction: sorted, unique names. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "procfile/dotenv.h"

/* Where name is, or where it would have to be inserted. */
static size_t position(const struct env *e, const char *name, bool *found)
{
	size_t low = 0, high = e->n, middle;
	int order;

	*found = false;
	while (low < high) {
		middle = low + (high - low) / 2;
		order = strcmp(e->v[middle].name, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void var_free(struct env_var *v)
{
	free(v->name);
	free(v->value);
	free(v->origin);
}

void env_init(struct env *e, char *const *environment)
{
	for (; environment != NULL && *environment != NULL; environment++)
		env_put(e, *environment, "shell");
}

void env_free(struct env *e)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		var_free(&e->v[i]);
	VEC_FREE(e);
}

const char *env_get(const struct env *e, const char *name)
{
	bool found;
	size_t i = position(e, name, &found);

	return found ? e->v[i].value : NULL;
}

void env_set(struct env *e, const char *name, const char *value,
	     const char *origin)
{
	struct env_var var = { xstrdup(name), xstrdup(value), xstrdup(origin) };
	bool found;
	size_t i = position(e, name, &found);

	if (found) {
		var_free(&e->v[i]);
	} else {
		VEC_PUSH(e, var);
		memmove(&e->v[i + 1], &e->v[i], (e->n - 1 - i) * sizeof(*e->v));
	}
	e->v[i] = var;
}

void env_unset(struct env *e, const char *name)
{
	bool found;
	size_t i = position(e, name, &found);

	if (!found)
		return;
	var_free(&e->v[i]);
	e->n--;
	memmove(&e->v[i], &e->v[i + 1], (e->n - i) * sizeof(*e->v));
}

void env_put(struct env *e, const char *assignment, const char *origin)
{
	const char *equals = strchr(assignment, '=');
	char *name;

	/* Some systems pass on strings without '='; exec takes them not. */
	if (equals == NULL || equals == assignment)
		return;
	name = xstrndup(assignment, (size_t)(equals - assignment));
	env_set(e, name, equals + 1, origin);
	free(name);
}

char **env_strv(const struct env *e)
{
	size_t bytes = (e->n + 1) * sizeof(char *), i;
	char **strv, *p;

	for (i = 0; i < e->n; i++)
		bytes += strlen(e->v[i].name) + strlen(e->v[i].value) + 2;
	strv = xmalloc(bytes);
	p = (char *)(strv + e->n + 1);
	for (i = 0; i < e->n; i++) {
		strv[i] = p;
		p = stpcpy(p, e->v[i].name);
		*p++ = '=';
		p = stpcpy(p, e->v[i].value) + 1;
	}
	strv[e->n] = NULL;
	return strv;
}
