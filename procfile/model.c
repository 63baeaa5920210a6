/* SPDX-License-Identifier: MIT */
/* The frozen model: look things up, name its values, free it. */
#include "procfile/model.h"

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/keys.h"

void model_free(struct model *m)
{
	if (m != NULL)
		arena_free(m->arena);
}

const struct service *model_find(const struct model *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_services; i++)
		if (str_eq(m->services[i].name, name))
			return &m->services[i];
	return NULL;
}

int service_port(const struct service *s, int instance)
{
	return s->base_port + instance - 1;
}

const struct where *service_key(const struct service *s, const char *key)
{
	size_t i;

	for (i = 0; i < s->n_keys; i++)
		if (str_eq(s->keys[i].key, key))
			return &s->keys[i].at;
	return NULL;
}

/* The words of hr.conf are in the table of its keys. */
static const char *word(const char *section, const char *name, int value)
{
	const char *found = key_word(key_find(section, name), value);

	return found != NULL ? found : "?";
}

const char *action_name(enum action a)
{
	return word("rule", "do", (int)a);
}

const char *restart_policy_name(enum restart_policy r)
{
	return word("service", "restart", (int)r);
}

const char *after_condition_name(enum after_condition c)
{
	switch (c) {
	case AFTER_READY:
		return "ready";
	case AFTER_STARTED:
		return "started";
	case AFTER_DONE:
		return "done";
	}
	return "?";
}

const char *port_mode_name(enum port_mode m)
{
	return word("port", "mode", (int)m);
}

const char *handoff_name(enum handoff h)
{
	return word("service", "handoff", (int)h);
}

const char *probe_kind_name(enum probe_kind k)
{
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if ((conf_keys[i].type == CONF_PROBE ||
		     conf_keys[i].type == CONF_PROBE_FLAG) &&
		    conf_keys[i].min == (int64_t)k)
			return conf_keys[i].name;
	return "auto";
}
