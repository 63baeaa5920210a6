/* SPDX-License-Identifier: MIT */
/* The log multiplexer: read, cut into lines, show, remember. */
#include "lib/master/mux.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/master/ansi.h"
#include "lib/master/history.h"
#include "lib/master/outlet.h"

#define READ_BYTES ((size_t)64 << 10)
/* Above this much waiting, write within the turn; if it stays, pause. */
#define HIGH_BYTES ((size_t)256 << 10)
#define LOW_BYTES ((size_t)64 << 10)
/* hr's own lines fit where those of services no longer do. */
#define HR_RESERVE_BYTES ((size_t)64 << 10)
/* Room for what is added to a line: colours reopened and closed, notes. */
#define EXTRA_BYTES 256
/* A progress line that lost its place on screen is not worth ten a second. */
#define PROGRESS_S 1.0

struct source {
	struct source *next;
	struct mux *mux;
	ev_io readable;
	size_t service;
	char *label;
	uint32_t instance;
	int64_t generation;
	bool build;
	int fd;
	struct buf line;  /* the unfinished one; of a progress line its last
			     state only */
	size_t shown;	  /* bytes of it on screen already */
	bool progress;	  /* it had carriage returns */
	struct ansi ansi; /* colours in force at `shown` */
	double due_at;	  /* when to show it unfinished; 0: nothing new */
};

struct service {
	char *name;
	struct history history;
};

struct mux {
	struct ev_loop *loop;
	struct mux_options opt;
	struct paint paint;
	struct outlet out;
	ev_prepare turn_end;
	ev_timer partials;
	ev_timer pause;
	bool paused;
	bool skipping;
	uint64_t skipped;
	struct source *sources;
	struct source *open; /* whose unfinished line the screen ends with */
	VEC(struct service) services;
	struct service hr;
	uint64_t seq;
	struct buf prefix;
	struct buf scratch;
	struct buf clean;
	char *chunk;
	mux_line_fn follow;
	void *follow_data;
};

/* --- pressure ------------------------------------------------------------- */

static void resume(struct mux *m)
{
	struct source *s;

	if (!m->paused)
		return;
	m->paused = false;
	ev_timer_stop(m->loop, &m->pause);
	for (s = m->sources; s != NULL; s = s->next)
		ev_io_start(m->loop, &s->readable);
}

static void pause_reading(struct mux *m)
{
	struct source *s;

	if (m->paused || m->skipping)
		return;
	m->paused = true;
	for (s = m->sources; s != NULL; s = s->next)
		ev_io_stop(m->loop, &s->readable);
	if (!m->opt.block) {
		ev_timer_set(&m->pause, MUX_PAUSE_MS / 1000., 0.);
		ev_timer_start(m->loop, &m->pause);
	}
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct mux *m = w->data;

	(void)loop;
	(void)revents;
	m->skipping = true;
	resume(m);
}

static void say_skipped(struct mux *m);

/* An outlet's on_written. */
static void on_written(void *data)
{
	struct mux *m = data;

	if (outlet_is_closed(&m->out)) /* the services go on */
		m->skipped = 0;
	if (outlet_pending(&m->out) > LOW_BYTES)
		return;
	m->skipping = false;
	say_skipped(m);
	resume(m);
}

/* Between two lines: keep what waits small. */
static void relieve(struct mux *m)
{
	if (outlet_pending(&m->out) < HIGH_BYTES)
		return;
	outlet_flush(&m->out);
	if (outlet_pending(&m->out) >= HIGH_BYTES)
		pause_reading(m);
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct mux *m = w->data;

	(void)loop;
	(void)revents;
	outlet_flush(&m->out);
}

/* --- lines ---------------------------------------------------------------- */

static enum ansi_keep keep(const struct mux *m)
{
	if (m->opt.raw)
		return ANSI_ALL;
	return m->opt.colour ? ANSI_SGR : ANSI_NONE;
}

