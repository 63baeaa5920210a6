/* SPDX-License-Identifier: MIT */
/* The quiet time of a batch, from what the batch looked like so far. */
#include "lib/watch/debounce.h"

#define SAVE_US ((int64_t)10000)    /* after one completed save */
#define PARTIAL_US ((int64_t)40000) /* a removed file may come back */
#define EACH_US ((int64_t)1500)	    /* longer for each further change */
#define LONGEST_US ((int64_t)250000)
#define MANY_US ((int64_t)200000) /* by number alone */

void debounce_init(struct debounce *d, int64_t quiet_ms, int64_t max_wait_ms)
{
	*d = (struct debounce){ .quiet_ms = quiet_ms,
				.max_wait_ms = max_wait_ms };
}

bool debounce_change(struct debounce *d, enum change_kind kind, int64_t now_us)
{
	bool first = !d->running;

	if (first) {
		d->running = true;
		d->first_us = now_us;
		d->gap_us = 0;
		d->changes = 0;
	} else if (now_us - d->last_us > d->gap_us) {
		d->gap_us = now_us - d->last_us;
	}
	d->last_us = now_us;
	d->changes++;
	d->partial = kind == CHANGE_PARTIAL;
	return first;
}

void debounce_hold(struct debounce *d, bool held, int64_t now_us)
{
	if (d->held && !held && d->running)
		d->last_us = now_us;
	d->held = held;
}

static int64_t auto_us(const struct debounce *d)
{
	int64_t us = SAVE_US + (d->changes - 1) * EACH_US;

	if (us > MANY_US)
		us = MANY_US;
	if (d->partial && us < PARTIAL_US)
		us = PARTIAL_US;
	if (us < 3 * d->gap_us)
		us = 3 * d->gap_us;
	return us < LONGEST_US ? us : LONGEST_US;
}

int64_t debounce_due_us(const struct debounce *d)
{
	int64_t due, end = d->first_us + d->max_wait_ms * 1000;
	bool is_auto = d->quiet_ms == DEBOUNCE_IS_AUTO;

	if (!d->running)
		return DEBOUNCE_NEVER;
	if (is_auto && d->held)
		return end;
	due = d->last_us + (is_auto ? auto_us(d) : d->quiet_ms * 1000);
	return due < end ? due : end;
}

void debounce_end(struct debounce *d)
{
	d->running = false;
}
