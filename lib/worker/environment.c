/* SPDX-License-Identifier: MIT */
/* The variables that hr adds to, and takes from, an environment. */
#include "lib/worker/environment.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/alloc.h"
#include "procfile/dotenv.h"

/* What belongs to hr itself, or to whoever started it: sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3). */
static const char *const removed[] = {
	"LISTEN_FDS",	 "LISTEN_PID",	 "LISTEN_FDNAMES", "LISTEN_PIDFDID",
	"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",  "HR_NOFILE",
	"HR_OUT",	 "HR_CHANGED",
};

static void set_number(struct env *env, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	env_set(env, name, text, "hr");
}

static void set_own(struct env *env, const struct environment *e)
{
	const char *const *p;
	char name[SERVICE_NAME_MAX + 16];

	for (p = e->ports; p != NULL && *p != NULL; p++)
		env_put(env, *p, "hr");
	set_number(env, "PORT", service_port(e->s, e->instance));
	snprintf(name, sizeof(name), "%s.%d", e->s->name, e->instance);
	env_set(env, "PS", name, "hr");
	env_set(env, "HR_SERVICE", e->s->name, "hr");
	set_number(env, "HR_INSTANCE", e->instance);
	set_number(env, "HR_GENERATION", e->generation);
	if (e->out != NULL)
		env_set(env, "HR_OUT", e->out, "hr");
	if (e->changed != NULL)
		env_set(env, "HR_CHANGED", e->changed, "hr");
}

char **environment_build(const struct environment *e, struct problems *problems)
{
	struct env env = { 0 };
	char **strv;
	size_t i;

	dotenv_build(&env, e->shell, e->stack_files, e->precedence, e->s,
		     problems);
	for (i = 0; i < NITEMS(removed); i++)
		env_unset(&env, removed[i]);
	set_own(&env, e);
	strv = env_strv(&env);
	env_free(&env);
	return strv;
}