/* Whether a line of so many bytes is shown; else it is counted. */
static bool has_room(struct mux *m, size_t len, size_t reserve)
{
	if (outlet_is_closed(&m->out))
		return false;
	len += m->prefix.len + EXTRA_BYTES;
	if (outlet_pending(&m->out) + len <= MUX_PENDING_BYTES + reserve)
		return true;
	outlet_flush(&m->out);
	return outlet_pending(&m->out) + len <= MUX_PENDING_BYTES + reserve;
}

/* End the unfinished line of whoever it is. */
static void close_open(struct mux *m)
{
	if (m->open != NULL)
		buf_add_char(&m->out.buf, '\n');
	m->open = NULL;
}

static void put_prefix(struct mux *m)
{
	buf_add(&m->out.buf, m->prefix.data, m->prefix.len);
}

/* Text from `from` on, colours as they were there. Returns bytes shown. */
static size_t put_text(struct mux *m, struct ansi *a, const char *text,
		       size_t len, size_t from, bool more)
{
	size_t n;

	if (keep(m) == ANSI_SGR)
		buf_add(&m->out.buf, a->sgr, a->len);
	n = ansi_filter(a, keep(m), text + from, len - from, more, &m->out.buf);
	if (keep(m) == ANSI_SGR)
		ansi_close(a, &m->out.buf);
	return from + n;
}

/* Put the last state of a progress line over the one before it. */
static void put_rewrite(struct mux *m, struct source *s, const char *text,
			size_t len)
{
	buf_add_char(&m->out.buf, '\r');
	put_prefix(m);
	s->ansi.len = 0;
	put_text(m, &s->ansi, text, len, 0, false);
	buf_add_str(&m->out.buf, "\033[K");
}

/* The part of the line that is not on screen yet, up to the newline. */
static void show_rest(struct mux *m, struct source *s, const char *text,
		      size_t len)
{
	bool is_open = m->open == s;
	size_t from = s->progress ? 0 : s->shown;

	if (is_open && s->progress && m->opt.terminal) {
		put_rewrite(m, s, text, len);
		m->open = NULL;
	} else if (is_open && !s->progress) {
		put_text(m, &s->ansi, text, len, from, false);
		m->open = NULL;
	} else {
		close_open(m);
		/* It was all shown, and others have spoken since. */
		if (s->shown > 0 && s->shown >= len)
			return;
		put_prefix(m);
		put_text(m, &s->ansi, text, len, from, false);
	}
	buf_add_char(&m->out.buf, '\n');
}

/* What show_rest does for nearly every line, in one piece: this and the copy
 * into memory are what a line costs. */
static void show_plain(struct mux *m, const char *text, size_t len)
{
	char *p = buf_reserve(&m->out.buf, m->prefix.len + len + 1);

	memcpy(p, m->prefix.data, m->prefix.len);
	memcpy(p + m->prefix.len, text, len);
	p[m->prefix.len + len] = '\n';
	buf_commit(&m->out.buf, m->prefix.len + len + 1);
}

static void hand_over(struct mux *m, const struct service *v,
		      const struct history_record *r, const char *text,
		      mux_line_fn fn, void *data)
{
	struct mux_line line = {
		.at_real_us = r->at_real_us,
		.service = v->name,
		.number = v == &m->hr ? MUX_HR : (size_t)(v - m->services.v),
		.instance = r->instance,
		.generation = r->generation,
		.build = r->build,
	};

	buf_clear(&m->clean);
	ansi_utf8(text, r->len, &m->clean);
	line.text = buf_str(&m->clean);
	line.len = m->clean.len;
	fn(data, &line);
}

static void remember(struct mux *m, struct service *v, struct history_record *r,
		     const char *text, size_t len, bool is_plain)
{
	struct ansi a = { .len = 0 };

	if (!m->opt.raw && !is_plain) {
		buf_clear(&m->scratch);
		ansi_filter(&a, ANSI_SGR, text, len, false, &m->scratch);
		text = buf_str(&m->scratch);
		len = m->scratch.len;
	}
	r->seq = ++m->seq;
	r->len = (uint32_t)len;
	history_add(&v->history, r, text);
	if (m->follow != NULL)
		hand_over(m, v, r, text, m->follow, m->follow_data);
}

