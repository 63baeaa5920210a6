/* SPDX-License-Identifier: MIT */
/* The list of requests that are open. */
#include "lib/worker/answers.h"

#include <stdlib.h>

void answers_done(struct answers *a)
{
	VEC_FREE(&a->open);
}

void answers_add(struct answers *a, int32_t id, enum request_kind kind,
		 size_t slot)
{
	struct request r = { id, kind, slot };

	if (id != 0)
		VEC_PUSH(&a->open, r);
}

static void answer(struct answers *a, size_t at, bool ok, const char *text)
{
	int32_t id = a->open.v[at].id;
	size_t i;

	for (i = at; i + 1 < a->open.n; i++)
		a->open.v[i] = a->open.v[i + 1];
	a->open.n--;
	a->done(a->data, id, ok, text);
}

void answers_give(struct answers *a, unsigned kinds, bool ok, const char *text)
{
	size_t i = 0;

	while (i < a->open.n) {
		if (((unsigned)a->open.v[i].kind & kinds) != 0)
			answer(a, i, ok, text);
		else
			i++;
	}
}

void answers_settle(struct answers *a, answers_outcome *outcome, void *data)
{
	char text[1024];
	size_t i = 0;
	int good;

	while (i < a->open.n) {
		good = outcome(data, &a->open.v[i], text, sizeof(text));
		if (good < 0)
			i++;
		else
			answer(a, i, good > 0, text);
	}
}
