/* SPDX-License-Identifier: MIT */
/* The states of an instance: the table, and the step through it. */
#include "lib/worker/process.h"

/* clang-format off */
static const struct process_cell table[PS_LIMIT][PE_LIMIT] = {
	[PS_DOWN] = {
		[PE_RUN]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_REPLACE]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_STOP]	 = { PS_DOWN, PA_DISCARD },
		[PE_UNBUILT]	 = { PS_FAILED, PA_NOTHING },
		[PE_FREE]	 = { PS_DOWN, PA_BUG },
		[PE_LOCKED]	 = { PS_DOWN, PA_BUG },
		[PE_STARTED]	 = { PS_DOWN, PA_BUG },
		[PE_READY]	 = { PS_DOWN, PA_BUG },
		[PE_LATE]	 = { PS_DOWN, PA_BUG },
		[PE_EXITED]	 = { PS_DOWN, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_DOWN, PA_BUG },
		[PE_GONE_DONE]	 = { PS_DOWN, PA_BUG },
		[PE_GONE_FAILED] = { PS_DOWN, PA_BUG },
	},
	[PS_WAITING] = {
		[PE_RUN]	 = { PS_WAITING, PA_BUG },
		[PE_REPLACE]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_STOP]	 = { PS_DOWN, PA_UNLOOK | PA_DISCARD },
		[PE_UNBUILT]	 = { PS_WAITING, PA_NOTHING },
		[PE_FREE]	 = { PS_STARTING, PA_UNLOOK | PA_LAUNCH },
		[PE_LOCKED]	 = { PS_WAITING, PA_BUG },
		[PE_STARTED]	 = { PS_WAITING, PA_BUG },
		[PE_READY]	 = { PS_WAITING, PA_BUG },
		[PE_LATE]	 = { PS_WAITING, PA_BUG },
		[PE_EXITED]	 = { PS_WAITING, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_WAITING, PA_BUG },
		[PE_GONE_DONE]	 = { PS_WAITING, PA_BUG },
		[PE_GONE_FAILED] = { PS_WAITING, PA_BUG },
	},
	[PS_LOCKED] = {
		[PE_RUN]	 = { PS_LOCKED, PA_BUG },
		[PE_REPLACE]	 = { PS_STOPPING, PA_STOP | PA_PREPARE },
		[PE_STOP]	 = { PS_STOPPING, PA_STOP },
		[PE_UNBUILT]	 = { PS_LOCKED, PA_NOTHING },
		[PE_FREE]	 = { PS_LOCKED, PA_BUG },
		[PE_LOCKED]	 = { PS_LOCKED, PA_NOTHING },
		[PE_STARTED]	 = { PS_STARTING, PA_PROBE },
		[PE_READY]	 = { PS_LOCKED, PA_BUG },
		[PE_LATE]	 = { PS_LOCKED, PA_BUG },
		[PE_EXITED]	 = { PS_LOCKED, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_BACKOFF, PA_ARM },
		[PE_GONE_DONE]	 = { PS_DONE, PA_NOTHING },
		[PE_GONE_FAILED] = { PS_FAILED, PA_NOTHING },
	},
	[PS_STARTING] = {
		[PE_RUN]	 = { PS_STARTING, PA_BUG },
		[PE_REPLACE]	 = { PS_STOPPING,
				     PA_UNPROBE | PA_STOP | PA_PREPARE },
		[PE_STOP]	 = { PS_STOPPING, PA_UNPROBE | PA_STOP },
		[PE_UNBUILT]	 = { PS_STARTING, PA_NOTHING },
		[PE_FREE]	 = { PS_STARTING, PA_BUG },
		[PE_LOCKED]	 = { PS_LOCKED, PA_NOTHING },
		[PE_STARTED]	 = { PS_STARTING, PA_PROBE },
		[PE_READY]	 = { PS_READY, PA_UNPROBE },
		[PE_LATE]	 = { PS_ENDING, PA_UNPROBE | PA_STOP },
		[PE_EXITED]	 = { PS_ENDING, PA_UNPROBE },
		[PE_GONE_AGAIN]	 = { PS_BACKOFF, PA_UNPROBE | PA_ARM },
		[PE_GONE_DONE]	 = { PS_DONE, PA_UNPROBE },
		[PE_GONE_FAILED] = { PS_FAILED, PA_UNPROBE },
	},
	[PS_READY] = {
		[PE_RUN]	 = { PS_READY, PA_BUG },
		[PE_REPLACE]	 = { PS_STOPPING, PA_STOP | PA_PREPARE },
		[PE_STOP]	 = { PS_STOPPING, PA_STOP | PA_DISCARD },
		[PE_UNBUILT]	 = { PS_READY, PA_NOTHING },
		[PE_FREE]	 = { PS_READY, PA_BUG },
		[PE_LOCKED]	 = { PS_READY, PA_BUG },
		[PE_STARTED]	 = { PS_READY, PA_BUG },
		[PE_READY]	 = { PS_READY, PA_BUG },
		[PE_LATE]	 = { PS_READY, PA_BUG },
		[PE_EXITED]	 = { PS_ENDING, PA_NOTHING },
		[PE_GONE_AGAIN]	 = { PS_BACKOFF, PA_ARM },
		[PE_GONE_DONE]	 = { PS_DONE, PA_NOTHING },
		[PE_GONE_FAILED] = { PS_FAILED, PA_NOTHING },
	},
	/* What was under way when the stop was sent still arrives. */
	[PS_STOPPING] = {
		[PE_RUN]	 = { PS_STOPPING, PA_BUG },
		[PE_REPLACE]	 = { PS_STOPPING, PA_PREPARE },
		[PE_STOP]	 = { PS_STOPPING, PA_DISCARD },
		[PE_UNBUILT]	 = { PS_STOPPING, PA_NOTHING },
		[PE_FREE]	 = { PS_STOPPING, PA_BUG },
		[PE_LOCKED]	 = { PS_STOPPING, PA_NOTHING },
		[PE_STARTED]	 = { PS_STOPPING, PA_NOTHING },
		[PE_READY]	 = { PS_STOPPING, PA_BUG },
		[PE_LATE]	 = { PS_STOPPING, PA_BUG },
		[PE_EXITED]	 = { PS_STOPPING, PA_NOTHING },
		[PE_GONE_AGAIN]	 = { PS_DOWN, PA_NOTHING },
		[PE_GONE_DONE]	 = { PS_DOWN, PA_NOTHING },
		[PE_GONE_FAILED] = { PS_DOWN, PA_NOTHING },
	},
	[PS_ENDING] = {
		[PE_RUN]	 = { PS_ENDING, PA_BUG },
		[PE_REPLACE]	 = { PS_STOPPING, PA_PREPARE },
		[PE_STOP]	 = { PS_STOPPING, PA_DISCARD },
		[PE_UNBUILT]	 = { PS_ENDING, PA_NOTHING },
		[PE_FREE]	 = { PS_ENDING, PA_BUG },
		[PE_LOCKED]	 = { PS_ENDING, PA_BUG },
		[PE_STARTED]	 = { PS_ENDING, PA_BUG },
		[PE_READY]	 = { PS_ENDING, PA_BUG },
		[PE_LATE]	 = { PS_ENDING, PA_BUG },
		[PE_EXITED]	 = { PS_ENDING, PA_NOTHING },
		[PE_GONE_AGAIN]	 = { PS_BACKOFF, PA_ARM },
		[PE_GONE_DONE]	 = { PS_DONE, PA_NOTHING },
		[PE_GONE_FAILED] = { PS_FAILED, PA_NOTHING },
	},
	[PS_BACKOFF] = {
		[PE_RUN]	 = { PS_WAITING,
				     PA_DISARM | PA_PREPARE | PA_LOOK },
		[PE_REPLACE]	 = { PS_WAITING,
				     PA_DISARM | PA_PREPARE | PA_LOOK },
		[PE_STOP]	 = { PS_DOWN, PA_DISARM | PA_DISCARD },
		[PE_UNBUILT]	 = { PS_BACKOFF, PA_NOTHING },
		[PE_FREE]	 = { PS_BACKOFF, PA_BUG },
		[PE_LOCKED]	 = { PS_BACKOFF, PA_BUG },
		[PE_STARTED]	 = { PS_BACKOFF, PA_BUG },
		[PE_READY]	 = { PS_BACKOFF, PA_BUG },
		[PE_LATE]	 = { PS_BACKOFF, PA_BUG },
		[PE_EXITED]	 = { PS_BACKOFF, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_BACKOFF, PA_BUG },
		[PE_GONE_DONE]	 = { PS_BACKOFF, PA_BUG },
		[PE_GONE_FAILED] = { PS_BACKOFF, PA_BUG },
	},
	[PS_FAILED] = {
		[PE_RUN]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_REPLACE]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_STOP]	 = { PS_DOWN, PA_DISCARD },
		[PE_UNBUILT]	 = { PS_FAILED, PA_NOTHING },
		[PE_FREE]	 = { PS_FAILED, PA_BUG },
		[PE_LOCKED]	 = { PS_FAILED, PA_BUG },
		[PE_STARTED]	 = { PS_FAILED, PA_BUG },
		[PE_READY]	 = { PS_FAILED, PA_BUG },
		[PE_LATE]	 = { PS_FAILED, PA_BUG },
		[PE_EXITED]	 = { PS_FAILED, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_FAILED, PA_BUG },
		[PE_GONE_DONE]	 = { PS_FAILED, PA_BUG },
		[PE_GONE_FAILED] = { PS_FAILED, PA_BUG },
	},
	[PS_DONE] = {
		[PE_RUN]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_REPLACE]	 = { PS_WAITING, PA_PREPARE | PA_LOOK },
		[PE_STOP]	 = { PS_DOWN, PA_DISCARD },
		[PE_UNBUILT]	 = { PS_DONE, PA_NOTHING },
		[PE_FREE]	 = { PS_DONE, PA_BUG },
		[PE_LOCKED]	 = { PS_DONE, PA_BUG },
		[PE_STARTED]	 = { PS_DONE, PA_BUG },
		[PE_READY]	 = { PS_DONE, PA_BUG },
		[PE_LATE]	 = { PS_DONE, PA_BUG },
		[PE_EXITED]	 = { PS_DONE, PA_BUG },
		[PE_GONE_AGAIN]	 = { PS_DONE, PA_BUG },
		[PE_GONE_DONE]	 = { PS_DONE, PA_BUG },
		[PE_GONE_FAILED] = { PS_DONE, PA_BUG },
	},
};
/* clang-format on */