/* A whole line, its newline taken off. m->prefix is that of s. */
static void finish_line(struct source *s, const char *text, size_t len,
			int64_t at_us)
{
	struct mux *m = s->mux;
	struct history_record r = {
		.at_real_us = at_us,
		.generation = s->generation,
		.instance = s->instance,
		.build = s->build,
	};

	bool is_plain = ansi_is_plain(text, len);

	if (!m->opt.raw && !is_plain)
		ansi_last_state(&text, &len);
	remember(m, &m->services.v[s->service], &r, text, len, is_plain);
	if (has_room(m, len, 0)) {
		if (is_plain && m->open == NULL && s->shown == 0)
			show_plain(m, text, len);
		else
			show_rest(m, s, text, len);
	} else if (!outlet_is_closed(&m->out)) {
		m->skipped++;
		if (m->open == s)
			close_open(m);
	}
}

/* --- unfinished lines ----------------------------------------------------- */

static void forget_line(struct source *s)
{
	buf_clear(&s->line);
	s->shown = 0;
	s->ansi.len = 0;
}

/* The unfinished line of s is now whole. */
static void finish_own_line(struct source *s, int64_t at_us)
{
	finish_line(s, buf_str(&s->line), s->line.len, at_us);
	forget_line(s);
	s->progress = false;
	s->due_at = 0;
}

/* A carriage return: what came before it will be overwritten. */
static void overwrite_line(struct source *s)
{
	forget_line(s);
	s->progress = true;
}

/* How much of n bytes goes into room without cutting a UTF-8 character. */
static size_t fitting(const char *p, size_t n, size_t room)
{
	size_t fit = room;

	if (n <= room)
		return n;
	while (fit > 0 && room - fit < 4 && (p[fit] & 0xc0) == 0x80)
		fit--;
	return fit > 0 && room - fit < 4 ? fit : room;
}

/* A line longer than MUX_LINE_BYTES becomes several: no byte is lost, and no
 * service can make us keep more. */
static void add_to_line(struct source *s, const char *p, size_t n)
{
	const char *end = p + n, *cr;
	size_t room;

	if (n == 0)
		return;
	if (!s->mux->opt.raw) {
		if (s->line.len > 0 && s->line.data[s->line.len - 1] == '\r' &&
		    *p != '\r')
			overwrite_line(s);
		/* One at the end may be half of a CR LF. */
		while (end > p && end[-1] == '\r')
			end--;
		cr = memrchr(p, '\r', (size_t)(end - p));
		if (cr != NULL) {
			overwrite_line(s);
			n -= (size_t)(cr + 1 - p);
			p = cr + 1;
		}
	}
	while (n > 0) {
		if (s->line.len + 4 > MUX_LINE_BYTES)
			finish_own_line(s, clock_real_us());
		room = MUX_LINE_BYTES - s->line.len;
		room = fitting(p, n, room);
		buf_add(&s->line, p, room);
		p += room;
		n -= room;
	}
}

static void set_prefix(struct mux *m, const char *label, size_t number,
		       int64_t at_us)
{
	buf_clear(&m->prefix);
	paint_prefix(&m->paint, &m->prefix, at_us, label, number);
}

static size_t without_cr(const struct source *s)
{
	size_t len = s->line.len;

	while (!s->mux->opt.raw && len > 0 && s->line.data[len - 1] == '\r')
		len--;
	return len;
}

/* Show what there is of the line. */
static void show_unfinished(struct source *s)
{
	struct mux *m = s->mux;
	size_t len = without_cr(s);

	s->due_at = 0;
	/* Without a terminal nothing can be rewritten: the end will do. */
	if (len <= s->shown || (s->progress && !m->opt.terminal))
		return;
	set_prefix(m, s->label, s->service, clock_real_us());
	if (!has_room(m, len, 0)) {
		s->due_at = ev_now(m->loop) + PROGRESS_S;
		return;
	}
	if (m->open == s && s->progress) {
		put_rewrite(m, s, s->line.data, len);
		s->shown = len;
		return;
	}
	if (m->open != s) {
		close_open(m);
		put_prefix(m);
	}
	m->open = s;
	s->shown = put_text(m, &s->ansi, s->line.data, len, s->shown, true);
}

