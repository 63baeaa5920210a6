/* SPDX-License-Identifier: MIT */
/* hr restart, reload, start, stop, signal: one shape of request, a result
 * for each service when all are known. */
#include <stdio.h>
#include <string.h>

#include "cmd/call.h"
#include "cmd/verbs.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

static void print_results(const json_t *answer)
{
	json_t *results = json_object_get(answer, "results"), *r;
	size_t i;

	json_array_foreach(results, i, r)
	{
		if (json_is_true(json_object_get(r, "ok")))
			printf("%s: %s\n", call_text(r, "service"),
			       call_text(r, "text"));
		else
			fprintf(stderr, "hr: %s: %s\n", call_text(r, "service"),
				call_text(r, "text"));
	}
}

/* Waits as long as it takes: a build may be slow. */
static int ask(const struct invocation *v, json_t *request)
{
	int code;
	json_t *answer = call_once(&v->load, request, CALL_FOREVER, &code);

	if (answer == NULL)
		return code;
	print_results(answer);
	code = json_is_true(json_object_get(answer, "ok")) ? EXIT_DONE :
							     EXIT_FAILED;
	json_decref(answer);
	return code;
}

static int run(const struct invocation *v)
{
	return ask(v, call_request(v->verb->name, v->operands));
}

static int unknown_signal(const char *word)
{
	static const char *const usual[] = { "SIGHUP",	 "SIGINT",  "SIGQUIT",
					     "SIGTERM",	 "SIGKILL", "SIGUSR1",
					     "SIGUSR2",	 "SIGCONT", "SIGSTOP",
					     "SIGWINCH", "HUP",	    "INT",
					     "QUIT",	 "TERM",    "KILL",
					     "USR1",	 "USR2",    "CONT",
					     "STOP",	 "WINCH",   NULL };
	const char *near = str_nearest(word, usual);
	struct err err;

	err_set(&err, ERR_VALUE, "signal: there is no signal '%s'", word);
	if (near != NULL)
		err_hint(&err,
			 "did you mean '%s'? The signal comes first: "
			 "hr signal SIG NAME…",
			 near);
	else
		err_hint(&err, "the signal comes first: hr signal SIGHUP web");
	err_print(&err, stderr);
	return EXIT_USAGE;
}

static int run_signal(const struct invocation *v)
{
	int signo = str_to_signal(v->operands[0]);
	char name[32];
	json_t *o;

	if (signo < 0)
		return unknown_signal(v->operands[0]);
	o = call_request("signal", v->operands + 1);
	str_from_signal(signo, name, sizeof(name));
	json_object_set_new(o, "signal",
			    str_starts(name, "SIG") ?
				    json_string(name) :
				    json_sprintf("%d", signo));
	return ask(v, o);
}

const struct verb verb_restart = {
	.name = "restart",
	.usage = "NAME…",
	.summary = "replace what runs, without building",
	.help = "Stops the running generation of each service and starts the "
		"next one from\nthe last good build, as a change of its files "
		"would. NAME may be one instance:\nweb.2. Returns when the "
		"new generations are ready; exit 1 with the reason if\none "
		"did not make it. A service that is stopped is started.\n",
	.operand = "service",
	.min_operands = 1,
	.run = run,
};

const struct verb verb_reload = {
	.name = "reload",
	.usage = "NAME…",
	.summary = "build, then replace what runs",
	.help = "As hr restart, after the service's build. If the build fails, "
		"the running\ngeneration is not touched, and hr reload exits "
		"with 1.\n",
	.operand = "service",
	.min_operands = 1,
	.run = run,
};

const struct verb verb_start = {
	.name = "start",
	.usage = "NAME…",
	.summary = "start services that are stopped or not enabled",
	.help = "Also starts what they come after. Returns when they are "
		"ready.\n",
	.operand = "service",
	.min_operands = 1,
	.run = run,
};

const struct verb verb_stop = {
	.name = "stop",
	.usage = "NAME…",
	.summary = "stop services; changes do not start them again",
	.help = "Returns when their whole process trees are gone. hr start "
		"NAME ends the pause.\n",
	.operand = "service",
	.min_operands = 1,
	.run = run,
};

const struct verb verb_signal = {
	.name = "signal",
	.usage = "SIG NAME…",
	.summary = "send a signal to the process group of services",
	.help = "SIG is a name or number: SIGHUP, hup or 1.\n",
	.operand = "signal for which service",
	.min_operands = 2,
	.run = run_signal,
};
