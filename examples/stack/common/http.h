/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP server on 127.0.0.1, over libmicrohttpd: GET only, one thread
 * that calls one handler, so handlers need no locks among themselves.
 * /healthz is answered here.
 */
#ifndef STACK_HTTP_H
#define STACK_HTTP_H

struct http_request;
struct http_server;

/* Answer with exactly one call of http_reply(). */
typedef void (*http_handler)(struct http_request *r, const char *path,
			     void *arg);

/* arg: KEPT. Says what is wrong; OWNED: http_stop(), NULL if it cannot. */
struct http_server *http_start(int port, http_handler handler, void *arg);

/* Take no more connections, give requests in flight a second, close. */
void http_stop(struct http_server *s);

/* A parameter of the query, or "". BORROWED until the reply. */
const char *http_query(struct http_request *r, const char *name);

/* Add a header to the reply; before http_reply(). name, value: BORROWED until
 * then. At most one. */
void http_header(struct http_request *r, const char *name, const char *value);

/* body: TAKEN (malloc); NULL says that memory ran out. */
void http_reply(struct http_request *r, unsigned int status, const char *type,
		char *body);

#endif
