/* SPDX-License-Identifier: MIT */
/* Writing to standard output without ever waiting for it. */
#include "lib/master/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

static enum sink_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return SINK_DIRECT;
	if (S_ISSOCK(st.st_mode))
		return SINK_SOCKET;
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return SINK_DIRECT;
	return SINK_OWN;
}

void sink_init(struct sink *s, int out_fd)
{
	char path[40];
	int own;

	s->kind = kind_of(out_fd);
	s->fd = out_fd;
	s->is_own = false;
	if (s->kind != SINK_OWN)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", out_fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0) {
		s->kind = SINK_POLLED;
		return;
	}
	s->fd = own;
	s->is_own = true;
}

void sink_done(struct sink *s)
{
	if (s->is_own)
		fd_close(&s->fd);
	s->fd = -1;
	s->is_own = false;
}

static ssize_t write_polled(int fd, const char *data, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLOUT | POLLERR | POLLHUP)))
		return errno = EAGAIN, -1;
	return write(fd, data, len < SINK_CHUNK_BYTES ? len : SINK_CHUNK_BYTES);
}

static ssize_t write_once(const struct sink *s, const char *data, size_t len)
{
	switch (s->kind) {
	case SINK_SOCKET:
		return send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_POLLED:
		return write_polled(s->fd, data, len);
	case SINK_OWN:
	case SINK_DIRECT:
		break;
	}
	return write(s->fd, data, len);
}

long sink_write(struct sink *s, const char *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len && s->fd >= 0) {
		n = write_once(s, data + done, len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno == EAGAIN)
			return (long)done;
		else if (errno == ENOSPC || errno == EDQUOT)
			return (long)len; /* dropped; there may be room later */
		else if (errno != EINTR)
			sink_done(s);
	}
	return s->fd < 0 ? -1 : (long)done;
}
