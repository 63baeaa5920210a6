/* SPDX-License-Identifier: MIT */
/* The table of every key of hr.conf, and how to look things up in it. */
#include "procfile/keys.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/model.h"

/* clang-format off */
static const struct conf_word booleans[] = {
	{ "true", 1 }, { "false", 0 }, { "yes", 1 }, { "no", 0 },
	{ "on", 1 }, { "off", 0 }, { NULL, 0 }
};
static const struct conf_word on_exits[] = {
	{ "keep", ON_EXIT_KEEP }, { "stop", ON_EXIT_STOP }, { NULL, 0 }
};
static const struct conf_word precedences[] = {
	{ "file", ENV_FILE_WINS }, { "shell", ENV_SHELL_WINS }, { NULL, 0 }
};
static const struct conf_word backpressures[] = {
	{ "skip", BACKPRESSURE_SKIP }, { "block", BACKPRESSURE_BLOCK },
	{ NULL, 0 }
};
static const struct conf_word ttys[] = {
	{ "auto", TRI_AUTO }, { "true", TRI_YES }, { "false", TRI_NO },
	{ NULL, 0 }
};
static const struct conf_word build_errors[] = {
	{ "keep", BUILD_ERROR_KEEP }, { "stop", BUILD_ERROR_STOP },
	{ NULL, 0 }
};
static const struct conf_word scopes[] = {
	{ "group", KILL_GROUP }, { "main", KILL_MAIN }, { NULL, 0 }
};
static const struct conf_word restarts[] = {
	{ "always", RESTART_ALWAYS }, { "on-failure", RESTART_ON_FAILURE },
	{ "never", RESTART_NEVER }, { NULL, 0 }
};
static const struct conf_word handoffs[] = {
	{ "auto", HANDOFF_DEFAULT }, { "overlap", HANDOFF_OVERLAP },
	{ "exclusive", HANDOFF_EXCLUSIVE }, { NULL, 0 }
};
static const struct conf_word port_modes[] = {
	{ "auto", PORT_DEFAULT }, { "adopt", PORT_ADOPT },
	{ "pass", PORT_PASS }, { "reuseport", PORT_REUSEPORT },
	{ "wait", PORT_WAIT }, { NULL, 0 }
};
static const struct conf_word polls[] = {
	{ "auto", POLL_AUTO }, { "off", POLL_OFF }, { NULL, 0 }
};
static const struct conf_word unchangeds[] = {
	{ "skip", 1 }, { "reload", 0 }, { NULL, 0 }
};
static const struct conf_word actions[] = {
	{ "reload", ACTION_RELOAD }, { "restart", ACTION_RESTART },
	{ "signal", ACTION_SIGNAL }, { "run", ACTION_RUN },
	{ "refresh", ACTION_REFRESH }, { "nothing", ACTION_NOTHING },
	{ NULL, 0 }
};
static const struct conf_word none[] = { { "none", 0 }, { NULL, 0 } };
static const struct conf_word no_maximum[] = {
	{ "none", MAX_RESTARTS_NONE }, { NULL, 0 }
};
static const struct conf_word debounces[] = {
	{ "auto", DEBOUNCE_AUTO }, { NULL, 0 }
};

#define FIELD(type, field) \
	.offset = offsetof(struct type, field), \
	.size = sizeof(((struct type *)0)->field)
#define MODEL(field) FIELD(model, field)
#define SERVICE(field) FIELD(service, field)
#define WATCH(field) FIELD(watch, field)
#define RULE(field) FIELD(rule, field)
#define PORT(field) FIELD(port, field)
#define PROBE(field) FIELD(probe, field)
#define LOG(field) FIELD(log_options, field)
#define BOOL(field) .words = booleans, field

