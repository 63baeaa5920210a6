/* SPDX-License-Identifier: MIT */
/* What the values of hr.conf mean: one function per type of value. */
#include "procfile/bind.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/keys.h"
#include "procfile/lines.h"
#include "procfile/load.h"
#include "procfile/value.h"

static void *field(const struct conf_key *key, void *object)
{
	return (char *)object + key->offset;
}

static void store_int(const struct conf_key *key, void *object, int64_t value)
{
	int32_t narrow = (int32_t)value;
	bool flag = value != 0;

	switch (key->size) {
	case sizeof(bool):
		memcpy(field(key, object), &flag, sizeof(flag));
		break;
	case sizeof(int32_t): /* int, or an enum */
		memcpy(field(key, object), &narrow, sizeof(narrow));
		break;
	default:
		memcpy(field(key, object), &value, sizeof(value));
		break;
	}
}

static void store_text(const struct conf_key *key, void *object,
		       const char *text)
{
	memcpy(field(key, object), &text, sizeof(text));
}

/* ---- one value ---------------------------------------------------------- */

/* The nearest of the words, for a hint; "" if none is near. */
static const char *near_word(const struct conf_key *key, const char *text,
			     char *buffer, size_t size)
{
	const char *words[16];
	const char *found;
	size_t n = 0;

	for (; key->words[n].word != NULL && n < NITEMS(words) - 1; n++)
		words[n] = key->words[n].word;
	words[n] = NULL;
	found = str_nearest(text, words);
	buffer[0] = '\0';
	if (found != NULL)
		snprintf(buffer, size, "did you mean \"%s\"?", found);
	return buffer;
}

static const struct conf_word *find_word(const struct conf_key *key,
					 const char *text)
{
	const struct conf_word *w;

	for (w = key->words; w != NULL && w->word != NULL; w++)
		if (str_eq(w->word, text))
			return w;
	return NULL;
}

static void no_such_word(struct bind *b, const struct conf_key *key,
			 const struct conf_item *item)
{
	char words[256], hint[96];

	near_word(key, item->text, hint, sizeof(hint));
	problems_error(b->problems, &item->at, *hint != '\0' ? hint : NULL,
		       "'%s' is no value for '%s'; it takes %s", item->text,
		       key->name, key_words(key, words, sizeof(words)));
}

static void bind_word(struct bind *b, const struct conf_key *key,
		      const struct conf_item *item, void *object)
{
	const struct conf_word *w = find_word(key, item->text);

	if (w == NULL)
		no_such_word(b, key, item);
	else
		store_int(key, object, w->value);
}

static void bind_int(struct bind *b, const struct conf_key *key,
		     const struct conf_item *item, void *object)
{
	const struct conf_word *w = find_word(key, item->text);
	int64_t value;

	if (w != NULL)
		store_int(key, object, w->value);
	else if (!strchr("-0123456789", item->text[0]) ||
		 str_to_int(item->text, INT64_MIN, INT64_MAX, &value) < 0)
		problems_error(b->problems, &item->at, NULL,
			       "'%s' is no whole number, which '%s' takes",
			       item->text, key->name);
	else if (value < key->min || value > key->max)
		problems_error(b->problems, &item->at, NULL,
			       "%lld is out of range for '%s': %lld to %lld",
			       (long long)value, key->name, (long long)key->min,
			       (long long)key->max);
	else
		store_int(key, object, value);
}

/* Say what is wrong with a duration or size. */
static void bad_quantity(struct bind *b, const struct conf_key *key,
			 const struct conf_item *item, enum value_result rc)
{
	bool time = key->type != CONF_SIZE;
	const char *what = time ? "duration" : "size";
	char hint[128], words[64];

	key_words(key, words, sizeof(words));
	snprintf(hint, sizeof(hint), "write %s%s%s%s",
		 time ? "\"200ms\", \"5s\" or \"1m30s\"" :
			"\"512kB\", \"10MB\" or \"1GiB\"",
		 *words != '\0' ? " (or " : "", words,
		 *words != '\0' ? ")" : "");
	if (rc == VALUE_NO_UNIT) {
		snprintf(hint, sizeof(hint),
			 time ? "add a unit: \"%.20sms\" or \"%.20ss\"" :
				"add a unit: \"%.20skB\" or \"%.20sMB\"",
			 item->text, item->text);
		problems_error(b->problems, &item->at, hint,
			       "'%s' has no unit; '%s' is a %s", item->text,
			       key->name, what);
	} else if (rc == VALUE_TOO_LARGE) {
		problems_error(b->problems, &item->at, NULL,
			       "'%s' is too large for '%s'; at most %s",
			       item->text, key->name,
			       time ? "a year" : "1 PiB");
	} else {
		problems_error(b->problems, &item->at, hint,
			       "'%s' is no %s, which '%s' takes%s", item->text,
			       what, key->name,
			       rc == VALUE_TOO_FINE ?
				       (time ? ": finer than 1 ms" :
					       ": less than a byte") :
				       "");
	}
}

