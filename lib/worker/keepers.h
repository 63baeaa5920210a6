/* SPDX-License-Identifier: MIT */
/*
 * The keepers of a worker: spawned, told, heard, reaped; and the orphans of
 * a keeper that was killed, which land here since the worker is a subreaper.
 *
 * A struct keeper lives until its process is reaped and its channel has
 * ended; its owner may use it until it was told of the end (K_ENDED,
 * K_FAILED, on_lost) or has discarded it, and not after.
 */
#ifndef HR_WORKER_KEEPERS_H
#define HR_WORKER_KEEPERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "lib/wire/messages.h"

struct chan;
struct err;
struct keeper;
struct keepers;

/* One message of a keeper; which fields are set: messages.h. */
struct keeper_report {
	enum keeper_says type;
	pid_t pid;	  /* LOCK_WAIT, STARTED, STOPPING */
	int status;	  /* MAIN_EXIT, ENDED */
	int code;	  /* FAILED: errno; STOPPING: signal; MAIN_EXIT:
			     how many others */
	int64_t at_us;	  /* STARTED, ENDED */
	const char *text; /* FAILED why, LOCK_WAIT path, STOPPING command */
	const char *who;  /* LOCK_WAIT */
	int fd;		  /* HELLO: TAKEN by the callee */
};

struct keepers_ops {
	void (*on_report)(void *data, struct keeper *k,
			  const struct keeper_report *r);
	/* It died without a word, and no orphan is left. */
	void (*on_lost)(void *data, struct keeper *k);
	/* A keeper was forgotten, or an orphan reaped: is there more? */
	void (*on_reaped)(void *data);
};

struct keeper {
	struct keepers *all;
	struct keeper *link;
	struct chan *chan; /* NULL: closed */
	pid_t pid;	   /* 0: reaped */
	bool over;	   /* said its last word, or was discarded */
	bool lost;
	/* The owner's. */
	int64_t generation;
	int instance; /* -1: a build */
	bool started; /* K_START was sent */
	int log_fd;   /* -1, or to be passed on */
	pid_t main_pid;
};

struct keepers {
	struct ev_loop *loop;
	const struct keepers_ops *ops;
	void *data;
	struct keeper *first;
	ev_signal child;
	ev_timer purge;
};

/* loop, ops, data: KEPT. */
void keepers_init(struct keepers *all, struct ev_loop *loop,
		  const struct keepers_ops *ops, void *data);
void keepers_done(struct keepers *all);
/* `hr keeper NAME GENERATION`. NULL with err. */
struct keeper *keepers_spawn(struct keepers *all, const char *name,
			     int64_t generation, struct err *err);
/* Neither keepers nor other children. */
bool keepers_none(const struct keepers *all);
/* SIGKILL to the trees of all, and to orphans. */
void keepers_kill_all(struct keepers *all);

/* K_RUN, as messages.h says. */
struct keeper_run {
	const char *command;
	const char *dir;
	const char *const *env;
	const char *const *locks;
	const char *own_lock;
	int kill_signal;
	unsigned kill_scope;
	int64_t kill_delay_ms;
};

/* K_RUN and K_START. */
void keeper_start(struct keeper *k, const struct keeper_run *run);
void keeper_stop(struct keeper *k);
void keeper_kill(struct keeper *k);
void keeper_signal(struct keeper *k, int signo);
/* One that was not started: it reads the end of its channel and leaves.
 * NULL is fine. */
void keeper_discard(struct keeper *k);

#endif
