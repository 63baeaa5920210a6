/* SPDX-License-Identifier: MIT */
/* What no single value can show: services against each other. */
#include "procfile/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "procfile/load.h"
#include "procfile/model.h"

#define PORT_MAX 65535

/* ---- names -------------------------------------------------------------- */

static void check_name(const struct model *m, const char *name,
		       const struct where *at, const char *key,
		       struct problems *problems)
{
	const char **names;
	const char *near;
	char hint[96];
	size_t i;

	if (model_find(m, name) != NULL)
		return;
	names = xcalloc(m->n_services + 1, sizeof(*names));
	for (i = 0; i < m->n_services; i++)
		names[i] = m->services[i].name;
	near = str_nearest(name, names);
	free(names);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	problems_error(problems, at, near != NULL ? hint : NULL,
		       "'%s' names no service: '%s'", key, name);
}

static void check_names(const struct model *m, const struct service *s,
			struct problems *problems)
{
	const char *const *p;
	size_t i;

	for (i = 0; i < s->n_after; i++)
		check_name(m, s->after[i].name, &s->after[i].at, "after",
			   problems);
	for (p = s->reload_with; *p != NULL; p++)
		check_name(m, *p, service_key(s, "reload_with"), "reload_with",
			   problems);
}

/* ---- circles ------------------------------------------------------------ */

/* One kind of edge between services, by number. */
struct graph {
	const struct model *model;
	const char *what; /* "'after' goes in a circle" */
	bool reload_with; /* else after */
	char *colour;	  /* per service: 0 new, 1 on the path, 2 done */
	size_t *path;
	size_t depth;
	struct problems *problems;
};

static size_t n_edges(const struct graph *g, const struct service *s)
{
	return g->reload_with ? strv_len(s->reload_with) : s->n_after;
}

static const struct service *
edge(const struct graph *g, const struct service *s, size_t i, struct where *at)
{
	const struct where *key = service_key(s, "reload_with");

	if (!g->reload_with) {
		*at = s->after[i].at;
		return model_find(g->model, s->after[i].name);
	}
	*at = key != NULL ? *key : s->at;
	return model_find(g->model, s->reload_with[i]);
}

/* The path from where it first meets itself, "web -> api -> web". */
static void say_circle(struct graph *g, size_t start, const struct where *at)
{
	const struct service *v = g->model->services;
	struct buf text;
	size_t i = 0;

	buf_init(&text, 400);
	while (g->path[i] != start)
		i++;
	for (; i < g->depth; i++)
		if (buf_addf(&text, "%s -> ", v[g->path[i]].name) < 0)
			break;
	if (buf_add_str(&text, v[start].name) < 0)
		text.len = 0;
	problems_error(g->problems, at, "take one of them out", "%s: %s%s",
		       g->what, buf_str(&text), i < g->depth ? "…" : "");
	buf_done(&text);
}

/* As deep as there are services, which lines.h and PORT keep few. */
static void visit(struct graph *g, size_t index)
{
	const struct service *s = &g->model->services[index], *next;
	struct where at;
	size_t i;

	g->colour[index] = 1;
	g->path[g->depth++] = index;
	for (i = 0; i < n_edges(g, s); i++) {
		next = edge(g, s, i, &at);
		if (next == NULL)
			continue;
		if (g->colour[next->index] == 1)
			say_circle(g, next->index, &at);
		else if (g->colour[next->index] == 0)
			visit(g, next->index);
	}
	g->depth--;
	g->colour[index] = 2;
}

static void check_circles(const struct model *m, bool reload_with,
			  struct problems *problems)
{
	struct graph g = { .model = m,
			   .reload_with = reload_with,
			   .what = reload_with ?
					   "'reload_with' goes in a circle" :
					   "services wait for each other",
			   .problems = problems };
	size_t i;

	g.colour = xcalloc(m->n_services, 1);
	g.path = xcalloc(m->n_services, sizeof(*g.path));
	for (i = 0; i < m->n_services; i++)
		if (g.colour[i] == 0)
			visit(&g, i);
	free(g.colour);
	free(g.path);
}

/* ---- ports -------------------------------------------------------------- */

static bool is_any_host(const char *host)
{
	return str_eq(host, "0.0.0.0") || str_eq(host, "::");
}

