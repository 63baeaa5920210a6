/* SPDX-License-Identifier: MIT */
/* restart, backoff and max_restarts of hr.conf. */
#include "lib/worker/backoff.h"

enum verdict backoff_judge(struct backoff *b, const struct service *s,
			   bool good, int64_t ran_ms)
{
	enum verdict end = good ? VERDICT_DONE : VERDICT_FAILED;

	if (s->oneshot || s->restart == RESTART_NEVER)
		return end;
	if (good && s->restart == RESTART_ON_FAILURE)
		return end;
	if (ran_ms >= BACKOFF_RESET_MS)
		b->restarts = 0;
	if (s->max_restarts != MAX_RESTARTS_NONE &&
	    b->restarts >= s->max_restarts)
		return VERDICT_GIVEN_UP;
	return VERDICT_AGAIN;
}

int64_t backoff_next_ms(struct backoff *b, const struct service *s)
{
	int64_t most =
		s->backoff_ms > BACKOFF_MAX_MS ? s->backoff_ms : BACKOFF_MAX_MS;
	int64_t ms = s->backoff_ms, i;

	for (i = 0; i < b->restarts && ms < most; i++)
		ms *= 2;
	b->restarts++;
	return ms < most ? ms : most;
}

void backoff_reset(struct backoff *b)
{
	b->restarts = 0;
}
