/* SPDX-License-Identifier: MIT */
/* Find and read the files of a stack into one frozen model. */
#include "procfile/load.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/bind.h"
#include "procfile/check.h"
#include "procfile/conf.h"
#include "procfile/dotenv.h"
#include "procfile/keys.h"
#include "procfile/lines.h"
#include "procfile/model.h"
#include "procfile/notes.h"

#define PORT_STEP 100
#define SHUTDOWN_SPARE_MS 2000

/* ---- where -------------------------------------------------------------- */

static const char *const markers[] = { "Procfile", "Procfile.dev", "hr.conf",
				       ".hr" };

static bool exists(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static bool has_marker(const char *dir)
{
	size_t i;

	for (i = 0; i < NITEMS(markers); i++)
		if (exists(dir, markers[i]))
			return true;
	return false;
}

static const char *start_dir(const struct load_options *opt)
{
	return opt->dir != NULL ? opt->dir : ".";
}

/* The directory of a file that an option names; NULL with err. */
static char *dir_of(const struct load_options *opt, const char *file,
		    struct err *err)
{
	char *path = path_join(start_dir(opt), file);
	char *dir = path_dir(path), *real = realpath(dir, NULL);
	struct stat st;

	if (real == NULL) {
		err_sys(err, "cannot open directory %s", dir);
	} else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		err_set(err, ERR_VALUE, "%s is a directory, not a file", path);
		err_hint(err, "-C DIR names the directory of a stack");
		free(real);
		real = NULL;
	}
	free(path);
	free(dir);
	return real;
}

static char *not_found(const char *start, struct err *err)
{
	err_set(err, ERR_GONE,
		"no Procfile or hr.conf in %s or a directory above it", start);
	err_hint(err, "go to the project's directory, or name the file: hr -f "
		      "Procfile");
	return NULL;
}

char *load_find_dir(const struct load_options *opt, struct err *err)
{
	char *start, *dir, *up;

	if (opt->procfile != NULL)
		return dir_of(opt, opt->procfile, err);
	start = realpath(start_dir(opt), NULL);
	if (start == NULL) {
		err_sys(err, "cannot open directory %s", start_dir(opt));
		return NULL;
	}
	dir = xstrdup(start);
	while (!has_marker(dir) && !str_eq(dir, "/")) {
		up = path_dir(dir);
		free(dir);
		dir = up;
	}
	if (!has_marker(dir)) {
		free(dir);
		dir = opt->conf != NULL ? dir_of(opt, opt->conf, err) :
					  not_found(start, err);
	}
	free(start);
	return dir;
}

/* ---- state -------------------------------------------------------------- */

/* A service while it is put together. */
struct draft {
	const char *name;
	const struct line *line;	/* of the Procfile, or NULL */
	const struct conf_block *block; /* of hr.conf, or NULL */
	struct where at;		/* where it first occurs */
};

struct loader {
	const struct load_options *opt;
	struct problems *problems;
	struct arena *arena;
	struct model *model;
	struct lines lines;
	struct conf conf;
	struct conf_file top; /* what defaults are relative to */
	bool procfile_unread;
	struct {
		struct draft *v;
		size_t n;
		size_t cap;
	} drafts;
	struct bind bind;
};

static const char *shown(const struct loader *l, const char *path)
{
	return path_relative(path, l->model->dir);
}

/* An absolute path in the arena. */
static const char *keep_path(struct loader *l, const char *dir,
			     const char *name)
{
	char *path = path_join(dir, name);
	const char *kept = arena_strdup(l->arena, path);

	free(path);
	return kept;
}

/* A file that an option names, relative to where hr was told to be. */
static const char *option_path(struct loader *l, const char *name)
{
	char *start = realpath(start_dir(l->opt), NULL);
	const char *kept = keep_path(l, start != NULL ? start : "/", name);

	free(start);
	return kept;
}

static const char *choose(struct loader *l, const char *option,
			  const char *const *names)
{
	if (option != NULL)
		return option_path(l, option);
	for (; *names != NULL; names++)
		if (exists(l->model->dir, *names))
			return keep_path(l, l->model->dir, *names);
	return NULL;
}

/* ---- reading ------------------------------------------------------------ */

