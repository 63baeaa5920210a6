/* SPDX-License-Identifier: MIT */
/* Keepers as peers and as children. */
#include "lib/worker/keepers.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/proc/spawn.h"
#include "lib/proc/tree.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"

/* Orphans below orphans die without a word to us: look again. */
#define PURGE_AGAIN_S 0.020

/* ---- life -------------------------------------------------------------- */

static void keeper_free(struct keeper *k)
{
	struct keeper **p = &k->all->first;

	while (*p != k)
		p = &(*p)->link;
	*p = k->link;
	chan_free(k->chan);
	fd_close(&k->log_fd);
	free(k);
}

/* Both as a child and as a peer it is history. */
static void forget_if_gone(struct keeper *k)
{
	struct keepers *all = k->all;

	if (k->pid != 0 || k->chan != NULL || !k->over)
		return;
	keeper_free(k);
	all->ops->on_reaped(all->data);
}

static void close_channel(struct keeper *k)
{
	k->over = true;
	chan_free(k->chan);
	k->chan = NULL;
}

/* ---- orphans ----------------------------------------------------------- */

static struct keeper *find(const struct keepers *all, pid_t pid)
{
	struct keeper *k = all->first;

	while (k != NULL && k->pid != pid)
		k = k->link;
	return k;
}

/* SIGKILL to every child that is no keeper, and to all below it. Returns how
 * many such children there are. */
static size_t kill_orphans(struct keepers *all)
{
	struct pids pids = { 0 };
	size_t i, n = 0;

	tree_children(getpid(), &pids);
	for (i = 0; i < pids.n; i++) {
		if (find(all, pids.v[i]) != NULL)
			continue;
		n++;
		kill(pids.v[i], SIGKILL);
		tree_kill(pids.v[i]);
	}
	pids_free(&pids);
	return n;
}

static struct keeper *find_lost(const struct keepers *all)
{
	struct keeper *k = all->first;

	while (k != NULL && !(k->lost && !k->over))
		k = k->link;
	return k;
}

/* What a lost keeper left: gone before anybody hears of the loss. */
static void purge(struct keepers *all)
{
	struct keeper *k;

	if (find_lost(all) == NULL)
		return;
	if (kill_orphans(all) > 0) {
		ev_now_update(all->loop);
		ev_timer_again(all->loop, &all->purge);
		return;
	}
	ev_timer_stop(all->loop, &all->purge);
	while ((k = find_lost(all)) != NULL && k->pid == 0) {
		k->over = true;
		all->ops->on_lost(all->data, k);
		forget_if_gone(k);
	}
}

static void reap(struct keepers *all)
{
	struct keeper *k;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		k = find(all, pid);
		if (k != NULL) {
			k->pid = 0;
			forget_if_gone(k);
		}
	}
	purge(all);
	all->ops->on_reaped(all->data);
}

static void on_child(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	reap(w->data);
}

static void on_purge(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	reap(w->data);
}

/* ---- what a keeper says ------------------------------------------------ */

/* Fields of messages.h into r. Returns 0, or -1 if it is malformed. */
static int decode(struct keeper_report *r, struct get *g)
{
	r->text = r->who = "";
	switch (r->type) {
	case K_HELLO:
		if (get_u32(g) != WIRE_VERSION)
			log_bug("hr was replaced while it runs; start it "
				"again");
		break;
	case K_LOCK_WAIT:
		r->text = get_text(g);
		r->pid = get_i32(g);
		r->who = get_text(g);
		break;
	case K_STARTED:
		r->pid = get_i32(g);
		r->at_us = get_i64(g);
		break;
	case K_FAILED:
		r->code = get_i32(g);
		r->text = get_text(g);
		break;
	case K_MAIN_EXIT:
		r->status = get_i32(g);
		r->code = (int)get_u32(g);
		break;
	case K_STOPPING:
		r->code = get_i32(g);
		r->pid = get_i32(g);
		r->text = get_text(g);
		break;
	case K_ENDED:
		r->status = get_i32(g);
		r->at_us = get_i64(g);
		break;
	}
	return get_end(g);
}

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct keeper *k = data;
	struct keeper_report r = { .type = (enum keeper_says)type, .fd = fd };
	struct arena *arena = arena_new();
	struct get g;

	get_init(&g, body, len, arena);
	if (decode(&r, &g) < 0)
		log_bug("message %u from a keeper is malformed", type);
	if (r.type != K_HELLO)
		fd_close(&r.fd);
	if (r.type == K_STARTED)
		k->main_pid = r.pid;
	if (r.type == K_ENDED || r.type == K_FAILED)
		close_channel(k);
	k->all->ops->on_report(k->all->data, k, &r);
	arena_free(arena);
	forget_if_gone(k);
}

