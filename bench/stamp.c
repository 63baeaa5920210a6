/* SPDX-License-Identifier: MIT */
/*
 * The service of the reload benchmark: its first instruction appends the
 * monotonic time (ns) to the file in its argument; then it waits for the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec ts;
	char line[32];
	int fd, len;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	len = snprintf(line, sizeof(line), "%lld\n",
		       (long long)ts.tv_sec * 1000000000 + ts.tv_nsec);
	if (argc < 2)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)len) != len)
		return 1;
	close(fd);
	pause();
	return 0;
}