static void bind_quantity(struct bind *b, const struct conf_key *key,
			  const struct conf_item *item, void *object)
{
	const struct conf_word *w = find_word(key, item->text);
	enum value_result rc;
	char least[32];
	int64_t value;

	if (w != NULL) {
		store_int(key, object, w->value);
		return;
	}
	rc = key->type == CONF_SIZE ? value_size(item->text, &value) :
				      value_duration(item->text, &value);
	if (rc != VALUE_OK)
		bad_quantity(b, key, item, rc);
	else if (value < key->min)
		problems_error(b->problems, &item->at, NULL,
			       "'%s' must be at least %s", key->name,
			       key->type == CONF_SIZE ?
				       value_size_text(key->min, least,
						       sizeof(least)) :
				       value_duration_text(key->min, least,
							   sizeof(least)));
	else
		store_int(key, object, value);
}

static void bind_poll(struct bind *b, const struct conf_key *key,
		      const struct conf_item *item, void *object)
{
	struct watch *w = object;
	struct conf_key every = *key;

	if (find_word(key, item->text) != NULL) {
		bind_word(b, key, item, object);
		return;
	}
	every.offset = offsetof(struct watch, poll_ms);
	every.size = sizeof(w->poll_ms);
	bind_quantity(b, &every, item, object);
	w->poll = POLL_ALWAYS;
}

static void bind_signal(struct bind *b, const struct conf_key *key,
			const struct conf_item *item, void *object)
{
	int signo = str_to_signal(item->text);

	if (signo < 0)
		problems_error(b->problems, &item->at,
			       "write it as in \"SIGTERM\"; kill -l lists them",
			       "'%s' is no signal", item->text);
	else
		store_int(key, object, signo);
}

static bool is_blank(const char *s)
{
	return s[strspn(s, " \t\n")] == '\0';
}

static bool check_text(struct bind *b, const struct conf_key *key,
		       const struct conf_item *item)
{
	if (is_blank(item->text)) {
		problems_error(b->problems, &item->at, NULL, "'%s' is empty",
			       key->name);
		return false;
	}
	if (key->type != CONF_SHELL && strchr(item->text, '\n') != NULL) {
		problems_error(b->problems, &item->at, NULL,
			       "'%s' must stand on one line", key->name);
		return false;
	}
	return true;
}

static void bind_host(struct bind *b, const struct conf_key *key,
		      const struct conf_item *item, void *object)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, item->text, address) != 1 &&
	    inet_pton(AF_INET6, item->text, address) != 1 &&
	    !str_eq(item->text, "localhost"))
		problems_error(b->problems, &item->at,
			       "write an IPv4 or IPv6 address as in "
			       "\"127.0.0.1\" or \"::1\", or \"localhost\"",
			       "'%s' is no address", item->text);
	else
		store_text(key, object, item->text);
}

/* Absolute and clean; NULL after a complaint. */
static const char *resolve(struct bind *b, const struct conf_value *v,
			   const struct conf_item *item)
{
	char *path;
	const char *kept = NULL;

	if (!check_text(b, v->key, item))
		return NULL;
	if (item->text[0] == '~' &&
	    (item->text[1] == '/' || item->text[1] == '\0')) {
		problems_error(b->problems, &item->at,
			       "write \"${HOME}/…\" in double quotes",
			       "'~' is not expanded here");
		return NULL;
	}
	path = path_join(v->file->dir, item->text);
	if (strlen(path) >= PATH_MAX)
		problems_error(b->problems, &item->at, NULL,
			       "the path is longer than %d bytes", PATH_MAX);
	else
		kept = arena_strdup(b->arena, path);
	free(path);
	return kept;
}

