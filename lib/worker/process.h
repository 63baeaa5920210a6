/* SPDX-License-Identifier: MIT */
/*
 * One instance of a service as a state machine: pure, a table, no clock.
 *
 * What is wanted (up, down) is kept apart from what is. "down" means that
 * nothing of the instance lives; whoever finds it down and wanted up sends
 * PE_RUN. A cell with PA_BUG cannot happen: the caller logs it.
 */
#ifndef HR_WORKER_PROCESS_H
#define HR_WORKER_PROCESS_H

#include <stdbool.h>

#define PROCESS_STATES(X)                                                      \
	X(DOWN, "down")		/* nothing of it lives */                      \
	X(WAITING, "waiting")	/* for its port to be free */                  \
	X(LOCKED, "locked")	/* its keeper waits for a lock */              \
	X(STARTING, "starting") /* until exec, and from exec until ready */    \
	X(READY, "ready")                                                      \
	X(STOPPING, "stopping") /* we stop it; until its tree is gone */       \
	X(ENDING, "ending") /* it ended by itself, or was late: the rest   \
				   of its tree is being stopped */   \
	X(BACKOFF, "backoff")                                                  \
	X(FAILED, "failed")                                                    \
	X(DONE, "done")

#define PROCESS_EVENTS(X)                                                      \
	X(RUN, "run")	      /* start it: nothing of it lives */              \
	X(REPLACE, "replace") /* run a new generation instead */               \
	X(STOP, "stop")	      /* it is not wanted any more */                  \
	X(UNBUILT, "unbuilt") /* its build failed */                           \
	X(FREE, "free")	      /* its port can be bound */                      \
	X(LOCKED, "locked")   /* a lock is held by another */                  \
	X(STARTED, "started") /* exec was done */                              \
	X(READY, "ready")                                                      \
	X(LATE, "late")	    /* not ready in time */                            \
	X(EXITED, "exited") /* main process gone, others still there */        \
	X(GONE_AGAIN, "gone, again")   /* tree gone; policy: start again */    \
	X(GONE_DONE, "gone, done")     /* tree gone; policy: it is done */     \
	X(GONE_FAILED, "gone, failed") /* tree gone; policy: it has failed */

/* Carried out in this order. */
#define PROCESS_ACTIONS(X)                                                     \
	X(NOTHING)                                                             \
	X(BUG)	   /* this event cannot come in this state: log it */          \
	X(UNLOOK)  /* end LOOK */                                              \
	X(UNPROBE) /* end PROBE */                                             \
	X(DISARM)  /* end the back-off */                                      \
	X(STOP)	   /* the running keeper: stop in steps */                     \
	X(DISCARD) /* let a prepared keeper go */                              \
	X(PREPARE) /* have a keeper at hand for the newest generation */       \
	X(LOOK)	   /* look at the port until it is free */                     \
	X(LAUNCH)  /* the prepared keeper: start */                            \
	X(PROBE)   /* look until it is ready, or late */                       \
	X(ARM)	   /* the back-off timer */

#define ENUM_STATE(name, word) PS_##name,
enum process_state { PROCESS_STATES(ENUM_STATE) PS_LIMIT };
#undef ENUM_STATE

#define ENUM_EVENT(name, word) PE_##name,
enum process_event { PROCESS_EVENTS(ENUM_EVENT) PE_LIMIT };
#undef ENUM_EVENT

#define ENUM_BIT(name) PA_BIT_##name,
enum process_action_bit { PROCESS_ACTIONS(ENUM_BIT) PA_BITS };
#undef ENUM_BIT
#define ENUM_ACTION(name) PA_##name = 1 << PA_BIT_##name,
enum process_action { PROCESS_ACTIONS(ENUM_ACTION) PA_NONE = 0 };
#undef ENUM_ACTION

struct process {
	enum process_state state;
	bool wanted; /* up */
};

struct process_cell {
	enum process_state next;
	unsigned actions; /* of enum process_action; 0: no such cell */
};

/* The cell of the table; the same that process_step uses. */
const struct process_cell *process_cell(enum process_state s,
					enum process_event e);
/* Change state and wanted. Returns the actions to carry out. */
unsigned process_step(struct process *p, enum process_event e);
/* Down, but wanted: PE_RUN is due. */
bool process_wants_run(const struct process *p);
/* On the way from one lasting state to another. */
bool process_in_transition(const struct process *p);
/* Running, or on its way to it. */
bool process_runs(const struct process *p);

const char *process_state_name(enum process_state s);
const char *process_event_name(enum process_event e);

#endif
