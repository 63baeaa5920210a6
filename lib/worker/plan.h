/* SPDX-License-Identifier: MIT */
/*
 * The build machine and the process machines of one service together: what
 * is asked for, and what follows from what happens. Pure: it acts through
 * plan_ops only, and knows no clock, so that a test can run it in virtual
 * time.
 *
 * Events are queued: whatever an action reports at once is dealt with after
 * the action. When nothing is left to be done, ops->settled is called.
 */
#ifndef HR_WORKER_PLAN_H
#define HR_WORKER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/worker/build.h"
#include "lib/worker/process.h"

struct plan;

struct plan_ops {
	/* Carry out one action; it may call plan_process and plan_build. */
	void (*build)(void *data, enum build_action a);
	void (*process)(void *data, size_t slot, enum process_action a);
	void (*settled)(void *data);
};

/* One instance. */
struct plan_slot {
	struct process process;
	bool pending; /* replace or start it as soon as its turn comes */
	bool after;   /* … once the build under way is good */
	bool despite; /* … and also if it is not, with the last good one */
	bool unbuilt; /* that build failed, which it has yet to be told */
};

struct plan_event {
	size_t slot; /* PLAN_BUILD: an event of the build machine */
	unsigned event;
};

#define PLAN_ALL SIZE_MAX
#define PLAN_BUILD SIZE_MAX

struct plan {
	const struct plan_ops *ops;
	void *data;
	struct build build;
	struct plan_slot *slots;
	size_t n;
	bool has_build;	    /* the service has a build at all */
	bool stop_on_error; /* on_build_error = "stop" */
	bool have_good;	    /* some build was good */
	bool up;	    /* the service is wanted */
	VEC(struct plan_event) queue;
	bool running;
};

/* ops, data: KEPT. plan_done() frees what it owns. */
void plan_init(struct plan *p, const struct plan_ops *ops, void *data,
	       size_t instances, bool has_build, bool stop_on_error);
void plan_done(struct plan *p);

/* Run what does not run; build first if nothing runs. */
void plan_start(struct plan *p);
/* Nothing shall run, whatever was asked for before. */
void plan_stop(struct plan *p);
/* Replace without a build, slot or PLAN_ALL; wait: not beside a build that is
 * under way, but with its result, or after its failure. */
void plan_restart(struct plan *p, size_t slot, bool wait);
/* Build, then replace. e: BE_WANT or BE_CHANGED. */
void plan_reload(struct plan *p, size_t slot, enum build_input e);
/* Something happened. */
void plan_build(struct plan *p, enum build_input e);
void plan_process(struct plan *p, size_t slot, enum process_event e);

/* Whether the outcome of what was asked of the slot is still open. */
bool plan_is_busy(const struct plan *p, size_t slot);
/* Nothing runs, nothing is built. */
bool plan_is_down(const struct plan *p);

#endif
