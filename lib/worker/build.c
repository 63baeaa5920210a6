/* SPDX-License-Identifier: MIT */
/* The states of the builds of a service: the table, and the step. */
#include "lib/worker/build.h"

/* clang-format off */
static const struct build_cell table[BS_LIMIT][BE_LIMIT] = {
	[BS_IDLE] = {
		[BE_WANT]	= { BS_BUILDING, BA_BEGIN },
		[BE_CHANGED]	= { BS_BUILDING, BA_BEGIN },
		[BE_TOUCH]	= { BS_IDLE, BA_NOTHING },
		[BE_CALM]	= { BS_IDLE, BA_NOTHING },
		[BE_GOOD]	= { BS_IDLE, BA_BUG },
		[BE_BAD]	= { BS_IDLE, BA_BUG },
		[BE_GOOD_EARLY] = { BS_IDLE, BA_BUG },
		[BE_BAD_EARLY]	= { BS_IDLE, BA_BUG },
		[BE_TIMEOUT]	= { BS_IDLE, BA_BUG },
		[BE_CANCEL]	= { BS_IDLE, BA_NOTHING },
	},
	[BS_BUILDING] = {
		[BE_WANT]	= { BS_AGAIN, BA_KILL },
		[BE_CHANGED]	= { BS_AGAIN, BA_KILL },
		[BE_TOUCH]	= { BS_BUILDING, BA_NOTHING },
		[BE_CALM]	= { BS_BUILDING, BA_NOTHING },
		[BE_GOOD]	= { BS_IDLE, BA_COMMIT },
		[BE_BAD]	= { BS_IDLE, BA_FAIL },
		[BE_GOOD_EARLY] = { BS_HELD, BA_NOTHING },
		[BE_BAD_EARLY]	= { BS_HELD_BAD, BA_NOTHING },
		[BE_TIMEOUT]	= { BS_TIMED_OUT, BA_KILL },
		[BE_CANCEL]	= { BS_CANCELLING, BA_KILL },
	},
	[BS_AGAIN] = {
		[BE_WANT]	= { BS_AGAIN, BA_NOTHING },
		[BE_CHANGED]	= { BS_AGAIN, BA_NOTHING },
		[BE_TOUCH]	= { BS_AGAIN, BA_NOTHING },
		[BE_CALM]	= { BS_AGAIN, BA_NOTHING },
		[BE_GOOD]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_BAD]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_GOOD_EARLY] = { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_BAD_EARLY]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_TIMEOUT]	= { BS_AGAIN, BA_NOTHING },
		[BE_CANCEL]	= { BS_CANCELLING, BA_NOTHING },
	},
	[BS_CANCELLING] = {
		[BE_WANT]	= { BS_AGAIN, BA_NOTHING },
		[BE_CHANGED]	= { BS_AGAIN, BA_NOTHING },
		[BE_TOUCH]	= { BS_CANCELLING, BA_NOTHING },
		[BE_CALM]	= { BS_CANCELLING, BA_NOTHING },
		[BE_GOOD]	= { BS_IDLE, BA_DROP },
		[BE_BAD]	= { BS_IDLE, BA_DROP },
		[BE_GOOD_EARLY] = { BS_IDLE, BA_DROP },
		[BE_BAD_EARLY]	= { BS_IDLE, BA_DROP },
		[BE_TIMEOUT]	= { BS_CANCELLING, BA_NOTHING },
		[BE_CANCEL]	= { BS_CANCELLING, BA_NOTHING },
	},
	[BS_TIMED_OUT] = {
		[BE_WANT]	= { BS_AGAIN, BA_NOTHING },
		[BE_CHANGED]	= { BS_AGAIN, BA_NOTHING },
		[BE_TOUCH]	= { BS_TIMED_OUT, BA_NOTHING },
		[BE_CALM]	= { BS_TIMED_OUT, BA_NOTHING },
		[BE_GOOD]	= { BS_IDLE, BA_FAIL },
		[BE_BAD]	= { BS_IDLE, BA_FAIL },
		[BE_GOOD_EARLY] = { BS_HELD_BAD, BA_NOTHING },
		[BE_BAD_EARLY]	= { BS_HELD_BAD, BA_NOTHING },
		[BE_TIMEOUT]	= { BS_TIMED_OUT, BA_BUG },
		[BE_CANCEL]	= { BS_CANCELLING, BA_NOTHING },
	},
	[BS_HELD] = {
		[BE_WANT]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_CHANGED]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_TOUCH]	= { BS_HELD, BA_NOTHING },
		[BE_CALM]	= { BS_IDLE, BA_COMMIT },
		[BE_GOOD]	= { BS_HELD, BA_BUG },
		[BE_BAD]	= { BS_HELD, BA_BUG },
		[BE_GOOD_EARLY] = { BS_HELD, BA_BUG },
		[BE_BAD_EARLY]	= { BS_HELD, BA_BUG },
		[BE_TIMEOUT]	= { BS_HELD, BA_BUG },
		[BE_CANCEL]	= { BS_IDLE, BA_DROP },
	},
	[BS_HELD_BAD] = {
		[BE_WANT]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_CHANGED]	= { BS_BUILDING, BA_DROP | BA_BEGIN },
		[BE_TOUCH]	= { BS_HELD_BAD, BA_NOTHING },
		[BE_CALM]	= { BS_IDLE, BA_FAIL },
		[BE_GOOD]	= { BS_HELD_BAD, BA_BUG },
		[BE_BAD]	= { BS_HELD_BAD, BA_BUG },
		[BE_GOOD_EARLY] = { BS_HELD_BAD, BA_BUG },
		[BE_BAD_EARLY]	= { BS_HELD_BAD, BA_BUG },
		[BE_TIMEOUT]	= { BS_HELD_BAD, BA_BUG },
		[BE_CANCEL]	= { BS_IDLE, BA_DROP },
	},
};
/* clang-format on */

const struct build_cell *build_cell(enum build_state s, enum build_input e)
{
	return &table[s][e];
}

static enum build_input refine(const struct build *b, enum build_input e)
{
	if (b->unsettled && e == BE_GOOD)
		return BE_GOOD_EARLY;
	if (b->unsettled && e == BE_BAD)
		return BE_BAD_EARLY;
	return e;
}

unsigned build_step(struct build *b, enum build_input e)
{
	const struct build_cell *c = &table[b->state][refine(b, e)];

	if (e == BE_TOUCH)
		b->unsettled = true;
	else if (e == BE_CALM || e == BE_CHANGED)
		b->unsettled = false;
	b->state = c->next;
	return c->actions;
}

bool build_will_end(const struct build *b)
{
	return b->state == BS_BUILDING || b->state == BS_AGAIN ||
	       b->state == BS_HELD;
}

bool build_is_alive(const struct build *b)
{
	return b->state == BS_BUILDING || b->state == BS_AGAIN ||
	       b->state == BS_CANCELLING || b->state == BS_TIMED_OUT;
}

#define WORD(name, word) word,

const char *build_state_name(enum build_state s)
{
	static const char *const names[] = { BUILD_STATES(WORD) };

	return s < BS_LIMIT ? names[s] : "?";
}

const char *build_input_name(enum build_input e)
{
	static const char *const names[] = { BUILD_EVENTS(WORD) };

	return e < BE_LIMIT ? names[e] : "?";
}
