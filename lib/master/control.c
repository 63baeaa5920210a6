/* SPDX-License-Identifier: MIT */
/* The control socket: a table of requests, each a function. */
#include "lib/master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/master/client.h"
#include "lib/master/events.h"
#include "lib/master/logs.h"
#include "lib/master/order.h"
#include "lib/master/report.h"
#include "lib/master/roles.h"
#include "lib/master/stack.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"

#define CLIENTS_MAX 256
#define FINISH_FLUSH_MS 200
#define SOCKET_NAME "hr.sock"

/* Several services asked for in one line, answered in one. */
struct request {
	struct client *client; /* NULL: it has left */
	json_t *results;
	size_t left;
	bool ok;
};

/* One of them on its way through a worker. */
struct ticket {
	struct ticket *next;
	int32_t id;
	struct request *request;
	const struct unit *unit;
	size_t slot; /* in results */
};

struct control {
	struct stack *st;
	int dir_fd;
	int fd;
	int spare_fd; /* see turn_away() */
	ev_io acceptable;
	ev_prepare sweep;
	ev_timer probation; /* until a `wait` may be answered */
	struct client *clients;
	size_t n_clients;
	struct ticket *tickets;
	int32_t next_id;
};

/* --- tickets --- */

static void answer(struct request *r)
{
	json_t *o;

	if (r->left > 0)
		return;
	if (r->client != NULL) {
		o = json_object();
		json_object_set_new(o, "ok", json_boolean(r->ok));
		json_object_set(o, "results", r->results);
		client_send(r->client, o);
		client_finish(r->client);
	}
	json_decref(r->results);
	free(r);
}

static void settle(struct request *r, size_t slot, bool ok, const char *text)
{
	json_t *result = json_array_get(r->results, slot);

	json_object_set_new(result, "ok", json_boolean(ok));
	json_object_set_new(result, "text", report_text(text));
	r->ok = r->ok && ok;
	r->left--;
}

static struct ticket *ticket_new(struct control *c, struct request *r,
				 const struct unit *u, size_t slot)
{
	struct ticket *t = xcalloc(1, sizeof(*t));

	t->id = c->next_id++;
	t->request = r;
	t->unit = u;
	t->slot = slot;
	t->next = c->tickets;
	c->tickets = t;
	return t;
}

static void ticket_done(struct ticket **at, bool ok, const char *text)
{
	struct ticket *t = *at;

	*at = t->next;
	settle(t->request, t->slot, ok, text);
	answer(t->request);
	free(t);
}

void control_request_done(struct control *c, int32_t id, bool ok,
			  const char *text)
{
	struct ticket **at;

	for (at = &c->tickets; *at != NULL; at = &(*at)->next) {
		if ((*at)->id == id) {
			ticket_done(at, ok, text);
			return;
		}
	}
}

void control_unit_lost(struct control *c, const struct unit *u)
{
	struct ticket **at = &c->tickets;

	while (*at != NULL) {
		if ((*at)->unit == u)
			ticket_done(at, false,
				    "its worker died meanwhile; it starts the "
				    "service anew");
		else
			at = &(*at)->next;
	}
}

/* --- requests for services --- */

static void send_request(struct control *c, struct unit *u, uint32_t type,
			 int32_t id, uint32_t instance, int signo)
{
	struct buf b;
	bool sent;

	buf_init(&b, 4096);
	put_i32(&b, id);
	if (type == W_SIGNAL)
		put_i32(&b, signo);
	if (type != W_STOP)
		put_u32(&b, instance);
	if (type != W_SIGNAL)
		put_str(&b, "asked for on the command line");
	sent = roles_send(&u->worker, type, &b);
	buf_done(&b);
	if (!sent)
		control_request_done(c, id, false,
				     "its worker is being replaced; try again");
}

/* It starts when `after` allows, and the answer comes then. */
/* What failed gets another try when somebody who needs it is started. */
static void retry_failed(struct stack *st, struct unit *u)
{
	struct unit *on;
	uint32_t j;
	size_t i;

	for (i = 0; i < u->s->n_after; i++) {
		on = stack_find(st, u->s->after[i].name);
		if (on == NULL)
			continue;
		retry_failed(st, on);
		for (j = 0; j < on->n_instances; j++) {
			if (on->instances[j].state != STATE_FAILED)
				continue;
			on->instances[j].state = STATE_WAITING;
			on->started = on->rested = false;
		}
	}
}

