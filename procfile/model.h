/* SPDX-License-Identifier: MIT */
/*
 * The frozen model of a stack: what Procfile, hr.conf and .env say.
 *
 * One arena owns every string and array; after load_model() returns it is
 * constant until model_free(). All paths are absolute and clean. Durations
 * are milliseconds, sizes bytes. Every string pointer is non-NULL unless its
 * comment says "or NULL". String lists are NULL-terminated and never NULL.
 */
#ifndef HR_PROCFILE_MODEL_H
#define HR_PROCFILE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define SERVICE_NAME_MAX 64
#define INSTANCES_MAX 100
#define DEBOUNCE_AUTO (-1)
#define MAX_RESTARTS_NONE (-1)

/* A place in a file of the user; file is BORROWED from the model's arena,
 * NULL for a value that is a default. */
struct where {
	const char *file;
	int line;
	int col;
};

enum tri { TRI_AUTO, TRI_NO, TRI_YES };
enum on_build_error { BUILD_ERROR_KEEP, BUILD_ERROR_STOP };
enum kill_scope { KILL_GROUP, KILL_MAIN };
enum restart_policy { RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_NEVER };
enum after_condition { AFTER_READY, AFTER_STARTED, AFTER_DONE };
enum handoff { HANDOFF_DEFAULT, HANDOFF_OVERLAP, HANDOFF_EXCLUSIVE };
enum port_mode {
	PORT_DEFAULT,
	PORT_ADOPT,
	PORT_PASS,
	PORT_REUSEPORT,
	PORT_WAIT
};
enum probe_kind {
	PROBE_DEFAULT,
	PROBE_HTTP,
	PROBE_TCP,
	PROBE_EXEC,
	PROBE_LOG,
	PROBE_NOTIFY,
	PROBE_LISTEN
};
enum poll_mode { POLL_AUTO, POLL_OFF, POLL_ALWAYS };
/* In rising strength: of a change set the strongest wins. */
enum action {
	ACTION_NOTHING,
	ACTION_REFRESH,
	ACTION_RUN,
	ACTION_SIGNAL,
	ACTION_RESTART,
	ACTION_RELOAD
};

struct after {
	const char *name;
	enum after_condition condition;
	struct where at;
};

struct probe {
	enum probe_kind kind;
	const char *target; /* URL, host:port, command, regex; or NULL */
	int64_t timeout_ms;
	int64_t interval_ms;
	int64_t failures;
};

struct log_options {
	const char *file; /* or NULL */
	int64_t max_size_bytes;
	int64_t keep;
	const char *colour; /* or NULL */
	bool timestamps;
};

/* A pattern (gitignore syntax) or regex with its place, for --explain. */
struct pattern {
	const char *text;
	struct where at;
};

struct patterns {
	const struct pattern *v;
	size_t n;
};

struct watch {
	const char *const *dirs; /* absolute */
	const char *const *ext;	 /* without dot; empty: all */
	struct patterns include;
	struct patterns exclude;
	struct patterns exclude_regex;
	bool gitignore;
	bool follow_symlinks;
	bool skip_unchanged; /* unchanged = "skip" */
	enum poll_mode poll;
	int64_t poll_ms;
	struct where at;
};

struct rule {
	const char *name;
	struct patterns match;
	enum action action;
	int signo;	     /* ACTION_SIGNAL */
	const char *command; /* ACTION_RUN, or NULL */
	struct where at;
};

struct port {
	const char *name;
	int number;
	const char *host; /* "127.0.0.1" by default */
	enum port_mode mode;
	struct where at;
};

/* A key that a file sets, for messages about it. */
struct key_set {
	const char *key; /* "tty", "watch.poll", "ready.http" */
	struct where at;
};

struct service {
	const char *name;
	size_t index; /* in the model's order: PORT, prefix */
	const char *command;
	struct where at; /* of the name, where it first occurs */
	struct where command_at;
	const char *dir;
	const char *const *env; /* "KEY=value" */
	const char *const *env_file;
	int instances;
	bool enabled;
	bool oneshot;
	enum tri tty;
	const char *build;	  /* or NULL */
	int64_t build_timeout_ms; /* 0: none */
	enum on_build_error on_build_error;
	int64_t debounce_ms; /* or DEBOUNCE_AUTO */
	int64_t max_wait_ms;
	int kill_signal;
	enum kill_scope kill_scope;
	int64_t kill_delay_ms;
	enum restart_policy restart;
	int64_t backoff_ms;
	int64_t max_restarts; /* or MAX_RESTARTS_NONE */
	const struct after *after;
	size_t n_after;
	const char *const *reload_with;
	const char *const *lock; /* absolute */
	int64_t drain_ms;
	int64_t hold_ms;
	enum handoff handoff;
	struct probe ready;
	struct probe alive; /* PROBE_DEFAULT: none */
	struct log_options log;
	bool watched; /* has a watch block */
	struct watch watch;
	const struct rule *rules;
	size_t n_rules;
	const struct port *ports;
	size_t n_ports;
	int base_port;		    /* PORT of instance 1 */
	const struct key_set *keys; /* set for it, or by defaults { } */
	size_t n_keys;
};

enum on_exit { ON_EXIT_KEEP, ON_EXIT_STOP };
enum env_precedence { ENV_FILE_WINS, ENV_SHELL_WINS };
enum backpressure { BACKPRESSURE_SKIP, BACKPRESSURE_BLOCK };

struct model {
	struct arena *arena;
	const char *stack;	     /* shown name */
	const char *dir;	     /* directory of Procfile / hr.conf */
	const char *procfile;	     /* or NULL: hr.conf alone */
	const char *conf;	     /* or NULL: no hr.conf */
	const char *const *env_file; /* .env first; those that exist */
	int port_base;
	int64_t shutdown_delay_ms; /* resolved: never 0 */
	enum on_exit on_exit;
	enum env_precedence env_precedence;
	enum backpressure backpressure;
	const char *notify;		/* "auto", "off" or a command */
	const struct service *services; /* Procfile's order, then hr.conf's */
	size_t n_services;
	/* Procfile, hr.conf and what it includes, for live reload; .env files
	 * are read anew at each start of a generation anyway. */
	const char *const *files;
	const struct key_set *keys; /* top level keys set */
	size_t n_keys;
	/* Values without effect yet, `service web: tty = "true"`: notes.h */
	const struct key_set *inert;
	size_t n_inert;
};

void model_free(struct model *m);
/* NULL if there is none. */
const struct service *model_find(const struct model *m, const char *name);
/* PORT of an instance (from 1): base_port + instance - 1. */
int service_port(const struct service *s, int instance);
/* The key's place if a file set it, else NULL. */
const struct where *service_key(const struct service *s, const char *key);

/* Names for messages, JSON and `hr check`; the words of hr.conf. */
const char *action_name(enum action a);
const char *restart_policy_name(enum restart_policy r);
const char *after_condition_name(enum after_condition c);
const char *port_mode_name(enum port_mode m);
const char *handoff_name(enum handoff h);
const char *probe_kind_name(enum probe_kind k);

#endif