static const char *plain_host(const char *host)
{
	return str_eq(host, "localhost") ? "127.0.0.1" : host;
}

static bool hosts_meet(const char *a, const char *b)
{
	return is_any_host(a) || is_any_host(b) ||
	       str_eq(plain_host(a), plain_host(b));
}

/* Instances take the numbers that follow the first port's. */
static int last_number(const struct service *s, size_t port)
{
	return s->ports[port].number + (port == 0 ? s->instances - 1 : 0);
}

/* Returns whether they meet. */
static bool compare_ports(const struct service *a, size_t i,
			  const struct service *b, size_t j,
			  struct problems *problems)
{
	const struct port *p = &a->ports[i], *q = &b->ports[j];
	int number = p->number > q->number ? p->number : q->number;

	if (p->number > last_number(b, j) || q->number > last_number(a, i) ||
	    !hosts_meet(p->host, q->host))
		return false;
	if (a == b)
		problems_error(problems, &q->at, NULL,
			       "ports '%s' and '%s' of service '%s' are both "
			       "%d",
			       p->name, q->name, a->name, number);
	else
		problems_error(problems, &q->at,
			       "give one of them another number, or another "
			       "host",
			       "services '%s' and '%s' both want port %d (the "
			       "first at %s:%d)",
			       a->name, b->name, number,
			       p->at.file != NULL ? p->at.file : "",
			       p->at.line);
	return true;
}

static void compare_services(const struct service *a, const struct service *b,
			     struct problems *problems)
{
	size_t i, j;

	for (i = 0; i < a->n_ports; i++)
		for (j = a == b ? i + 1 : 0; j < b->n_ports; j++)
			if (a->ports[i].number > 0 && b->ports[j].number > 0 &&
			    compare_ports(a, i, b, j, problems))
				return;
}

static void check_numbers(const struct service *s, struct problems *problems)
{
	size_t i;

	for (i = 0; i < s->n_ports; i++)
		if (s->ports[i].number == 0)
			problems_error(
				problems, &s->ports[i].at,
				"only the first port of a service may "
				"leave it to PORT",
				"port '%s' of service '%s' has no number",
				s->ports[i].name, s->name);
	if (s->base_port + s->instances - 1 > PORT_MAX)
		problems_error(problems, &s->at,
			       "choose a smaller port_base, or give it a port",
			       "PORT of service '%s' would be %d; 65535 is the "
			       "last",
			       s->name, s->base_port + s->instances - 1);
}

static void check_ports(const struct model *m, struct problems *problems)
{
	size_t i, j;

	for (i = 0; i < m->n_services; i++) {
		check_numbers(&m->services[i], problems);
		for (j = 0; j <= i; j++)
			compare_services(&m->services[j], &m->services[i],
					 problems);
	}
}

/* ---- one service -------------------------------------------------------- */

static void check_probes(const struct service *s, struct problems *problems)
{
	const struct where *at = service_key(s, "ready.listen");
	const char *hint = "add `port web { number = 8080 }`, or `port web "
			   "{}` for PORT";

	if (s->ready.kind == PROBE_LISTEN && s->n_ports == 0)
		problems_error(problems, at, hint,
			       "service '%s' declares no port to listen on",
			       s->name);
	at = service_key(s, "alive.listen");
	if (s->alive.kind == PROBE_LISTEN && s->n_ports == 0)
		problems_error(problems, at, hint,
			       "service '%s' declares no port to listen on",
			       s->name);
}

/* The second instance would wait for the first for ever. */
static void check_lock(const struct service *s, struct problems *problems)
{
	if (s->instances > 1 && s->lock[0] != NULL)
		problems_error(problems, service_key(s, "lock"),
			       "set instances to 1, or drop the lock",
			       "service '%s' has a lock and %d instances; only "
			       "one could run",
			       s->name, s->instances);
}

void check_model(const struct model *m, bool names_known,
		 struct problems *problems)
{
	size_t i;

	for (i = 0; i < m->n_services; i++) {
		check_probes(&m->services[i], problems);
		check_lock(&m->services[i], problems);
		if (names_known)
			check_names(m, &m->services[i], problems);
	}
	check_circles(m, false, problems);
	check_circles(m, true, problems);
	check_ports(m, problems);
}
