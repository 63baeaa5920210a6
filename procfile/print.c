/* SPDX-License-Identifier: MIT */
/* The model in the syntax of hr.conf, by the table of keys. */
#include "procfile/print.h"

#include <string.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/keys.h"
#include "procfile/model.h"
#include "procfile/value.h"

struct printer {
	FILE *out;
	const struct model *model;
	const struct service *service; /* NULL at the top level */
	const char *indent;
};

static const void *field(const struct conf_key *key, const void *object)
{
	return (const char *)object + key->offset;
}

static int64_t load_int(const struct conf_key *key, const void *object)
{
	int64_t wide;
	int32_t narrow;
	bool flag;

	switch (key->size) {
	case sizeof(bool):
		memcpy(&flag, field(key, object), sizeof(flag));
		return flag;
	case sizeof(int32_t):
		memcpy(&narrow, field(key, object), sizeof(narrow));
		return narrow;
	default:
		memcpy(&wide, field(key, object), sizeof(wide));
		return wide;
	}
}

static const char *load_text(const struct conf_key *key, const void *object)
{
	const char *text;

	memcpy(&text, field(key, object), sizeof(text));
	return text;
}

/* In single quotes, where only `\` and `'` need care. */
static void print_quoted(struct printer *p, const char *s)
{
	putc('\'', p->out);
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			putc('\\', p->out);
		putc(*s, p->out);
	}
	putc('\'', p->out);
}

/* Double quotes for what holds nothing special. */
static void print_text(struct printer *p, const char *s)
{
	if (strpbrk(s, "\"\\$'\n") != NULL)
		print_quoted(p, s);
	else
		fprintf(p->out, "\"%s\"", s);
}

static const char *short_path(const struct printer *p, const char *path)
{
	return path_relative(path, p->model->dir);
}

/* `  # hr.conf:12:5` if a file set it. */
static void print_place(struct printer *p, const struct where *at)
{
	if (at != NULL && at->file != NULL)
		fprintf(p->out, "  # %s:%d:%d", at->file, at->line, at->col);
	putc('\n', p->out);
}

static const struct where *key_place(const struct printer *p,
				     const struct conf_key *key)
{
	const struct model *m = p->model;
	char name[64];
	size_t i;

	if (p->service == NULL) {
		for (i = 0; i < m->n_keys; i++)
			if (str_eq(m->keys[i].key, key->name))
				return &m->keys[i].at;
		return NULL;
	}
	if (str_eq(key->name, "command") && str_eq(key->section, "service"))
		return &p->service->command_at;
	if (str_eq(key->section, "service"))
		return service_key(p->service, key->name);
	snprintf(name, sizeof(name), "%s.%s", key->section, key->name);
	return service_key(p->service, name);
}

/* ---- lists -------------------------------------------------------------- */

static void print_list_start(struct printer *p, size_t i)
{
	fputs(i > 0 ? ", " : "", p->out);
}

static void print_strings(struct printer *p, const struct conf_key *key,
			  const void *object)
{
	const char *const *list;
	size_t i;

	memcpy(&list, field(key, object), sizeof(list));
	putc('{', p->out);
	for (i = 0; list != NULL && list[i] != NULL; i++) {
		print_list_start(p, i);
		print_text(p, key->type == CONF_PATHS ? short_path(p, list[i]) :
							list[i]);
	}
	putc('}', p->out);
}

static void print_patterns(struct printer *p, const struct conf_key *key,
			   const void *object)
{
	const struct patterns *list = field(key, object);
	size_t i;

	putc('{', p->out);
	for (i = 0; i < list->n; i++) {
		print_list_start(p, i);
		print_text(p, list->v[i].text);
	}
	putc('}', p->out);
}

static void print_after(struct printer *p)
{
	const struct service *s = p->service;
	size_t i;

	putc('{', p->out);
	for (i = 0; s != NULL && i < s->n_after; i++) {
		print_list_start(p, i);
		fprintf(p->out, "\"%s:%s\"", s->after[i].name,
			after_condition_name(s->after[i].condition));
	}
	putc('}', p->out);
}