static void want(struct control *c, struct unit *u, int32_t id)
{
	if (u->n_instances == 0) {
		control_request_done(c, id, false,
				     "it has no instance (-m said 0)");
		return;
	}
	order_want(c->st, u);
	retry_failed(c->st, u);
	VEC_PUSH(&u->start_requests, id);
	stack_advance(c->st);
}

void control_refuse_start(struct control *c, struct unit *u, const char *why)
{
	size_t i;

	for (i = 0; i < u->start_requests.n; i++)
		control_request_done(c, u->start_requests.v[i], false, why);
	u->start_requests.n = 0;
}

static void do_stop(struct control *c, struct unit *u, int32_t id)
{
	bool was_started = u->started;
	uint32_t i;

	u->wanted = u->started = u->rested = false;
	u->paused = true;
	control_refuse_start(c, u, "it was stopped meanwhile");
	if (was_started || u->last_generation > 0) {
		/* Also when we believe it is down: it may still be stopping. */
		send_request(c, u, W_STOP, id, 0, 0);
	} else {
		control_request_done(c, id, true, "not running");
	}
	for (i = 0; i < u->n_instances && !was_started; i++)
		if (u->instances[i].pid == 0)
			u->instances[i].state = STATE_STOPPED;
	stack_advance(c->st);
}

struct verb {
	const char *name;
	uint32_t type;
	bool whole; /* takes services, not single instances */
};

static const struct verb verbs[] = {
	{ "restart", W_RESTART, false }, { "reload", W_RELOAD, false },
	{ "start", W_START, true },	 { "stop", W_STOP, true },
	{ "signal", W_SIGNAL, false },
};

static void issue(struct control *c, const struct verb *v, struct unit *u,
		  uint32_t instance, int32_t id, int signo)
{
	if (v->whole && instance != 0)
		control_request_done(c, id, false,
				     "name the service, not one instance");
	else if (v->type == W_STOP)
		do_stop(c, u, id);
	else if (v->type == W_SIGNAL && !u->started)
		control_request_done(c, id, false, "not running");
	else if (v->type != W_SIGNAL && (v->type == W_START || !u->started))
		want(c, u, id);
	else
		send_request(c, u, v->type, id, instance, signo);
}

static void unknown_service(struct client *c, const struct stack *st,
			    const char *name)
{
	const char **names = xcalloc(st->n_units + 1, sizeof(*names));
	const char *near;
	char hint[160];
	size_t i;

	for (i = 0; i < st->n_units; i++)
		names[i] = st->units[i].s->name;
	near = str_nearest(name, names);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	else
		snprintf(hint, sizeof(hint), "hr ps lists the services");
	client_error(c, EXIT_USAGE, hint, "there is no service '%s'", name);
	free(names);
}

/* Whether every name of the request is one of ours; answers if not. */
static bool services_known(struct client *c, json_t *services, struct stack *st)
{
	uint32_t instance;
	json_t *name;
	size_t i;

	json_array_foreach(services, i, name)
	{
		if (!json_is_string(name)) {
			client_error(c, EXIT_USAGE, NULL,
				     "\"services\" must be strings");
			return false;
		}
		if (stack_find_instance(st, json_string_value(name),
					&instance) == NULL) {
			unknown_service(c, st, json_string_value(name));
			return false;
		}
	}
	return true;
}

static void do_services(struct control *c, struct client *cl,
			const struct verb *v, json_t *o)
{
	json_t *services = json_object_get(o, "services"), *name;
	const char *sig = json_string_value(json_object_get(o, "signal"));
	int signo = sig != NULL ? str_to_signal(sig) : -1;
	struct request *r;
	uint32_t instance;
	struct unit *u;
	size_t i;

	if (json_array_size(services) == 0) {
		client_error(cl, EXIT_USAGE, NULL, "%s which service?",
			     v->name);
		return;
	}
	if (v->type == W_SIGNAL && signo < 0) {
		client_error(cl, EXIT_USAGE, "kill -l lists the signals",
			     "'%s' is not a signal", sig != NULL ? sig : "");
		return;
	}
	if (!services_known(cl, services, c->st))
		return;
	r = xcalloc(1, sizeof(*r));
	r->client = cl;
	r->results = json_array();
	r->ok = true;
	/* One more, so that no early answer ends the request under us. */
	r->left = json_array_size(services) + 1;
	json_array_foreach(services, i, name)
	{
		u = stack_find_instance(c->st, json_string_value(name),
					&instance);
		json_array_append_new(r->results,
				      json_pack("{s:O}", "service", name));
		issue(c, v, u, instance, ticket_new(c, r, u, i)->id, signo);
	}
	r->left--;
	answer(r);
}

