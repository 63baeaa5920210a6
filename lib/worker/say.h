/* SPDX-License-Identifier: MIT */
/* What the worker tells the master: one function per message. */
#ifndef HR_WORKER_SAY_H
#define HR_WORKER_SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/messages.h"

struct instance;
struct published;
struct worker;

void say_hello(struct worker *w);
void say_state(struct worker *w, int instance, const struct published *p);
/* fd: TAKEN. */
void say_log(struct worker *w, int instance, int64_t generation,
	     enum log_source source, int fd);
void say_build(struct worker *w, int64_t generation, enum build_event e,
	       int64_t build_us, const char *why);
void say_exited(struct instance *i, int status, bool expected, const char *why);
void say_waiting(struct instance *i, enum wait_for what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void say_stopping(struct instance *i, int64_t generation, int pid, int signo,
		  const char *who);
void say_reloaded(struct instance *i, int64_t generation,
		  enum reload_result result, int64_t ready_us, int64_t total_us,
		  const char *why);
void say_done(struct worker *w, int32_t request, bool ok, const char *text);
void say_note(struct worker *w, enum note_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void say_bye(struct worker *w);

#endif