static bool is_empty_list(const struct printer *p, const struct conf_key *key,
			  const void *object)
{
	const char *const *list;

	if (key->type == CONF_AFTER)
		return p->service == NULL || p->service->n_after == 0;
	if (key->type == CONF_PATTERNS || key->type == CONF_REGEXES)
		return ((const struct patterns *)field(key, object))->n == 0;
	memcpy(&list, field(key, object), sizeof(list));
	return strv_len(list) == 0;
}

/* ---- single values ------------------------------------------------------ */

static void print_number(struct printer *p, const struct conf_key *key,
			 const void *object)
{
	int64_t value = load_int(key, object);
	const char *word = key_word(key, value);
	char text[40];

	if (key->type == CONF_SIGNAL) {
		/* A number for signals that have no name. */
		str_from_signal((int)value, text, sizeof(text));
		if (strchr(text, ' ') != NULL)
			snprintf(text, sizeof(text), "%d", (int)value);
	} else if (word != NULL) {
		snprintf(text, sizeof(text), "%s", word);
	} else if (key->type == CONF_DURATION) {
		value_duration_text(value, text, sizeof(text));
	} else if (key->type == CONF_SIZE) {
		value_size_text(value, text, sizeof(text));
	} else {
		snprintf(text, sizeof(text), "%lld", (long long)value);
	}
	if (key->size == sizeof(bool) && key_word(key, 1) != NULL &&
	    str_eq(key_word(key, 1), "true"))
		fputs(text, p->out);
	else if (key->type == CONF_INT && word == NULL)
		fputs(text, p->out);
	else
		fprintf(p->out, "\"%s\"", text);
}

static void print_poll(struct printer *p, const struct watch *w)
{
	char text[40];

	fprintf(p->out, "\"%s\"",
		w->poll == POLL_AUTO ? "auto" :
		w->poll == POLL_OFF  ? "off" :
				       value_duration_text(w->poll_ms, text,
							   sizeof(text)));
}

static void print_action(struct printer *p, const struct rule *rule)
{
	char text[40];

	if (rule->action == ACTION_SIGNAL) {
		str_from_signal(rule->signo, text, sizeof(text));
		if (strchr(text, ' ') != NULL)
			snprintf(text, sizeof(text), "%d", rule->signo);
		fprintf(p->out, "\"signal %s\"", text);
		return;
	}
	if (rule->action != ACTION_RUN) {
		fprintf(p->out, "\"%s\"", action_name(rule->action));
		return;
	}
	fputs("'run ", p->out);
	for (const char *s = rule->command; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			putc('\\', p->out);
		putc(*s, p->out);
	}
	putc('\'', p->out);
}

/* Whether there is something to print: most defaults, but not nothing. */
static bool has_value(const struct printer *p, const struct conf_key *key,
		      const void *object)
{
	const struct probe *probe = object;

	if (key->type == CONF_PROBE || key->type == CONF_PROBE_FLAG)
		return (int64_t)probe->kind == key->min;
	if (key->type == CONF_BLOCK || key->type == CONF_CALL)
		return false;
	if (key_is_list(key))
		return !is_empty_list(p, key, object);
	if (key->type == CONF_TEXT || key->type == CONF_SHELL ||
	    key->type == CONF_PATH || key->type == CONF_HOST)
		return load_text(key, object) != NULL;
	return true;
}

static void print_value(struct printer *p, const struct conf_key *key,
			const void *object)
{
	const struct probe *probe = object;

	if (key->type == CONF_PROBE)
		print_quoted(p, probe->target);
	else if (key->type == CONF_PROBE_FLAG)
		fputs("true", p->out);
	else if (key->type == CONF_AFTER)
		print_after(p);
	else if (key->type == CONF_PATTERNS || key->type == CONF_REGEXES)
		print_patterns(p, key, object);
	else if (key_is_list(key))
		print_strings(p, key, object);
	else if (key->type == CONF_SHELL)
		print_quoted(p, load_text(key, object));
	else if (key->type == CONF_PATH)
		print_text(p, short_path(p, load_text(key, object)));
	else if (key->type == CONF_TEXT || key->type == CONF_HOST)
		print_text(p, load_text(key, object));
	else if (key->type == CONF_POLL)
		print_poll(p, object);
	else if (key->type == CONF_ACTION)
		print_action(p, object);
	else
		print_number(p, key, object);
}

