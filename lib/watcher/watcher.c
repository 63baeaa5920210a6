/* SPDX-License-Identifier: MIT */
/* The role's loop: messages, events, quiet times, one slice of indexing. */
#include "lib/watcher/watcher.h"

#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/path.h"
#include "lib/watch/batch.h"
#include "lib/watch/debounce.h"
#include "lib/watch/filter.h"
#include "lib/watch/sets.h"
#include "lib/watch/tree.h"
#include "lib/watcher/report.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "procfile/model.h"

/* At one settling so many ignored paths are told. */
#define IGNORED_TOLD 20

struct subscription {
	uint32_t id;
	struct arena *arena; /* of service */
	struct service service;
	struct filter *filter;
	int64_t since_real_us;
	int64_t subscribed_us;
	struct debounce debounce;
	struct batch *batch;
	bool told_armed;
	bool waits; /* for a writer: nothing is due before max_wait */
};

struct sync {
	uint32_t token;
	struct set waits; /* slots whose batch was open when it was asked */
};

struct watcher {
	struct ev_loop *loop;
	struct chan *chan;
	struct tree *tree;
	char *stack_dir;
	struct subscription *subs[SETS_SLOTS];
	unsigned n_subs;
	bool arm; /* there are new ones */
	VEC(struct sync) syncs;
	ev_io events;
	ev_timer quiet;
	ev_timer poll;
	ev_idle index;
	ev_prepare turn;
};

/* ---- the tree tells ----------------------------------------------------- */

static bool git_holds(struct watcher *w)
{
	return tree_git_lock(w->tree);
}

static void change(struct watcher *w, struct subscription *s,
		   enum change_kind kind)
{
	int64_t now = clock_mono_us();

	s->waits = false;
	if (!debounce_change(&s->debounce, kind, now))
		return;
	debounce_hold(&s->debounce, git_holds(w), now);
	report_touched(w->chan, s->id);
}

static void on_touch(void *data, unsigned slot, struct file *f,
		     const struct stamp *before, enum change_kind kind)
{
	struct watcher *w = data;
	struct subscription *s = w->subs[slot];

	/* A look at a file that another service began is no news to those
	 * who have it in their batch. */
	if (batch_add(s->batch, f, before) || kind != CHANGE_FOUND)
		change(w, s, kind);
}

static void on_force(void *data, unsigned slot, const char *path)
{
	struct watcher *w = data;
	struct subscription *s = w->subs[slot];

	batch_force(s->batch, path_relative(path, w->stack_dir));
	change(w, s, CHANGE_PARTIAL);
}

static void on_git_lock(void *data, bool held)
{
	struct watcher *w = data;
	unsigned i;

	for (i = 0; i < w->n_subs; i++) {
		if (w->subs[i] != NULL)
			debounce_hold(&w->subs[i]->debounce, held,
				      clock_mono_us());
	}
}

static void on_degraded(void *data, const char *path, const char *why,
			const char *hint)
{
	struct watcher *w = data;

	report_degraded(w->chan, path_relative(path, w->stack_dir), why, hint);
}

static const struct tree_ops tree_ops = { on_touch, on_force, on_git_lock,
					  on_degraded };

/* ---- settling ----------------------------------------------------------- */

struct settling {
	struct watcher *w;
	struct subscription *s;
	unsigned told;
};

static void on_ignored(void *data, const char *path, const char *why)
{
	struct settling *st = data;

	if (st->told++ < IGNORED_TOLD)
		report_ignored(st->w->chan, st->s->id, path, why);
}

static void settle(struct watcher *w, unsigned slot)
{
	struct subscription *s = w->subs[slot];
	struct settling st = { .w = w, .s = s };
	int64_t real_us = clock_real_us(), first_us = s->debounce.first_us;
	struct outcome out;
	size_t i;

	batch_settle(s->batch, s->filter, !s->service.watch.skip_unchanged,
		     on_ignored, &st, &out);
	debounce_end(&s->debounce);
	s->waits = false;
	if (out.total > 0)
		report_changed(w->chan, s->id, &out, first_us, clock_mono_us(),
			       real_us);
	else
		report_calm(w->chan, s->id);
	outcome_done(&out);
	for (i = 0; i < w->syncs.n; i++)
		set_del(&w->syncs.v[i].waits, slot);
}

static void answer_syncs(struct watcher *w)
{
	size_t i, kept = 0;

	if (ev_is_active(&w->index))
		return;
	for (i = 0; i < w->syncs.n; i++) {
		if (set_is_empty(&w->syncs.v[i].waits))
			report_synced(w->chan, w->syncs.v[i].token);
		else
			w->syncs.v[kept++] = w->syncs.v[i];
	}
	w->syncs.n = kept;
}

static int64_t due_us(const struct subscription *s)
{
	const struct debounce *d = &s->debounce;

	if (s->waits && d->running)
		return d->first_us + d->max_wait_ms * 1000;
	return debounce_due_us(d);
}

