/* SPDX-License-Identifier: MIT */
/* The event stream: numbered JSON objects, the last ones kept as text. */
#include "lib/master/events.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/master/stack.h"

struct kept {
	char *json;
	char *service; /* or NULL */
};

struct events {
	events_fn on_event;
	void *data;
	int64_t seq; /* of the next one, from 1 */
	struct kept ring[EVENTS_KEPT];
};

struct events *events_new(events_fn on_event, void *data)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->on_event = on_event;
	e->data = data;
	e->seq = 1;
	return e;
}

static void forget(struct kept *k)
{
	free(k->json);
	free(k->service);
	k->json = k->service = NULL;
}

void events_free(struct events *e)
{
	size_t i;

	if (e == NULL)
		return;
	for (i = 0; i < EVENTS_KEPT; i++)
		forget(&e->ring[i]);
	free(e);
}

static json_t *head(struct events *e, const char *event, const struct unit *u,
		    const struct instance *i)
{
	json_t *o = json_object();
	char at[40];

	clock_rfc3339(clock_real_us(), at, sizeof(at));
	json_object_set_new(o, "seq", json_integer(e->seq));
	json_object_set_new(o, "at", json_string(at));
	if (u != NULL)
		json_object_set_new(o, "service", json_string(u->s->name));
	if (i != NULL) {
		json_object_set_new(o, "instance", json_integer(i->number));
		json_object_set_new(o, "generation",
				    json_integer(i->generation));
	}
	json_object_set_new(o, "event", json_string(event));
	return o;
}

void events_add(struct events *e, const char *event, const struct unit *u,
		const struct instance *i, json_t *fields)
{
	json_t *o = head(e, event, u, i);
	struct kept *k = &e->ring[e->seq++ % EVENTS_KEPT];

	if (fields != NULL)
		json_object_update(o, fields);
	json_decref(fields);
	forget(k);
	k->json = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
	k->service = u != NULL ? xstrdup(u->s->name) : NULL;
	json_decref(o);
	if (k->json != NULL)
		e->on_event(e->data, k->service, k->json);
}

void events_each(const struct events *e, events_fn fn, void *data)
{
	int64_t first = e->seq > EVENTS_KEPT ? e->seq - EVENTS_KEPT : 1, s;
	const struct kept *k;

	for (s = first; s < e->seq; s++) {
		k = &e->ring[s % EVENTS_KEPT];
		if (k->json != NULL)
			fn(data, k->service, k->json);
	}
}
