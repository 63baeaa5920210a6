/* SPDX-License-Identifier: MIT */
/* Start the master in the background, wait until it is ready or dead. */
#include "cmd/background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/call.h"
#include "cmd/stream.h"
#include "cmd/verbs.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/proc/spawn.h"

/* Between two attempts to connect to a master that is about to listen. */
#define ATTEMPT_MS 10
/* A log from an earlier run above this is put aside. */
#define LOG_KEPT_BYTES ((off_t)10 << 20)
#define TAIL_BYTES 8192

struct background {
	const char *dir;
	char *log_path;
	int log_fd;
	off_t log_start; /* where this run begins in it */
	pid_t pid;
	int pidfd;
};

static int open_log(struct background *b, struct err *err)
{
	char *logs = path_join(b->dir, ".hr/logs"), *old;
	struct stat st;
	int rc = path_mkdirs(logs, 0700, err);

	b->log_path = path_join(logs, "hr.log");
	free(logs);
	if (rc < 0)
		return -1;
	if (stat(b->log_path, &st) == 0 && st.st_size > LOG_KEPT_BYTES) {
		old = xasprintf("%s.1", b->log_path);
		rename(b->log_path, old);
		free(old);
	}
	b->log_fd = open(b->log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC,
			 0600);
	if (b->log_fd < 0 || fstat(b->log_fd, &st) < 0)
		return err_sys(err, "cannot open %s", b->log_path);
	b->log_start = st.st_size;
	return 0;
}

/* The command line again, from what was parsed, without -d. */
static char **command_line(const struct invocation *v)
{
	const struct load_options *l = &v->load;
	VEC(const char *) a = { 0 };
	const char *const *p;
	size_t i;

	VEC_PUSH(&a, "hr");
	VEC_PUSH(&a, "up");
	VEC_PUSH(&a, "--background");
	if (v->colour == TERM_ALWAYS)
		VEC_PUSH(&a, "--color=always");
	if (l->lenient)
		VEC_PUSH(&a, "--lenient");
	if (l->procfile != NULL) {
		VEC_PUSH(&a, "-f");
		VEC_PUSH(&a, l->procfile);
	}
	if (l->conf != NULL) {
		VEC_PUSH(&a, "-c");
		VEC_PUSH(&a, l->conf);
	}
	if (l->dir != NULL) {
		VEC_PUSH(&a, "-C");
		VEC_PUSH(&a, l->dir);
	}
	for (p = l->env; p != NULL && *p != NULL; p++) {
		VEC_PUSH(&a, "-e");
		VEC_PUSH(&a, *p);
	}
	for (i = 0; i < v->n_given; i++) {
		const struct option_row *row = v->verb->options;

		while (row->id != v->given[i].id)
			row++;
		if (row->id == 'd')
			continue;
		VEC_PUSH(&a, xasprintf("--%s%s%s", row->name,
				       row->value != NULL ? "=" : "",
				       v->given[i].value));
	}
	VEC_PUSH(&a, "--");
	for (p = v->operands; *p != NULL; p++)
		VEC_PUSH(&a, *p);
	VEC_PUSH(&a, NULL);
	return (char **)(uintptr_t)a.v;
}

static int start(struct background *b, const struct invocation *v,
		 struct err *err)
{
	char **argv = command_line(v);
	int fds[3] = { -1, b->log_fd, b->log_fd };
	struct spawn s = {
		.path = "/proc/self/exe",
		.argv = (const char *const *)argv,
		.env = (const char *const *)environ,
		.fds = fds,
		.n_fds = 3,
		.group = SPAWN_SESSION,
	};

	b->pid = spawn(&s, &b->pidfd, err);
	free(argv);
	return b->pid < 0 ? -1 : 0;
}

