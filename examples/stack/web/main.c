/* SPDX-License-Identifier: MIT */
/*
 * web: the search page. Templates are read for every page, so a change of
 * one needs no restart.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/http.h"
#include "common/stop.h"
#include "web/search.h"
#include "web/template.h"

enum { WEB_PORT = 8080 };

struct site {
	const char *db, *templates;
};

/* The list of hits while it grows. */
struct list {
	FILE *out;
	const char *template;
};

static void on_hit(const struct hit *hit, void *arg)
{
	const struct field fields[] = { { "region", hit->region },
					{ "title", hit->title },
					{ "at", hit->at },
					{ NULL, NULL } };
	struct list *list = arg;

	template_put(list->out, list->template, fields);
}

static void summarise(char *text, size_t size, int n, const char *error)
{
	if (n < 0)
		snprintf(text, size, "no index yet (%s)", error);
	else
		snprintf(text, size, "%d newest titles", n);
}

/* OWNED: free(). NULL: no memory. */
static char *list_of(const struct site *site, const char *text,
		     const char *template, char *summary, size_t size)
{
	char *items = NULL;
	const char *error;
	size_t bytes;
	struct list list = { .out = open_memstream(&items, &bytes),
			     .template = template };
	int n;

	if (!list.out)
		return NULL;
	n = search(site->db, text, on_hit, &list, &error);
	summarise(summary, size, n, error);
	fclose(list.out);
	return items;
}

static char *page_of(const struct site *site, const char *text,
		     const char *page, const char *hit)
{
	char summary[128], *result = NULL;
	char *items = list_of(site, text, hit, summary, sizeof(summary));
	const struct field fields[] = { { "query", text },
					{ "summary", summary },
					{ "hits", items },
					{ NULL, NULL } };
	size_t bytes;
	FILE *out = items ? open_memstream(&result, &bytes) : NULL;

	if (out) {
		template_put(out, page, fields);
		fclose(out);
	}
	free(items);
	return result;
}

static void on_page(struct http_request *r, const struct site *site)
{
	char *page = template_read(site->templates, "page.html");
	char *hit = template_read(site->templates, "hit.html");

	if (page && hit)
		http_reply(r, 200, "text/html; charset=utf-8",
			   page_of(site, http_query(r, "q"), page, hit));
	else
		http_reply(r, 500, "text/plain",
			   strdup("a template cannot be read\n"));
	free(page);
	free(hit);
}

static void on_request(struct http_request *r, const char *path, void *arg)
{
	if (strcmp(path, "/") == 0)
		on_page(r, arg);
	else
		http_reply(r, 404, "text/plain", strdup("try /?q=...\n"));
}

int main(int argc, char **argv)
{
	struct http_server *server;
	struct config config;
	struct site site;
	int stop_fd;

	if (config_init(&config, argc, argv) < 0)
		return 2;
	site.db = config_text(&config, "trends_db", "data/trends.db");
	site.templates = config_text(&config, "templates", "templates");
	stop_fd = stop_open();
	server = http_start(config_port(WEB_PORT), on_request, &site);
	if (!server || stop_fd < 0)
		return EXIT_FAILURE;
	stop_wait(stop_fd, -1);
	http_stop(server);
	close(stop_fd);
	return EXIT_SUCCESS;
}
