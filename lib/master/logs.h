/* SPDX-License-Identifier: MIT */
/* Between the log multiplexer and clients: lines as JSON. */
#ifndef HR_MASTER_LOGS_H
#define HR_MASTER_LOGS_H

#include <stddef.h>

struct client;
struct mux;
struct stack;

/* The multiplexer of a stack, with all its services and labels. OWNED:
 * mux_free(). */
struct mux *logs_new_mux(struct stack *st);
/* The last n lines of the services the client asked for (all: none named). */
void logs_send_last(struct stack *st, struct client *c, size_t n);
/* From now on, new lines go to control_log(). */
void logs_follow(struct stack *st);

#endif
