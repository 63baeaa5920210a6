/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler is doing, for the admin page: written by the thread of
 * the scheduler, read by the thread of the server, behind one mutex.
 */
#ifndef INGEST_STATUS_H
#define INGEST_STATUS_H

#include <stddef.h>
#include <stdint.h>

enum { STATUS_REGIONS = 8 };

struct status;

/* OWNED: status_free(). NULL: no memory. */
struct status *status_new(int64_t batches, int64_t titles);
void status_free(struct status *s);
/* i below STATUS_REGIONS; region: KEPT. next_ms: of clock_ms(). */
void status_set_next(struct status *s, size_t i, const char *region,
		     int64_t next_ms);
void status_add_batch(struct status *s, size_t i, size_t titles);
void status_add_wait(struct status *s);
/* JSON. OWNED: free(). NULL: no memory. */
char *status_json(struct status *s);

#endif
