/* SPDX-License-Identifier: MIT */
/* A rate limit as a bucket. */
#include "upstream/limit.h"

void limit_init(struct limit *l, int64_t rate_per_s, int64_t burst,
		int64_t now_ms)
{
	l->rate_per_s = rate_per_s;
	l->burst = burst;
	l->level = burst * 1000;
	l->last_ms = now_ms;
}

int64_t limit_take(struct limit *l, int64_t now_ms)
{
	l->level += (now_ms - l->last_ms) * l->rate_per_s;
	l->last_ms = now_ms;
	if (l->level > l->burst * 1000)
		l->level = l->burst * 1000;
	if (l->level < 1000)
		return (1000 - l->level + l->rate_per_s - 1) / l->rate_per_s;
	l->level -= 1000;
	return 0;
}