static void check_regex(struct bind *b, const struct conf_item *item)
{
	char message[160], hint[96];
	size_t offset;

	if (value_regex(item->text, message, sizeof(message), &offset) == 0)
		return;
	snprintf(hint, sizeof(hint), "at offset %zu: '%.40s'", offset,
		 item->text + (offset < strlen(item->text) ?
				       offset :
				       strlen(item->text)));
	problems_error(b->problems, &item->at, hint,
		       "not a regular expression: %s", message);
}

/* ---- rules and probes --------------------------------------------------- */

static void bind_action(struct bind *b, const struct conf_key *key,
			const struct conf_item *item, void *object)
{
	size_t len = strcspn(item->text, " \t");
	struct conf_item first = { arena_strndup(b->arena, item->text, len),
				   item->at };
	const char *rest = item->text + len + strspn(item->text + len, " \t");
	const struct conf_word *w = find_word(key, first.text);
	struct rule *rule = object;
	bool takes_more;

	if (w == NULL) {
		no_such_word(b, key, &first);
		return;
	}
	rule->action = (enum action)w->value;
	takes_more =
		rule->action == ACTION_SIGNAL || rule->action == ACTION_RUN;
	if (takes_more && *rest == '\0') {
		problems_error(
			b->problems, &item->at,
			rule->action == ACTION_RUN ? "do = 'run make pages'" :
						     "do = \"signal SIGHUP\"",
			"'%s' needs a %s behind it", w->word,
			rule->action == ACTION_RUN ? "command" : "signal");
	} else if (!takes_more && *rest != '\0') {
		problems_error(b->problems, &item->at, NULL,
			       "'%s' takes nothing behind it", w->word);
	} else if (rule->action == ACTION_SIGNAL) {
		rule->signo = str_to_signal(rest);
		if (rule->signo < 0)
			problems_error(b->problems, &item->at, NULL,
				       "'%s' is no signal", rest);
	} else if (rule->action == ACTION_RUN) {
		rule->command = rest;
	}
}

static void check_target(struct bind *b, enum probe_kind kind,
			 const struct conf_item *item)
{
	const char *colon = strrchr(item->text, ':');

	if (kind == PROBE_HTTP && !str_starts(item->text, "http://"))
		problems_error(b->problems, &item->at,
			       "http = \"http://127.0.0.1:$PORT/healthz\"",
			       "'%s' does not begin with http://", item->text);
	else if (kind == PROBE_TCP &&
		 (colon == NULL || colon[1] == '\0' || colon == item->text))
		problems_error(b->problems, &item->at,
			       "tcp = \"127.0.0.1:$PORT\"",
			       "'%s' is no host:port", item->text);
	else if (kind == PROBE_LOG)
		check_regex(b, item);
}

static void bind_probe(struct bind *b, const struct conf_key *key,
		       const struct conf_item *item, void *object)
{
	struct probe *probe = object;

	if (!check_text(b, key, item))
		return;
	probe->kind = (enum probe_kind)key->min;
	probe->target = item->text;
	check_target(b, probe->kind, item);
}

static void bind_probe_flag(struct bind *b, const struct conf_key *key,
			    const struct conf_item *item, void *object)
{
	const struct conf_word *w = find_word(key, item->text);
	enum probe_kind kind = (enum probe_kind)key->min;
	struct probe *probe = object;

	if (w == NULL) {
		no_such_word(b, key, item);
		return;
	}
	if (w->value != 0)
		probe->kind = kind;
	else if (probe->kind == kind)
		probe->kind = PROBE_DEFAULT;
	if (w->value != 0)
		probe->target = NULL;
}

/* ---- lists -------------------------------------------------------------- */

/* A list of strings with room for n more behind what is there if append. */
static const char **list_room(struct bind *b, const struct conf_value *v,
			      void *object, size_t *n)
{
	const char *const *old;
	const char **list;

	memcpy(&old, field(v->key, object), sizeof(old));
	*n = v->append ? strv_len(old) : 0;
	list = arena_alloc(b->arena, (*n + v->n + 1) * sizeof(*list));
	if (*n > 0)
		memcpy(list, old, *n * sizeof(*list));
	return list;
}