static void read_procfile(struct loader *l)
{
	struct err err;
	struct buf text;

	if (l->model->procfile == NULL)
		return;
	buf_init(&text, LOAD_FILE_MAX_BYTES);
	if (path_read(l->model->procfile, &text, &err) < 0) {
		problems_add(l->problems, &err, false);
		l->procfile_unread = true;
	} else {
		lines_parse(&l->lines, l->arena, shown(l, l->model->procfile),
			    buf_str(&text), text.len, l->opt->lenient,
			    l->problems);
	}
	buf_done(&text);
}

static void find_files(struct loader *l)
{
	static const char *const procfiles[] = { "Procfile", "Procfile.dev",
						 NULL };
	static const char *const confs[] = { "hr.conf", NULL };
	struct model *m = l->model;
	struct err err;

	m->procfile = choose(l, l->opt->procfile, procfiles);
	m->conf = choose(l, l->opt->conf, confs);
	if (m->procfile != NULL || m->conf != NULL)
		return;
	err_set(&err, ERR_GONE, "no Procfile and no hr.conf in %s", m->dir);
	err_hint(&err, "write a Procfile with lines like `web: ./bin/web`");
	problems_add(l->problems, &err, false);
}

static void list_files(struct loader *l)
{
	const struct conf_file *f;
	const char **files;
	size_t n = 1;

	for (f = l->conf.files; f != NULL; f = f->next)
		n++;
	files = arena_alloc(l->arena, (n + 1) * sizeof(*files));
	n = 0;
	if (l->model->procfile != NULL)
		files[n++] = l->model->procfile;
	for (f = l->conf.files; f != NULL; f = f->next)
		files[n++] = f->path;
	l->model->files = files;
}

/* ---- services ----------------------------------------------------------- */

static struct draft *find_draft(struct loader *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->drafts.n; i++)
		if (str_eq(l->drafts.v[i].name, name))
			return &l->drafts.v[i];
	return NULL;
}

static void too_many(struct loader *l, const struct where *at)
{
	problems_error(l->problems, at, NULL, "more than %d services",
		       LOAD_SERVICES_MAX);
}

static void draft_services(struct loader *l)
{
	const struct conf_block *b;
	struct draft *found;
	size_t i;

	for (i = 0; i < l->lines.n; i++)
		VEC_PUSH(&l->drafts,
			 ((struct draft){ .name = l->lines.v[i].name,
					  .line = &l->lines.v[i],
					  .at = l->lines.v[i].at }));
	for (b = l->conf.root.blocks; b != NULL; b = b->next) {
		if (!str_eq(b->key->name, "service"))
			continue;
		found = find_draft(l, b->title);
		if (found != NULL) {
			found->block = b;
			continue;
		}
		if (l->drafts.n == LOAD_SERVICES_MAX) {
			too_many(l, &b->at);
			return;
		}
		VEC_PUSH(&l->drafts, ((struct draft){ .name = b->title,
						      .block = b,
						      .at = b->title_at }));
	}
}

static const struct conf_block *inner(const struct conf_block *b,
				      const char *name)
{
	return b != NULL ? conf_block(b, name, NULL) : NULL;
}

static size_t count_blocks(const struct conf_block *b, const char *name)
{
	const struct conf_block *p;
	size_t n = 0;

	for (p = b->blocks; p != NULL; p = p->next)
		n += str_eq(p->key->name, name);
	return n;
}

/* A block may name one kind of probe. */
static void check_kinds(struct loader *l, const struct conf_block *b)
{
	const struct conf_value *v, *first = NULL;

	for (v = b != NULL ? b->values : NULL; v != NULL; v = v->next) {
		if ((v->key->type != CONF_PROBE &&
		     v->key->type != CONF_PROBE_FLAG) ||
		    str_eq(v->items[0].text, "false"))
			continue;
		if (first != NULL)
			problems_error(
				l->bind.problems, &v->at, "keep one of them",
				"'%s' and '%s' in one %s block",
				first->key->name, v->key->name, b->key->name);
		else
			first = v;
	}
}

static void bind_inner(struct loader *l, const struct conf_block *b,
		       const char *name, void *object)
{
	const struct conf_block *block = inner(b, name);

	if (block != NULL && (str_eq(name, "ready") || str_eq(name, "alive")))
		check_kinds(l, block);
	bind_values(&l->bind, block, object);
}

