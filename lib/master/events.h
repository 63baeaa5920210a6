/* SPDX-License-Identifier: MIT */
/*
 * What happened, as one stream: `hr events`, scripts and tests read it.
 *
 * Each event is one JSON object (interface.md section 6), kept as text: the
 * last EVENTS_KEPT of them, numbered without gaps.
 */
#ifndef HR_MASTER_EVENTS_H
#define HR_MASTER_EVENTS_H

#include <stdint.h>

#include <jansson.h>

#define EVENTS_KEPT 2000

struct events;
struct instance;
struct unit;

typedef void (*events_fn)(void *data, const char *service, const char *json);

/* on_event is called for each new event. data: KEPT. OWNED: events_free(). */
struct events *events_new(events_fn on_event, void *data);
void events_free(struct events *e);
/*
 * Append one event. u, i: may be NULL. fields: more members, TAKEN, may be
 * NULL. The generation is the instance's unless fields has one.
 */
void events_add(struct events *e, const char *event, const struct unit *u,
		const struct instance *i, json_t *fields);
/* Call fn for each kept event, oldest first. */
void events_each(const struct events *e, events_fn fn, void *data);

#endif
