/* SPDX-License-Identifier: MIT */
/* The client's end of the control socket. */
#include "cmd/call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/handoff/diag.h"

/* A line of `hr ps` with a hundred services is far below. */
#define LINE_MAX_BYTES ((size_t)16 << 20)
#define READ_BYTES ((size_t)64 << 10)
/* An answer may take as long as a build; but is anybody there? */
#define LOOK_EVERY_MS 2000

struct call {
	int fd;
	pid_t pid;
	struct buf in;
	size_t used; /* of in */
};

/* hr up holds the directory locked for as long as it runs: statedir.h. */
static bool is_locked(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 &&
		      errno == EWOULDBLOCK;

	fd_close(&fd);
	return locked;
}

static int not_running(struct err *err, const char *dir, const char *more)
{
	struct holder holder = { 0 };

	if (is_locked(dir)) {
		diag_file_holder(dir, NULL, 0, &holder);
		err_set(err, ERR_GONE,
			"the stack in %s (pid %d) cannot be reached: it is "
			"just starting, or its .hr/ was removed",
			dir, holder.pid);
		return err_hint(err, "kill %d stops it gracefully, then hr up",
				holder.pid);
	}

	err_set(err, ERR_GONE, "no stack is running in %s%s", dir, more);
	return err_hint(err, "hr up starts it");
}

/* sun_path holds 107 bytes and projects live deeper: by descriptor. */
static int connect_in(int dir_fd, int fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/hr.sock",
		 dir_fd);
	return connect(fd, (struct sockaddr *)&sun, sizeof(sun));
}

static int open_socket(const char *dir, struct err *err)
{
	char *state = path_join(dir, ".hr");
	int dir_fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	free(state);
	if (dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return not_running(err, dir, "");
	if (dir_fd < 0)
		return err_sys(err, "cannot open %s/.hr", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_sys(err, "cannot make a socket");
	} else if (connect_in(dir_fd, fd) < 0) {
		if (errno == ENOENT)
			not_running(err, dir, "");
		else if (errno == ECONNREFUSED)
			not_running(err, dir,
				    " (the last one did not end by itself)");
		else
			err_sys(err, "cannot reach the stack by %s/.hr/hr.sock",
				dir);
		fd_close(&fd);
	}
	close(dir_fd);
	return fd;
}

struct call *call_connect(const char *dir, struct err *err)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int fd = open_socket(dir, err);
	struct call *c;

	if (fd < 0)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		c->pid = cred.pid;
	buf_init(&c->in, LINE_MAX_BYTES);
	return c;
}

void call_close(struct call *c)
{
	if (c == NULL)
		return;
	fd_close(&c->fd);
	buf_done(&c->in);
	free(c);
}

pid_t call_pid(const struct call *c)
{
	return c->pid;
}

int call_send(struct call *c, json_t *request, struct err *err)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;
	ssize_t n = 0;

	json_decref(request);
	if (text == NULL)
		return err_set(err, ERR_VALUE, "a name is not valid UTF-8");
	len = strlen(text);
	text[len] = '\n'; /* in place of the NUL */
	while (done <= len && (n >= 0 || errno == EINTR)) {
		n = send(c->fd, text + done, len + 1 - done, MSG_NOSIGNAL);
		done += n > 0 ? (size_t)n : 0;
	}
	free(text);
	return done > len ? 0 : err_sys(err, "cannot send to the stack");
}

/* Ctrl-Z in the terminal of `hr up`. */
static bool is_stopped(pid_t pid)
{
	char path[32], line[256] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	p = strrchr(line, ')'); /* pid (comm) state … */
	return p != NULL && (p[2] == 'T' || p[2] == 't');
}

static int stopped(const struct call *c, struct err *err)
{
	err_set(err, ERR_BUSY, "hr up (pid %d) is stopped and cannot answer",
		c->pid);
	return err_hint(err, "`fg` in its terminal, or kill -CONT %d", c->pid);
}