static void bind_rule(struct loader *l, const struct conf_block *b,
		      struct rule *rule)
{
	rule->name = b->title;
	rule->at = b->at;
	bind_defaults(&l->bind, "rule", rule);
	bind_values(&l->bind, b, rule);
	if (conf_value(b, "match") == NULL && !b->broken)
		problems_error(l->bind.problems, &b->at, "match = {\"*.html\"}",
			       "rule '%s' has no match", b->title);
	if (conf_value(b, "do") == NULL && !b->broken)
		problems_error(l->bind.problems, &b->at, "do = \"restart\"",
			       "rule '%s' has no do", b->title);
}

/*
 * The service's own rules come before those of defaults, and instead of one
 * of the same name.
 */
static void bind_rules(struct loader *l, struct service *s,
		       const struct conf_block *b)
{
	size_t n = s->n_rules;
	struct rule *all = arena_alloc(
		l->arena, (n + count_blocks(b, "rule") + 1) * sizeof(*all));
	const struct conf_block *p;
	size_t own = 0, i;

	for (p = b->blocks; p != NULL; p = p->next)
		if (str_eq(p->key->name, "rule"))
			bind_rule(l, p, &all[own++]);
	for (i = 0; i < n; i++)
		if (conf_block(b, "rule", s->rules[i].name) == NULL)
			all[own++] = s->rules[i];
	s->rules = all;
	s->n_rules = own;
}

static void bind_ports(struct loader *l, struct service *s,
		       const struct conf_block *b)
{
	size_t n = s->n_ports, own = 0, i;
	struct port *all = arena_alloc(
		l->arena, (n + count_blocks(b, "port") + 1) * sizeof(*all));
	const struct conf_block *p;

	for (p = b->blocks; p != NULL; p = p->next) {
		if (!str_eq(p->key->name, "port"))
			continue;
		all[own].name = p->title;
		all[own].at = p->at;
		bind_defaults(&l->bind, "port", &all[own]);
		bind_values(&l->bind, p, &all[own]);
		/* A number that is wrong has been complained about. */
		if (all[own].number == 0 &&
		    (p->broken || conf_value(p, "number") != NULL))
			all[own].number = -1;
		own++;
	}
	for (i = 0; i < n; i++)
		if (conf_block(b, "port", s->ports[i].name) == NULL)
			all[own++] = s->ports[i];
	s->ports = all;
	s->n_ports = own;
}

/* What a block, of the service or of defaults, says about a service. */
static void bind_service(struct loader *l, const struct conf_block *b,
			 struct service *s)
{
	if (b == NULL)
		return;
	bind_values(&l->bind, b, s);
	if (conf_value(b, "command") != NULL)
		s->command_at = conf_value(b, "command")->items[0].at;
	bind_inner(l, b, "ready", &s->ready);
	bind_inner(l, b, "alive", &s->alive);
	bind_inner(l, b, "log", &s->log);
	bind_inner(l, b, "watch", &s->watch);
	bind_rules(l, s, b);
	bind_ports(l, s, b);
}

static void default_service(struct loader *l, struct service *s,
			    const struct conf_block *watch)
{
	bind_defaults(&l->bind, "service", s);
	bind_defaults(&l->bind, "ready", &s->ready);
	bind_defaults(&l->bind, "alive", &s->alive);
	bind_defaults(&l->bind, "log", &s->log);
	if (watch != NULL)
		l->bind.file = watch->file;
	bind_defaults(&l->bind, "watch", &s->watch);
	l->bind.file = &l->top;
	s->watched = watch != NULL;
	if (watch != NULL)
		s->watch.at = watch->at;
}

static const struct conf_block *defaults(const struct loader *l)
{
	return conf_block(&l->conf.root, "defaults", NULL);
}

/* Errors in defaults once, whatever the number of services. */
static void check_defaults(struct loader *l)
{
	struct service nobody = { 0 };
	size_t n;

	default_service(l, &nobody, inner(defaults(l), "watch"));
	bind_service(l, defaults(l), &nobody);
	bind_take_keys(&l->bind, &n);
}

