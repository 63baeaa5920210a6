/* SPDX-License-Identifier: MIT */
/*
 * Requests of clients that wait for their outcome. Each is answered once:
 * what is superseded too.
 */
#ifndef HR_WORKER_ANSWERS_H
#define HR_WORKER_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/alloc.h"

enum request_kind {
	REQUEST_START = 1 << 0,
	REQUEST_STOP = 1 << 1,
	REQUEST_RESTART = 1 << 2,
	REQUEST_RELOAD = 1 << 3,
};
#define REQUEST_UP (REQUEST_START | REQUEST_RESTART | REQUEST_RELOAD)

struct request {
	int32_t id;
	enum request_kind kind;
	size_t slot; /* PLAN_ALL: all of them */
};

struct answers {
	VEC(struct request) open;
	/* Sends M_DONE. */
	void (*done)(void *data, int32_t id, bool ok, const char *text);
	void *data;
};

/* What has become of a request: 1 good, 0 bad, -1 still open; text: why. */
typedef int answers_outcome(void *data, const struct request *r, char *text,
			    size_t size);

void answers_done(struct answers *a);
/* id 0: nobody waits. */
void answers_add(struct answers *a, int32_t id, enum request_kind kind,
		 size_t slot);
/* Answer all of these kinds (bits of request_kind). */
void answers_give(struct answers *a, unsigned kinds, bool ok, const char *text);
/* Answer those that have an outcome by now. */
void answers_settle(struct answers *a, answers_outcome *outcome, void *data);

#endif
