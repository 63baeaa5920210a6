/* SPDX-License-Identifier: MIT */
/* One timetable for all regions. */
#include "ingest/scheduler.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/say.h"
#include "common/stop.h"
#include "ingest/fetch.h"
#include "ingest/status.h"
#include "ingest/store.h"

enum { TITLES_MAX = 100, URL_BYTES = 512 };

/* A region, and its cadence in percent of poll_ms. */
static const struct {
	const char *name;
	int percent;
} table[STATUS_REGIONS] = {
	{ "JP", 100 }, { "KR", 115 }, { "TW", 130 }, { "VN", 150 },
	{ "TH", 165 }, { "ID", 200 }, { "PH", 235 }, { "SG", 265 },
};

struct scheduler {
	const struct scheduler_settings *settings;
	struct store *store;
	struct fetch *fetch;
	struct status *status;
	int stop_fd;
	int64_t not_before_ms; /* the provider told us to wait until then */
	int64_t next_ms[STATUS_REGIONS];
};

static void plan(struct scheduler *s, size_t i, int64_t at_ms)
{
	s->next_ms[i] = at_ms;
	status_set_next(s->status, i, table[i].name, at_ms);
}

/* From the time it was due, not from now: a slow batch moves nothing. */
static void plan_next(struct scheduler *s, size_t i)
{
	int64_t cadence_ms = s->settings->poll_ms * table[i].percent / 100;
	int64_t next_ms = s->next_ms[i] + cadence_ms, now_ms = clock_ms();

	plan(s, i, next_ms > now_ms ? next_ms : now_ms + cadence_ms);
}

static size_t earliest(const struct scheduler *s)
{
	size_t first = 0;

	for (size_t i = 1; i < STATUS_REGIONS; i++)
		if (s->next_ms[i] < s->next_ms[first])
			first = i;
	return first;
}

/* Lines of number, tab, title. body is cut into strings. Returns how many, or
 * -1 if it is something else. */
static int parse_titles(char *body, struct title *titles, size_t max)
{
	size_t n = 0;
	char *line, *tab;

	while ((line = strsep(&body, "\n")) && *line && n < max) {
		tab = strchr(line, '\t');
		if (!tab)
			return -1;
		*tab = '\0';
		if (parse_int(line, 1, INT64_MAX, &titles[n].seq) < 0)
			return -1;
		titles[n++].text = tab + 1;
	}
	return (int)n;
}

static void write_batch(struct scheduler *s, size_t i, char *body)
{
	struct title titles[TITLES_MAX];
	struct batch b = { .region = table[i].name,
			   .titles = titles,
			   .pace_ms = s->settings->batch_ms };
	int64_t start_ms = clock_ms(), id;
	int n = parse_titles(body, titles, TITLES_MAX);

	if (n < 0)
		say("%s: upstream answered nonsense", b.region);
	if (n <= 0)
		return;
	b.n = (size_t)n;
	id = store_write(s->store, &b);
	if (id < 0)
		return;
	status_add_batch(s->status, i, b.n);
	say("%zu titles %s batch=%" PRId64 " took=%" PRId64 "ms", b.n, b.region,
	    id, clock_ms() - start_ms);
}

static void ask(struct scheduler *s, size_t i, struct fetch_answer *answer,
		enum fetch_result *result)
{
	char url[URL_BYTES];

	snprintf(url, sizeof(url),
		 "%s/trending?region=%s&after=%" PRId64 "&count=%" PRId64,
		 s->settings->upstream_url, table[i].name,
		 store_last_seq(s->store, table[i].name),
		 s->settings->batch_titles);
	*result = fetch_get(s->fetch, url, answer);
}

static void poll_region(struct scheduler *s, size_t i)
{
	struct fetch_answer answer;
	enum fetch_result result;

	ask(s, i, &answer, &result);
	switch (result) {
	case FETCH_OK:
		write_batch(s, i, answer.body);
		break;
	case FETCH_WAIT:
		/* The limit is for all regions; this one stays first. */
		say("%s: upstream says wait %" PRId64 "s (%s)", table[i].name,
		    answer.wait_ms / 1000, answer.error);
		s->not_before_ms = clock_ms() + answer.wait_ms;
		status_add_wait(s->status);
		return;
	case FETCH_FAILED:
		say("%s: upstream: %s", table[i].name, answer.error);
		break;
	case FETCH_STOPPED:
		return;
	}
	plan_next(s, i);
}

/* Wait for the next poll; false once a stop was asked for. */
static bool wait_for(const struct scheduler *s, size_t i)
{
	int64_t at_ms = s->next_ms[i], now_ms = clock_ms();

	if (at_ms < s->not_before_ms)
		at_ms = s->not_before_ms;
	return !stop_wait(s->stop_fd, at_ms > now_ms ? at_ms - now_ms : 0);
}

void scheduler_run(const struct scheduler_settings *settings,
		   struct store *store, struct fetch *fetch,
		   struct status *status, int stop_fd)
{
	struct scheduler s = { .settings = settings,
			       .store = store,
			       .fetch = fetch,
			       .status = status,
			       .stop_fd = stop_fd };
	int64_t now_ms = clock_ms();

	for (size_t i = 0; i < STATUS_REGIONS; i++)
		plan(&s, i, now_ms);
	for (size_t i = earliest(&s); wait_for(&s, i); i = earliest(&s))
		poll_region(&s, i);
}
