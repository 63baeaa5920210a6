/* SPDX-License-Identifier: MIT */
/* A small HTTP server on 127.0.0.1, over libmicrohttpd. */
#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/say.h"

enum { IDLE_S = 10, DRAIN_MS = 1000 };

struct http_server {
	struct MHD_Daemon *daemon;
	http_handler handler;
	void *arg;
};

struct http_request {
	struct MHD_Connection *connection;
	const char *header, *header_value;
	enum MHD_Result result;
};

const char *http_query(struct http_request *r, const char *name)
{
	const char *value = MHD_lookup_connection_value(
		r->connection, MHD_GET_ARGUMENT_KIND, name);

	return value ? value : "";
}

void http_header(struct http_request *r, const char *name, const char *value)
{
	r->header = name;
	r->header_value = value;
}

void http_reply(struct http_request *r, unsigned int status, const char *type,
		char *body)
{
	struct MHD_Response *response;

	r->result = MHD_NO;
	if (!body)
		return;
	response = MHD_create_response_from_buffer(strlen(body), body,
						   MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(body);
		return;
	}
	MHD_add_response_header(response, "Content-Type", type);
	/* An idle connection would only be in the way of a clean stop. */
	MHD_add_response_header(response, "Connection", "close");
	if (r->header)
		MHD_add_response_header(response, r->header, r->header_value);
	r->result = MHD_queue_response(r->connection, status, response);
	MHD_destroy_response(response);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_bytes, void **seen)
{
	struct http_request r = { .connection = connection, .result = MHD_NO };
	struct http_server *s = arg;

	(void)version;
	(void)upload;
	(void)upload_bytes;
	/* The first call comes before any body: answer at the second. */
	if (!*seen) {
		*seen = s;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		http_reply(&r, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
			   strdup("GET only\n"));
	else if (strcmp(path, "/healthz") == 0)
		http_reply(&r, MHD_HTTP_OK, "text/plain", strdup("ok\n"));
	else
		s->handler(&r, path, s->arg);
	return r.result;
}

static struct MHD_Daemon *listen_on(int port, struct http_server *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/*
	 * Without MHD_USE_ITC the library wakes its thread with shutdown() on
	 * the listening socket. That socket may be shared with the process
	 * that replaces this one, and would be deaf for it as well.
	 */
	return MHD_start_daemon(
		MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC, (uint16_t)port,
		NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&address, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)IDLE_S, MHD_OPTION_END);
}

struct http_server *http_start(int port, http_handler handler, void *arg)
{
	struct http_server *s;

	if (port < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->handler = handler;
	s->arg = arg;
	errno = 0;
	s->daemon = listen_on(port, s);
	if (!s->daemon) {
		fprintf(stderr, "cannot listen on 127.0.0.1:%d: %s\n", port,
			strerror(errno));
		free(s);
		return NULL;
	}
	say("listening on 127.0.0.1:%d", port);
	return s;
}

static unsigned int connections(struct MHD_Daemon *daemon)
{
	return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
		->num_connections;
}

void http_stop(struct http_server *s)
{
	int64_t end_ms = clock_ms() + DRAIN_MS;
	int listen_fd;

	if (!s)
		return;
	listen_fd = MHD_quiesce_daemon(s->daemon);
	while (connections(s->daemon) && clock_ms() < end_ms)
		clock_sleep_until(clock_ms() + 5);
	MHD_stop_daemon(s->daemon);
	if (listen_fd >= 0)
		close(listen_fd);
	free(s);
}
