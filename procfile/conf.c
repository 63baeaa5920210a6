/* SPDX-License-Identifier: MIT */
/*
 * Reading hr.conf and what it includes; libconfuse's part in it. This is the
 * only file that knows libconfuse.
 *
 * Every value is a string to libconfuse: types, limits and words are checked
 * later with exact places, so it never stops at the first wrong value.
 */
#include "procfile/conf.h"

#include <confuse.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/keys.h"
#include "procfile/load.h"
#include "procfile/normalise.h"
#include "procfile/survey.h"

#define INCLUDED_FILES_MAX 200

/* ---- the tree ----------------------------------------------------------- */

const struct conf_value *conf_value(const struct conf_block *b, const char *key)
{
	const struct conf_value *v;

	for (v = b != NULL ? b->values : NULL; v != NULL; v = v->next)
		if (str_eq(v->key->name, key))
			return v;
	return NULL;
}

struct conf_block *conf_block(const struct conf_block *b, const char *name,
			      const char *title)
{
	struct conf_block *p;

	for (p = b->blocks; p != NULL; p = p->next)
		if (str_eq(p->key->name, name) &&
		    (title == NULL ||
		     (p->title != NULL && str_eq(p->title, title))))
			return p;
	return NULL;
}

const char *conf_section(const struct conf_block *b)
{
	return b->key != NULL ? b->key->inner : "";
}

const char *conf_place(const struct conf_block *b, char *buffer, size_t size)
{
	if (b->key == NULL)
		snprintf(buffer, size, "at the top level");
	else if (b->title != NULL)
		snprintf(buffer, size, "in %s '%.64s'", b->key->name, b->title);
	else
		snprintf(buffer, size, "in %s", b->key->name);
	return buffer;
}

/* ---- libconfuse --------------------------------------------------------- */

/* What its error callback needs; it passes no pointer of ours. */
static struct {
	const struct conf_file *file;
	struct problems *problems;
} reading;

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct where at = { reading.file->name, cfg != NULL ? cfg->line : 0,
			    0 };
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	problems_error(reading.problems, &at, NULL, "libconfuse: %s", text);
}

static size_t section_size(const char *section)
{
	size_t i, n = 0;

	for (i = 0; i < conf_n_keys; i++)
		n += str_eq(conf_keys[i].section, section);
	return n;
}

/* The options of a section and of the blocks in it. OWNED by the arena. */
static cfg_opt_t *make_options(struct arena *a, const char *section)
{
	static const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts =
		arena_alloc(a, (section_size(section) + 1) * sizeof(*opts));
	const struct conf_key *key;
	size_t i, n = 0;

	for (i = 0; i < conf_n_keys; i++) {
		key = &conf_keys[i];
		if (!str_eq(key->section, section) || key->type == CONF_CALL)
			continue;
		opts[n] = end;
		opts[n].name = key->name;
		opts[n].type = CFGT_STR;
		opts[n].flags = CFGF_NODEFAULT;
		if (key_is_list(key))
			opts[n].flags |= CFGF_LIST;
		if (key->type == CONF_BLOCK) {
			opts[n].type = CFGT_SEC;
			opts[n].subopts = make_options(a, key->inner);
			opts[n].flags = CFGF_NODEFAULT;
			if (key->titled)
				opts[n].flags |= CFGF_MULTI | CFGF_TITLE |
						 CFGF_NO_TITLE_DUPES;
		}
		n++;
	}
	opts[n] = end;
	return opts;
}

static void disagree(const struct conf_value *v, struct problems *problems)
{
	problems_error(problems, &v->at, "put the value in single quotes",
		       "libconfuse reads the value of '%s' differently",
		       v->key->name);
}

/* The values of one key must be the same for libconfuse. */
static void compare_value(cfg_t *cfg, const struct conf_value *v)
{
	cfg_opt_t *opt = cfg_getopt(cfg, v->key->name);
	unsigned int n = 0;
	const char *text;
	size_t i;

	for (i = 0; opt != NULL && i < v->n; i++) {
		/* A list at the top level may come from several files. */
		if (v->items[i].at.file != reading.file->name)
			continue;
		text = n < cfg_opt_size(opt) ? cfg_opt_getnstr(opt, n) : NULL;
		if (text == NULL || !str_eq(text, v->items[i].text))
			break;
		n++;
	}
	if (opt == NULL || i < v->n || n != cfg_opt_size(opt))
		disagree(v, reading.problems);
}

static void compare_block(cfg_t *cfg, const struct conf_block *b)
{
	const struct conf_value *v;
	const struct conf_block *p;
	cfg_t *inner;

	for (v = b->values; v != NULL; v = v->next)
		if (v->file == reading.file)
			compare_value(cfg, v);
	for (p = b->blocks; p != NULL; p = p->next) {
		if (p->file != reading.file)
			continue;
		inner = p->title != NULL ?
				cfg_gettsec(cfg, p->key->name, p->title) :
				cfg_getsec(cfg, p->key->name);
		if (inner != NULL)
			compare_block(inner, p);
		else
			problems_error(reading.problems, &p->at, NULL,
				       "libconfuse does not see '%s'",
				       p->key->name);
	}
}

