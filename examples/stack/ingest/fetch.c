/* SPDX-License-Identifier: MIT */
/* Ask the provider, over libcurl; a stop ends the wait at once. */
#include "ingest/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stop.h"

enum {
	BODY_MAX_BYTES = 1 << 20,
	CONNECT_TIMEOUT_MS = 2000,
	TIMEOUT_MS = 10000,
	POLL_MS = 1000,
	DEFAULT_WAIT_MS = 1000,
};

struct fetch {
	CURLM *multi;
	CURL *easy;
	int stop_fd;
	char *body;
	size_t len;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t bytes = size * n;
	char *bigger;

	if (bytes > BODY_MAX_BYTES - f->len)
		return 0;
	bigger = realloc(f->body, f->len + bytes + 1);
	if (!bigger)
		return 0;
	memcpy(bigger + f->len, data, bytes);
	f->body = bigger;
	f->len += bytes;
	f->body[f->len] = '\0';
	return bytes;
}

struct fetch *fetch_new(int stop_fd)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->stop_fd = stop_fd;
	f->multi = curl_multi_init();
	f->easy = curl_easy_init();
	if (!f->multi || !f->easy) {
		fetch_free(f);
		return NULL;
	}
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	return f;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	if (f->easy)
		curl_easy_cleanup(f->easy);
	if (f->multi)
		curl_multi_cleanup(f->multi);
	free(f->body);
	free(f);
}

/* Run the transfer; CURLE_ABORTED_BY_CALLBACK says that a stop came. */
static CURLcode perform(struct fetch *f)
{
	struct curl_waitfd stop = { .fd = f->stop_fd,
				    .events = CURL_WAIT_POLLIN };
	int running = 1, left;
	CURLMsg *message;

	while (curl_multi_perform(f->multi, &running) == CURLM_OK && running) {
		if (stop_wait(f->stop_fd, 0))
			return CURLE_ABORTED_BY_CALLBACK;
		curl_multi_poll(f->multi, &stop, 1, POLL_MS, NULL);
	}
	message = curl_multi_info_read(f->multi, &left);
	return message ? message->data.result : CURLE_FAILED_INIT;
}

/* After a transfer that went well: what the status says. */
static enum fetch_result judge(struct fetch *f, struct fetch_answer *answer)
{
	curl_off_t wait_s = 0;
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(f->easy, CURLINFO_RETRY_AFTER, &wait_s);
	if (status == 200)
		return FETCH_OK;
	snprintf(answer->error, sizeof(answer->error), "status %ld", status);
	if (status != 429 && status != 503)
		return FETCH_FAILED;
	answer->wait_ms = wait_s > 0 ? (int64_t)wait_s * 1000 : DEFAULT_WAIT_MS;
	return FETCH_WAIT;
}

enum fetch_result fetch_get(struct fetch *f, const char *url,
			    struct fetch_answer *answer)
{
	CURLcode code;

	memset(answer, 0, sizeof(*answer));
	free(f->body);
	f->len = 0;
	f->body = calloc(1, 1);
	curl_easy_setopt(f->easy, CURLOPT_URL, url);
	curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, answer->error);
	curl_multi_add_handle(f->multi, f->easy);
	code = perform(f);
	curl_multi_remove_handle(f->multi, f->easy);
	curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, NULL);
	answer->body = f->body;
	if (code == CURLE_OK && f->body)
		return judge(f, answer);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return FETCH_STOPPED;
	if (!*answer->error)
		snprintf(answer->error, sizeof(answer->error), "%s",
			 curl_easy_strerror(code));
	return FETCH_FAILED;
}
