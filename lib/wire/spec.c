/* SPDX-License-Identifier: MIT */
/* A service to bytes and back: each pair stands side by side, same order. */
#include "lib/wire/spec.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/wire/put.h"
#include "procfile/model.h"

static void put_where(struct buf *b, const struct where *at)
{
	put_str(b, at->file);
	put_i32(b, at->line);
	put_i32(b, at->col);
}

static void get_where(struct get *g, struct where *at)
{
	at->file = get_str(g);
	at->line = get_i32(g);
	at->col = get_i32(g);
}

static void put_patterns(struct buf *b, const struct patterns *p)
{
	size_t i;

	put_u32(b, (uint32_t)p->n);
	for (i = 0; i < p->n; i++) {
		put_str(b, p->v[i].text);
		put_where(b, &p->v[i].at);
	}
}

static void get_patterns(struct get *g, struct patterns *p)
{
	uint32_t n = get_count(g, 16), i;
	struct pattern *v = arena_alloc(g->arena, n * sizeof(*v));

	for (i = 0; i < n; i++) {
		v[i].text = get_text(g);
		get_where(g, &v[i].at);
	}
	p->v = v;
	p->n = n;
}

static void put_probe(struct buf *b, const struct probe *p)
{
	put_u32(b, p->kind);
	put_str(b, p->target);
	put_i64(b, p->timeout_ms);
	put_i64(b, p->interval_ms);
	put_i64(b, p->failures);
}

static void get_probe(struct get *g, struct probe *p)
{
	p->kind = (enum probe_kind)get_enum(g, PROBE_LISTEN + 1);
	p->target = get_str(g);
	p->timeout_ms = get_i64(g);
	p->interval_ms = get_i64(g);
	p->failures = get_i64(g);
}

static void put_watch(struct buf *b, const struct watch *w)
{
	put_strv(b, w->dirs);
	put_strv(b, w->ext);
	put_patterns(b, &w->include);
	put_patterns(b, &w->exclude);
	put_patterns(b, &w->exclude_regex);
	put_bool(b, w->gitignore);
	put_bool(b, w->follow_symlinks);
	put_bool(b, w->skip_unchanged);
	put_u32(b, w->poll);
	put_i64(b, w->poll_ms);
	put_where(b, &w->at);
}

static void get_watch(struct get *g, struct watch *w)
{
	w->dirs = get_strv(g);
	w->ext = get_strv(g);
	get_patterns(g, &w->include);
	get_patterns(g, &w->exclude);
	get_patterns(g, &w->exclude_regex);
	w->gitignore = get_bool(g);
	w->follow_symlinks = get_bool(g);
	w->skip_unchanged = get_bool(g);
	w->poll = (enum poll_mode)get_enum(g, POLL_ALWAYS + 1);
	w->poll_ms = get_i64(g);
	get_where(g, &w->at);
}

static void put_rules(struct buf *b, const struct service *s)
{
	size_t i;

	put_u32(b, (uint32_t)s->n_rules);
	for (i = 0; i < s->n_rules; i++) {
		put_str(b, s->rules[i].name);
		put_patterns(b, &s->rules[i].match);
		put_u32(b, s->rules[i].action);
		put_i32(b, s->rules[i].signo);
		put_str(b, s->rules[i].command);
		put_where(b, &s->rules[i].at);
	}
}

static void get_rules(struct get *g, struct service *s)
{
	uint32_t n = get_count(g, 32), i;
	struct rule *v = arena_alloc(g->arena, n * sizeof(*v));

	for (i = 0; i < n; i++) {
		v[i].name = get_text(g);
		get_patterns(g, &v[i].match);
		v[i].action = (enum action)get_enum(g, ACTION_RELOAD + 1);
		v[i].signo = get_i32(g);
		v[i].command = get_str(g);
		get_where(g, &v[i].at);
	}
	s->rules = v;
	s->n_rules = n;
}

static void put_ports(struct buf *b, const struct service *s)
{
	size_t i;

	put_u32(b, (uint32_t)s->n_ports);
	for (i = 0; i < s->n_ports; i++) {
		put_str(b, s->ports[i].name);
		put_i32(b, s->ports[i].number);
		put_str(b, s->ports[i].host);
		put_u32(b, s->ports[i].mode);
		put_where(b, &s->ports[i].at);
	}
}

static void get_ports(struct get *g, struct service *s)
{
	uint32_t n = get_count(g, 28), i;
	struct port *v = arena_alloc(g->arena, n * sizeof(*v));

	for (i = 0; i < n; i++) {
		v[i].name = get_text(g);
		v[i].number = get_i32(g);
		v[i].host = get_text(g);
		v[i].mode = (enum port_mode)get_enum(g, PORT_WAIT + 1);
		get_where(g, &v[i].at);
	}
	s->ports = v;
	s->n_ports = n;
}

static void put_after(struct buf *b, const struct service *s)
{
	size_t i;

	put_u32(b, (uint32_t)s->n_after);
	for (i = 0; i < s->n_after; i++) {
		put_str(b, s->after[i].name);
		put_u32(b, s->after[i].condition);
		put_where(b, &s->after[i].at);
	}
}

