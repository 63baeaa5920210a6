/* SPDX-License-Identifier: MIT */
/* Messages to the master, encoded field by field. */
#include "lib/worker/say.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/chan.h"
#include "lib/wire/put.h"
#include "lib/worker/role.h"

static struct buf body(void)
{
	struct buf b;

	buf_init(&b, CHAN_BODY_MAX_BYTES);
	return b;
}

static void send_body(struct worker *w, enum master_msg type, struct buf *b,
		      int fd)
{
	struct err err;

	if (w->master == NULL)
		fd_close(&fd);
	else if (chan_send(w->master, type, b, fd, &err) < 0 &&
		 err.code != ERR_GONE)
		log_line("%s", err.what);
	buf_done(b);
}

void say_hello(struct worker *w)
{
	struct buf b = body();

	put_u32(&b, WIRE_VERSION);
	send_body(w, M_HELLO, &b, -1);
}

void say_state(struct worker *w, int instance, const struct published *p)
{
	struct buf b = body();

	put_u32(&b, (uint32_t)instance);
	put_i64(&b, p->generation);
	put_u32(&b, p->state);
	put_i32(&b, p->pid);
	put_str(&b, p->why);
	send_body(w, M_STATE, &b, -1);
}

void say_log(struct worker *w, int instance, int64_t generation,
	     enum log_source source, int fd)
{
	struct buf b = body();

	put_u32(&b, (uint32_t)instance);
	put_i64(&b, generation);
	put_u32(&b, source);
	send_body(w, M_LOG, &b, fd);
}

void say_build(struct worker *w, int64_t generation, enum build_event e,
	       int64_t build_us, const char *why)
{
	struct buf b = body();

	put_i64(&b, generation);
	put_u32(&b, e);
	put_i64(&b, build_us);
	put_str(&b, why);
	send_body(w, M_BUILD, &b, -1);
}

void say_exited(struct instance *i, int status, bool expected, const char *why)
{
	struct buf b = body();

	put_u32(&b, (uint32_t)i->number);
	put_i64(&b, i->generation);
	put_i32(&b, status);
	put_bool(&b, expected);
	put_str(&b, why);
	send_body(i->w, M_EXITED, &b, -1);
}

void say_waiting(struct instance *i, enum wait_for what, const char *fmt, ...)
{
	struct buf b = body();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(i->why, sizeof(i->why), fmt, ap);
	va_end(ap);
	put_u32(&b, (uint32_t)i->number);
	put_u32(&b, what);
	put_str(&b, i->why);
	send_body(i->w, M_WAITING, &b, -1);
}

void say_stopping(struct instance *i, int64_t generation, int pid, int signo,
		  const char *who)
{
	struct buf b = body();

	put_u32(&b, (uint32_t)i->number);
	put_i64(&b, generation);
	put_i32(&b, pid);
	put_i32(&b, signo);
	put_str(&b, who);
	send_body(i->w, M_STOPPING, &b, -1);
}

void say_reloaded(struct instance *i, int64_t generation,
		  enum reload_result result, int64_t ready_us, int64_t total_us,
		  const char *why)
{
	const struct cause *c = &i->w->cause;
	struct buf b = body();

	put_u32(&b, (uint32_t)i->number);
	put_i64(&b, generation);
	put_u32(&b, result);
	put_str(&b, c->rule);
	put_i64(&b, c->quiet_us);
	put_i64(&b, c->build_us);
	put_i64(&b, i->drain_us);
	put_i64(&b, i->start_us);
	put_i64(&b, ready_us);
	put_i64(&b, total_us);
	put_u32(&b, c->total);
	put_strv(&b, (const char *const *)c->paths.v);
	put_str(&b, why);
	send_body(i->w, M_RELOADED, &b, -1);
}

void say_done(struct worker *w, int32_t request, bool ok, const char *text)
{
	struct buf b = body();

	put_i32(&b, request);
	put_bool(&b, ok);
	put_str(&b, text);
	send_body(w, M_DONE, &b, -1);
}

void say_note(struct worker *w, enum note_level level, const char *fmt, ...)
{
	struct buf b = body();
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_u32(&b, level);
	put_str(&b, text);
	send_body(w, M_NOTE, &b, -1);
}

void say_bye(struct worker *w)
{
	struct buf b = body();

	send_body(w, M_BYE, &b, -1);
}
