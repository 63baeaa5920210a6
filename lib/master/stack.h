/* SPDX-License-Identifier: MIT */
/*
 * What the master knows of the running stack; shared by the files of
 * lib/master and by nobody else.
 *
 * A unit is a service with its worker; it has one or more instances. Units
 * stand in the model's order. The master is one thread, one loop: everything
 * here changes only in callbacks of that loop.
 */
#ifndef HR_MASTER_STACK_H
#define HR_MASTER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/wire/messages.h"
#include "procfile/model.h"

struct buf;
struct chan;
struct control;
struct events;
struct mux;
struct stack;
struct up_options;

/* The last replacement of an instance: interface.md section 6. */
struct reload {
	bool known;
	int64_t generation;
	enum reload_result result;
	int64_t quiet_us, build_us, drain_us, start_us, ready_us, total_us;
	char rule[SERVICE_NAME_MAX];
	char **trigger; /* paths, NULL-terminated, one block */
};

struct instance {
	uint32_t number; /* from 1 */
	char label[SERVICE_NAME_MAX + 8];
	enum instance_state state;
	int64_t generation;
	pid_t pid;	     /* 0: none */
	int64_t since_us;    /* in this state */
	int64_t up_since_us; /* of the running process; 0: none */
	char why[256];
	int last_status;   /* wait status of the last process */
	unsigned restarts; /* by policy, after it ended by itself */
	unsigned reloads;
	struct reload last_reload;
	/* Whom a stop waits for: the last M_STOPPING. */
	pid_t stopping_pid;
	int stopping_signo;
	int64_t stopping_since_us;
	char stopping_who[128];
};

/* A child process of the master that speaks on a channel. */
struct role {
	struct stack *stack;
	struct unit *unit; /* NULL: the watcher */
	pid_t pid;	   /* 0: not running */
	struct chan *chan; /* NULL: not running */
	ev_timer respawn;
	int64_t spawned_us;
	unsigned quick_deaths; /* in a row, for the respawn delay */
	int refused; /* errno of the last failed spawn that was told */
};

struct unit {
	struct stack *stack;
	const struct service *s;
	uint32_t id;
	struct role worker;
	struct instance *instances;
	uint32_t n_instances;
	bool wanted;  /* by `hr up` or `hr start` */
	bool paused;  /* by `hr stop`, until `hr start` */
	bool rested;  /* its worker died when it was done or failed: a change
			starts it, nothing else does */
	bool started; /* W_START was sent since it was wanted */
	bool told_to_quit;
	bool gone; /* said M_BYE: nothing of it is left */
	int64_t last_generation;
	int64_t settled_real_us; /* of its last change set; for a new watcher */
	bool armed;		 /* its tree is watched, or nobody watches */
	uint32_t armed_dirs;
	VEC(int32_t) start_requests; /* answered once W_START can be sent */
};

struct stack {
	struct ev_loop *loop;
	const struct up_options *opt;
	const struct model *model;
	char *state_dir; /* …/.hr */
	char **port_env; /* HR_PORT_<NAME>=… */
	struct unit *units;
	size_t n_units;
	struct role watcher;
	bool watching; /* some unit is watched and --no-watch not given */
	struct mux *mux;
	struct events *events;
	struct control *control;
	bool stopping;
	int exit_code;
	int64_t stop_since_us;
	ev_timer stop_tick; /* each second of a stop */
};

/* opt, model: KEPT. */
void stack_init(struct stack *st, const struct up_options *opt,
		const struct model *model);
void stack_done(struct stack *st);
/* Mark what the command line or `enabled` selects, and what that comes after,
 * as wanted. */
void stack_want(struct stack *st);

struct unit *stack_find(struct stack *st, const char *name);
/* "web.2" or "web": the unit, and the instance number (0: all). NULL if
 * there is none. */
struct unit *stack_find_instance(struct stack *st, const char *label,
				 uint32_t *instance);

/* Start what is wanted and may start by `after`; call after any change of
 * state. In a stop: tell those to quit that nobody comes after. */
void stack_advance(struct stack *st);
/* Begin to leave; code becomes the exit code of `hr up`. why: for events. */
void stack_stop(struct stack *st, int code, const char *why);

#endif
