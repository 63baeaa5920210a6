/* SPDX-License-Identifier: MIT */
/*
 * What no watcher can beat: walk a tree, one inotify watch a directory, one
 * thread.  watch_floor DIR
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static int walk(int inotify, const char *path)
{
	char below[4096];
	struct dirent *e;
	DIR *d;

	if (inotify_add_watch(inotify, path, IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		return -1;
	d = opendir(path);
	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		walk(inotify, below);
	}
	closedir(d);
	return 0;
}

int main(int argc, char **argv)
{
	int inotify = inotify_init1(IN_CLOEXEC);

	return argc == 2 && inotify >= 0 && walk(inotify, argv[1]) == 0 ? 0 : 1;
}
