/* SPDX-License-Identifier: MIT */
/* The state of the stack as JSON and as words. */
#include "lib/master/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/master/stack.h"

/* Length of the valid UTF-8 sequence at s, 0 if there is none: what a JSON
 * string may hold (RFC 3629: no surrogates, nothing overlong). */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80	? 1 :
		   s[0] < 0xc2	? 0 :
		   s[0] < 0xe0	? 2 :
		   s[0] < 0xf0	? 3 :
		   s[0] <= 0xf4 ? 4 :
				  0;
	size_t i;

	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

json_t *report_text(const char *s)
{
	json_t *text = json_string(s);
	size_t n, i = 0, len;
	char *copy;

	if (text != NULL)
		return text;
	copy = xstrdup(s);
	len = strlen(copy);
	while (i < len) {
		n = utf8_length((const unsigned char *)copy + i);
		if (n == 0)
			copy[i] = '?';
		i += n > 0 ? n : 1;
	}
	text = json_string(copy);
	free(copy);
	return text;
}

json_t *report_strings(const char *const *v)
{
	json_t *array = json_array();

	for (; v != NULL && *v != NULL; v++)
		json_array_append_new(array, report_text(*v));
	return array;
}

/* Milliseconds with fractions, as a JSON number. */
static json_t *ms(int64_t us)
{
	return json_real((double)us / 1000.);
}

json_t *report_reload(const struct reload *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "generation", json_integer(r->generation));
	json_object_set_new(o, "trigger",
			    report_strings((const char *const *)r->trigger));
	json_object_set_new(o, "rule",
			    r->rule[0] ? report_text(r->rule) : json_null());
	json_object_set_new(o, "result",
			    json_string(reload_result_name(r->result)));
	json_object_set_new(o, "quiet_ms", ms(r->quiet_us));
	json_object_set_new(o, "build_ms", ms(r->build_us));
	json_object_set_new(o, "drain_ms", ms(r->drain_us));
	json_object_set_new(o, "start_ms", ms(r->start_us));
	json_object_set_new(o, "ready_ms", ms(r->ready_us));
	json_object_set_new(o, "total_ms", ms(r->total_us));
	return o;
}

static json_t *ports(const struct service *s)
{
	json_t *array = json_array(), *o;
	size_t i;

	for (i = 0; i < s->n_ports; i++) {
		o = json_object();
		json_object_set_new(o, "name", json_string(s->ports[i].name));
		json_object_set_new(o, "number",
				    json_integer(s->ports[i].number));
		json_object_set_new(o, "host", json_string(s->ports[i].host));
		json_object_set_new(o, "mode", json_string("wait"));
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *instance(const struct unit *u, const struct instance *i)
{
	int64_t up = i->up_since_us > 0 ? clock_mono_us() - i->up_since_us : 0;
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(u->s->name));
	json_object_set_new(o, "instance", json_integer(i->number));
	json_object_set_new(o, "state",
			    json_string(instance_state_name(i->state)));
	json_object_set_new(o, "wanted",
			    json_string(u->wanted ? "up" : "down"));
	json_object_set_new(o, "pid",
			    i->pid > 0 ? json_integer(i->pid) : json_null());
	json_object_set_new(o, "generation", json_integer(i->generation));
	json_object_set_new(o, "port",
			    json_integer(service_port(u->s, (int)i->number)));
	json_object_set_new(o, "uptime_ms", json_integer(up / 1000));
	json_object_set_new(o, "restarts", json_integer(i->restarts));
	json_object_set_new(o, "reloads", json_integer(i->reloads));
	json_object_set_new(o, "last_reload",
			    i->last_reload.known ?
				    report_reload(&i->last_reload) :
				    json_null());
	json_object_set_new(o, "why",
			    i->why[0] ? report_text(i->why) : json_null());
	json_object_set_new(o, "ports", ports(u->s));
	return o;
}

json_t *report_ps(const struct stack *st)
{
	json_t *o = json_object(), *services = json_array();
	const struct unit *u;
	uint32_t j;
	size_t i;

	for (i = 0; i < st->n_units; i++) {
		u = &st->units[i];
		for (j = 0; j < u->n_instances; j++)
			json_array_append_new(services,
					      instance(u, &u->instances[j]));
	}
	json_object_set_new(o, "stack", report_text(st->model->stack));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "services", services);
	return o;
}

void report_stages(const struct reload *r, char *buffer, size_t size)
{
	const struct {
		const char *name;
		int64_t us;
	} stages[] = {
		{ "quiet", r->quiet_us }, { "build", r->build_us },
		{ "drain", r->drain_us }, { "start", r->start_us },
		{ "ready", r->ready_us },
	};
	size_t i, len = 0;

	buffer[0] = '\0';
	for (i = 0; i < NITEMS(stages); i++) {
		if (stages[i].us <= 0)
			continue;
		snprintf(buffer + len, size - len, "%s%s %lld",
			 len > 0 ? ", " : "", stages[i].name,
			 (long long)llround((double)stages[i].us / 1000));
		len = strlen(buffer);
	}
}

void report_paths(const char *const *paths, uint32_t total, char *buffer,
		  size_t size)
{
	size_t n = strv_len(paths);

	if (n == 0)
		snprintf(buffer, size, "%u files", total);
	else if (total <= 1)
		snprintf(buffer, size, "%s", paths[0]);
	else if (total == 2 && n == 2)
		snprintf(buffer, size, "%s and %s", paths[0], paths[1]);
	else
		snprintf(buffer, size, "%s and %u more", paths[0], total - 1);
}
