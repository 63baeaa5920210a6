/* SPDX-License-Identifier: MIT */
/*
 * Every message between the processes of hr; clients speak JSON on hr.sock
 * instead (lib/master/control.c).
 *
 * One X-list per direction: X(NAME) with the body's fields, in order, in the
 * comment behind it. The enums, and the names for log lines, come from the
 * lists, so a switch without default lets the compiler name a missing case.
 * Field types are those of put.h: u8 u32 i32 i64 bool str text strv enum.
 * `text` is a string that is never NULL. Times in _us are CLOCK_MONOTONIC.
 *
 * Bump WIRE_VERSION with every change. All roles are the same binary, so a
 * mismatch means hr was replaced on disk while running: the role says so and
 * leaves.
 *
 * An answer names the instance and generation it belongs to; one for a
 * generation that is gone is dropped by the receiver.
 */
#ifndef HR_WIRE_MESSAGES_H
#define HR_WIRE_MESSAGES_H

#include <stdint.h>

#define WIRE_VERSION 1

/* clang-format off */

#define MASTER_TO_WORKER(X) \
	X(W_SETUP)       /* u32 version; i64 last generation used; text \
			   state dir (.hr); text stack dir; enum \
			   env_precedence; strv stack env files; strv \
			   HR_PORT_* assignments; u32 instances; service \
			   (spec.h). First message, once. */ \
	X(W_START)       /* i32 request (0: none); text why */ \
	X(W_STOP)        /* i32 request; text why. Stays down until W_START */ \
	X(W_RESTART)     /* i32 request; u32 instance (0: all); text why */ \
	X(W_RELOAD)      /* i32 request; u32 instance (0: all); text why */ \
	X(W_TOUCHED)     /* - : something changed, quiet time runs: do not \
			   commit a build that is under way */ \
	X(W_CALM)        /* - : what was touched turned out unchanged */ \
	X(W_CHANGED)     /* enum action; text rule ("" = default); i64 \
			   first_us; i64 settled_us; u32 paths in all; strv \
			   paths (first ones), relative to the stack dir */ \
	X(W_SIGNAL)      /* i32 request; i32 signo; u32 instance (0: all) */ \
	X(W_KILL)        /* - : no more patience: SIGKILL every tree now */ \
	X(W_QUIT)        /* - : stop everything, say W_BYE, leave */

#define WORKER_TO_MASTER(X) \
	X(M_HELLO)       /* u32 version */ \
	X(M_STATE)       /* u32 instance (from 1); i64 generation (0: none); \
			   enum state; i32 pid (0: none); text why */ \
	X(M_LOG)         /* u32 instance; i64 generation; enum log_source; \
			   fd: read end of a pipe, non-blocking */ \
	X(M_BUILD)       /* i64 generation; enum build_event; i64 build_us; \
			   text why */ \
	X(M_EXITED)      /* u32 instance; i64 generation; i32 wait status; \
			   bool expected; text why in words ("exit 3", \
			   "killed by SIGSEGV") */ \
	X(M_WAITING)     /* u32 instance; enum wait_for; text holder in \
			   words */ \
	X(M_STOPPING)    /* u32 instance; i64 generation; i32 pid; i32 signo \
			   sent; text who is still there ("" = main) */ \
	X(M_RELOADED)    /* u32 instance; i64 generation; enum \
			   reload_result; text rule; i64 quiet_us build_us \
			   drain_us start_us ready_us total_us; u32 paths \
			   in all; strv paths; text why */ \
	X(M_DONE)        /* i32 request; bool ok; text what ("generation 3 \
			   ready") */ \
	X(M_NOTE)        /* enum note_level; text. One line for the user */ \
	X(M_BYE)         /* - : nothing is left; EOF follows */

#define WORKER_TO_KEEPER(X) \
	X(K_RUN)         /* u32 version; text command; bool shell (else argv \
			   = command split at spaces); text dir; strv env; \
			   strv locks (the service's `lock`: absolute); \
			   text own lock file (".hr/run/NAME.1.lock", "" \
			   for none, as a build); i32 kill_signal; enum \
			   kill_scope; i64 kill_delay_ms. First, once. */ \
	X(K_START)       /* - : take the locks, then spawn */ \
	X(K_STOP)        /* - : stop in steps */ \
	X(K_KILL)        /* - : SIGKILL the whole tree now */ \
	X(K_SIGNAL)      /* i32 signo, to the service's process group */

