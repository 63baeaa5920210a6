/* SPDX-License-Identifier: MIT */
/*
 * What the files of the worker share: the service and its instances.
 *
 * worker.c hears (master, keepers), plan.c decides, act_build.c and
 * act_process.c carry out, look.c looks at ports, cause.c knows why, say.c
 * tells the master.
 */
#ifndef HR_WORKER_ROLE_H
#define HR_WORKER_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/wire/messages.h"
#include "lib/worker/answers.h"
#include "lib/worker/backoff.h"
#include "lib/worker/keepers.h"
#include "lib/worker/outputs.h"
#include "lib/worker/plan.h"
#include "procfile/model.h"

struct chan;
struct worker;

/* Why a new generation is made; several changes before it is ready are one
 * cause. */
struct cause {
	int64_t first_us; /* first event of all */
	int64_t quiet_us;
	int64_t build_us;
	char rule[SERVICE_NAME_MAX + 1];
	uint32_t total;	   /* paths in all */
	VEC(char *) paths; /* OWNED; followed by a NULL, or v is NULL */
};

/* What the master was told of last. */
struct published {
	enum instance_state state;
	int64_t generation;
	pid_t pid;
	char why[1024];
};

struct instance {
	struct worker *w;
	size_t slot;
	int number;		/* from 1 */
	struct keeper *current; /* of the generation that lives */
	struct keeper *next;	/* prepared, not started */
	int64_t generation;	/* of current, or the last one */
	struct backoff backoff;
	ev_timer backoff_timer;

	/* look.c */
	ev_timer look_timer;
	double look_s;
	int64_t look_since_us;
	pid_t told_pid; /* holder the master was told of; -1: nobody yet */
	int told_port;

	/* Of the current generation. */
	bool exit_told; /* M_EXITED was sent */
	bool late;
	int64_t launched_us;
	int64_t exec_us; /* 0: not yet */
	int64_t stop_us; /* K_STOP was sent; 0: not */
	int64_t ended_us;
	/* Stages of the reload under way. */
	bool in_round; /* M_RELOADED is due */
	int64_t drain_us;
	int64_t start_us;

	char why[1024]; /* of the state; "" if it needs no reason */
	struct published last;
};

struct worker {
	struct ev_loop *loop;
	struct chan *master; /* NULL once gone */
	struct arena *arena; /* of W_SETUP */
	const char *name;
	bool set_up;
	bool quitting;
	bool leaving; /* the loop is being left */

	/* W_SETUP */
	struct service service;
	const char *state_dir;
	const char *stack_dir;
	enum env_precedence precedence;
	const char *const *stack_files;
	const char *const *ports;

	struct plan plan;
	struct instance *instances;
	size_t n;
	struct keepers keepers;
	struct answers answers;
	struct outputs outputs;
	struct cause cause;
	char *changed_file; /* HR_CHANGED */
	struct buf noted;   /* problems of .env files told of last */

	int64_t generation; /* last number used */
	int64_t round;	    /* number for those that start next */
	bool round_due;	    /* take a new number for them */
	/* Made ready while nothing is to be done, once changes come at all. */
	bool edited;
	int64_t reserved;     /* the number they were made for; 0: none */
	struct keeper *spare; /* for the next build */

	/* The build under way. */
	struct keeper *builder;
	int64_t building; /* its generation; 0: none */
	int64_t build_began_us;
	bool prune_due;	  /* a build was good: older ones may go */
	int64_t build_us; /* how long it took, once it has ended */
	bool build_timed_out;
	char build_why[800]; /* how it ended: "exit 2" */
	ev_timer build_timer;
	ev_timer retry_timer; /* the system refused to start it */
};

/* act_build.c, act_process.c: one action each. */
void act_build(struct worker *w, enum build_action a);
void act_process(struct instance *i, enum process_action a);
/* A keeper at hand for the generation; an older one goes. */
void act_prepare(struct instance *i, int64_t generation);
/* The keeper of a build spoke, or was lost (r NULL). */
void act_build_report(struct worker *w, struct keeper *k,
		      const struct keeper_report *r);
/* Keepers for the next reload, while there is time. */
void act_prepare_ahead(struct worker *w);
/* Nothing is to be started: let all go that are prepared. */
void act_discard_prepared(struct worker *w);
void act_build_init(struct worker *w);
/* The keeper of a generation spoke, or was lost (r NULL). */
void act_process_report(struct instance *i, struct keeper *k,
			const struct keeper_report *r);
/* The environment, problems noted. OWNED: free(). */
char **act_environment(struct worker *w, int instance, int64_t generation,
		       const char *out);
/* look.c: ports until they are free; ports until we listen on them. */
void look_init(struct instance *i);
void look_for_free(struct instance *i);
void look_for_ready(struct instance *i);
void look_end(struct instance *i);

/* A generation number that was never used. */
int64_t worker_number(struct worker *w);
/* The system lacks something now (processes, descriptors, memory): that is
 * not the command's fault, and may pass. */
bool worker_is_refusal(int error);
/* After anything that happened: tell the master what has become of it. */
void worker_settled(struct worker *w);
/* Timers of a loop that may have worked for long: from now, not from its
 * last turn. */
void worker_arm(struct worker *w, ev_timer *t, double seconds);

#endif