static void bind_quietly(struct loader *l, struct service *s)
{
	struct problems unseen = { 0 };

	l->bind.problems = &unseen;
	bind_service(l, defaults(l), s);
	l->bind.problems = l->problems;
	problems_free(&unseen);
}

static void check_command(struct loader *l, const struct draft *d,
			  const struct service *s)
{
	const char *names[LOAD_SERVICES_MAX + 1];
	const char *near;
	const struct draft *other;
	char hint[160];
	size_t i, n = 0;

	/* Of a line that is wrong, that has been said. */
	if (s->command != NULL || d->line != NULL || d->block == NULL ||
	    l->procfile_unread || d->block->broken ||
	    conf_value(d->block, "command") != NULL)
		return;
	for (i = 0; i < l->drafts.n; i++) {
		other = &l->drafts.v[i];
		if (other->line != NULL && other->block == NULL)
			names[n++] = other->name;
	}
	names[n] = NULL;
	near = str_nearest(d->name, names);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	else
		snprintf(hint, sizeof(hint),
			 "add `command = '…'` here, or `%s: …` to the Procfile",
			 d->name);
	problems_error(l->problems, &d->at, hint, "service '%s' has no command",
		       d->name);
}

static void check_alive(struct loader *l, const struct draft *d,
			const struct service *s)
{
	const struct conf_block *own = inner(d->block, "alive");
	const struct conf_value *v = own != NULL ? own->values : NULL;

	for (; v != NULL; v = v->next)
		if (v->key->type == CONF_PROBE ||
		    v->key->type == CONF_PROBE_FLAG)
			return;
	if (own != NULL && !own->broken && s->alive.kind == PROBE_DEFAULT)
		problems_error(l->problems, &own->at,
			       "http, tcp, exec, log, notify or listen",
			       "alive has no probe");
}

/* The first port gives PORT its number, or takes it from PORT. */
static void settle_port(struct loader *l, struct service *s)
{
	struct port *all;

	if (s->n_ports == 0)
		return;
	all = arena_alloc(l->arena, s->n_ports * sizeof(*all));
	memcpy(all, s->ports, s->n_ports * sizeof(*all));
	if (all[0].number == 0)
		all[0].number = s->base_port;
	s->base_port = all[0].number;
	s->ports = all;
}

static void build_service(struct loader *l, const struct draft *d,
			  struct service *s, size_t index)
{
	const struct conf_block *watch = inner(d->block, "watch");

	s->name = d->name;
	s->index = index;
	s->at = d->at;
	default_service(l, s,
			watch != NULL ? watch : inner(defaults(l), "watch"));
	bind_quietly(l, s);
	if (d->line != NULL && d->line->command != NULL) {
		s->command = d->line->command;
		s->command_at = d->line->command_at;
	}
	bind_service(l, d->block, s);
	s->keys = bind_take_keys(&l->bind, &s->n_keys);
	s->base_port = l->model->port_base + PORT_STEP * (int)index;
	settle_port(l, s);
	check_command(l, d, s);
	check_alive(l, d, s);
}

static void build_services(struct loader *l)
{
	struct service *all;
	size_t i;

	draft_services(l);
	all = arena_alloc(l->arena, (l->drafts.n + 1) * sizeof(*all));
	check_defaults(l);
	for (i = 0; i < l->drafts.n; i++)
		build_service(l, &l->drafts.v[i], &all[i], i);
	l->model->services = all;
	l->model->n_services = l->drafts.n;
}

/* ---- the top level ------------------------------------------------------ */

static void bind_top(struct loader *l)
{
	struct model *m = l->model;

	m->stack = arena_strdup(l->arena, path_base(m->dir));
	bind_defaults(&l->bind, "", m);
	bind_values(&l->bind, &l->conf.root, m);
	m->keys = bind_take_keys(&l->bind, &m->n_keys);
}

static void settle_shutdown(struct model *m)
{
	int64_t longest = 0;
	size_t i;

	if (m->shutdown_delay_ms > 0)
		return;
	for (i = 0; i < m->n_services; i++)
		if (m->services[i].kill_delay_ms > longest)
			longest = m->services[i].kill_delay_ms;
	m->shutdown_delay_ms = longest + SHUTDOWN_SPARE_MS;
}

