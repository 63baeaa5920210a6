/* SPDX-License-Identifier: MIT */
/*
 * What comes after a process ended by itself: the policy, and how long to
 * wait before it is started again. Pure.
 */
#ifndef HR_WORKER_BACKOFF_H
#define HR_WORKER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "procfile/model.h"

#define BACKOFF_MAX_MS ((int64_t)32000)
/* Whoever ran this long starts over with the shortest wait. */
#define BACKOFF_RESET_MS ((int64_t)10000)

struct backoff {
	int64_t restarts; /* in a row */
};

enum verdict {
	VERDICT_AGAIN,	 /* start again after a back-off */
	VERDICT_DONE,	 /* exit 0, and that was all */
	VERDICT_FAILED,	 /* policy: it stays down */
	VERDICT_GIVEN_UP /* max_restarts was reached */
};

/* good: exit 0, and nothing was wrong otherwise. ran_ms: since exec. */
enum verdict backoff_judge(struct backoff *b, const struct service *s,
			   bool good, int64_t ran_ms);
/* After VERDICT_AGAIN: count it. Returns how long to wait. */
int64_t backoff_next_ms(struct backoff *b, const struct service *s);
/* Somebody wants it now: forget what was. */
void backoff_reset(struct backoff *b);

#endif