static void store_list(const struct conf_value *v, void *object,
		       const char **list)
{
	memcpy(field(v->key, object), &list, sizeof(list));
}

static bool check_env(struct bind *b, const struct conf_item *item)
{
	const char *equals = strchr(item->text, '=');
	size_t n = strspn(item->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
				      "nopqrstuvwxyz0123456789_.");
	bool good = equals != NULL && n > 0 && item->text + n == equals &&
		    strchr("0123456789.", item->text[0]) == NULL;

	if (!good)
		problems_error(b->problems, &item->at, "env = {\"KEY=value\"}",
			       "'%s' is no KEY=value", item->text);
	return good;
}

static bool check_ext(struct bind *b, const struct conf_key *key,
		      const struct conf_item *item)
{
	if (!check_text(b, key, item))
		return false;
	if (strpbrk(item->text, "*/?[") == NULL)
		return true;
	problems_error(b->problems, &item->at,
		       "patterns go to include or exclude",
		       "'%s' is no ending of a file's name", item->text);
	return false;
}

static bool check_service(struct bind *b, const struct conf_item *item)
{
	const char *fault = lines_name_fault(item->text);

	if (fault != NULL)
		problems_error(b->problems, &item->at, NULL,
			       "the name of a service %s", fault);
	return fault == NULL;
}

static const char *list_item(struct bind *b, const struct conf_value *v,
			     const struct conf_item *item)
{
	enum conf_type type = v->key->type;
	bool good;

	if (type == CONF_PATHS)
		return resolve(b, v, item);
	if (type == CONF_ENVS)
		good = check_env(b, item);
	else if (type == CONF_EXTS)
		good = check_ext(b, v->key, item);
	else if (type == CONF_SERVICES)
		good = check_service(b, item);
	else
		good = check_text(b, v->key, item);
	if (!good)
		return NULL;
	return item->text + (type == CONF_EXTS && item->text[0] == '.');
}

static void bind_list(struct bind *b, const struct conf_value *v, void *object)
{
	const char **list, *text;
	size_t n, i;

	list = list_room(b, v, object, &n);
	for (i = 0; i < v->n; i++) {
		text = list_item(b, v, &v->items[i]);
		if (text != NULL)
			list[n++] = text;
	}
	store_list(v, object, list);
}

static bool check_pattern(struct bind *b, const struct conf_value *v,
			  const struct conf_item *item)
{
	size_t len = strlen(item->text), slashes = 0;

	if (!check_text(b, v->key, item))
		return false;
	if (v->key->type == CONF_REGEXES) {
		check_regex(b, item);
		return true;
	}
	while (slashes < len && item->text[len - 1 - slashes] == '\\')
		slashes++;
	if (slashes % 2 == 0)
		return true;
	problems_error(b->problems, &item->at, NULL,
		       "a pattern must not end in '\\'");
	return false;
}

static void bind_patterns(struct bind *b, const struct conf_value *v,
			  void *object)
{
	struct patterns *p = field(v->key, object);
	size_t n = v->append ? p->n : 0, i;
	struct pattern *all =
		arena_alloc(b->arena, (n + v->n + 1) * sizeof(*all));

	if (n > 0)
		memcpy(all, p->v, n * sizeof(*all));
	for (i = 0; i < v->n; i++)
		if (check_pattern(b, v, &v->items[i]))
			all[n++] = (struct pattern){ v->items[i].text,
						     v->items[i].at };
	p->v = all;
	p->n = n;
}

/* "db:ready" into name and condition. Returns 0, or -1 with a complaint. */
static int read_after(struct bind *b, const struct conf_item *item,
		      struct after *out)
{
	const char *colon = strchr(item->text, ':');
	struct conf_item name = *item;
	int c;

	out->at = item->at;
	out->condition = AFTER_READY;
	if (colon != NULL) {
		for (c = AFTER_READY; c <= AFTER_DONE; c++)
			if (str_eq(colon + 1, after_condition_name(
						      (enum after_condition)c)))
				break;
		if (c > AFTER_DONE) {
			problems_error(b->problems, &item->at, NULL,
				       "'%s' is no condition of 'after'; it "
				       "takes started, ready, done",
				       colon + 1);
			return -1;
		}
		out->condition = (enum after_condition)c;
		name.text = arena_strndup(b->arena, item->text,
					  (size_t)(colon - item->text));
	}
	out->name = name.text;
	return check_service(b, &name) ? 0 : -1;
}