static void arm_partials(struct mux *m)
{
	const struct source *s;
	double first = 0;

	for (s = m->sources; s != NULL; s = s->next)
		if (s->due_at > 0 && (first <= 0 || s->due_at < first))
			first = s->due_at;
	ev_timer_stop(m->loop, &m->partials);
	if (first <= 0)
		return;
	first -= ev_now(m->loop);
	ev_timer_set(&m->partials, first > 0 ? first : 0., 0.);
	ev_timer_start(m->loop, &m->partials);
}

static void on_partials(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct mux *m = w->data;
	struct source *s;

	(void)revents;
	for (s = m->sources; s != NULL; s = s->next)
		if (s->due_at > 0 && s->due_at <= ev_now(loop))
			show_unfinished(s);
	arm_partials(m);
}

static void expect_rest(struct source *s)
{
	struct mux *m = s->mux;
	bool rare = s->progress && m->open != s;

	if (s->due_at > 0 || without_cr(s) <= s->shown)
		return;
	s->due_at =
		ev_now(m->loop) + (rare ? PROGRESS_S : MUX_PARTIAL_MS / 1000.);
	if (!ev_is_active(&m->partials))
		arm_partials(m);
}

/* --- sources -------------------------------------------------------------- */

static void free_source(struct source *s)
{
	struct mux *m = s->mux;
	struct source **at = &m->sources;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	ev_io_stop(m->loop, &s->readable);
	fd_close(&s->fd);
	buf_done(&s->line);
	free(s->label);
	free(s);
}

static void take_chunk(struct source *s, const char *p, size_t left)
{
	int64_t at_us = clock_real_us();
	const char *nl;
	size_t len;

	set_prefix(s->mux, s->label, s->service, at_us);
	while ((nl = memchr(p, '\n', left)) != NULL) {
		len = (size_t)(nl - p);
		if (s->line.len > 0 || s->progress) {
			add_to_line(s, p, len);
			finish_own_line(s, at_us);
		} else {
			finish_line(s, p, len, at_us);
			s->ansi.len = 0;
		}
		p = nl + 1;
		left -= len + 1;
	}
	add_to_line(s, p, left);
	if (left > 0)
		expect_rest(s);
}

static void end_source(struct source *s)
{
	struct mux *m = s->mux;
	int64_t at_us = clock_real_us();

	if (s->line.len > 0) {
		set_prefix(m, s->label, s->service, at_us);
		finish_own_line(s, at_us);
	}
	if (m->open == s)
		close_open(m);
	free_source(s);
}

/* One read. Returns its bytes, 0 when there is nothing now, or -1 when the
 * source has ended and is freed. */
static ssize_t read_source(struct source *s)
{
	struct mux *m = s->mux;
	ssize_t n;

	do
		n = read(s->fd, m->chunk, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) { /* EIO is the end of a pty */
		end_source(s);
		return -1;
	}
	take_chunk(s, m->chunk, (size_t)n);
	return n;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct source *s = w->data;
	struct mux *m = s->mux;

	(void)loop;
	(void)revents;
	read_source(s);
	relieve(m);
}

static uint32_t instance_of(const char *name, const char *label)
{
	size_t len = strlen(name);

	if (strncmp(name, label, len) != 0 || label[len] != '.')
		return 1;
	return (uint32_t)strtoul(label + len + 1, NULL, 10);
}

void mux_add_source(struct mux *m, size_t service, const char *label,
		    int64_t generation, bool build, int fd)
{
	struct source *s = xcalloc(1, sizeof(*s)), **at = &m->sources;

	s->mux = m;
	s->service = service;
	s->label = xstrdup(label);
	s->instance = instance_of(m->services.v[service].name, label);
	s->generation = generation;
	s->build = build;
	s->fd = fd;
	buf_init(&s->line, MUX_LINE_BYTES + EXTRA_BYTES);
	fd_nonblock(fd);
	while (*at != NULL)
		at = &(*at)->next;
	*at = s;
	ev_io_init(&s->readable, on_readable, fd, EV_READ);
	s->readable.data = s;
	if (!m->paused)
		ev_io_start(m->loop, &s->readable);
}