const struct conf_key conf_keys[] = {
	/* ---- top level -------------------------------------------------- */
	{ "", "stack", CONF_TEXT, NULL,
	  "Name of the stack, as shown. Default: the directory's name.",
	  MODEL(stack) },
	{ "", "env_file", CONF_PATHS, NULL,
	  "Environment files read after `.env`; later ones win. Each must "
	  "exist.",
	  MODEL(env_file) },
	{ "", "port_base", CONF_INT, "5000",
	  "`PORT` of the first service; each further one gets 100 more.",
	  MODEL(port_base), .min = 1, .max = 65535 },
	{ "", "shutdown_delay", CONF_DURATION, NULL,
	  "Longest time `hr up` takes to leave. Default: the largest "
	  "kill_delay plus 2 s.",
	  MODEL(shutdown_delay_ms), .min = 1 },
	{ "", "on_exit", CONF_WORD, "keep",
	  "What the end of one service does to the stack: `keep` goes on, "
	  "`stop` stops all.",
	  MODEL(on_exit), .words = on_exits },
	{ "", "env_precedence", CONF_WORD, "file",
	  "Which wins when the shell and an environment file both set a "
	  "variable: `file` or `shell`.",
	  MODEL(env_precedence), .words = precedences },
	{ "", "backpressure", CONF_WORD, "skip",
	  "When a terminal or reader stalls: `skip` counts what it missed, "
	  "`block` makes services wait.",
	  MODEL(backpressure), .words = backpressures, .inert = "block" },
	{ "", "notify", CONF_TEXT, "auto",
	  "Desktop notifications of failures: `auto`, `off`, or a command.",
	  MODEL(notify), .inert = "!off" },
	{ "", "include", CONF_CALL, NULL,
	  "`include(\"conf.d/*.conf\")` reads further files, as if they "
	  "stood here. Paths in them are relative to them.",
	  .inner = NULL },
	{ "", "defaults", CONF_BLOCK, NULL,
	  "Takes any key of a service and applies it to every service; a "
	  "service overrides it.",
	  .inner = "service" },
	{ "", "service", CONF_BLOCK, NULL,
	  "`service NAME { … }`: one service; NAME may stand in the Procfile "
	  "too.",
	  .inner = "service", .titled = true },

	/* ---- service ---------------------------------------------------- */
	{ "service", "command", CONF_SHELL, NULL,
	  "What runs, by `/bin/sh -c`. Default: the Procfile's command.",
	  SERVICE(command) },
	{ "service", "dir", CONF_PATH, ".",
	  "Working directory of command and build.", SERVICE(dir) },
	{ "service", "env", CONF_ENVS, NULL,
	  "Variables added to the environment, `KEY=value` each.",
	  SERVICE(env) },
	{ "service", "env_file", CONF_PATHS, NULL,
	  "Environment files of this service, read after the stack's; `env` "
	  "wins over them.",
	  SERVICE(env_file) },
	{ "service", "instances", CONF_INT, "1",
	  "How many run side by side; `hr up -m NAME=2` overrides it. They "
	  "share one build and are replaced one after the other.",
	  SERVICE(instances), .min = 1, .max = INSTANCES_MAX },
	{ "service", "enabled", CONF_WORD, "true",
	  "`false`: not started by `hr up`; `hr start NAME` does.",
	  BOOL(SERVICE(enabled)) },
	{ "service", "oneshot", CONF_WORD, "false",
	  "Expected to exit with 0; then its state is `done`, and a change "
	  "runs it again.",
	  BOOL(SERVICE(oneshot)) },
	{ "service", "tty", CONF_WORD, "auto",
	  "Whether it runs on a terminal of its own; `auto`: when hr has "
	  "one.",
	  SERVICE(tty), .words = ttys, .inert = "!auto" },
	{ "service", "build", CONF_SHELL, NULL,
	  "Runs before the first start and before a changed service is "
	  "replaced. It may write its result to `$HR_OUT`.",
	  SERVICE(build) },
	{ "service", "build_timeout", CONF_DURATION, "none",
	  "After it the build's whole process tree is killed.",
	  SERVICE(build_timeout_ms), .words = none, .min = 1 },
	{ "service", "on_build_error", CONF_WORD, "keep",
	  "`keep`: a failed build leaves the running generation untouched; "
	  "`stop`: it is stopped.",
	  SERVICE(on_build_error), .words = build_errors },
	{ "service", "debounce", CONF_DURATION, "auto",
	  "Quiet time after the last change. `auto`: about 10 ms after a "
	  "single save, more in bursts, 250 ms at most.",
	  SERVICE(debounce_ms), .words = debounces },
	{ "service", "max_wait", CONF_DURATION, "10s",
	  "Endless churn is answered after this long.",
	  SERVICE(max_wait_ms), .min = 1 },
	{ "service", "kill_signal", CONF_SIGNAL, "SIGINT",
	  "The signal that asks it to stop.", SERVICE(kill_signal) },
	{ "service", "kill_scope", CONF_WORD, "group",
	  "Who gets kill_signal: the process `group`, as with Ctrl-C, or its "
	  "`main` process alone.",
	  SERVICE(kill_scope), .words = scopes },
	{ "service", "kill_delay", CONF_DURATION, "5s",
	  "How long after kill_signal SIGKILL goes to everything left of its "
	  "process tree.",
	  SERVICE(kill_delay_ms) },
	{ "service", "restart", CONF_WORD, "on-failure",
	  "When a service that ended is started again: `always`, "
	  "`on-failure`, `never`.",
	  SERVICE(restart), .words = restarts },
	{ "service", "backoff", CONF_DURATION, "1s",
	  "Wait before the first restart; doubles up to 32 s, and starts "
	  "over after 10 s of running.",
	  SERVICE(backoff_ms), .min = 1 },
	{ "service", "max_restarts", CONF_INT, "none",
	  "After this many restarts in a row the service has failed.",
	  SERVICE(max_restarts), .words = no_maximum, .max = 1000000 },
	{ "service", "after", CONF_AFTER, NULL,
	  "Services that come first, each with a condition: `name:started`, "
	  "`name:ready` (the default) or `name:done`.",
	  .inert = NULL },
	{ "service", "reload_with", CONF_SERVICES, NULL,
	  "Services whose new generation replaces this one too.",
	  SERVICE(reload_with), .inert = "*" },
	{ "service", "lock", CONF_PATHS, NULL,
	  "Files or directories that two generations, or two stacks, must "
	  "never hold at once.",
	  SERVICE(lock) },
	{ "service", "drain", CONF_DURATION, "1s",
	  "Longest wait for requests in flight before kill_signal.",
	  SERVICE(drain_ms), .inert = "*" },
	{ "service", "hold", CONF_DURATION, "5s",
	  "How long clients may wait in a held socket while nothing takes "
	  "it.",
	  SERVICE(hold_ms), .inert = "*" },
	{ "service", "handoff", CONF_WORD, "auto",
	  "`overlap`: the new generation is ready before the old one stops; "
	  "`exclusive`: the old one is gone before the new one starts.",
	  SERVICE(handoff), .words = handoffs, .inert = "overlap" },
	{ "service", "ready", CONF_BLOCK, NULL,
	  "How one knows that it is ready. Without the block: once it "
	  "listens on its declared port, or at once if it has none.",
	  .inner = "ready" },
	{ "service", "alive", CONF_BLOCK, NULL,
	  "A probe that is repeated while it runs; failures in a row restart "
	  "it.",
	  .inner = "alive" },
	{ "service", "log", CONF_BLOCK, NULL,
	  "Where its output goes besides the terminal.", .inner = "log" },
	{ "service", "watch", CONF_BLOCK, NULL,
	  "Which files it is made of. Without the block it is not watched.",
	  .inner = "watch" },
	{ "service", "rule", CONF_BLOCK, NULL,
	  "`rule NAME { … }`: what a change of certain paths does. The first "
	  "rule that matches decides; other paths do `reload`.",
	  .inner = "rule", .titled = true },
	{ "service", "port", CONF_BLOCK, NULL,
	  "`port NAME { … }`: a port the service listens on. The first one "
	  "is `PORT`.",
	  .inner = "port", .titled = true },

	/* ---- ready ------------------------------------------------------ */
	{ "ready", "http", CONF_PROBE, NULL,
	  "A URL that answers with 2xx.",
	  .min = PROBE_HTTP, .inert = "*" },
	{ "ready", "tcp", CONF_PROBE, NULL,
	  "`host:port` that takes a connection.",
	  .min = PROBE_TCP, .inert = "*" },
	{ "ready", "exec", CONF_PROBE, NULL,
	  "A shell command that exits with 0.",
	  .min = PROBE_EXEC, .inert = "*" },
	{ "ready", "log", CONF_PROBE, NULL,
	  "A regular expression that a line of its output matches.",
	  .min = PROBE_LOG, .inert = "*" },
	{ "ready", "notify", CONF_PROBE_FLAG, NULL,
	  "`true`: it says `READY=1` as sd_notify(3) does.",
	  .words = booleans, .min = PROBE_NOTIFY, .inert = "true|yes|on" },
	{ "ready", "listen", CONF_PROBE_FLAG, NULL,
	  "`true`: it listens on its declared port.",
	  .words = booleans, .min = PROBE_LISTEN },
	{ "ready", "timeout", CONF_DURATION, "30s",
	  "A new generation that is not ready by then has failed.",
	  PROBE(timeout_ms), .min = 1 },
	{ "ready", "interval", CONF_DURATION, "100ms",
	  "Time between two probes.", PROBE(interval_ms), .min = 1 },

	/* ---- alive ------------------------------------------------------ */
	{ "alive", "http", CONF_PROBE, NULL,
	  "A URL that answers with 2xx.",
	  .min = PROBE_HTTP, .inert = "*" },
	{ "alive", "tcp", CONF_PROBE, NULL,
	  "`host:port` that takes a connection.",
	  .min = PROBE_TCP, .inert = "*" },
	{ "alive", "exec", CONF_PROBE, NULL,
	  "A shell command that exits with 0.",
	  .min = PROBE_EXEC, .inert = "*" },
	{ "alive", "log", CONF_PROBE, NULL,
	  "A regular expression that a line of its output matches within "
	  "each interval.",
	  .min = PROBE_LOG, .inert = "*" },
	{ "alive", "notify", CONF_PROBE_FLAG, NULL,
	  "`true`: it says `WATCHDOG=1` as sd_notify(3) does.",
	  .words = booleans, .min = PROBE_NOTIFY, .inert = "*" },
	{ "alive", "listen", CONF_PROBE_FLAG, NULL,
	  "`true`: it listens on its declared port.",
	  .words = booleans, .min = PROBE_LISTEN, .inert = "*" },
	{ "alive", "timeout", CONF_DURATION, "5s",
	  "A probe without an answer by then has failed.",
	  PROBE(timeout_ms), .min = 1, .inert = "*" },
	{ "alive", "interval", CONF_DURATION, "10s",
	  "Time between two probes.",
	  PROBE(interval_ms), .min = 1, .inert = "*" },
	{ "alive", "failures", CONF_INT, "3",
	  "So many failed probes in a row restart the service.",
	  PROBE(failures), .min = 1, .max = 1000, .inert = "*" },

	/* ---- log -------------------------------------------------------- */
	{ "log", "file", CONF_PATH, NULL,
	  "File that its output is appended to.", LOG(file), .inert = "*" },
	{ "log", "max_size", CONF_SIZE, "10MB",
	  "The file is set aside at this size, and a new one begun.",
	  LOG(max_size_bytes), .min = 1, .inert = "*" },
	{ "log", "keep", CONF_INT, "3",
	  "How many files set aside are kept.",
	  LOG(keep), .max = 1000, .inert = "*" },
	{ "log", "colour", CONF_TEXT, NULL,
	  "Colour of its name: `red`, `green`, `yellow`, `blue`, `magenta`, "
	  "`cyan`, `white`. Default: by turns.",
	  LOG(colour), .inert = "*" },
	{ "log", "timestamps", CONF_WORD, "false",
	  "Whether each line in the file begins with its time.",
	  BOOL(LOG(timestamps)), .inert = "*" },

	/* ---- watch ------------------------------------------------------ */
	{ "watch", "dirs", CONF_PATHS, ".",
	  "Directories or files to watch.", WATCH(dirs) },
	{ "watch", "ext", CONF_EXTS, NULL,
	  "Only files that end so, without the dot. Default: all files.",
	  WATCH(ext) },
	{ "watch", "include", CONF_PATTERNS, NULL,
	  "Patterns of .gitignore syntax; a path that matches is watched "
	  "even if it is ignored or has another ending.",
	  WATCH(include) },
	{ "watch", "exclude", CONF_PATTERNS, NULL,
	  "Patterns of .gitignore syntax that are not watched. A directory "
	  "that is excluded costs nothing.",
	  WATCH(exclude) },
	{ "watch", "exclude_regex", CONF_REGEXES, NULL,
	  "Regular expressions (PCRE2); a path relative to the stack that "
	  "one matches is not watched.",
	  WATCH(exclude_regex) },
	{ "watch", "gitignore", CONF_WORD, "true",
	  "Whether .gitignore files and .git/info/exclude count.",
	  BOOL(WATCH(gitignore)) },
	{ "watch", "follow_symlinks", CONF_WORD, "false",
	  "Whether links to directories are followed.",
	  BOOL(WATCH(follow_symlinks)) },
	{ "watch", "poll", CONF_POLL, "auto",
	  "`auto`: polls file systems that report nothing; `off`: never; a "
	  "duration: always, so often.",
	  WATCH(poll), .words = polls, .min = 10, .inert = "!auto" },
	{ "watch", "unchanged", CONF_WORD, "skip",
	  "What a save of the same content does: `skip` nothing, `reload` as "
	  "if it had changed.",
	  WATCH(skip_unchanged), .words = unchangeds },

	/* ---- rule ------------------------------------------------------- */
	{ "rule", "match", CONF_PATTERNS, NULL,
	  "Patterns of .gitignore syntax. Required.", RULE(match) },
	{ "rule", "do", CONF_ACTION, NULL,
	  "`reload` (build, then replace), `restart` (replace), `signal "
	  "SIGHUP`, `run CMD`, `refresh` (browsers) or `nothing`. Required.",
	  RULE(action), .words = actions, .inert = "signal|run|refresh" },

	/* ---- port ------------------------------------------------------- */
	{ "port", "number", CONF_INT, NULL,
	  "The port. Default, for the first port of a service: port_base "
	  "plus 100 for each service before it.",
	  PORT(number), .min = 1, .max = 65535 },
	{ "port", "host", CONF_HOST, "127.0.0.1",
	  "The address it listens on.", PORT(host) },
	{ "port", "mode", CONF_WORD, "auto",
	  "Who binds it: `adopt`, `pass`, `reuseport` or `wait`; `auto`: the "
	  "best that works here.",
	  PORT(mode), .words = port_modes, .inert = "adopt|pass|reuseport" },
};
/* clang-format on */

