/* SPDX-License-Identifier: MIT */
/* The table of verbs, and the roles, which are hidden rows of it. */
#include "cmd/verbs.h"

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "lib/keeper/keeper.h"
#include "lib/watcher/watcher.h"
#include "lib/worker/worker.h"

const struct verb verb_watcher = { .name = "watcher",
				   .role = watcher_main,
				   .hidden = true };
const struct verb verb_worker = { .name = "worker",
				  .role = worker_main,
				  .hidden = true };
const struct verb verb_keeper = { .name = "keeper",
				  .role = keeper_main,
				  .hidden = true };

const struct verb *const verbs[] = {
	&verb_up,     &verb_down, &verb_ps,	 &verb_restart, &verb_reload,
	&verb_start,  &verb_stop, &verb_signal,	 &verb_logs,	&verb_events,
	&verb_check,  &verb_help, &verb_version, &verb_watcher, &verb_worker,
	&verb_keeper, NULL,
};

const struct verb *verbs_find(const char *name)
{
	size_t i;

	for (i = 0; verbs[i] != NULL; i++)
		if (str_eq(verbs[i]->name, name) ||
		    (verbs[i]->alias != NULL && str_eq(verbs[i]->alias, name)))
			return verbs[i];
	return NULL;
}

const char *verbs_nearest(const char *name)
{
	const char *names[2 * NITEMS(verbs) + 1];
	size_t i, n = 0;

	for (i = 0; verbs[i] != NULL; i++) {
		if (verbs[i]->hidden)
			continue;
		names[n++] = verbs[i]->name;
		if (verbs[i]->alias != NULL)
			names[n++] = verbs[i]->alias;
	}
	names[n] = NULL;
	return str_nearest(name, names);
}