/* Settle what is due; returns when the next one is. */
static int64_t settle_due(struct watcher *w)
{
	int64_t next = DEBOUNCE_NEVER, due, now = clock_mono_us();
	unsigned i;

	for (i = 0; i < w->n_subs; i++) {
		struct subscription *s = w->subs[i];

		if (s == NULL)
			continue;
		due = due_us(s);
		if (due <= now && !s->waits && batch_is_unfinished(s->batch) &&
		    now < s->debounce.first_us +
				    s->debounce.max_wait_ms * 1000) {
			s->waits = true;
			due = due_us(s);
		}
		if (due <= now)
			settle(w, i);
		else if (due < next)
			next = due;
	}
	return next;
}

static void set_timer(struct watcher *w, ev_timer *timer, int64_t us)
{
	ev_timer_stop(w->loop, timer);
	ev_timer_set(timer, us > 0 ? (double)us * 1e-6 : 0., 0.);
	ev_timer_start(w->loop, timer);
}

/* After everything that may have brought changes. A sync is answered when
 * the indexer rests: then what happens next is judged by what is known. */
static void advance(struct watcher *w)
{
	int64_t next;

	/* What is settled may tell others: until nothing is due. */
	do {
		next = settle_due(w);
	} while (next <= clock_mono_us());
	answer_syncs(w);
	ev_now_update(w->loop);
	if (next == DEBOUNCE_NEVER)
		ev_timer_stop(w->loop, &w->quiet);
	else
		set_timer(w, &w->quiet, next - clock_mono_us());
}

static void set_poll(struct watcher *w)
{
	int64_t ms = tree_poll_ms(w->tree);

	if (ms == 0)
		ev_timer_stop(w->loop, &w->poll);
	else if (!ev_is_active(&w->poll))
		set_timer(w, &w->poll, ms * 1000);
}

static void drain(struct watcher *w)
{
	tree_drain(w->tree);
	if (!ev_is_active(&w->index))
		ev_idle_start(w->loop, &w->index);
	advance(w);
	set_poll(w);
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	drain(io->data);
}

/* First what is in the descriptor: it may prolong the quiet time. */
static void on_quiet(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	drain(timer->data);
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watcher *w = timer->data;

	(void)loop;
	(void)revents;
	tree_poll(w->tree);
	drain(w);
}

static void on_index(struct ev_loop *loop, ev_idle *idle, int revents)
{
	struct watcher *w = idle->data;

	(void)revents;
	if (!tree_index(w->tree))
		ev_idle_stop(loop, idle);
	advance(w);
}

/* ---- subscriptions ------------------------------------------------------ */

static void subscription_free(struct subscription *s)
{
	if (s == NULL)
		return;
	batch_free(s->batch);
	filter_free(s->filter);
	arena_free(s->arena);
	free(s);
}

static void unsubscribe(struct watcher *w, unsigned slot)
{
	size_t i;

	for (i = 0; i < w->syncs.n; i++)
		set_del(&w->syncs.v[i].waits, slot);
	tree_remove(w->tree, slot);
	subscription_free(w->subs[slot]);
	w->subs[slot] = NULL;
}

static int find(const struct watcher *w, uint32_t id)
{
	unsigned i;

	for (i = 0; i < w->n_subs; i++) {
		if (w->subs[i] != NULL && w->subs[i]->id == id)
			return (int)i;
	}
	return -1;
}

/* The old one under the same id goes once the new one is armed, so that
 * nothing it knew or had heard of is lost. */
static void replace_old(struct watcher *w, unsigned slot)
{
	struct subscription *s = w->subs[slot], *old;
	unsigned i;

	for (i = 0; i < w->n_subs; i++) {
		old = w->subs[i];
		if (i == slot || old == NULL || old->id != s->id ||
		    !old->told_armed)
			continue;
		if (old->debounce.running) {
			batch_move(s->batch, old->batch);
			debounce_change(&s->debounce, CHANGE_SAVED,
					clock_mono_us());
		}
		unsubscribe(w, i);
	}
}

static void add(struct watcher *w, struct subscription *s)
{
	int slot = tree_add(w->tree, s->filter, &s->service.watch,
			    s->since_real_us);

	if (slot < 0) {
		report_degraded(w->chan, s->service.name,
				"not watched: 1024 services are", "");
		report_armed(w->chan, s->id, 0, 0);
		subscription_free(s);
		return;
	}
	w->subs[slot] = s;
	if ((unsigned)slot >= w->n_subs)
		w->n_subs = (unsigned)slot + 1;
	w->arm = true;
}

static void on_subscribe(struct watcher *w, const void *body, size_t len)
{
	struct subscription *s = xcalloc(1, sizeof(*s));
	struct err err;
	struct get g;

	s->arena = arena_new();
	s->subscribed_us = clock_mono_us();
	get_init(&g, body, len, s->arena);
	s->id = get_u32(&g);
	s->since_real_us = get_i64(&g);
	spec_get(&g, &s->service);
	if (get_end(&g) < 0)
		log_bug("malformed V_SUBSCRIBE");
	debounce_init(&s->debounce, s->service.debounce_ms,
		      s->service.max_wait_ms);
	s->batch = batch_new(w->tree);
	s->filter = filter_new(&s->service, &err);
	if (s->filter != NULL) {
		add(w, s);
		return;
	}
	report_degraded(w->chan, s->service.name, err.what, err.hint);
	report_armed(w->chan, s->id, 0, 0);
	subscription_free(s);
}