/* --- the other requests --- */

static void do_ps(struct control *c, struct client *cl, json_t *o)
{
	json_t *reply = json_object();

	(void)o;
	json_object_set_new(reply, "ok", json_true());
	json_object_set_new(reply, "ps", report_ps(c->st));
	client_send(cl, reply);
	client_finish(cl);
}

static void do_down(struct control *c, struct client *cl, json_t *o)
{
	(void)o;
	client_send(cl, json_pack("{s:i}", "pid", (int)getpid()));
	cl->waits_end = true;
	stack_stop(c->st, EXIT_DONE, "hr down");
}

static void do_wait(struct control *c, struct client *cl, json_t *o)
{
	(void)o;
	cl->waits_ready = true;
	control_state_changed(c);
}

static void send_event(void *data, const char *service, const char *json)
{
	struct client *cl = data;
	struct buf b;

	if (!client_wants(cl, service))
		return;
	buf_init(&b, CLIENT_OUT_MAX_BYTES);
	buf_addf(&b, "{\"event\":%s}", json);
	client_send_text(cl, buf_str(&b));
	buf_done(&b);
}

static void follow_or_end(struct client *cl, json_t *o, bool *follows)
{
	if (json_is_true(json_object_get(o, "follow"))) {
		*follows = true;
		client_follow(cl);
		return;
	}
	client_send(cl, json_pack("{s:b}", "ok", 1));
	client_finish(cl);
}

static void do_events(struct control *c, struct client *cl, json_t *o)
{
	events_each(c->st->events, send_event, cl);
	follow_or_end(cl, o, &cl->follows_events);
}

static void do_logs(struct control *c, struct client *cl, json_t *o)
{
	json_int_t n = 1000;

	if (json_is_integer(json_object_get(o, "lines")))
		n = json_integer_value(json_object_get(o, "lines"));
	logs_follow(c->st);
	logs_send_last(c->st, cl, n < 0 ? 0 : (size_t)n);
	follow_or_end(cl, o, &cl->follows_logs);
}

static const struct {
	const char *name;
	void (*run)(struct control *c, struct client *cl, json_t *o);
	bool filtered; /* "services" is a filter */
} requests[] = {
	{ "ps", do_ps, false },	    { "down", do_down, false },
	{ "wait", do_wait, false }, { "events", do_events, true },
	{ "logs", do_logs, true },
};

/* "web.2" filters as its service: logs and events are per service. */
static bool take_filter(struct control *c, struct client *cl, json_t *o)
{
	json_t *services = json_object_get(o, "services"), *name;
	size_t n = json_array_size(services), i;
	uint32_t instance;
	const char *s;

	cl->services = xcalloc(n + 1, sizeof(*cl->services));
	json_array_foreach(services, i, name)
	{
		s = json_string_value(name);
		if (s != NULL && str_eq(s, "hr")) {
			cl->services[i] = xstrdup("hr");
			continue;
		}
		if (s == NULL ||
		    stack_find_instance(c->st, s, &instance) == NULL) {
			unknown_service(cl, c->st, s != NULL ? s : "");
			return false;
		}
		cl->services[i] = xstrdup(
			stack_find_instance(c->st, s, &instance)->s->name);
	}
	return true;
}

static void dispatch(struct control *c, struct client *cl, const char *verb,
		     json_t *o)
{
	size_t i;

	for (i = 0; i < NITEMS(verbs); i++) {
		if (str_eq(verbs[i].name, verb)) {
			do_services(c, cl, &verbs[i], o);
			return;
		}
	}
	for (i = 0; i < NITEMS(requests); i++) {
		if (!str_eq(requests[i].name, verb))
			continue;
		if (!requests[i].filtered || take_filter(c, cl, o))
			requests[i].run(c, cl, o);
		return;
	}
	client_error(cl, EXIT_USAGE, NULL, "unknown request '%s'", verb);
}