static void bind_after(struct bind *b, const struct conf_value *v, void *object)
{
	struct service *s = object;
	size_t n = v->append ? s->n_after : 0, i;
	struct after *all =
		arena_alloc(b->arena, (n + v->n + 1) * sizeof(*all));

	if (n > 0)
		memcpy(all, s->after, n * sizeof(*all));
	for (i = 0; i < v->n; i++)
		if (read_after(b, &v->items[i], &all[n]) == 0)
			n++;
	s->after = all;
	s->n_after = n;
}

/* ---- all of them -------------------------------------------------------- */

static void bind_text(struct bind *b, const struct conf_key *key,
		      const struct conf_item *item, void *object)
{
	if (check_text(b, key, item))
		store_text(key, object, item->text);
}

typedef void (*bind_item)(struct bind *b, const struct conf_key *key,
			  const struct conf_item *item, void *object);

/* clang-format off */
static const bind_item scalars[] = {
	[CONF_TEXT] = bind_text,	 [CONF_SHELL] = bind_text,
	[CONF_HOST] = bind_host,	 [CONF_INT] = bind_int,
	[CONF_WORD] = bind_word,	 [CONF_DURATION] = bind_quantity,
	[CONF_SIZE] = bind_quantity,	 [CONF_SIGNAL] = bind_signal,
	[CONF_POLL] = bind_poll,	 [CONF_ACTION] = bind_action,
	[CONF_PROBE] = bind_probe,	 [CONF_PROBE_FLAG] = bind_probe_flag,
};
/* clang-format on */

void bind_value(struct bind *b, const struct conf_value *v, void *object)
{
	enum conf_type type = v->key->type;
	const char *path;

	if (type == CONF_AFTER) {
		bind_after(b, v, object);
	} else if (type == CONF_PATTERNS || type == CONF_REGEXES) {
		bind_patterns(b, v, object);
	} else if (key_is_list(v->key)) {
		bind_list(b, v, object);
	} else if (type == CONF_PATH) {
		path = resolve(b, v, &v->items[0]);
		if (path != NULL)
			store_text(v->key, object, path);
	} else {
		scalars[type](b, v->key, &v->items[0], object);
	}
}

/* A default as if a file had it; one text, for lists too. */
static void bind_initial(struct bind *b, const struct conf_key *key,
			 void *object)
{
	struct conf_item item = { key->initial != NULL ? key->initial : "",
				  { NULL, 0, 0 } };
	struct conf_value v = { .key = key,
				.file = b->file,
				.items = &item,
				.n = key->initial != NULL };

	if (key->initial != NULL || key_is_list(key))
		bind_value(b, &v, object);
}

void bind_defaults(struct bind *b, const char *section, void *object)
{
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if (str_eq(conf_keys[i].section, section))
			bind_initial(b, &conf_keys[i], object);
}

static void note_key(struct bind *b, const struct conf_value *v)
{
	struct key_set set = { v->key->name, v->at };
	size_t i;

	if (!str_eq(v->key->section, "") && !str_eq(v->key->section, "service"))
		set.key = arena_printf(b->arena, "%s.%s", v->key->section,
				       v->key->name);
	for (i = 0; i < b->keys.n; i++) {
		if (str_eq(b->keys.v[i].key, set.key)) {
			b->keys.v[i] = set;
			return;
		}
	}
	VEC_PUSH(&b->keys, set);
}

void bind_values(struct bind *b, const struct conf_block *block, void *object)
{
	const struct conf_value *v = block != NULL ? block->values : NULL;

	for (; v != NULL; v = v->next) {
		note_key(b, v);
		bind_value(b, v, object);
	}
}

const struct key_set *bind_take_keys(struct bind *b, size_t *n)
{
	struct key_set *kept =
		arena_alloc(b->arena, (b->keys.n + 1) * sizeof(*kept));

	if (b->keys.n > 0)
		memcpy(kept, b->keys.v, b->keys.n * sizeof(*kept));
	*n = b->keys.n;
	VEC_FREE(&b->keys);
	return kept;
}
