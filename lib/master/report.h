/* SPDX-License-Identifier: MIT */
/* The state of the stack as JSON and as words: interface.md section 6. */
#ifndef HR_MASTER_REPORT_H
#define HR_MASTER_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct instance;
struct reload;
struct stack;

/* The object of `hr ps --json`. OWNED: json_decref(). */
json_t *report_ps(const struct stack *st);
/* Members of `last_reload` and of the event `reloaded`. OWNED. */
json_t *report_reload(const struct reload *r);
/* Text that may not be UTF-8 (paths, command lines) as a JSON string; bytes
 * that are not become '?'. OWNED. */
json_t *report_text(const char *s);
/* An array of strings. v: NULL-terminated, may be NULL. OWNED. */
json_t *report_strings(const char *const *v);
/* "quiet 12, build 331, drain 96, start 9, ready 38", without the stages
 * that did not take place. */
void report_stages(const struct reload *r, char *buffer, size_t size);
/* "a.c", "a.c and b.c", "a.c and 7 more". */
void report_paths(const char *const *paths, uint32_t total, char *buffer,
		  size_t size);

#endif
