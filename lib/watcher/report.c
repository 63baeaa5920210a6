/* SPDX-License-Identifier: MIT */
/* What the watcher says to the master. */
#include "lib/watcher/report.h"

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/watch/batch.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"

static void begin(struct buf *b)
{
	buf_init(b, CHAN_BODY_MAX_BYTES);
}

static void finish(struct chan *c, enum watcher_says type, struct buf *b)
{
	chan_send(c, type, b, -1, NULL);
	buf_done(b);
}

static void send_u32(struct chan *c, enum watcher_says type, uint32_t v)
{
	struct buf b;

	begin(&b);
	put_u32(&b, v);
	finish(c, type, &b);
}

void report_hello(struct chan *c)
{
	send_u32(c, V_HELLO, WIRE_VERSION);
}

void report_touched(struct chan *c, uint32_t id)
{
	send_u32(c, V_TOUCHED, id);
}

void report_calm(struct chan *c, uint32_t id)
{
	send_u32(c, V_CALM, id);
}

void report_synced(struct chan *c, uint32_t token)
{
	send_u32(c, V_SYNCED, token);
}

void report_armed(struct chan *c, uint32_t id, uint32_t dirs, int64_t took_us)
{
	struct buf b;

	begin(&b);
	put_u32(&b, id);
	put_u32(&b, dirs);
	put_i64(&b, took_us);
	finish(c, V_ARMED, &b);
}

void report_changed(struct chan *c, uint32_t id, const struct outcome *out,
		    int64_t first_us, int64_t settled_us,
		    int64_t settled_real_us)
{
	struct buf b;

	begin(&b);
	put_u32(&b, id);
	put_u32(&b, out->action);
	put_str(&b, out->rule);
	put_i64(&b, first_us);
	put_i64(&b, settled_us);
	put_i64(&b, settled_real_us);
	put_u32(&b, out->total);
	put_strv(&b, (const char *const *)out->paths);
	finish(c, V_CHANGED, &b);
}

void report_ignored(struct chan *c, uint32_t id, const char *path,
		    const char *why)
{
	struct buf b;

	begin(&b);
	put_u32(&b, id);
	put_str(&b, path);
	put_str(&b, why);
	finish(c, V_IGNORED, &b);
}

void report_degraded(struct chan *c, const char *path, const char *why,
		     const char *hint)
{
	struct buf b;

	begin(&b);
	put_str(&b, path);
	put_str(&b, why);
	put_str(&b, hint);
	finish(c, V_DEGRADED, &b);
}