/* Give libconfuse what is left of the file, and compare. */
static void confirm(const struct conf *conf, struct arena *a,
		    const struct conf_file *file, const struct normal *normal,
		    struct problems *problems)
{
	cfg_t *cfg = cfg_init(make_options(a, ""), CFGF_NONE);

	if (cfg == NULL) {
		problems_error(problems, NULL, NULL, "libconfuse: no memory");
		return;
	}
	reading.file = file;
	reading.problems = problems;
	cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, buf_str(&normal->text)) == CFG_SUCCESS)
		compare_block(cfg, &conf->root);
	cfg_free(cfg);
	reading.file = NULL;
	reading.problems = NULL;
}

/* ---- files -------------------------------------------------------------- */

struct reading_state {
	struct conf *conf;
	struct arena *arena;
	struct problems *problems;
	const struct conf_file *file;
	const char *stack_dir;
	size_t n_included; /* over all files */
};

static void read_file(struct reading_state *r, const char *path,
		      const struct where *by);

static bool is_read(const struct conf *conf, const char *path)
{
	const struct conf_file *f;

	for (f = conf->files; f != NULL; f = f->next)
		if (str_eq(f->path, path))
			return true;
	return false;
}

static const struct conf_file *add_file(struct reading_state *r,
					const char *path)
{
	struct conf_file *f = arena_alloc(r->arena, sizeof(*f));
	struct conf_file **p = &r->conf->files;
	char *dir = path_dir(path);

	f->path = arena_strdup(r->arena, path);
	f->name = arena_strdup(r->arena, path_relative(path, r->stack_dir));
	f->dir = arena_strdup(r->arena, dir);
	free(dir);
	while (*p != NULL)
		p = &(*p)->next;
	*p = f;
	return f;
}

static bool is_pattern(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

static void include_matches(struct reading_state *r, const char *pattern,
			    const struct where *at)
{
	char *path = path_join(r->file->dir, pattern);
	glob_t found;
	size_t i;

	if (!is_pattern(pattern)) {
		read_file(r, path, at);
		free(path);
		return;
	}
	/* None is fine: the directory may be empty for now. */
	if (glob(path, 0, NULL, &found) == 0) {
		for (i = 0; i < found.gl_pathc; i++)
			read_file(r, found.gl_pathv[i], at);
		globfree(&found);
	}
	free(path);
}

static void on_include(void *data, const char *pattern, int line, int col)
{
	struct reading_state *r = data;
	const struct conf_file *file = r->file;
	struct where at = { file->name, line, col };

	if (*pattern == '\0')
		problems_error(r->problems, &at, NULL,
			       "include needs a file name");
	else
		include_matches(r, pattern, &at);
	r->file = file;
}

static void parse_text(struct reading_state *r, const char *path,
		       const char *text, size_t len)
{
	struct normal normal = { 0 };
	struct survey survey = { .normal = &normal,
				 .arena = r->arena,
				 .problems = r->problems,
				 .include = on_include,
				 .data = r };
	const struct conf_file *file = add_file(r, path);

	r->file = survey.file = file;
	normalise(&normal, r->arena, file->name, text, len, r->problems);
	if (survey_run(&survey, &r->conf->root))
		confirm(r->conf, r->arena, file, &normal, r->problems);
	else
		r->conf->unread = true;
	normal_free(&normal);
}

static void read_failed(struct reading_state *r, const struct where *by,
			const char *path, struct err *err)
{
	if (by != NULL)
		err_at(err, by->file, by->line, by->col);
	if (err->code == ERR_LIMIT)
		err_hint(err, "is %s really a configuration file?",
			 path_base(path));
	problems_add(r->problems, err, false);
	r->conf->unread = true;
}

static void read_file(struct reading_state *r, const char *path,
		      const struct where *by)
{
	struct err err;
	struct buf text;

	if (is_read(r->conf, path))
		return;
	if (++r->n_included > INCLUDED_FILES_MAX) {
		problems_error(r->problems, by, NULL,
			       "more than %d files included",
			       INCLUDED_FILES_MAX);
		return;
	}
	buf_init(&text, LOAD_FILE_MAX_BYTES);
	if (path_read(path, &text, &err) < 0)
		read_failed(r, by, path, &err);
	else
		parse_text(r, path, buf_str(&text), text.len);
	buf_done(&text);
}

void conf_read(struct conf *conf, struct arena *a, const char *path,
	       const char *dir, struct problems *problems)
{
	struct reading_state r = {
		.conf = conf, .arena = a, .problems = problems, .stack_dir = dir
	};

	read_file(&r, path, NULL);
}

void conf_parse(struct conf *conf, struct arena *a, const char *path,
		const char *dir, const char *text, size_t len,
		struct problems *problems)
{
	struct reading_state r = {
		.conf = conf, .arena = a, .problems = problems, .stack_dir = dir
	};

	parse_text(&r, path, text, len);
}