const size_t conf_n_keys = NITEMS(conf_keys);

const struct conf_key *key_find(const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if (str_eq(conf_keys[i].section, section) &&
		    str_eq(conf_keys[i].name, name))
			return &conf_keys[i];
	return NULL;
}

const struct conf_key *key_nearest(const char *section, const char *word)
{
	const char *names[NITEMS(conf_keys) + 1];
	const char *found;
	size_t i, n = 0;

	for (i = 0; i < conf_n_keys; i++)
		if (str_eq(conf_keys[i].section, section))
			names[n++] = conf_keys[i].name;
	names[n] = NULL;
	found = str_nearest(word, names);
	return found != NULL ? key_find(section, found) : NULL;
}

bool key_is_list(const struct conf_key *key)
{
	return key->type >= CONF_TEXTS;
}

const char *key_example(const struct conf_key *key, char *buffer, size_t size)
{
	/* clang-format off */
	static const char *const examples[] = {
		[CONF_BLOCK] = "{ … }", [CONF_CALL] = "(\"conf.d/*.conf\")",
		[CONF_TEXT] = "\"text\"", [CONF_SHELL] = "'./bin/web -v'",
		[CONF_PATH] = "\"src/web\"", [CONF_HOST] = "\"127.0.0.1\"",
		[CONF_INT] = "2", [CONF_WORD] = "\"…\"",
		[CONF_DURATION] = "\"200ms\"", [CONF_SIZE] = "\"10MB\"",
		[CONF_SIGNAL] = "\"SIGTERM\"", [CONF_POLL] = "\"1s\"",
		[CONF_ACTION] = "\"restart\"", [CONF_PROBE] = "\"…\"",
		[CONF_PROBE_FLAG] = "true", [CONF_TEXTS] = "{\"a\", \"b\"}",
		[CONF_PATHS] = "{\"src\", \"lib\"}",
		[CONF_EXTS] = "{\"c\", \"h\"}",
		[CONF_ENVS] = "{\"KEY=value\"}",
		[CONF_SERVICES] = "{\"db\"}",
		[CONF_AFTER] = "{\"db\", \"migrate:done\"}",
		[CONF_PATTERNS] = "{\"*.html\"}",
		[CONF_REGEXES] = "{'_test\\.go$'}",
	};
	/* clang-format on */

	if (key->words == booleans)
		snprintf(buffer, size, "true");
	else if (key->type == CONF_WORD && key->initial != NULL)
		snprintf(buffer, size, "\"%s\"", key->initial);
	else
		snprintf(buffer, size, "%s", examples[key->type]);
	return buffer;
}

const char *key_words(const struct conf_key *key, char *buffer, size_t size)
{
	const struct conf_word *w;
	size_t n = 0;

	buffer[0] = '\0';
	if (key->words == booleans)
		snprintf(buffer, size, "true, false");
	else
		for (w = key->words; w != NULL && w->word != NULL && n < size;
		     w++)
			n += (size_t)snprintf(buffer + n, size - n, "%s%s",
					      n > 0 ? ", " : "", w->word);
	return buffer;
}

const char *key_word(const struct conf_key *key, int64_t value)
{
	const struct conf_word *w;

	for (w = key->words; w != NULL && w->word != NULL; w++)
		if (w->value == value)
			return w->word;
	return NULL;
}

bool key_is_inert(const struct conf_key *key, const char *text)
{
	const char *p = key->inert;
	size_t len = strcspn(text, " \t"), n;

	if (p == NULL || str_eq(p, "*"))
		return p != NULL;
	if (*p == '!')
		return !str_eq(text, p + 1);
	for (;; p += n + 1) {
		n = strcspn(p, "|");
		if (n == len && strncmp(p, text, n) == 0)
			return true;
		if (p[n] == '\0')
			return false;
	}
}