const struct process_cell *process_cell(enum process_state s,
					enum process_event e)
{
	return &table[s][e];
}

unsigned process_step(struct process *p, enum process_event e)
{
	const struct process_cell *c = &table[p->state][e];

	if (e == PE_RUN || e == PE_REPLACE)
		p->wanted = true;
	else if (e == PE_STOP)
		p->wanted = false;
	p->state = c->next;
	return c->actions;
}

bool process_wants_run(const struct process *p)
{
	return p->state == PS_DOWN && p->wanted;
}

bool process_in_transition(const struct process *p)
{
	return p->state == PS_WAITING || p->state == PS_LOCKED ||
	       p->state == PS_STARTING || p->state == PS_STOPPING ||
	       p->state == PS_ENDING;
}

bool process_runs(const struct process *p)
{
	return p->state == PS_WAITING || p->state == PS_LOCKED ||
	       p->state == PS_STARTING || p->state == PS_READY ||
	       (p->state == PS_STOPPING && p->wanted);
}

#define WORD(name, word) word,

const char *process_state_name(enum process_state s)
{
	static const char *const names[] = { PROCESS_STATES(WORD) };

	return s < PS_LIMIT ? names[s] : "?";
}

const char *process_event_name(enum process_event e)
{
	static const char *const names[] = { PROCESS_EVENTS(WORD) };

	return e < PE_LIMIT ? names[e] : "?";
}
