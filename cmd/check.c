/* SPDX-License-Identifier: MIT */
/* hr check: read all files, print what they mean or all that is wrong. */
#include <stdio.h>

#include "cmd/verbs.h"
#include "lib/base/err.h"
#include "procfile/load.h"
#include "procfile/model.h"
#include "procfile/print.h"

static int run(const struct invocation *v)
{
	struct problems problems = { 0 };
	struct model *model = load_model(&v->load, &problems);
	int code = EXIT_DONE;

	problems_print(&problems, stderr);
	if (model != NULL)
		model_print(model, stdout);
	else
		code = EXIT_USAGE;
	model_free(model);
	problems_free(&problems);
	return code;
}

const struct verb verb_check = {
	.name = "check",
	.usage = "",
	.summary = "read the files and print what they mean",
	.help = "Reads Procfile, hr.conf and .env, prints the resulting model, "
		"or all errors at\nonce with their places. Exit 2 if there "
		"are errors. Starts nothing.\n",
	.run = run,
};
