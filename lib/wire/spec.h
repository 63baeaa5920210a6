/* SPDX-License-Identifier: MIT */
/* One service of the model to bytes and back, for W_SETUP and V_SUBSCRIBE. */
#ifndef HR_WIRE_SPEC_H
#define HR_WIRE_SPEC_H

struct buf;
struct get;
struct service;

void spec_put(struct buf *b, const struct service *s);
/*
 * Fill s from bytes; its strings and arrays live in the arena of g. Bounds
 * and enums are checked; errors show in get_end().
 */
void spec_get(struct get *g, struct service *s);

#endif