static void on_line(struct client *cl, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *verb = json_string_value(json_object_get(o, "do"));

	if (verb == NULL)
		client_error(cl, EXIT_USAGE, NULL,
			     "a request is one JSON object with \"do\"");
	else if (cl->asked)
		client_error(cl, EXIT_USAGE, NULL,
			     "one request for each connection");
	else if (cl->control->st->stopping && !str_eq(verb, "down") &&
		 !str_eq(verb, "ps") && !str_eq(verb, "events") &&
		 !str_eq(verb, "logs"))
		client_error(cl, EXIT_FAILED, NULL, "the stack is stopping");
	else {
		cl->asked = true;
		dispatch(cl->control, cl, verb, o);
	}
	json_decref(o);
}

/* --- connections --- */

static void forget_client(struct control *c, struct client *cl)
{
	struct ticket *t;

	for (t = c->tickets; t != NULL; t = t->next)
		if (t->request->client == cl)
			t->request->client = NULL;
}

static void sweep(struct control *c)
{
	struct client **at = &c->clients, *cl;

	while ((cl = *at) != NULL) {
		if (!cl->dead) {
			at = &cl->next;
			continue;
		}
		*at = cl->next;
		c->n_clients--;
		forget_client(c, cl);
		client_free(c->st->loop, cl);
	}
}

static void on_sweep(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	sweep(w->data);
}

static void on_probation(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	control_state_changed(w->data);
}

static bool is_ours(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

/* Out of descriptors: accept with the spare one and close, or the loop would
 * be woken for this client for ever. */
static void turn_away(struct control *c)
{
	fd_close(&c->spare_fd);
	c->spare_fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	fd_close(&c->spare_fd);
	c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *c = w->data;
	struct client *cl;
	int fd;

	(void)revents;
	fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		turn_away(c);
	if (fd < 0)
		return;
	if (!is_ours(fd) || c->n_clients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	cl = client_new(loop, c, fd, on_line);
	cl->next = c->clients;
	c->clients = cl;
	c->n_clients++;
}

static int listen_at(struct control *c, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	/* Through the descriptor of the directory: sun_path holds 107 bytes,
	 * and projects live deeper. */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s",
		 c->dir_fd, SOCKET_NAME);
	unlinkat(c->dir_fd, SOCKET_NAME, 0);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return err_sys(err, "cannot make the control socket");
	mask = umask(0177);
	rc = bind(c->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (rc < 0 || listen(c->fd, 64) < 0)
		return err_sys(err, "cannot listen on %s/" SOCKET_NAME,
			       c->st->state_dir);
	return 0;
}

struct control *control_new(struct stack *st, struct err *err)
{
	struct control *c = xcalloc(1, sizeof(*c));

	c->st = st;
	c->fd = -1;
	c->next_id = 1;
	c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	c->dir_fd = open(st->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->dir_fd < 0 || listen_at(c, err) < 0) {
		if (c->dir_fd < 0)
			err_sys(err, "cannot open %s", st->state_dir);
		fd_close(&c->fd);
		fd_close(&c->spare_fd);
		fd_close(&c->dir_fd);
		free(c);
		return NULL;
	}
	ev_io_init(&c->acceptable, on_acceptable, c->fd, EV_READ);
	ev_prepare_init(&c->sweep, on_sweep);
	ev_timer_init(&c->probation, on_probation, 0., 0.);
	c->acceptable.data = c->sweep.data = c->probation.data = c;
	ev_io_start(st->loop, &c->acceptable);
	ev_prepare_start(st->loop, &c->sweep);
	return c;
}

void control_close(struct control *c)
{
	if (c->fd < 0)
		return;
	ev_io_stop(c->st->loop, &c->acceptable);
	unlinkat(c->dir_fd, SOCKET_NAME, 0);
	fd_close(&c->fd);
}

void control_free(struct control *c)
{
	struct client *cl;
	struct ticket *t;

	if (c == NULL)
		return;
	for (cl = c->clients; cl != NULL; cl = cl->next)
		cl->dead = true;
	for (t = c->tickets; t != NULL; t = t->next)
		t->request->client = NULL;
	while (c->tickets != NULL)
		ticket_done(&c->tickets, false, "the stack has ended");
	sweep(c);
	control_close(c);
	ev_prepare_stop(c->st->loop, &c->sweep);
	ev_timer_stop(c->st->loop, &c->probation);
	fd_close(&c->spare_fd);
	fd_close(&c->dir_fd);
	free(c);
}

/* --- streams --- */

void control_event(void *control, const char *service, const char *json)
{
	struct control *c = control;
	struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->follows_events)
			send_event(cl, service, json);
}

void control_log(struct control *c, const char *service, const char *json)
{
	struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->follows_logs && client_wants(cl, service))
			client_send_text(cl, json);
}

