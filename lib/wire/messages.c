/* SPDX-License-Identifier: MIT */
/* Names of what travels in messages. */
#include "lib/wire/messages.h"

#define WORD(name, word) word,

const char *instance_state_name(enum instance_state s)
{
	static const char *const names[] = { INSTANCE_STATES(WORD) };

	return s < STATE_LIMIT ? names[s] : "?";
}

const char *reload_result_name(enum reload_result r)
{
	static const char *const names[] = { RELOAD_RESULTS(WORD) };

	return r < RESULT_LIMIT ? names[r] : "?";
}