#define KEEPER_TO_WORKER(X) \
	X(K_HELLO)       /* u32 version; fd: read end of the log pipe */ \
	X(K_LOCK_WAIT)   /* text path; i32 pid of the holder (0: unknown); \
			   text who */ \
	X(K_STARTED)     /* i32 pid; i64 at_us */ \
	X(K_FAILED)      /* i32 errno; text why: nothing runs; the keeper \
			   leaves */ \
	X(K_MAIN_EXIT)   /* i32 wait status; u32 others still alive, now \
			   being stopped */ \
	X(K_STOPPING)    /* i32 signo just sent; i32 pid still there; text \
			   its command */ \
	X(K_ENDED)       /* i32 wait status of main; i64 at_us: waitpid said
			   ECHILD, locks are released; the keeper leaves */

#define MASTER_TO_WATCHER(X) \
	X(V_SETUP)       /* u32 version; text stack dir; text state dir */ \
	X(V_SUBSCRIBE)   /* u32 id; i64 since_real_us (0: now): changes \
			   after it count as changed; service (spec.h). A \
			   known id is replaced. */ \
	X(V_UNSUBSCRIBE) /* u32 id */ \
	X(V_SYNC)        /* u32 token */

#define WATCHER_TO_MASTER(X) \
	X(V_HELLO)       /* u32 version */ \
	X(V_ARMED)       /* u32 id; u32 directories watched for it; i64 \
			   took_us */ \
	X(V_TOUCHED)     /* u32 id: first event of a batch */ \
	X(V_CALM)        /* u32 id: the batch came to nothing */ \
	X(V_CHANGED)     /* u32 id; enum action; text rule; i64 first_us; \
			   i64 settled_us; i64 settled_real_us; u32 paths \
			   in all; strv paths (first 100) */ \
	X(V_IGNORED)     /* u32 id; text path; text why */ \
	X(V_DEGRADED)    /* text path; text why; text hint */ \
	X(V_SYNCED)      /* u32 token */

/* clang-format on */

#define MESSAGE_ENUM(name) name,
enum worker_msg { MASTER_TO_WORKER(MESSAGE_ENUM) };
enum master_msg { WORKER_TO_MASTER(MESSAGE_ENUM) };
enum keeper_msg { WORKER_TO_KEEPER(MESSAGE_ENUM) };
enum keeper_says { KEEPER_TO_WORKER(MESSAGE_ENUM) };
enum watcher_msg { MASTER_TO_WATCHER(MESSAGE_ENUM) };
enum watcher_says { WATCHER_TO_MASTER(MESSAGE_ENUM) };
#undef MESSAGE_ENUM

/* Published states of an instance: the words of `hr ps` (interface.md 6). */
#define INSTANCE_STATES(X)                                                     \
	X(WAITING, "waiting")                                                  \
	X(BUILDING, "building")                                                \
	X(STARTING, "starting")                                                \
	X(READY, "ready")                                                      \
	X(DRAINING, "draining")                                                \
	X(STOPPED, "stopped")                                                  \
	X(DONE, "done")                                                        \
	X(BACKOFF, "backoff")                                                  \
	X(FAILED, "failed")
#define STATE_ENUM(name, word) STATE_##name,
enum instance_state { INSTANCE_STATES(STATE_ENUM) STATE_LIMIT };
#undef STATE_ENUM

#define RELOAD_RESULTS(X)                                                      \
	X(READY, "ready")                                                      \
	X(BUILD_FAILED, "build_failed")                                        \
	X(FAILED, "failed")                                                    \
	X(ROLLED_BACK, "rolled_back")                                          \
	X(CANCELLED, "cancelled")
#define RESULT_ENUM(name, word) RESULT_##name,
enum reload_result { RELOAD_RESULTS(RESULT_ENUM) RESULT_LIMIT };
#undef RESULT_ENUM

enum log_source { LOG_SERVICE, LOG_BUILD, LOG_SOURCE_LIMIT };
enum build_event {
	BUILD_STARTED,
	BUILD_DONE,
	BUILD_FAILED,
	BUILD_CANCELLED,
	BUILD_EVENT_LIMIT
};
enum wait_for { WAIT_LOCK, WAIT_PORT, WAIT_FOR_LIMIT };
enum note_level { NOTE_INFO, NOTE_WARNING, NOTE_ERROR, NOTE_LEVEL_LIMIT };

const char *instance_state_name(enum instance_state s);
const char *reload_result_name(enum reload_result r);

#endif
