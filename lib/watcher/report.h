/* SPDX-License-Identifier: MIT */
/* Messages WATCHER_TO_MASTER, field by field. A peer that is gone is no
 * failure here: the channel's end comes by itself. */
#ifndef HR_WATCHER_REPORT_H
#define HR_WATCHER_REPORT_H

#include <stdint.h>

struct chan;
struct outcome;

void report_hello(struct chan *c);
void report_armed(struct chan *c, uint32_t id, uint32_t dirs, int64_t took_us);
void report_touched(struct chan *c, uint32_t id);
void report_calm(struct chan *c, uint32_t id);
void report_changed(struct chan *c, uint32_t id, const struct outcome *out,
		    int64_t first_us, int64_t settled_us,
		    int64_t settled_real_us);
void report_ignored(struct chan *c, uint32_t id, const char *path,
		    const char *why);
void report_degraded(struct chan *c, const char *path, const char *why,
		     const char *hint);
void report_synced(struct chan *c, uint32_t token);

#endif