static void drain_source(struct source *s)
{
	size_t left = MUX_HISTORY_BYTES;
	ssize_t n;

	while ((n = read_source(s)) > 0 && (size_t)n < left)
		left -= (size_t)n;
	if (n >= 0)
		show_unfinished(s);
}

void mux_drain(struct mux *m, size_t service)
{
	struct source *s, *next;

	for (s = m->sources; s != NULL; s = next) {
		next = s->next;
		if (s->service == service)
			drain_source(s);
	}
	arm_partials(m);
	relieve(m);
}

/* --- hr's own lines ------------------------------------------------------- */

static void put_own(struct mux *m, const char *text, size_t len, int64_t at_us)
{
	struct ansi none = { .len = 0 };

	close_open(m);
	/* Not by way of m->prefix: a chunk of a source may be under way. */
	paint_prefix(&m->paint, &m->out.buf, at_us, "hr", MUX_HR);
	ansi_filter(&none, ANSI_NONE, text, len, false, &m->out.buf);
	buf_add_char(&m->out.buf, '\n');
}

static void say_line(struct mux *m, const char *text, size_t len)
{
	struct history_record r = { .at_real_us = clock_real_us() };

	remember(m, &m->hr, &r, text, len, ansi_is_plain(text, len));
	if (has_room(m, len, HR_RESERVE_BYTES))
		put_own(m, text, len, r.at_real_us);
	else if (!outlet_is_closed(&m->out))
		m->skipped++;
}

void mux_say(struct mux *m, const char *fmt, ...)
{
	char text[4096];
	const char *p = text, *end;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (;; p = end + 1) {
		end = strchrnul(p, '\n');
		if (end > p || p == text)
			say_line(m, p, (size_t)(end - p));
		if (*end == '\0')
			break;
	}
}

static void say_skipped(struct mux *m)
{
	char text[80], count[32];
	uint64_t n = m->skipped;

	if (n == 0 || outlet_is_closed(&m->out))
		return;
	m->skipped = 0;
	snprintf(text, sizeof(text), "… %s %s skipped on this screen",
		 paint_count(n, count, sizeof(count)),
		 n == 1 ? "line" : "lines");
	put_own(m, text, strlen(text), clock_real_us());
	if (m->opt.on_skipped != NULL)
		m->opt.on_skipped(m->opt.data, n);
}

/* --- life ----------------------------------------------------------------- */

static void init_timer(struct mux *m, ev_timer *w,
		       void (*cb)(struct ev_loop *, ev_timer *, int))
{
	ev_timer_init(w, cb, 0., 0.);
	w->data = m;
}

struct mux *mux_new(struct ev_loop *loop, const struct mux_options *opt)
{
	struct mux *m = xcalloc(1, sizeof(*m));

	m->loop = loop;
	m->opt = *opt;
	m->paint.colour = opt->colour;
	m->paint.time = opt->time;
	paint_widen(&m->paint, "hr");
	m->hr.name = xstrdup("hr");
	history_init(&m->hr.history, MUX_HISTORY_BYTES);
	outlet_init(&m->out, loop, opt->out_fd, MUX_PENDING_BYTES, on_written,
		    m);
	buf_init(&m->prefix, 4096);
	buf_init(&m->scratch, 2 * MUX_LINE_BYTES);
	buf_init(&m->clean, 4 * MUX_LINE_BYTES);
	m->chunk = xmalloc(READ_BYTES);
	init_timer(m, &m->partials, on_partials);
	init_timer(m, &m->pause, on_pause_over);
	ev_prepare_init(&m->turn_end, on_turn_end);
	m->turn_end.data = m;
	ev_prepare_start(loop, &m->turn_end);
	ev_unref(loop);
	return m;
}

