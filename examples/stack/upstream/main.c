/* SPDX-License-Identifier: MIT */
/*
 * upstream: stands in for the provider of trending titles.
 *
 *	GET /trending?region=JP&after=120&count=12
 *
 * answers lines of number, tab, title: the numbers that follow. More than
 * RATE_PER_S requests a second (RATE_BURST at once) get 429 and Retry-After.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/http.h"
#include "common/say.h"
#include "common/stop.h"
#include "upstream/limit.h"
#include "upstream/titles.h"

enum { UPSTREAM_PORT = 8082, COUNT_MAX = 100 };

static char *titles_text(int region, int64_t after, int64_t count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (int64_t seq = after + 1; seq <= after + count; seq++) {
		fprintf(out, "%" PRId64 "\t", seq);
		titles_put(out, region, seq);
		fputc('\n', out);
	}
	fclose(out);
	return text;
}

static void refuse(struct http_request *r, int64_t wait_ms)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%" PRId64, (wait_ms + 999) / 1000);
	http_header(r, "Retry-After", seconds);
	http_reply(r, 429, "text/plain", strdup("too many requests\n"));
}

static void on_trending(struct http_request *r)
{
	int region = titles_region(http_query(r, "region"));
	int64_t after = 0, count = 0;

	if (region < 0 ||
	    parse_int(http_query(r, "after"), 0, INT32_MAX, &after) < 0 ||
	    parse_int(http_query(r, "count"), 1, COUNT_MAX, &count) < 0)
		http_reply(r, 400, "text/plain",
			   strdup("region=JP&after=0&count=12, please\n"));
	else
		http_reply(r, 200, "text/tab-separated-values; charset=utf-8",
			   titles_text(region, after, count));
}

static void on_request(struct http_request *r, const char *path, void *arg)
{
	int64_t wait_ms;

	if (strcmp(path, "/trending") != 0) {
		http_reply(r, 404, "text/plain", strdup("try /trending\n"));
		return;
	}
	wait_ms = limit_take(arg, clock_ms());
	if (wait_ms)
		refuse(r, wait_ms);
	else
		on_trending(r);
}

int main(int argc, char **argv)
{
	int64_t rate_per_s = 2, burst = 4;
	struct http_server *server;
	struct config config;
	struct limit limit;
	int stop_fd;

	if (config_init(&config, argc, argv) < 0 ||
	    config_int(&config, "rate_per_s", 1, 1000000, &rate_per_s) < 0 ||
	    config_int(&config, "rate_burst", 1, 1000000, &burst) < 0)
		return 2;
	limit_init(&limit, rate_per_s, burst, clock_ms());
	stop_fd = stop_open();
	server = http_start(config_port(UPSTREAM_PORT), on_request, &limit);
	if (!server || stop_fd < 0)
		return EXIT_FAILURE;
	stop_wait(stop_fd, -1);
	http_stop(server);
	close(stop_fd);
	return EXIT_SUCCESS;
}
