/* SPDX-License-Identifier: MIT */
/*
 * The builds of a service as a state machine: pure, a table, no clock.
 *
 * Never two at once: what is superseded is killed, and its tree is gone
 * before the next begins. While the quiet time after a save runs
 * (`unsettled`) no result is used: it is held until the watcher says that
 * nothing changed after all, or dropped for a new build. A cell with BA_BUG
 * cannot happen: the caller logs it.
 */
#ifndef HR_WORKER_BUILD_H
#define HR_WORKER_BUILD_H

#include <stdbool.h>

#define BUILD_STATES(X)                                                        \
	X(IDLE, "idle")                                                        \
	X(BUILDING, "building")                                                \
	X(AGAIN, "again")	    /* being killed, to begin anew */          \
	X(CANCELLING, "cancelling") /* being killed: not wanted any more */    \
	X(TIMED_OUT, "timed out")   /* being killed: took too long */          \
	X(HELD, "held")		    /* was good; quiet time runs */            \
	X(HELD_BAD, "held, bad")    /* has failed; quiet time runs */

#define BUILD_EVENTS(X)                                                        \
	X(WANT, "want")	      /* somebody asks for a build */                  \
	X(CHANGED, "changed") /* a change set: the quiet time is over */       \
	X(TOUCH, "touch")     /* the quiet time has begun */                   \
	X(CALM, "calm")	      /* it is over, and nothing changed */            \
	X(GOOD, "good")	      /* exit 0, and its tree is gone */               \
	X(BAD, "bad")	      /* otherwise, and its tree is gone */            \
	X(GOOD_EARLY, "good, early") /* the same while the quiet time runs: */ \
	X(BAD_EARLY, "bad, early")   /* build_step makes these */              \
	X(TIMEOUT, "timeout")                                                  \
	X(CANCEL, "cancel")

/* Carried out in this order. */
#define BUILD_ACTIONS(X)                                                       \
	X(NOTHING)                                                             \
	X(BUG)	  /* this event cannot come in this state: log it */           \
	X(KILL)	  /* the whole tree of the build */                            \
	X(DROP)	  /* what it made is not used */                               \
	X(COMMIT) /* what it made is the newest */                             \
	X(FAIL)	  /* report; the old one stays in use */                       \
	X(BEGIN)

#define ENUM_STATE(name, word) BS_##name,
enum build_state { BUILD_STATES(ENUM_STATE) BS_LIMIT };
#undef ENUM_STATE

#define ENUM_EVENT(name, word) BE_##name,
enum build_input { BUILD_EVENTS(ENUM_EVENT) BE_LIMIT };
#undef ENUM_EVENT

#define ENUM_BIT(name) BA_BIT_##name,
enum build_action_bit { BUILD_ACTIONS(ENUM_BIT) BA_BITS };
#undef ENUM_BIT
#define ENUM_ACTION(name) BA_##name = 1 << BA_BIT_##name,
enum build_action { BUILD_ACTIONS(ENUM_ACTION) BA_NONE = 0 };
#undef ENUM_ACTION

struct build {
	enum build_state state;
	bool unsettled; /* the quiet time runs */
};

struct build_cell {
	enum build_state next;
	unsigned actions; /* of enum build_action; 0: no such cell */
};

const struct build_cell *build_cell(enum build_state s, enum build_input e);
/* Change state and unsettled. Returns the actions to carry out. */
unsigned build_step(struct build *b, enum build_input e);
/* Whether the newest content is in the making: another BE_WANT would only
 * begin the same anew. */
bool build_will_end(const struct build *b);
/* Whether a build's tree may be alive. */
bool build_is_alive(const struct build *b);

const char *build_state_name(enum build_state s);
const char *build_input_name(enum build_input e);

#endif