/* It was killed, or its channel was: then it is no use to anybody. */
static void on_gone(void *data)
{
	struct keeper *k = data;
	struct keepers *all = k->all;

	chan_free(k->chan);
	k->chan = NULL;
	k->lost = true;
	if (k->pid != 0)
		kill(k->pid, SIGKILL);
	reap(all);
}

/* ---- the set ----------------------------------------------------------- */

void keepers_init(struct keepers *all, struct ev_loop *loop,
		  const struct keepers_ops *ops, void *data)
{
	*all = (struct keepers){ .loop = loop, .ops = ops, .data = data };
	ev_signal_init(&all->child, on_child, SIGCHLD);
	ev_timer_init(&all->purge, on_purge, 0., PURGE_AGAIN_S);
	all->child.data = all->purge.data = all;
	ev_signal_start(loop, &all->child);
}

void keepers_done(struct keepers *all)
{
	while (all->first != NULL)
		keeper_free(all->first);
	ev_signal_stop(all->loop, &all->child);
	ev_timer_stop(all->loop, &all->purge);
}

struct keeper *keepers_spawn(struct keepers *all, const char *name,
			     int64_t generation, struct err *err)
{
	static const struct chan_ops ops = { on_message, on_gone };
	char number[24];
	const char *argv[] = { "hr", "keeper", name, number, NULL };
	int fds[2], pidfd = -1;
	struct keeper *k;
	pid_t pid;

	if (chan_pair(fds, err) < 0)
		return NULL;
	snprintf(number, sizeof(number), "%" PRId64, generation);
	pid = spawn_role(argv, fds[1], &pidfd, err);
	fd_close(&pidfd);
	if (pid < 0) {
		close(fds[0]);
		return NULL;
	}
	k = xcalloc(1, sizeof(*k));
	k->all = all;
	k->pid = pid;
	k->generation = generation;
	k->log_fd = -1;
	k->link = all->first;
	all->first = k;
	k->chan = chan_new(all->loop, fds[0], &ops, k);
	return k;
}

bool keepers_none(const struct keepers *all)
{
	siginfo_t info;

	return all->first == NULL &&
	       waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
	       errno == ECHILD;
}

void keepers_kill_all(struct keepers *all)
{
	struct keeper *k;

	for (k = all->first; k != NULL; k = k->link)
		keeper_kill(k);
	kill_orphans(all);
}

/* ---- what a keeper is told --------------------------------------------- */

static void tell(struct keeper *k, enum keeper_msg type, struct buf *body)
{
	struct err err;

	if (k->chan != NULL && chan_send(k->chan, type, body, -1, &err) < 0 &&
	    err.code != ERR_GONE)
		log_line("%s", err.what);
}

void keeper_start(struct keeper *k, const struct keeper_run *run)
{
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	put_u32(&b, WIRE_VERSION);
	put_str(&b, run->command);
	put_bool(&b, true);
	put_str(&b, run->dir);
	put_strv(&b, run->env);
	put_strv(&b, run->locks);
	put_str(&b, run->own_lock);
	put_i32(&b, run->kill_signal);
	put_u32(&b, run->kill_scope);
	put_i64(&b, run->kill_delay_ms);
	tell(k, K_RUN, &b);
	tell(k, K_START, NULL);
	k->started = true;
	buf_done(&b);
}

void keeper_stop(struct keeper *k)
{
	tell(k, K_STOP, NULL);
}

void keeper_kill(struct keeper *k)
{
	tell(k, K_KILL, NULL);
}

void keeper_signal(struct keeper *k, int signo)
{
	struct buf b;

	buf_init(&b, 64);
	put_i32(&b, signo);
	tell(k, K_SIGNAL, &b);
	buf_done(&b);
}

void keeper_discard(struct keeper *k)
{
	if (k == NULL)
		return;
	fd_close(&k->log_fd);
	close_channel(k);
	forget_if_gone(k);
}