void mux_free(struct mux *m)
{
	size_t i;

	if (m == NULL)
		return;
	while (m->sources != NULL)
		free_source(m->sources);
	outlet_done(&m->out);
	ev_timer_stop(m->loop, &m->partials);
	ev_timer_stop(m->loop, &m->pause);
	ev_ref(m->loop);
	ev_prepare_stop(m->loop, &m->turn_end);
	for (i = 0; i < m->services.n; i++) {
		free(m->services.v[i].name);
		history_done(&m->services.v[i].history);
	}
	VEC_FREE(&m->services);
	free(m->hr.name);
	history_done(&m->hr.history);
	buf_done(&m->prefix);
	buf_done(&m->scratch);
	buf_done(&m->clean);
	free(m->chunk);
	free(m);
}

size_t mux_add_service(struct mux *m, const char *name)
{
	struct service v = { .name = xstrdup(name) };

	history_init(&v.history, MUX_HISTORY_BYTES);
	VEC_PUSH(&m->services, v);
	paint_widen(&m->paint, name);
	return m->services.n - 1;
}

void mux_widen(struct mux *m, const char *label)
{
	paint_widen(&m->paint, label);
}

void mux_flush(struct mux *m, int timeout_ms)
{
	struct source *s, *next;
	int64_t at_us = clock_real_us();

	for (s = m->sources; s != NULL; s = next) {
		next = s->next;
		drain_source(s);
	}
	/* free_source() takes it off the list, which the analyser cannot see.
	 * NOLINTBEGIN(clang-analyzer-unix.Malloc) */
	for (s = m->sources; s != NULL; s = s->next) {
		set_prefix(m, s->label, s->service, at_us);
		if (s->line.len > 0)
			finish_own_line(s, at_us);
	}
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
	close_open(m);
	outlet_finish(&m->out, timeout_ms);
}

/* --- memory --------------------------------------------------------------- */

/* One ring of a merge: how far back it was walked. */
struct walk {
	const struct service *v;
	struct history_cursor at;
	struct history_record r; /* the next older one */
	const char *text;
	bool is_over;
};

static void step_back(struct walk *w)
{
	w->is_over = !history_older(&w->v->history, &w->at, &w->r, &w->text);
}

static struct walk *start_walks(struct mux *m, const size_t *services,
				size_t *n)
{
	size_t i, number, all = m->services.n + 1;
	bool some = *n > 0;
	struct walk *w;

	if (!some)
		*n = all;
	w = xcalloc(*n, sizeof(*w));
	for (i = 0; i < *n; i++) {
		number = some ? services[i] : i;
		w[i].v = number < m->services.n ? &m->services.v[number] :
						  &m->hr;
		w[i].at = history_end(&w[i].v->history);
		step_back(&w[i]);
	}
	return w;
}

/* A line that was chosen. */
struct chosen {
	const struct service *v;
	struct history_record r;
	const char *text;
};

static struct walk *newest(struct walk *w, size_t n)
{
	struct walk *best = NULL;
	size_t i;

	for (i = 0; i < n; i++)
		if (!w[i].is_over && (best == NULL || w[i].r.seq > best->r.seq))
			best = &w[i];
	return best;
}

void mux_history(struct mux *m, const size_t *services, size_t n, size_t lines,
		 mux_line_fn fn, void *data)
{
	VEC(struct chosen) list = { 0 };
	struct walk *w = start_walks(m, services, &n), *best;
	struct chosen c;

	while (list.n < lines && (best = newest(w, n)) != NULL) {
		c = (struct chosen){ best->v, best->r, best->text };
		VEC_PUSH(&list, c);
		step_back(best);
	}
	while (list.n > 0) {
		list.n--;
		hand_over(m, list.v[list.n].v, &list.v[list.n].r,
			  list.v[list.n].text, fn, data);
	}
	VEC_FREE(&list);
	free(w);
}

void mux_follow(struct mux *m, mux_line_fn fn, void *data)
{
	m->follow = fn;
	m->follow_data = data;
}
