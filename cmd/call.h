/* SPDX-License-Identifier: MIT */
/*
 * A call to the master of a running stack: one request line out, answer
 * lines in, over .hr/hr.sock. One request a connection.
 *
 * What goes wrong is printed here, once; callers only pass on the exit code.
 */
#ifndef HR_CMD_CALL_H
#define HR_CMD_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#include "procfile/load.h"

struct call;
struct err;

/* Longest a master may take for what it can answer at once. */
#define CALL_AT_ONCE_MS 10000
#define CALL_FOREVER (-1)

/*
 * Connect to the stack whose directory is dir. OWNED: call_close(). NULL with
 * err: ERR_GONE when nothing runs there (also for a socket left behind),
 * ERR_SYS otherwise.
 */
struct call *call_connect(const char *dir, struct err *err);
/* Find the stack's directory, connect, send. NULL with *code set, printed. */
struct call *call_open(const struct load_options *load, json_t *request,
		       int *code);
void call_close(struct call *c);

/* request: TAKEN. Returns 0, or -1 with err. */
int call_send(struct call *c, json_t *request, struct err *err);
/*
 * The next answer. OWNED: json_decref(). NULL at the end of the connection
 * (err->code ERR_GONE), after timeout_ms, or on nonsense.
 */
json_t *call_read(struct call *c, int timeout_ms, struct err *err);
/* Whether a whole answer is here already. */
bool call_has_more(const struct call *c);
/* Whether o is {"error"…}: then it is printed, and *code set. */
bool call_is_error(const json_t *o, int *code);
/* Whoever listens there; 0 if unknown. */
pid_t call_pid(const struct call *c);

/*
 * As call_read, but an answer {"error"…} and an early end are printed: NULL
 * with *code set.
 */
json_t *call_answer(struct call *c, int timeout_ms, int *code);
/* Send, read one answer, close. OWNED, or NULL with *code set, printed. */
json_t *call_once(const struct load_options *load, json_t *request,
		  int timeout_ms, int *code);

/* {"do": verb, "services": names}. names: NULL-terminated. OWNED. */
json_t *call_request(const char *verb, const char *const *names);
/* Members of an answer; "" or 0 if missing or of another type. */
const char *call_text(const json_t *o, const char *key);
long long call_int(const json_t *o, const char *key);

#endif
