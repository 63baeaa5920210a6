/* SPDX-License-Identifier: MIT */
/* Ask the provider, over libcurl; a stop ends the wait at once. */
#ifndef INGEST_FETCH_H
#define INGEST_FETCH_H

#include <stddef.h>
#include <stdint.h>

struct fetch;

enum fetch_result {
	FETCH_OK,      /* answer: the body */
	FETCH_WAIT,    /* 429 or 503: wait_ms */
	FETCH_FAILED,  /* error */
	FETCH_STOPPED, /* a stop was asked for meanwhile */
};

struct fetch_answer {
	char *body; /* OWNED by struct fetch, until the next fetch_get() */
	int64_t wait_ms;
	char error[256];
};

/* stop_fd: as of stop_open(), KEPT. OWNED: fetch_free(). NULL: no memory. */
struct fetch *fetch_new(int stop_fd);
void fetch_free(struct fetch *f);
enum fetch_result fetch_get(struct fetch *f, const char *url,
			    struct fetch_answer *answer);

#endif
