/* SPDX-License-Identifier: MIT */
/*
 * Looking at ports: until nobody holds them, then until our service does.
 *
 * The kernel tells nobody when a port is bound or freed, so these two poll:
 * often at first, at a growing distance later, and never without a reason.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/handoff/diag.h"
#include "lib/proc/tree.h"
#include "lib/worker/role.h"
#include "lib/worker/say.h"

#define FREE_FIRST_S 0.001
#define READY_FIRST_S 0.002
#define LOOK_LAST_S 0.050
#define LOOK_GROWTH 1.4
/* A port that a stranger holds is his for long. */
#define LOOK_SLOW_S 0.250
#define LOOK_SLOW_AFTER_US ((int64_t)5000000)
/* A holder that is gone by then is not worth a message. */
#define TELL_AFTER_US ((int64_t)20000)
#define READY_TIMEOUT_MS ((int64_t)30000)

static int number_of(const struct instance *i, const struct port *p)
{
	return p->number + i->number - 1;
}

static void look_again(struct instance *i)
{
	double most = clock_mono_us() - i->look_since_us > LOOK_SLOW_AFTER_US ?
			      LOOK_SLOW_S :
			      LOOK_LAST_S;

	worker_arm(i->w, &i->look_timer, i->look_s);
	i->look_s *= LOOK_GROWTH;
	if (i->look_s > most)
		i->look_s = most;
}

/* ---- free -------------------------------------------------------------- */

/* A port of the service that somebody holds, or NULL. What cannot be tried
 * is left for the service to find out: it may have rights that we lack. */
static const struct port *held_port(const struct instance *i)
{
	const struct service *s = &i->w->service;
	size_t n;

	for (n = 0; n < s->n_ports; n++)
		if (diag_port_is_free(number_of(i, &s->ports[n]),
				      s->ports[n].host, NULL) == 0)
			return &s->ports[n];
	return NULL;
}

/* Each new holder once. */
static void tell_holder(struct instance *i, const struct port *p)
{
	int port = number_of(i, p);
	struct holder h;

	if (clock_mono_us() - i->look_since_us < TELL_AFTER_US)
		return;
	if (diag_port_holder(port, p->host, &h, NULL) != 1)
		h.pid = 0;
	if (h.pid == i->told_pid && port == i->told_port)
		return;
	i->told_pid = h.pid;
	i->told_port = port;
	if (h.pid > 0)
		say_waiting(i, WAIT_PORT,
			    "port %d is held by pid %d (%.80s); it starts when "
			    "the port is free",
			    port, (int)h.pid, h.command);
	else
		say_waiting(i, WAIT_PORT,
			    "port %d is held by another program (of another "
			    "user, or without a listener); it starts when the "
			    "port is free",
			    port);
	worker_settled(i->w);
}

static void look_at_free(struct instance *i)
{
	const struct port *held = held_port(i);

	if (held == NULL) {
		plan_process(&i->w->plan, i->slot, PE_FREE);
		return;
	}
	tell_holder(i, held);
	look_again(i);
}

void look_for_free(struct instance *i)
{
	i->look_since_us = clock_mono_us();
	i->look_s = FREE_FIRST_S;
	i->told_pid = -1;
	look_at_free(i);
}

/* ---- ready ------------------------------------------------------------- */

static bool listens(const struct instance *i, const struct port *p,
		    const struct pids *tree)
{
	struct listeners l;

	return diag_listeners(number_of(i, p), NULL, &l, NULL) == 0 &&
	       l.n > 0 && diag_is_held_by(&l, tree->v, tree->n);
}

/* A port of the service that it does not listen on yet, or NULL. */
static const struct port *silent_port(const struct instance *i)
{
	const struct service *s = &i->w->service;
	const struct port *p = NULL;
	struct pids tree = { 0 };
	size_t n;

	/* All below the keeper: also daemons, which left the main process. */
	tree_list(i->current->pid, &tree);
	for (n = 0; n < s->n_ports && p == NULL; n++)
		if (!listens(i, &s->ports[n], &tree))
			p = &s->ports[n];
	pids_free(&tree);
	return p;
}

static int64_t timeout_us(const struct instance *i)
{
	int64_t ms = i->w->service.ready.timeout_ms;

	return (ms > 0 ? ms : READY_TIMEOUT_MS) * 1000;
}

static void look_at_ready(struct instance *i)
{
	const struct port *silent = silent_port(i);
	char span[32];

	if (silent == NULL) {
		plan_process(&i->w->plan, i->slot, PE_READY);
		return;
	}
	if (clock_mono_us() - i->exec_us >= timeout_us(i)) {
		clock_span(timeout_us(i), span, sizeof(span));
		snprintf(i->why, sizeof(i->why),
			 "not ready: it does not listen on port %d after %s",
			 number_of(i, silent), span);
		i->late = true;
		plan_process(&i->w->plan, i->slot, PE_LATE);
		return;
	}
	look_again(i);
}

void look_for_ready(struct instance *i)
{
	i->look_since_us = clock_mono_us();
	i->look_s = READY_FIRST_S;
	look_at_ready(i);
}

/* ---- both -------------------------------------------------------------- */

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct instance *i = w->data;

	(void)loop;
	(void)revents;
	if (i->w->plan.slots[i->slot].process.state == PS_WAITING)
		look_at_free(i);
	else
		look_at_ready(i);
}

void look_init(struct instance *i)
{
	ev_timer_init(&i->look_timer, on_look, 0., 0.);
	i->look_timer.data = i;
}

void look_end(struct instance *i)
{
	ev_timer_stop(i->w->loop, &i->look_timer);
}