/* Returns 1 with more in c->in, or -1 with err. */
static int fill(struct call *c, int64_t end_ms, struct err *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int64_t left = end_ms - clock_mono_ms();
	char *room;
	ssize_t n;

	if (end_ms >= 0 && poll(&p, 1, left > 0 ? (int)left : 0) == 0)
		return err_set(err, ERR_BUSY,
			       "the stack (pid %d) does not answer", c->pid);
	while (end_ms < 0 && poll(&p, 1, LOOK_EVERY_MS) == 0)
		if (is_stopped(c->pid))
			return stopped(c, err);
	buf_consume(&c->in, c->used);
	c->used = 0;
	room = buf_reserve(&c->in, READ_BYTES);
	if (room == NULL)
		return err_set(err, ERR_PROTO, "an answer is too long");
	n = recv(c->fd, room, READ_BYTES, 0);
	if (n < 0 && errno == EINTR)
		return 1;
	if (n <= 0)
		return err_set(err, ERR_GONE,
			       "the stack ended before it answered");
	buf_commit(&c->in, (size_t)n);
	return 1;
}

static char *find_line(const struct call *c)
{
	return c->in.len > c->used ?
		       memchr(c->in.data + c->used, '\n', c->in.len - c->used) :
		       NULL;
}

bool call_has_more(const struct call *c)
{
	return find_line(c) != NULL;
}

json_t *call_read(struct call *c, int timeout_ms, struct err *err)
{
	int64_t end_ms = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;
	char *start, *nl;
	json_t *o;

	while ((nl = find_line(c)) == NULL)
		if (fill(c, end_ms, err) < 0)
			return NULL;
	start = c->in.data + c->used;
	c->used += (size_t)(nl + 1 - start);
	o = json_loadb(start, (size_t)(nl - start), 0, NULL);
	if (json_is_object(o))
		return o;
	json_decref(o);
	err_set(err, ERR_PROTO, "the stack's answer makes no sense");
	err_hint(err, "is it another version of hr? hr down, then hr up");
	return NULL;
}

const char *call_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

long long call_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool call_is_error(const json_t *o, int *code)
{
	struct err err;

	if (json_object_get(o, "error") == NULL)
		return false;
	err_set(&err, ERR_VALUE, "%s", call_text(o, "error"));
	if (call_text(o, "hint")[0] != '\0')
		err_hint(&err, "%s", call_text(o, "hint"));
	err_print(&err, stderr);
	*code = (int)call_int(o, "code");
	if (*code <= 0 || *code > 255)
		*code = EXIT_FAILED;
	return true;
}

json_t *call_answer(struct call *c, int timeout_ms, int *code)
{
	struct err err;
	json_t *o = call_read(c, timeout_ms, &err);

	if (o == NULL) {
		err_print(&err, stderr);
		*code = EXIT_FAILED;
		return NULL;
	}
	if (!call_is_error(o, code))
		return o;
	json_decref(o);
	return NULL;
}

struct call *call_open(const struct load_options *load, json_t *request,
		       int *code)
{
	char *dir;
	struct call *c = NULL;
	struct err err;

	*code = EXIT_NO_STACK;
	dir = load_find_dir(load, &err);
	if (dir != NULL)
		c = call_connect(dir, &err);
	free(dir);
	if (c == NULL) {
		json_decref(request);
		if (dir != NULL && err.code != ERR_GONE)
			*code = EXIT_FAILED;
	} else if (call_send(c, request, &err) < 0) {
		*code = EXIT_FAILED;
		call_close(c);
		c = NULL;
	}
	if (c == NULL)
		err_print(&err, stderr);
	return c;
}

json_t *call_once(const struct load_options *load, json_t *request,
		  int timeout_ms, int *code)
{
	struct call *c = call_open(load, request, code);
	json_t *answer;

	if (c == NULL)
		return NULL;
	answer = call_answer(c, timeout_ms, code);
	call_close(c);
	return answer;
}

json_t *call_request(const char *verb, const char *const *names)
{
	json_t *o = json_object(), *services = json_array();

	json_object_set_new(o, "do", json_string(verb));
	for (; names != NULL && *names != NULL; names++)
		json_array_append_new(services, json_string(*names));
	json_object_set_new(o, "services", services);
	return o;
}
