/* SPDX-License-Identifier: MIT */
/* cmd/call: a client against masters that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/call.h"
#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"

static char dir[64];

static char *state_path(const char *name)
{
	char *state = path_join(dir, ".hr"), *path = path_join(state, name);

	free(state);
	return path;
}

static int listen_there(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char *path = state_path("hr.sock");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(path);
	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	free(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

/* A master of one request: the answer in pieces that were cut at '|'. */
static pid_t serve(const char *answer, bool stays)
{
	int fd = listen_there(), client;
	pid_t pid = fork();
	char request[1000];
	size_t len;

	if (pid != 0) {
		close(fd);
		return pid;
	}
	client = accept(fd, NULL, NULL);
	if (read(client, request, sizeof(request)) <= 0)
		_exit(1);
	for (; *answer != '\0'; answer += len + (answer[len] == '|')) {
		len = strcspn(answer, "|");
		if (fd_write_all(client, answer, len) < 0)
			_exit(1);
	}
	/* Until the client has left. */
	if (stays)
		(void)!read(client, request, sizeof(request));
	_exit(0);
}

static void test_nothing_runs(void **state)
{
	struct err err;
	char *hr = path_join(dir, ".hr");

	(void)state;
	assert_null(call_connect(dir, &err));
	assert_int_equal(err.code, ERR_GONE);
	assert_int_equal(mkdir(hr, 0700), 0);
	assert_null(call_connect(dir, &err));
	assert_int_equal(err.code, ERR_GONE);
	/* Left behind by one that was killed. */
	close(listen_there());
	assert_null(call_connect(dir, &err));
	assert_int_equal(err.code, ERR_GONE);
	assert_non_null(strstr(err.what, "did not end by itself"));
	free(hr);
}

static const struct row {
	const char *answer;
	bool stays;
	enum err_code code; /* of the first read */
	int number;	    /* member "n" of what was read */
} rows[] = {
	{ "{\"n\":1}\n", false, ERR_NONE, 1 },
	{ "{\"n\"|:1|2}|\n", false, ERR_NONE, 12 },
	{ "{\"n\":1}\n{\"n\":2}\n", false, ERR_NONE, 1 },
	{ "", false, ERR_GONE, 0 },
	{ "{\"n\":1}", false, ERR_GONE, 0 },
	{ "nonsense\n", false, ERR_PROTO, 0 },
	{ "[1]\n", false, ERR_PROTO, 0 },
	{ "", true, ERR_BUSY, 0 },
	{ "{\"n\":1", true, ERR_BUSY, 0 },
};

static void test_answers(void **state)
{
	struct call *c;
	struct err err;
	json_t *o;
	size_t i;
	pid_t pid;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		pid = serve(rows[i].answer, rows[i].stays);
		c = call_connect(dir, &err);
		assert_non_null(c);
		assert_true(call_pid(c) > 0);
		assert_int_equal(call_send(c, call_request("ps", NULL), &err),
				 0);
		o = call_read(c, rows[i].code == ERR_BUSY ? 20 : -1, &err);
		if (rows[i].code == ERR_NONE) {
			assert_non_null(o);
			assert_int_equal(call_int(o, "n"), rows[i].number);
			assert_string_equal(call_text(o, "n"), "");
		} else {
			assert_null(o);
			assert_int_equal(err.code, rows[i].code);
		}
		json_decref(o);
		call_close(c);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void test_errors(void **state)
{
	json_t *o = json_pack("{s:s,s:s,s:i}", "error", "no", "hint", "so",
			      "code", 2);
	int code = 0;

	(void)state;
	assert_true(call_is_error(o, &code));
	assert_int_equal(code, 2);
	json_object_del(o, "code");
	assert_true(call_is_error(o, &code));
	assert_int_equal(code, EXIT_FAILED);
	json_object_del(o, "error");
	assert_false(call_is_error(o, &code));
	json_decref(o);
}

static void test_request(void **state)
{
	static const char *const names[] = { "web", "api.2", NULL };
	json_t *o = call_request("stop", names);
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	assert_string_equal(
		text, "{\"do\":\"stop\",\"services\":[\"web\",\"api.2\"]}");
	free(text);
	json_decref(o);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hr-call-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	char *path = state_path("hr.sock"), *hr = path_join(dir, ".hr");

	(void)state;
	unlink(path);
	rmdir(hr);
	rmdir(dir);
	free(path);
	free(hr);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_runs),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
