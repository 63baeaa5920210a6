/* SPDX-License-Identifier: MIT */
/* A rate limit as a bucket: it holds burst requests, rate flow in a second. */
#ifndef UPSTREAM_LIMIT_H
#define UPSTREAM_LIMIT_H

#include <stdint.h>

struct limit {
	int64_t rate_per_s, burst;
	int64_t level;	 /* thousandths of a request */
	int64_t last_ms; /* when level was true */
};

/* burst, rate_per_s: at least 1. The bucket starts full. */
void limit_init(struct limit *l, int64_t rate_per_s, int64_t burst,
		int64_t now_ms);
/* Take one request: 0, or the milliseconds until there is one to take. */
int64_t limit_take(struct limit *l, int64_t now_ms);

#endif
