/* SPDX-License-Identifier: MIT */
/* What the scheduler is doing, for the admin page. */
#include "ingest/status.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

struct region {
	const char *name;
	int64_t next_ms;
	size_t batches, titles; /* since the start */
};

struct status {
	pthread_mutex_t mutex;
	int64_t batches, titles, waits;
	struct region regions[STATUS_REGIONS];
};

struct status *status_new(int64_t batches, int64_t titles)
{
	struct status *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->mutex, NULL);
	s->batches = batches;
	s->titles = titles;
	return s;
}

void status_free(struct status *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

void status_set_next(struct status *s, size_t i, const char *region,
		     int64_t next_ms)
{
	pthread_mutex_lock(&s->mutex);
	s->regions[i].name = region;
	s->regions[i].next_ms = next_ms;
	pthread_mutex_unlock(&s->mutex);
}

void status_add_batch(struct status *s, size_t i, size_t titles)
{
	pthread_mutex_lock(&s->mutex);
	s->batches++;
	s->titles += (int64_t)titles;
	s->regions[i].batches++;
	s->regions[i].titles += titles;
	pthread_mutex_unlock(&s->mutex);
}

void status_add_wait(struct status *s)
{
	pthread_mutex_lock(&s->mutex);
	s->waits++;
	pthread_mutex_unlock(&s->mutex);
}

static void put_region(FILE *out, const struct region *r, const char *before)
{
	int64_t in_ms = r->next_ms - clock_ms();

	fprintf(out,
		"%s{\"region\":\"%s\",\"batches\":%zu,\"titles\":%zu,"
		"\"next_poll_ms\":%" PRId64 "}",
		before, r->name, r->batches, r->titles, in_ms > 0 ? in_ms : 0);
}

static void put_status(FILE *out, const struct status *s)
{
	const char *before = "";

	fprintf(out,
		"{\"pid\":%ld,\"batches\":%" PRId64 ",\"titles\":%" PRId64
		",\"waits\":%" PRId64 ",\"regions\":[",
		(long)getpid(), s->batches, s->titles, s->waits);
	for (size_t i = 0; i < STATUS_REGIONS; i++) {
		if (!s->regions[i].name)
			continue;
		put_region(out, &s->regions[i], before);
		before = ",";
	}
	fprintf(out, "]}\n");
}

char *status_json(struct status *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	pthread_mutex_lock(&s->mutex);
	put_status(out, s);
	pthread_mutex_unlock(&s->mutex);
	fclose(out);
	return text;
}
