/* SPDX-License-Identifier: MIT */
/* hr down: stop a running stack and wait until nothing is left. */
#include <stdio.h>
#include <string.h>

#include "cmd/call.h"
#include "cmd/verbs.h"
#include "lib/base/err.h"
#include "lib/proc/await.h"

/* The socket closes a moment before the process ends. */
#define LAST_MOMENT_MS 10000

/* Notes until the connection ends. Returns whether the last word was ok. */
static bool read_notes(struct call *c, pid_t *pid, int *code)
{
	bool ok = false;
	struct err err;
	json_t *o;

	*code = EXIT_FAILED;
	while ((o = call_read(c, CALL_FOREVER, &err)) != NULL) {
		if (call_int(o, "pid") > 0)
			*pid = (pid_t)call_int(o, "pid");
		if (json_object_get(o, "note") != NULL)
			printf("%s\n", call_text(o, "note"));
		if (json_object_get(o, "error") != NULL)
			fprintf(stderr, "hr: %s\n", call_text(o, "error"));
		ok = ok || json_is_true(json_object_get(o, "ok"));
		fflush(stdout);
		json_decref(o);
	}
	if (err.code != ERR_GONE)
		err_print(&err, stderr);
	return ok;
}

static int run(const struct invocation *v)
{
	int code;
	struct call *c = call_open(&v->load, call_request("down", NULL), &code);
	pid_t pid;
	bool ok;

	if (c == NULL)
		return code;
	pid = call_pid(c);
	ok = read_notes(c, &pid, &code);
	call_close(c);
	if (pid > 0 && await_pid(pid, LAST_MOMENT_MS) == 0) {
		fprintf(stderr, "hr: pid %d of the stack is still there\n",
			pid);
		return EXIT_FAILED;
	}
	if (!ok)
		fprintf(stderr, "hr: the stack ended before all was gone\n");
	return ok ? EXIT_DONE : code;
}

const struct verb verb_down = {
	.name = "down",
	.usage = "",
	.summary = "stop the running stack",
	.help = "Stops all services in reverse order of `after`, gracefully, "
		"and says each second\nwhom it waits for. Returns when no "
		"process of the stack is left.\n",
	.run = run,
};