static void get_after(struct get *g, struct service *s)
{
	uint32_t n = get_count(g, 20), i;
	struct after *v = arena_alloc(g->arena, n * sizeof(*v));

	for (i = 0; i < n; i++) {
		v[i].name = get_text(g);
		v[i].condition =
			(enum after_condition)get_enum(g, AFTER_DONE + 1);
		get_where(g, &v[i].at);
	}
	s->after = v;
	s->n_after = n;
}

static void put_keys(struct buf *b, const struct service *s)
{
	size_t i;

	put_u32(b, (uint32_t)s->n_keys);
	for (i = 0; i < s->n_keys; i++) {
		put_str(b, s->keys[i].key);
		put_where(b, &s->keys[i].at);
	}
}

static void get_keys(struct get *g, struct service *s)
{
	uint32_t n = get_count(g, 16), i;
	struct key_set *v = arena_alloc(g->arena, n * sizeof(*v));

	for (i = 0; i < n; i++) {
		v[i].key = get_text(g);
		get_where(g, &v[i].at);
	}
	s->keys = v;
	s->n_keys = n;
}

/* What runs, and with what. */
static void put_command(struct buf *b, const struct service *s)
{
	put_str(b, s->name);
	put_u32(b, (uint32_t)s->index);
	put_str(b, s->command);
	put_where(b, &s->at);
	put_where(b, &s->command_at);
	put_str(b, s->dir);
	put_strv(b, s->env);
	put_strv(b, s->env_file);
	put_i32(b, s->instances);
	put_bool(b, s->enabled);
	put_bool(b, s->oneshot);
	put_u32(b, s->tty);
}

static void get_command(struct get *g, struct service *s)
{
	s->name = get_text(g);
	s->index = get_u32(g);
	s->command = get_text(g);
	get_where(g, &s->at);
	get_where(g, &s->command_at);
	s->dir = get_text(g);
	s->env = get_strv(g);
	s->env_file = get_strv(g);
	s->instances = get_i32(g);
	s->enabled = get_bool(g);
	s->oneshot = get_bool(g);
	s->tty = (enum tri)get_enum(g, TRI_YES + 1);
}

/* How it is built, stopped and started again. */
static void put_life(struct buf *b, const struct service *s)
{
	put_str(b, s->build);
	put_i64(b, s->build_timeout_ms);
	put_u32(b, s->on_build_error);
	put_i64(b, s->debounce_ms);
	put_i64(b, s->max_wait_ms);
	put_i32(b, s->kill_signal);
	put_u32(b, s->kill_scope);
	put_i64(b, s->kill_delay_ms);
	put_u32(b, s->restart);
	put_i64(b, s->backoff_ms);
	put_i64(b, s->max_restarts);
	put_after(b, s);
	put_strv(b, s->reload_with);
	put_strv(b, s->lock);
	put_i64(b, s->drain_ms);
	put_i64(b, s->hold_ms);
	put_u32(b, s->handoff);
}

static void get_life(struct get *g, struct service *s)
{
	s->build = get_str(g);
	s->build_timeout_ms = get_i64(g);
	s->on_build_error =
		(enum on_build_error)get_enum(g, BUILD_ERROR_STOP + 1);
	s->debounce_ms = get_i64(g);
	s->max_wait_ms = get_i64(g);
	s->kill_signal = get_i32(g);
	s->kill_scope = (enum kill_scope)get_enum(g, KILL_MAIN + 1);
	s->kill_delay_ms = get_i64(g);
	s->restart = (enum restart_policy)get_enum(g, RESTART_NEVER + 1);
	s->backoff_ms = get_i64(g);
	s->max_restarts = get_i64(g);
	get_after(g, s);
	s->reload_with = get_strv(g);
	s->lock = get_strv(g);
	s->drain_ms = get_i64(g);
	s->hold_ms = get_i64(g);
	s->handoff = (enum handoff)get_enum(g, HANDOFF_EXCLUSIVE + 1);
}

static void put_log(struct buf *b, const struct log_options *l)
{
	put_str(b, l->file);
	put_i64(b, l->max_size_bytes);
	put_i64(b, l->keep);
	put_str(b, l->colour);
	put_bool(b, l->timestamps);
}

static void get_log(struct get *g, struct log_options *l)
{
	l->file = get_str(g);
	l->max_size_bytes = get_i64(g);
	l->keep = get_i64(g);
	l->colour = get_str(g);
	l->timestamps = get_bool(g);
}

void spec_put(struct buf *b, const struct service *s)
{
	put_command(b, s);
	put_life(b, s);
	put_probe(b, &s->ready);
	put_probe(b, &s->alive);
	put_log(b, &s->log);
	put_bool(b, s->watched);
	put_watch(b, &s->watch);
	put_rules(b, s);
	put_ports(b, s);
	put_i32(b, s->base_port);
	put_keys(b, s);
}

void spec_get(struct get *g, struct service *s)
{
	memset(s, 0, sizeof(*s));
	get_command(g, s);
	get_life(g, s);
	get_probe(g, &s->ready);
	get_probe(g, &s->alive);
	get_log(g, &s->log);
	s->watched = get_bool(g);
	get_watch(g, &s->watch);
	get_rules(g, s);
	get_ports(g, s);
	s->base_port = get_i32(g);
	get_keys(g, s);
}
