/* SPDX-License-Identifier: MIT */
/* Changes, joined until a generation that has them is ready. */
#include "lib/worker/cause.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/str.h"
#include "lib/worker/role.h"
#include "lib/worker/say.h"

/* The watcher sends no more; a build that is changed again and again joins
 * many. */
#define PATHS_MAX 200
#define FILE_MAX_BYTES ((size_t)1 << 20)

static void clear_paths(struct cause *c)
{
	size_t i;

	for (i = 0; i < c->paths.n; i++)
		free(c->paths.v[i]);
	VEC_FREE(&c->paths);
}

static bool is_under_way(const struct worker *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->instances[i].in_round)
			return true;
	return false;
}

/* The NULL behind the last is not counted. */
static void add_path(struct cause *c, const char *path)
{
	if (c->paths.n >= PATHS_MAX ||
	    (c->paths.n > 0 && strv_has((const char *const *)c->paths.v, path)))
		return;
	VEC_PUSH(&c->paths, xstrdup(path));
	VEC_PUSH(&c->paths, NULL);
	c->paths.n--;
}

void cause_add(struct worker *w, const struct change *change)
{
	struct cause *c = &w->cause;
	int64_t now_us = clock_mono_us();
	size_t i;

	if (!is_under_way(w)) {
		clear_paths(c);
		memset(c, 0, sizeof(*c));
		c->first_us = change != NULL ? change->first_us : now_us;
	}
	if (change != NULL) {
		c->quiet_us = change->settled_us - change->first_us;
		snprintf(c->rule, sizeof(c->rule), "%s", change->rule);
		c->total += change->total;
		for (i = 0; change->paths[i] != NULL; i++)
			add_path(c, change->paths[i]);
	}
	cause_write_file(w);
}

void cause_done(struct worker *w)
{
	clear_paths(&w->cause);
}

/* ---- HR_CHANGED -------------------------------------------------------- */

static int write_file(const char *path, const struct buf *text)
{
	int fd, rc = -1;

	/* A new file, not a renamed one: ext4 writes a file to the disk that
	 * is renamed over another, 1 ms on the way of each edit. Who still
	 * reads the old one has it open, and nobody reads the new one before
	 * the build begins. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		rc = fd_write_all(fd, buf_str(text), text->len);
	fd_close(&fd);
	return rc;
}

void cause_write_file(struct worker *w)
{
	struct buf text;
	size_t i;

	buf_init(&text, FILE_MAX_BYTES);
	for (i = 0; i < w->cause.paths.n; i++)
		buf_addf(&text, "%s\n", w->cause.paths.v[i]);
	if (write_file(w->changed_file, &text) < 0)
		say_note(w, NOTE_WARNING, "cannot write %s: %s",
			 w->changed_file, strerror(errno));
	buf_done(&text);
}

/* ---- the outcome ------------------------------------------------------- */

/* What was asked for last is still to come. */
static bool is_outdated(const struct instance *i)
{
	const struct plan_slot *s = &i->w->plan.slots[i->slot];

	return s->after || s->pending;
}

void cause_reloaded(struct instance *i, enum reload_result result,
		    const char *why)
{
	const struct worker *w = i->w;
	int64_t now_us = clock_mono_us();
	bool ready = result == RESULT_READY;
	int64_t generation = i->generation;

	if (!i->in_round)
		return;
	if (result == RESULT_BUILD_FAILED)
		generation = w->building;
	else if (result != RESULT_CANCELLED && is_outdated(i))
		return;
	i->in_round = false;
	say_reloaded(i, generation, result, ready ? now_us - i->exec_us : 0,
		     now_us - w->cause.first_us, why);
	i->drain_us = i->start_us = 0;
}
