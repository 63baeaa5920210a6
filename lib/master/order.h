/* SPDX-License-Identifier: MIT */
/* Who may start and who may stop, by `after`. Pure: reads, never changes. */
#ifndef HR_MASTER_ORDER_H
#define HR_MASTER_ORDER_H

#include <stdbool.h>
#include <stddef.h>

struct stack;
struct unit;

/* Whether every condition of u's `after` holds. If not, and why is not NULL,
 * it says on whom it waits ("waits for db (backoff)"). */
bool order_may_start(const struct stack *st, const struct unit *u, char *why,
		     size_t size);
/* Whether nothing that comes after u still lives. */
bool order_may_stop(const struct stack *st, const struct unit *u);
/* Whether one that u waits for has failed, or is paused: only the user can
 * help. */
bool order_is_stuck(const struct stack *st, const struct unit *u);
/* Mark u and all it comes after as wanted and not paused. */
void order_want(struct stack *st, struct unit *u);

#endif
