/* SPDX-License-Identifier: MIT */
/* Streams of lines and events from the master to standard output. */
#include "cmd/stream.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/call.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)

/* The place of a service among those of the stack: its colour. */
static size_t number_of(const json_t *ps, const char *name)
{
	const json_t *services = json_object_get(ps, "services"), *s;
	const char *last = "";
	size_t i, n = 0;

	if (str_eq(name, "hr") || name[0] == '\0')
		return PAINT_HR;
	json_array_foreach(services, i, s)
	{
		if (i > 0 && !str_eq(last, call_text(s, "name")))
			n++;
		last = call_text(s, "name");
		if (str_eq(last, name))
			break;
	}
	return n;
}

void stream_label(const json_t *ps, const char *name, long long instance,
		  char *buffer, size_t size)
{
	const json_t *services = json_object_get(ps, "services"), *s;
	bool scaled = instance > 1;
	size_t i;

	json_array_foreach(services, i,
			   s) if (str_eq(call_text(s, "name"), name) &&
				  call_int(s, "instance") > 1) scaled = true;
	if (scaled && instance > 0)
		snprintf(buffer, size, "%s.%lld", name, instance);
	else
		snprintf(buffer, size, "%s", name);
}

/* RFC 3339 with milliseconds, as clock_rfc3339() writes it; 0 if not. */
static int64_t parse_time(const char *text)
{
	struct tm tm = { 0 };
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	long offset;
	int ms = 0, used = 0;

	if (p == NULL || sscanf(p, ".%3d%n", &ms, &used) != 1)
		return 0;
	if (strptime(p + used, "%z", &tm) == NULL)
		return 0;
	offset = tm.tm_gmtoff; /* timegm() sets it to 0 */
	return ((int64_t)timegm(&tm) - offset) * 1000000 + (int64_t)ms * 1000;
}

void stream_prefix(struct stream *s, const json_t *o)
{
	const char *name = call_text(o, "service");
	char label[256];

	if (name[0] == '\0')
		name = "hr";
	stream_label(s->ps, name, call_int(o, "instance"), label,
		     sizeof(label));
	paint_prefix(&s->paint, &s->out, parse_time(call_text(o, "at")), label,
		     number_of(s->ps, name));
}

static void init(struct stream *s, const struct invocation *v, json_t *answer,
		 enum paint_time time)
{
	const json_t *services, *o;
	char label[256];
	size_t i;

	memset(s, 0, sizeof(*s));
	buf_init(&s->out, LINE_MAX_BYTES);
	s->ps = json_incref(json_object_get(answer, "ps"));
	s->paint.colour = term_want_colour(v->colour, STDOUT_FILENO);
	s->paint.time = time;
	paint_widen(&s->paint, "hr");
	services = json_object_get(s->ps, "services");
	json_array_foreach(services, i, o)
	{
		stream_label(s->ps, call_text(o, "name"),
			     call_int(o, "instance"), label, sizeof(label));
		paint_widen(&s->paint, label);
	}
}

static int print_one(struct stream *s, const json_t *o, bool as_json,
		     stream_fn print)
{
	if (as_json) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else {
		buf_clear(&s->out);
		print(s, o);
		fwrite(buf_str(&s->out), 1, s->out.len, stdout);
	}
	return ferror(stdout) ? -1 : 0;
}

/* Returns 1 at the regular end, 0 when there is more, -1 at an error. */
static int take_answer(struct stream *s, const struct invocation *v,
		       const json_t *o, const char *key, stream_fn print)
{
	const json_t *item = json_object_get(o, key);

	if (item == NULL)
		return json_is_true(json_object_get(o, "ok"));
	return print_one(s, item, given(v, 'j') != NULL, print);
}

static int copy(struct stream *s, const struct invocation *v, struct call *c,
		const char *key, stream_fn print)
{
	bool follows = given(v, 'f') != NULL;
	int code = EXIT_FAILED, rc = 0;
	struct err err;
	json_t *o;

	while (rc == 0) {
		/* Whoever follows wants each line now; a dump goes at once. */
		if (follows && !call_has_more(c))
			fflush(stdout);
		o = call_read(c, CALL_FOREVER, &err);
		if (o == NULL && follows && err.code == ERR_GONE) {
			fprintf(stderr, "hr: the stack has ended\n");
			return EXIT_DONE;
		}
		if (o == NULL) {
			err_print(&err, stderr);
			return EXIT_FAILED;
		}
		if (call_is_error(o, &code))
			rc = -1;
		else
			rc = take_answer(s, v, o, key, print);
		json_decref(o);
	}
	return rc > 0 ? EXIT_DONE : code;
}

int stream_run(const struct invocation *v, json_t *request, const char *key,
	       enum paint_time time, stream_fn print)
{
	int code;
	json_t *ps = call_once(&v->load, call_request("ps", NULL),
			       CALL_AT_ONCE_MS, &code);
	struct call *c = NULL;
	struct stream s;

	if (ps == NULL) {
		json_decref(request);
		return code;
	}
	init(&s, v, ps, time);
	json_decref(ps);
	c = call_open(&v->load, request, &code);
	if (c != NULL)
		code = copy(&s, v, c, key, print);
	call_close(c);
	json_decref(s.ps);
	buf_done(&s.out);
	return code;
}
