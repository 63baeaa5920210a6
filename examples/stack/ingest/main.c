/* SPDX-License-Identifier: MIT */
/*
 * ingest: polls the provider and keeps the search index.
 *
 * SIGINT and SIGTERM: no further poll, the batch under way is finished, the
 * write-ahead log goes into the database, exit 0.
 */
#include <curl/curl.h>
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
#include "ingest/dict.h"
#include "ingest/fetch.h"
#include "ingest/possess.h"
#include "ingest/scheduler.h"
#include "ingest/status.h"
#include "ingest/store.h"

enum { ADMIN_PORT = 8081, UPSTREAM_PORT = 8082, TITLES_MAX = 100 };

struct settings {
	const char *db, *dict, *schema;
	char upstream[64]; /* when nothing names another one */
	struct scheduler_settings scheduler;
};

struct ingest {
	int stop_fd, lock_fd;
	struct dict *dict;
	struct store *store;
	struct status *status;
	struct fetch *fetch;
	struct http_server *admin;
};

/* The upstream of this stack: hr tells every service the ports of all. */
static void default_upstream(char *url, size_t size)
{
	const char *text = getenv("HR_PORT_UPSTREAM");
	int64_t port = UPSTREAM_PORT;

	if (text)
		parse_int(text, 1, 65535, &port);
	snprintf(url, size, "http://127.0.0.1:%" PRId64, port);
}

static int read_settings(struct settings *s, const struct config *c)
{
	struct scheduler_settings *t = &s->scheduler;

	default_upstream(s->upstream, sizeof(s->upstream));
	s->db = config_text(c, "trends_db", "data/trends.db");
	s->dict = config_text(c, "dict", "ingest/dict.txt");
	s->schema = config_text(c, "schema", "ingest/schema.sql");
	t->upstream_url = config_text(c, "upstream_url", s->upstream);
	t->poll_ms = 3000;
	t->batch_ms = 300;
	t->batch_titles = 12;
	if (config_int(c, "poll_ms", 10, 3600000, &t->poll_ms) < 0 ||
	    config_int(c, "batch_ms", 0, 60000, &t->batch_ms) < 0 ||
	    config_int(c, "batch_titles", 1, TITLES_MAX, &t->batch_titles) < 0)
		return -1;
	return 0;
}

static void on_admin(struct http_request *r, const char *path, void *arg)
{
	if (strcmp(path, "/status") == 0)
		http_reply(r, 200, "application/json", status_json(arg));
	else
		http_reply(r, 404, "text/plain",
			   strdup("try /status or /healthz\n"));
}

static int load_dict(struct ingest *in, const char *path)
{
	int64_t start_ms = clock_ms();

	in->dict = dict_load(path);
	if (!in->dict)
		return -1;
	say("dictionary loaded took=%" PRId64 "ms words=%zu",
	    clock_ms() - start_ms, dict_count(in->dict));
	return 0;
}

static int start(struct ingest *in, const struct settings *s)
{
	in->lock_fd = possess(s->db);
	if (in->lock_fd < 0 || load_dict(in, s->dict) < 0)
		return -1;
	in->store = store_open(s->db, s->schema, in->dict);
	if (!in->store)
		return -1;
	in->fetch = fetch_new(in->stop_fd);
	in->status = status_new(store_count_batches(in->store),
				store_count_titles(in->store));
	if (!in->fetch || !in->status)
		return -1;
	in->admin = http_start(config_port(ADMIN_PORT), on_admin, in->status);
	return in->admin ? 0 : -1;
}

static void finish(struct ingest *in)
{
	http_stop(in->admin);
	status_free(in->status);
	fetch_free(in->fetch);
	store_close(in->store);
	dict_free(in->dict);
	/* Last: whoever gets the lock finds the database closed. */
	if (in->lock_fd >= 0)
		close(in->lock_fd);
	close(in->stop_fd);
}

static int serve(const struct settings *s)
{
	struct ingest in = { .stop_fd = stop_open(), .lock_fd = -1 };
	int rc;

	if (in.stop_fd < 0) {
		perror("signalfd");
		return -1;
	}
	rc = start(&in, s);
	if (rc == 0) {
		scheduler_run(&s->scheduler, in.store, in.fetch, in.status,
			      in.stop_fd);
		say("stopping");
	}
	finish(&in);
	return rc;
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct config config;
	int rc;

	if (config_init(&config, argc, argv) < 0 ||
	    read_settings(&settings, &config) < 0)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = serve(&settings);
	curl_global_cleanup();
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
