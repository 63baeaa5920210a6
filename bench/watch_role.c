/* SPDX-License-Identifier: MIT */
/*
 * The watcher beside watch_floor: the role alone, over its channel.
 *
 *	watch_role DIR N SERVICES
 *
 * Subscribes SERVICES to DIR, waits until all is recorded, then saves a file
 * N times. Prints "armed DIRS MICROSECONDS", "recorded MICROSECONDS RSS_KIB",
 * "save N MEDIAN_NANOSECONDS" (close(2) to V_CHANGED, debounce 0), and
 * "burst FILES MICROSECONDS" (from the last of 5,000 saves, debounce auto).
 */
// needs: base procfile wire watch watcher
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/watcher/watcher.h"
#include "lib/wire/chan.h"
#include "lib/wire/messages.h"
#include "lib/wire/put.h"
#include "lib/wire/spec.h"
#include "procfile/model.h"

#define BURST 5000

static unsigned count[16];
static uint32_t dirs;
static uint32_t burst_paths;
static struct ev_loop *loop;
static struct chan *chan;

static void on_message(void *data, uint32_t type, const void *body, size_t len,
		       int fd)
{
	struct arena *arena = arena_new();
	struct get g;

	(void)data;
	(void)fd;
	get_init(&g, body, len, arena);
	if (type < 16)
		count[type]++;
	get_u32(&g);
	if (type == V_ARMED)
		dirs = get_u32(&g);
	if (type == V_CHANGED) {
		get_u32(&g);
		get_text(&g);
		get_i64(&g);
		get_i64(&g);
		get_i64(&g);
		burst_paths += get_u32(&g);
	}
	arena_free(arena);
}

static void on_gone(void *data)
{
	(void)data;
	exit(1);
}

static const struct chan_ops ops = { on_message, on_gone };

static void until(enum watcher_says type, unsigned n)
{
	while (count[type] < n)
		ev_run(loop, EVRUN_ONCE);
}

static void sync_now(void)
{
	struct buf b;

	buf_init(&b, 16);
	put_u32(&b, 1);
	chan_send(chan, V_SYNC, &b, -1, NULL);
	buf_done(&b);
	until(V_SYNCED, count[V_SYNCED] + 1);
}

static void subscribe(uint32_t id, const char *dir, int64_t debounce_ms)
{
	static const char *const none[] = { NULL };
	const char *watched[] = { dir, NULL };
	struct service s = {
		.name = "bench",
		.command = "true",
		.dir = dir,
		.env = none,
		.env_file = none,
		.reload_with = none,
		.lock = none,
		.instances = 1,
		.debounce_ms = debounce_ms,
		.max_wait_ms = 10000,
		.watch = { .dirs = watched,
			   .ext = none,
			   .gitignore = true,
			   .skip_unchanged = true },
	};
	struct buf b;

	buf_init(&b, 1 << 16);
	put_u32(&b, id);
	put_i64(&b, 0);
	spec_put(&b, &s);
	chan_send(chan, V_SUBSCRIBE, &b, -1, NULL);
	buf_done(&b);
}

static long rss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	}
	if (f != NULL)
		fclose(f);
	return kib;
}

static void save(const char *name, unsigned text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	dprintf(fd, "%u", text);
	close(fd);
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void saves(unsigned n)
{
	int64_t *times = xcalloc(n, sizeof(*times));
	unsigned i;

	for (i = 0; i < n; i++) {
		unsigned changed = count[V_CHANGED];

		save("bench-file", i);
		times[i] = clock_mono_us();
		until(V_CHANGED, changed + 1);
		times[i] = clock_mono_us() - times[i];
		sync_now();
	}
	qsort(times, n, sizeof(*times), by_size);
	printf("save %u %lld\n", n, (long long)times[n / 2] * 1000);
	free(times);
}

static void burst(void)
{
	char name[64];
	int64_t last;
	unsigned i;

	burst_paths = 0;
	for (i = 0; i < BURST; i++) {
		snprintf(name, sizeof(name), "bench-dir/f%u", i);
		save(name, i + (unsigned)getpid() * BURST);
	}
	last = clock_mono_us();
	while (burst_paths < BURST)
		ev_run(loop, EVRUN_ONCE);
	printf("burst %u %lld\n", burst_paths,
	       (long long)(clock_mono_us() - last));
}

static pid_t start(void)
{
	int fds[2];
	pid_t pid;

	if (chan_pair(fds, NULL) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		dup2(fcntl(fds[1], F_DUPFD, 100), CHAN_PARENT_FD);
		close_range(CHAN_PARENT_FD + 1, ~0u, 0);
		_exit(watcher_main(0, NULL));
	}
	close(fds[1]);
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	chan = chan_new(loop, fds[0], &ops, NULL);
	return pid;
}

int main(int argc, char **argv)
{
	unsigned n, services, i;
	int64_t began;
	struct buf b;
	pid_t pid;

	if (argc < 4 || chdir(argv[1]) < 0)
		return 2;
	n = (unsigned)strtoul(argv[2], NULL, 10);
	services = (unsigned)strtoul(argv[3], NULL, 10);
	pid = start();
	buf_init(&b, 65536);
	put_u32(&b, WIRE_VERSION);
	put_str(&b, argv[1]);
	put_str(&b, "");
	chan_send(chan, V_SETUP, &b, -1, NULL);
	buf_done(&b);
	until(V_HELLO, 1);
	began = clock_mono_us();
	for (i = 0; i < services; i++)
		subscribe(i, argv[1], 0);
	until(V_ARMED, services);
	printf("armed %u %lld\n", dirs, (long long)(clock_mono_us() - began));
	sync_now();
	printf("recorded %lld %ld\n", (long long)(clock_mono_us() - began),
	       rss_kib(pid));
	saves(n);
	subscribe(0, argv[1], DEBOUNCE_AUTO);
	until(V_ARMED, services + 1);
	sync_now();
	if (services == 1)
		burst();
	chan_free(chan);
	waitpid(pid, NULL, 0);
	return 0;
}
