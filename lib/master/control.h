/* SPDX-License-Identifier: MIT */
/*
 * The control socket: JSON lines from clients, answers and streams back.
 *
 * One object a line, both ways. A client that sends nonsense is answered and
 * closed; one that does not read is dropped when CLIENT_OUT_MAX_BYTES wait
 * for it. Nothing a client does blocks the loop.
 */
#ifndef HR_MASTER_CONTROL_H
#define HR_MASTER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct control;
struct err;
struct stack;
struct unit;

/* Listen on state_dir/hr.sock, mode 0600. The caller holds the stack's lock:
 * a socket file that is there is stale. OWNED: control_free(). NULL with
 * err. */
struct control *control_new(struct stack *st, struct err *err);
/* Removes the socket file. */
void control_free(struct control *c);
/* The outcome of request id, from M_DONE. */
void control_request_done(struct control *c, int32_t id, bool ok,
			  const char *text);
/* The worker of u died: its requests failed. */
void control_unit_lost(struct control *c, const struct unit *u);
/* Something changed: answer clients that wait for a state of the stack. */
void control_state_changed(struct control *c);
/* For clients that wait for the end: whom the stop waits for. */
void control_note(struct control *c, const char *text);
/* The stack stops: requests under way have failed. */
void control_stopping(struct control *c);
/* u cannot start because of another: its start requests have failed. */
void control_refuse_start(struct control *c, struct unit *u, const char *why);
/* No new clients; the socket file is gone. */
void control_close(struct control *c);
/* Everything has ended: last answers, blocking at most FINISH_FLUSH_MS. */
void control_finish(struct control *c);
/* To followers of events. service, json: BORROWED. An events_fn. */
void control_event(void *control, const char *service, const char *json);
/* To followers of logs; json: the whole line to send. */
void control_log(struct control *c, const char *service, const char *json);
bool control_has_log_followers(const struct control *c);

#endif
