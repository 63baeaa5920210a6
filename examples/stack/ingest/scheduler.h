/* SPDX-License-Identifier: MIT */
/*
 * One timetable for all regions: each is polled at its own cadence, one at a
 * time, and what comes back is written as one batch.
 */
#ifndef INGEST_SCHEDULER_H
#define INGEST_SCHEDULER_H

#include <stdint.h>

struct fetch;
struct status;
struct store;

struct scheduler_settings {
	const char *upstream_url;
	int64_t poll_ms;  /* of the fastest region */
	int64_t batch_ms; /* what writing a batch takes */
	int64_t batch_titles;
};

/* Until a stop is asked for; a batch under way is finished. All: BORROWED. */
void scheduler_run(const struct scheduler_settings *settings,
		   struct store *store, struct fetch *fetch,
		   struct status *status, int stop_fd);

#endif