/* ---- sections ----------------------------------------------------------- */

static void print_section(struct printer *p, const char *section,
			  const void *object)
{
	const struct conf_key *key;
	size_t i;

	for (i = 0; i < conf_n_keys; i++) {
		key = &conf_keys[i];
		if (!str_eq(key->section, section) ||
		    !has_value(p, key, object))
			continue;
		fprintf(p->out, "%s%s = ", p->indent, key->name);
		print_value(p, key, object);
		/* Of rules and ports the block's place says enough. */
		print_place(p,
			    str_eq(section, "rule") || str_eq(section, "port") ?
				    NULL :
				    key_place(p, key));
	}
}

static void print_block(struct printer *p, const char *name, const char *title,
			const struct where *at, const void *object)
{
	fprintf(p->out, "\t%s%s%s {", name, title != NULL ? " " : "",
		title != NULL ? title : "");
	print_place(p, at);
	p->indent = "\t\t";
	print_section(p, name, object);
	p->indent = "\t";
	fputs("\t}\n", p->out);
}

static bool has_log(const struct service *s)
{
	size_t i;

	for (i = 0; i < s->n_keys; i++)
		if (str_starts(s->keys[i].key, "log."))
			return true;
	return false;
}

static void print_blocks(struct printer *p, const struct service *s)
{
	size_t i;

	print_block(p, "ready", NULL, NULL, &s->ready);
	if (s->alive.kind != PROBE_DEFAULT)
		print_block(p, "alive", NULL, NULL, &s->alive);
	if (has_log(s))
		print_block(p, "log", NULL, NULL, &s->log);
	if (s->watched)
		print_block(p, "watch", NULL, &s->watch.at, &s->watch);
	for (i = 0; i < s->n_rules; i++)
		print_block(p, "rule", s->rules[i].name, &s->rules[i].at,
			    &s->rules[i]);
	for (i = 0; i < s->n_ports; i++)
		print_block(p, "port", s->ports[i].name, &s->ports[i].at,
			    &s->ports[i]);
}

static void print_service(struct printer *p, const struct service *s)
{
	p->service = s;
	p->indent = "\t";
	fprintf(p->out, "\nservice %s {  # %s:%d:%d, PORT %d\n", s->name,
		s->at.file, s->at.line, s->at.col, s->base_port);
	print_section(p, "service", s);
	print_blocks(p, s);
	fputs("}\n", p->out);
}

/* `.env` is read without being named, so it is not named here either. */
static struct model without_dotenv(const struct model *m)
{
	struct model copy = *m;

	if (m->env_file[0] != NULL &&
	    str_eq(path_relative(m->env_file[0], m->dir), ".env"))
		copy.env_file = m->env_file + 1;
	return copy;
}

static void print_files(struct printer *p)
{
	const struct model *m = p->model;
	const char *const *f;

	fprintf(p->out, "# %s in %s\n# read:", m->stack, m->dir);
	for (f = m->files; *f != NULL; f++)
		fprintf(p->out, " %s", short_path(p, *f));
	for (f = m->env_file; *f != NULL; f++)
		fprintf(p->out, " %s", short_path(p, *f));
	fputs("\n\n", p->out);
}

void model_print(const struct model *m, FILE *out)
{
	struct printer p = { .out = out, .model = m, .indent = "" };
	struct model top = without_dotenv(m);
	size_t i;

	print_files(&p);
	print_section(&p, "", &top);
	for (i = 0; i < m->n_services; i++)
		print_service(&p, &m->services[i]);
}