static void arm(struct watcher *w)
{
	unsigned i;

	w->arm = false;
	tree_arm(w->tree);
	for (i = 0; i < w->n_subs; i++) {
		struct subscription *s = w->subs[i];

		if (s == NULL || s->told_armed)
			continue;
		replace_old(w, i);
		s->told_armed = true;
		report_armed(w->chan, s->id, tree_count(w->tree, i),
			     clock_mono_us() - s->subscribed_us);
	}
	drain(w);
}

/* Before the loop waits: all subscriptions that came together are walked for
 * together. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct watcher *w = prepare->data;

	(void)loop;
	(void)revents;
	if (w->arm)
		arm(w);
}

/* ---- messages ----------------------------------------------------------- */

static void on_setup(struct watcher *w, struct get *g)
{
	uint32_t version = get_u32(g);
	const char *dir = get_text(g);

	get_text(g);
	if (version != WIRE_VERSION) {
		log_line("hr was replaced on disk while it runs; stop and "
			 "start the stack");
		exit(EXIT_FAILED);
	}
	if (get_end(g) < 0 || w->tree != NULL)
		log_bug("malformed V_SETUP");
	w->stack_dir = xstrdup(dir);
	w->tree = tree_new(dir, &tree_ops, w);
	if (tree_fd(w->tree) < 0)
		return;
	ev_io_set(&w->events, tree_fd(w->tree), EV_READ);
	ev_io_start(w->loop, &w->events);
}

static void on_unsubscribe(struct watcher *w, struct get *g)
{
	int slot = find(w, get_u32(g));

	if (get_end(g) < 0)
		log_bug("malformed V_UNSUBSCRIBE");
	if (slot >= 0)
		unsubscribe(w, (unsigned)slot);
}

static void on_sync(struct watcher *w, struct get *g)
{
	struct sync sync = { .token = get_u32(g) };
	unsigned i;

	if (get_end(g) < 0)
		log_bug("malformed V_SYNC");
	if (w->arm)
		arm(w);
	if (tree_poll_ms(w->tree) != 0)
		tree_poll(w->tree);
	tree_drain(w->tree);
	for (i = 0; i < w->n_subs; i++) {
		if (w->subs[i] != NULL && w->subs[i]->debounce.running)
			set_add(&sync.waits, i);
	}
	VEC_PUSH(&w->syncs, sync);
	drain(w);
}

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct watcher *w = data;
	struct arena *arena = arena_new();
	struct get g;

	fd_close(&fd);
	get_init(&g, body, len, arena);
	if (type != V_SETUP && w->tree == NULL)
		log_bug("message %u before V_SETUP", type);
	switch ((enum watcher_msg)type) {
	case V_SETUP:
		on_setup(w, &g);
		break;
	case V_SUBSCRIBE:
		on_subscribe(w, body, len);
		break;
	case V_UNSUBSCRIBE:
		on_unsubscribe(w, &g);
		break;
	case V_SYNC:
		on_sync(w, &g);
		break;
	default:
		log_bug("unknown message %u", type);
	}
	arena_free(arena);
}

static void on_gone(void *data)
{
	struct watcher *w = data;

	ev_break(w->loop, EVBREAK_ALL);
}

static const struct chan_ops chan_ops = { on_message, on_gone };

static void init(struct watcher *w)
{
	ev_init(&w->events, on_events);
	ev_timer_init(&w->quiet, on_quiet, 0., 0.);
	ev_timer_init(&w->poll, on_poll, 0., 0.);
	ev_idle_init(&w->index, on_index);
	ev_prepare_init(&w->turn, on_turn);
	w->events.data = w->quiet.data = w->poll.data = w->index.data =
		w->turn.data = w;
	ev_prepare_start(w->loop, &w->turn);
}

static void done(struct watcher *w)
{
	unsigned i;

	for (i = 0; i < w->n_subs; i++)
		subscription_free(w->subs[i]);
	tree_free(w->tree);
	VEC_FREE(&w->syncs);
	chan_free(w->chan);
	free(w->stack_dir);
	ev_loop_destroy(w->loop);
	free(w);
}

int watcher_main(int argc, char **argv)
{
	struct watcher *w = xcalloc(1, sizeof(*w));

	(void)argc;
	(void)argv;
	log_init("watcher");
	fd_fill_standard();
	fd_raise_limit();
	/* A broken lease of scan_is_written. */
	signal(SIGIO, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* Quiet times are short; the kernel would add 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000);
	w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (w->loop == NULL)
		log_bug("no event loop");
	init(w);
	w->chan = chan_new(w->loop, CHAN_PARENT_FD, &chan_ops, w);
	report_hello(w->chan);
	ev_run(w->loop, 0);
	done(w);
	return EXIT_DONE;
}
