/* SPDX-License-Identifier: MIT */
/* A wait status as people say it. */
#include "lib/worker/words.h"

#include <stdio.h>
#include <sys/wait.h>

#include "lib/base/str.h"

char *words_status(int status, char *buffer, size_t size)
{
	char name[32];

	if (WIFSIGNALED(status))
		snprintf(buffer, size, "killed by %s%s",
			 str_from_signal(WTERMSIG(status), name, sizeof(name)),
			 WCOREDUMP(status) ? " (core dumped)" : "");
	else
		snprintf(buffer, size, "exit %d", WEXITSTATUS(status));
	return buffer;
}
