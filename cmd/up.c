/* SPDX-License-Identifier: MIT */
/* hr up: read the files, check what was asked for, become the master. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/background.h"
#include "cmd/verbs.h"
#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/master/master.h"
#include "procfile/load.h"
#include "procfile/model.h"

enum {
	OPT_NO_WATCH = OPTION_LONG,
	OPT_RAW,
	OPT_TIMESTAMPS,
};

/* Options of `hr up` under construction. */
struct up {
	const struct model *model;
	VEC(struct up_formation) formation;
	int all; /* the count of all=N, or -1 */
};

static int unknown_service(const struct model *m, const char *name,
			   struct err *err)
{
	const char **names = xcalloc(m->n_services + 1, sizeof(*names));
	const char *near;
	size_t i;

	for (i = 0; i < m->n_services; i++)
		names[i] = m->services[i].name;
	near = str_nearest(name, names);
	free(names);
	err_set(err, ERR_VALUE, "up: there is no service '%s'", name);
	if (near != NULL)
		return err_hint(err, "did you mean '%s'?", near);
	return err_hint(err, "hr check lists the services");
}

static int check_names(const struct model *m, const char *const *names,
		       struct err *err)
{
	for (; *names != NULL; names++)
		if (model_find(m, *names) == NULL)
			return unknown_service(m, *names, err);
	return 0;
}

static int parse_count(const char *item, const char *text, struct err *err)
{
	int64_t count;

	if (str_to_int(text, 0, INSTANCES_MAX, &count) == 0)
		return (int)count;
	err_set(err, ERR_VALUE, "up: -m %s: '%s' is not a number of instances",
		item, text);
	return err_hint(err, "0 to %d, as in -m web=2,all=1", INSTANCES_MAX);
}

static bool has_row(const struct up *u, const char *name)
{
	size_t i;

	for (i = 0; i < u->formation.n; i++)
		if (str_eq(u->formation.v[i].name, name))
			return true;
	return false;
}

/* "web=2" */
static int add_row(struct up *u, const char *item, struct err *err)
{
	const char *equals = strchr(item, '=');
	const struct service *s;
	struct up_formation row;
	char *name;

	if (equals == NULL || equals == item) {
		err_set(err, ERR_VALUE, "up: -m %s: it must be NAME=COUNT",
			item);
		return err_hint(err, "as in -m web=2,all=1");
	}
	row.count = parse_count(item, equals + 1, err);
	if (row.count < 0)
		return -1;
	name = xstrndup(item, (size_t)(equals - item));
	s = model_find(u->model, name);
	if (s != NULL && !has_row(u, name)) {
		row.name = s->name;
		VEC_PUSH(&u->formation, row);
	} else if (s != NULL) {
		err_set(err, ERR_VALUE, "up: -m names '%s' twice", name);
	} else if (str_eq(name, "all")) {
		u->all = row.count;
	} else {
		unknown_service(u->model, name, err);
	}
	free(name);
	return err->code == ERR_NONE ? 0 : -1;
}

/* all=N: for each service without a row. */
static void spread_all(struct up *u)
{
	struct up_formation row;
	size_t i;

	if (u->all < 0)
		return;
	row.count = u->all;
	for (i = 0; i < u->model->n_services; i++) {
		row.name = u->model->services[i].name;
		if (!has_row(u, row.name))
			VEC_PUSH(&u->formation, row);
	}
}

static int parse_formation(struct up *u, const struct invocation *v,
			   struct err *err)
{
	char *words, *word, *save;
	int rc = 0;
	size_t i;

	for (i = 0; i < v->n_given && rc == 0; i++) {
		if (v->given[i].id != 'm')
			continue;
		words = xstrdup(v->given[i].value);
		word = strtok_r(words, ",", &save);
		if (word == NULL)
			rc = add_row(u, "", err);
		for (; word != NULL && rc == 0;
		     word = strtok_r(NULL, ",", &save))
			rc = add_row(u, word, err);
		free(words);
	}
	spread_all(u);
	return rc;
}

static int parse_time(const struct invocation *v, enum paint_time *time,
		      struct err *err)
{
	static const char *const words[] = {
		[PAINT_TIME_SECONDS] = "time",
		[PAINT_TIME_MS] = "ms",
		[PAINT_TIME_NONE] = "off",
	};
	const char *word = given(v, OPT_TIMESTAMPS);
	size_t i;

	for (i = 0; i < NITEMS(words); i++) {
		if (word == NULL || str_eq(word, words[i])) {
			*time = (enum paint_time)i;
			return 0;
		}
	}
	return err_set(err, ERR_VALUE,
		       "up: --timestamps is time, ms or off, not '%s'", word);
}

static int run_foreground(const struct invocation *v, const struct up *u,
			  enum paint_time time)
{
	struct up_options opt = {
		.names = v->operands,
		.formation = u->formation.v,
		.n_formation = u->formation.n,
		.load = v->load,
		.no_watch = given(v, OPT_NO_WATCH) != NULL,
		.background = given(v, OPT_BACKGROUND) != NULL,
		.colour = term_want_colour(v->colour, STDOUT_FILENO),
		.terminal = term_is_terminal(STDOUT_FILENO),
		.raw = given(v, OPT_RAW) != NULL,
		.time = time,
	};

	return master_run(&opt, u->model);
}

static int run_model(const struct invocation *v, const struct model *model)
{
	struct up u = { .model = model, .all = -1 };
	enum paint_time time = PAINT_TIME_SECONDS;
	struct err err = { .code = ERR_NONE };
	int code = EXIT_USAGE;

	if (check_names(model, v->operands, &err) < 0 ||
	    parse_formation(&u, v, &err) < 0 || parse_time(v, &time, &err) < 0)
		err_print(&err, stderr);
	else if (given(v, 'd') != NULL)
		code = background_up(v, model->dir);
	else
		code = run_foreground(v, &u, time);
	VEC_FREE(&u.formation);
	return code;
}

static int run(const struct invocation *v)
{
	struct problems problems = { 0 };
	struct model *model = load_model(&v->load, &problems);
	int code = EXIT_USAGE;

	problems_print(&problems, stderr);
	problems_free(&problems);
	if (model != NULL)
		code = run_model(v, model);
	model_free(model);
	return code;
}

static const struct option_row options[] = {
	{ 'm', "formation", "NAME=N,…",
	  "instances of services; all=N for those not named" },
	{ 'd', "detach", NULL,
	  "in the background; returns when ready or failed" },
	{ OPT_NO_WATCH, "no-watch", NULL, "replace nothing on changes" },
	{ OPT_RAW, "raw", NULL, "pass all escape sequences of services" },
	{ OPT_TIMESTAMPS, "timestamps", "HOW", "time (default), ms or off" },
	{ OPT_BACKGROUND, "background", NULL, NULL },
	{ 0 },
};

const struct verb verb_up = {
	.name = "up",
	.usage = "[NAME…] [-m NAME=N,…] [--no-watch] [-d]",
	.summary = "start the stack and keep it running",
	.help = "Starts all enabled services, or the named ones and what they "
		"come after, shows\nwhat they write, and replaces each when "
		"its files change.\nCtrl-C stops all in reverse order, "
		"gracefully; a second Ctrl-C kills.\nExit 0 after a clean "
		"stop, 130 after Ctrl-C, 1 if a service failed and on_exit\nis "
		"\"stop\", 2 if the files have errors.\n",
	.options = options,
	.operand = "service",
	.run = run,
};