bool control_has_log_followers(const struct control *c)
{
	const struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->follows_logs)
			return true;
	return false;
}

/* How long a service without a port has to live before we call it up: it is
 * ready as soon as it runs, and many a command fails in its first moment. */
#define PROBATION_US ((int64_t)150000)

struct readiness {
	const struct instance *failed; /* the first that did */
	bool all;		       /* that is wanted is up */
	int64_t probation_us;	       /* longest that is left, of those */
};

static void judge(struct readiness *r, const struct unit *u,
		  const struct instance *i)
{
	int64_t left = i->up_since_us + PROBATION_US - clock_mono_us();

	if (i->state == STATE_FAILED || i->state == STATE_BACKOFF) {
		r->failed = r->failed != NULL ? r->failed : i;
		return;
	}
	if (i->state != STATE_READY && i->state != STATE_DONE)
		r->all = false;
	if (i->state == STATE_READY && u->s->n_ports == 0 &&
	    left > r->probation_us)
		r->probation_us = left;
}

static struct readiness readiness(const struct stack *st)
{
	struct readiness r = { .all = true };
	const struct unit *u;
	uint32_t n;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		for (n = 0; u->wanted && n < u->n_instances; n++)
			judge(&r, u, &u->instances[n]);
	}
	return r;
}

static void wait_answer(struct client *cl, bool ok, const char *text)
{
	client_send(cl, json_pack("{s:b,s:o}", "ok", ok, "text",
				  report_text(text)));
	client_finish(cl);
}

static bool anybody_waits(const struct control *c)
{
	const struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->waits_ready && !cl->closing)
			return true;
	return false;
}

static void answer_waiting(struct control *c, bool ok, const char *text)
{
	struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->waits_ready && !cl->closing)
			wait_answer(cl, ok, text);
}

void control_state_changed(struct control *c)
{
	struct readiness r;
	char text[400];

	if (!anybody_waits(c))
		return;
	r = readiness(c->st);
	ev_timer_stop(c->st->loop, &c->probation);
	if (r.failed != NULL) {
		snprintf(text, sizeof(text), "%s: %s", r.failed->label,
			 r.failed->why);
		answer_waiting(c, false, text);
	} else if (r.all && r.probation_us > 0) {
		ev_now_update(c->st->loop);
		ev_timer_set(&c->probation, (double)r.probation_us * 1e-6, 0.);
		ev_timer_start(c->st->loop, &c->probation);
	} else if (r.all) {
		answer_waiting(c, true, "every service is ready");
	}
}

void control_note(struct control *c, const char *text)
{
	struct client *cl;

	for (cl = c->clients; cl != NULL; cl = cl->next)
		if (cl->waits_end)
			client_send(cl, json_pack("{s:o}", "note",
						  report_text(text)));
}

void control_stopping(struct control *c)
{
	size_t i;

	/* What a worker was asked it answers itself, before its end. */
	for (i = 0; i < c->st->n_units; i++)
		control_refuse_start(c, &c->st->units[i],
				     "the stack is stopping");
	answer_waiting(c, false, "the stack is stopping");
}

void control_finish(struct control *c)
{
	int64_t end_ms = clock_mono_ms() + FINISH_FLUSH_MS;
	struct client *cl;

	while (c->tickets != NULL)
		ticket_done(&c->tickets, false, "the stack has stopped");

	for (cl = c->clients; cl != NULL; cl = cl->next) {
		if (cl->waits_end)
			client_send(cl, json_pack("{s:b}", "ok", 1));
		client_flush(cl, end_ms);
	}
}
