/* SPDX-License-Identifier: MIT */
/*
 * What no reloader can beat: read one inotify event, end the old process,
 * spawn the new one.  reload_floor DIR PROGRAM ARG…
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	char events[4096];
	pid_t pid = 0;
	int fd;

	if (argc < 3)
		return 2;
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0 ||
	    inotify_add_watch(fd, argv[1], IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
		perror(argv[1]);
		return 1;
	}
	do {
		if (pid > 0) {
			kill(pid, SIGINT);
			waitpid(pid, NULL, 0);
		}
		if (posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ) !=
		    0)
			return 1;
	} while (read(fd, events, sizeof(events)) > 0);
	return 0;
}
