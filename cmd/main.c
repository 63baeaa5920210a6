/* SPDX-License-Identifier: MIT */
/* hr: find the verb, parse its command line by its table, run it. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/invoke.h"
#include "cmd/verbs.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"

/* Roles get their own arguments untouched. */
static const struct verb *find_role(int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? verbs_find(argv[1]) : NULL;

	return verb != NULL && verb->role != NULL ? verb : NULL;
}

/* Output that could not be written is a failure, whatever was done. */
static int close_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "hr: cannot write the output: %s\n",
			strerror(errno));
	return code == EXIT_DONE ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
	const struct verb *role = find_role(argc, argv);

	fd_fill_standard();
	if (role != NULL)
		return role->role(argc, argv);
	setlocale(LC_CTYPE, "");
	return close_output(invoke(argv + (argc > 0)));
}
