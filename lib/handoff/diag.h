/* SPDX-License-Identifier: MIT */
/*
 * Who holds a TCP port or a file: sock_diag, /proc/locks, /proc/PID/fd.
 *
 * For messages, for readiness by listening, and for waiting until a port is
 * free. sock_diag may be absent (module not loaded, seccomp): then
 * /proc/net/tcp is read.
 */
#ifndef HR_HANDOFF_DIAG_H
#define HR_HANDOFF_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct holder {
	pid_t pid; /* 0: not visible to us */
	uid_t uid;
	uint64_t inode;
	char command[256]; /* "?" if unknown */
};

struct listeners {
	struct {
		uint64_t inode;
		uid_t uid;
	} v[16];
	size_t n;
};

/* Listening TCP sockets, v4 and v6, on a port of this network namespace
 * that a bind of host (NULL: any address) would collide with. Returns 0, or
 * -1 with err if neither sock_diag nor /proc/net/tcp can be read. */
int diag_listeners(int port, const char *host, struct listeners *out,
		   struct err *err);
/* Whether one of the pids has one of the sockets open. */
bool diag_is_held_by(const struct listeners *l, const pid_t *pids, size_t n);
/*
 * Who listens on the port, else who is connected from it (which blocks a
 * bind too). Returns 1 with holder, 0 if nobody, -1 with err.
 * pid stays 0 where /proc/PID/fd is not ours to read.
 */
int diag_port_holder(int port, const char *host, struct holder *out,
		     struct err *err);
/* Whether a bind to host:port works now (tries it, with SO_REUSEADDR, and
 * closes again). Returns 1, 0 (held), -1 with err (bad address, EACCES). */
int diag_port_is_free(int port, const char *host, struct err *err);
/* Who has the file locked, else open, other than pids in ours (may be NULL).
 * Returns 1 with holder, 0 if nobody visible. */
int diag_file_holder(const char *path, const pid_t *ours, size_t n,
		     struct holder *out);

#endif