static void check_any(struct loader *l)
{
	const struct model *m = l->model;
	const char *file = m->procfile != NULL ? m->procfile : m->conf;
	struct where at;

	if (m->n_services > 0 || l->problems->n_errors > 0)
		return;
	at = (struct where){ shown(l, file), 0, 0 };
	problems_error(l->problems, &at,
		       "a line is `web: ./bin/web`; the name is yours",
		       "no service in it");
}

/* ---- environment files -------------------------------------------------- */

/* Their lines are checked now; their values are read at each start. */
static void check_env_file(struct loader *l, struct env *e, const char *path,
			   const struct where *by)
{
	struct problems found = { 0 };
	struct err err;
	struct buf text;
	size_t i;

	buf_init(&text, LOAD_FILE_MAX_BYTES);
	if (path_read(path, &text, &err) < 0) {
		if (by != NULL && by->file != NULL)
			err_at(&err, by->file, by->line, by->col);
		problems_add(l->problems, &err, false);
	} else {
		dotenv_parse(e, shown(l, path), buf_str(&text), text.len, NULL,
			     &found);
	}
	for (i = 0; i < found.n; i++)
		problems_add(l->problems, &found.v[i], l->opt->lenient);
	problems_free(&found);
	buf_done(&text);
}

static void check_env_files(struct loader *l)
{
	const struct model *m = l->model;
	const struct where *at = NULL;
	struct env e = { 0 };
	const char *const *p;
	const struct service *s;
	size_t i;

	for (i = 0; i < m->n_keys; i++)
		if (str_eq(m->keys[i].key, "env_file"))
			at = &m->keys[i].at;
	for (p = m->env_file; *p != NULL; p++)
		check_env_file(l, &e, *p, at);
	for (i = 0; i < m->n_services; i++) {
		s = &m->services[i];
		for (p = s->env_file; *p != NULL; p++)
			check_env_file(l, &e, *p, service_key(s, "env_file"));
	}
	env_free(&e);
}

/*
 * `.env` if it is there, then hr.conf's. With -e: hr.conf's, then those of
 * the command line, which replace `.env` and have the last word.
 */
static void list_env_files(struct loader *l)
{
	const char *const *conf = l->model->env_file, *const * p;
	const char **all;
	size_t n = 0;

	all = arena_alloc(l->arena, (strv_len(conf) + strv_len(l->opt->env) +
				     2) * sizeof(*all));
	if (l->opt->env == NULL && exists(l->model->dir, ".env"))
		all[n++] = keep_path(l, l->model->dir, ".env");
	for (p = conf; *p != NULL; p++)
		if (!strv_has(all, *p))
			all[n++] = *p;
	for (p = l->opt->env; p != NULL && *p != NULL; p++)
		all[n++] = option_path(l, *p);
	l->model->env_file = all;
}

/* ---- the whole ---------------------------------------------------------- */

static void load(struct loader *l)
{
	struct model *m = l->model;

	find_files(l);
	read_procfile(l);
	if (m->conf != NULL)
		conf_read(&l->conf, l->arena, m->conf, m->dir, l->problems);
	list_files(l);
	bind_top(l);
	build_services(l);
	list_env_files(l);
	settle_shutdown(m);
	check_any(l);
	check_model(m, !l->procfile_unread && !l->conf.unread, l->problems);
	check_env_files(l);
	notes_collect(m, &l->conf);
}

struct model *load_model(const struct load_options *opt,
			 struct problems *problems)
{
	struct loader l = { .opt = opt, .problems = problems };
	struct err err;
	char *dir = load_find_dir(opt, &err);

	if (dir == NULL) {
		problems_add(problems, &err, false);
		return NULL;
	}
	l.arena = arena_new();
	l.model = arena_alloc(l.arena, sizeof(*l.model));
	l.model->arena = l.arena;
	l.model->dir = arena_strdup(l.arena, dir);
	l.top = (struct conf_file){ .path = l.model->dir,
				    .name = ".",
				    .dir = l.model->dir };
	l.bind = (struct bind){ .arena = l.arena,
				.problems = problems,
				.file = &l.top };
	load(&l);
	free(dir);
	VEC_FREE(&l.drafts);
	lines_free(&l.lines);
	problems_sort(problems);
	if (problems->n_errors == 0)
		return l.model;
	model_free(l.model);
	return NULL;
}
