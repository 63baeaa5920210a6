/* SPDX-License-Identifier: MIT */
/* hr version. */
#include <stdio.h>

#include "cmd/verbs.h"
#include "lib/base/err.h"

#ifndef HR_VERSION
#define HR_VERSION "unknown"
#endif

static int run(const struct invocation *v)
{
	(void)v;
	printf("hr %s\n", HR_VERSION);
	return EXIT_DONE;
}

const struct verb verb_version = {
	.name = "version",
	.usage = "",
	.summary = "print the version",
	.help = "Prints one line: hr and its version.\n",
	.run = run,
};