/* What it said before it died, at most the last TAIL_BYTES. */
static void print_last_words(const struct background *b)
{
	char text[TAIL_BYTES + 1];
	struct stat st;
	off_t from = b->log_start;
	const char *p = text;
	ssize_t n;

	if (fstat(b->log_fd, &st) < 0)
		return;
	if (st.st_size - from > TAIL_BYTES)
		from = st.st_size - TAIL_BYTES;
	n = pread(b->log_fd, text, TAIL_BYTES, from);
	if (n <= 0)
		return;
	text[n] = '\0';
	if (from > b->log_start && strchr(text, '\n') != NULL)
		p = strchr(text, '\n') + 1;
	fputs(p, stderr);
}

static int died(const struct background *b)
{
	siginfo_t info = { 0 };
	int code = EXIT_FAILED;

	while (waitid(P_PID, (id_t)b->pid, &info, WEXITED) < 0 &&
	       errno == EINTR)
		;
	print_last_words(b);
	if (info.si_code == CLD_EXITED && info.si_status != 0)
		code = info.si_status;
	else
		fprintf(stderr, "hr: the stack has ended again; see %s\n",
			b->log_path);
	return code;
}

static bool is_dead(const struct background *b, int timeout_ms)
{
	struct pollfd p = { .fd = b->pidfd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

/* Its own socket, not that of a stack that was there before. NULL: dead. */
static struct call *connect_to(const struct background *b)
{
	struct call *c;

	do {
		c = call_connect(b->dir, NULL);
		if (c != NULL && call_pid(c) == b->pid)
			return c;
		call_close(c);
	} while (!is_dead(b, ATTEMPT_MS));
	return NULL;
}

static json_t *ask(const struct background *b, const char *verb)
{
	struct call *c = connect_to(b);
	json_t *answer = NULL;

	if (c != NULL && call_send(c, call_request(verb, NULL), NULL) == 0)
		answer = call_read(c, CALL_FOREVER, NULL);
	call_close(c);
	return answer;
}

static void print_services(const json_t *answer)
{
	const json_t *ps = json_object_get(answer, "ps"), *s;
	const json_t *services = json_object_get(ps, "services");
	char label[256];
	size_t i;

	json_array_foreach(services, i, s)
	{
		stream_label(ps, call_text(s, "name"), call_int(s, "instance"),
			     label, sizeof(label));
		printf("%s: %s", label, call_text(s, "state"));
		if (call_int(s, "pid") > 0)
			printf(", pid %lld", call_int(s, "pid"));
		if (call_text(s, "why")[0] != '\0')
			printf(", %s", call_text(s, "why"));
		putchar('\n');
	}
}

/* Since the answer: the verdict is that of what is printed. */
static bool any_failed(const json_t *answer)
{
	const json_t *services =
		json_object_get(json_object_get(answer, "ps"), "services");
	const json_t *s;
	size_t i;

	json_array_foreach(services, i, s)
	{
		if (strcmp(call_text(s, "state"), "failed") == 0 ||
		    strcmp(call_text(s, "state"), "backoff") == 0)
			return true;
	}
	return false;
}

static int wait_ready(const struct background *b)
{
	json_t *outcome = ask(b, "wait"), *ps;
	bool ok = json_is_true(json_object_get(outcome, "ok"));

	if (outcome == NULL || json_object_get(outcome, "error") != NULL) {
		json_decref(outcome);
		return died(b);
	}
	ps = ask(b, "ps");
	ok = ok && !any_failed(ps);
	print_services(ps);
	json_decref(ps);
	fflush(stdout);
	if (!ok)
		fprintf(stderr,
			"hr: %s\n  hint: the stack runs on (pid %d): hr logs "
			"shows more, hr down stops it\n",
			call_text(outcome, "text"), b->pid);
	json_decref(outcome);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

int background_up(const struct invocation *v, const char *dir)
{
	struct background b = { .dir = dir, .log_fd = -1, .pidfd = -1 };
	struct err err;
	int code;

	if (open_log(&b, &err) < 0 || start(&b, v, &err) < 0) {
		err_print(&err, stderr);
		code = EXIT_FAILED;
	} else {
		code = wait_ready(&b);
	}
	fd_close(&b.log_fd);
	fd_close(&b.pidfd);
	free(b.log_path);
	return code;
}
