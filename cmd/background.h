/* SPDX-License-Identifier: MIT */
/* `hr up -d`: the same hr again, in the background, and waiting for it. */
#ifndef HR_CMD_BACKGROUND_H
#define HR_CMD_BACKGROUND_H

struct invocation;

/* The hidden option of the one that runs in the background. */
#define OPT_BACKGROUND (OPTION_LONG + 90)

/*
 * Start `hr up` as v says, in a session of its own, output to
 * dir/.hr/logs/hr.log. Returns once every service is ready or one failed;
 * prints a line for each. The exit code.
 */
int background_up(const struct invocation *v, const char *dir);

#endif
