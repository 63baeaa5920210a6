/* SPDX-License-Identifier: MIT */
/*
 * Who holds a TCP port or a file: sock_diag(7), /proc/locks, /proc/PID/fd.
 *
 * Ports: one dump per family, filtered by port in the kernel (20 us each);
 * /proc/net/tcp walks the kernel's whole table (3 ms) and is the fallback.
 * Sockets become processes by their inode in /proc/PID/fd, where that is ours
 * to read.
 */
#include "lib/handoff/diag.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/err.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/str.h"

/* Kernel's net/tcp_states.h, as bits. */
#define STATE_LISTEN 10
#define LISTENING (1u << STATE_LISTEN)
/* Whatever else holds a port: an outgoing connection from it, a connection
 * to itself. TIME_WAIT (6) has no owner, and SO_REUSEADDR gets past it. */
#define CONNECTED (0xfffu & ~(LISTENING | 1u << 6))
#define LINK_TEXT_MAX 512

/* A local address; v4 is kept as ::ffff:a.b.c.d. */
struct address {
	struct in6_addr ip;
	bool v4;
	bool any;     /* 0.0.0.0 or :: */
	bool v6_only; /* of a listener on :: */
	bool every;   /* host not given, or a name: collides with all */
};

/* ---- addresses --------------------------------------------------------- */

static void address_v4(struct address *a, const void *ip)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(a, 0, sizeof(*a));
	memcpy(&a->ip, mapped, sizeof(mapped));
	memcpy(a->ip.s6_addr + 12, ip, 4);
	a->v4 = true;
	a->any = memcmp(ip, "\0\0\0\0", 4) == 0;
}

static void address_v6(struct address *a, const void *ip)
{
	memset(a, 0, sizeof(*a));
	memcpy(&a->ip, ip, sizeof(a->ip));
	if (IN6_IS_ADDR_V4MAPPED(&a->ip))
		address_v4(a, a->ip.s6_addr + 12);
	else
		a->any = IN6_IS_ADDR_UNSPECIFIED(&a->ip) != 0;
}

/* A host of hr.conf. Names other than localhost would need a resolver, which
 * may block: they count as every address. Returns whether it is a number. */
static bool address_of_host(struct address *a, const char *host)
{
	unsigned char ip[16];

	if (host != NULL && str_eq(host, "localhost"))
		host = "127.0.0.1";
	if (host != NULL && inet_pton(AF_INET, host, ip) == 1) {
		address_v4(a, ip);
		return true;
	}
	if (host != NULL && inet_pton(AF_INET6, host, ip) == 1) {
		address_v6(a, ip);
		return true;
	}
	memset(a, 0, sizeof(*a));
	a->every = true;
	return host == NULL || host[0] == '\0';
}

/* Whether binds of both to one port exclude each other. */
static bool collide(const struct address *host, const struct address *listener)
{
	if (host->every)
		return true;
	if (host->v4 == listener->v4)
		return host->any || listener->any ||
		       memcmp(&host->ip, &listener->ip, sizeof(host->ip)) == 0;
	if (listener->v4)
		return host->any;
	return listener->any && !listener->v6_only;
}

static void add_listener(struct listeners *out, uint64_t inode, uid_t uid)
{
	if (out->n == NITEMS(out->v))
		return;
	out->v[out->n].inode = inode;
	out->v[out->n].uid = uid;
	out->n++;
}

/* ---- sock_diag --------------------------------------------------------- */

struct question {
	int port;
	struct address host;
	unsigned states;
};

/* Source port == port, as two comparisons: S_EQ came only with 4.16. Jumps
 * are in bytes; one that ends 4 beyond the program rejects. */
static int send_request(int fd, int family, const struct question *q)
{
	struct inet_diag_bc_op ops[4] = {
		{ INET_DIAG_BC_S_GE, 8, 20 },
		{ 0, 0, (uint16_t)q->port },
		{ INET_DIAG_BC_S_LE, 8, 12 },
		{ 0, 0, (uint16_t)q->port },
	};
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
		struct rtattr attribute;
		struct inet_diag_bc_op ops[4];
	} m = { .header = { .nlmsg_len = sizeof(m),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = (uint8_t)family,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = q->states },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(ops)),
			       .rta_type = INET_DIAG_REQ_BYTECODE } };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	memcpy(m.ops, ops, sizeof(ops));
	return sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&kernel,
		      sizeof(kernel)) < 0 ?
		       -1 :
		       0;
}

static bool is_v6_only(const struct nlmsghdr *h)
{
	const char *p =
		(const char *)h + NLMSG_LENGTH(sizeof(struct inet_diag_msg));
	const char *end = (const char *)h + h->nlmsg_len;
	struct rtattr a;

	while (end - p >= (ptrdiff_t)sizeof(a)) {
		memcpy(&a, p, sizeof(a));
		if (a.rta_len < sizeof(a))
			break;
		if (a.rta_type == INET_DIAG_SKV6ONLY && a.rta_len > sizeof(a))
			return p[sizeof(a)] != 0;
		p += RTA_ALIGN(a.rta_len);
	}
	return false;
}

static void take_socket(const struct nlmsghdr *h, const struct question *q,
			struct listeners *out)
{
	struct inet_diag_msg m;
	struct address a;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(m)))
		return;
	memcpy(&m, (const char *)h + NLMSG_HDRLEN, sizeof(m));
	if (ntohs(m.id.idiag_sport) != q->port || m.idiag_inode == 0)
		return;
	if (m.idiag_family == AF_INET)
		address_v4(&a, m.id.idiag_src);
	else
		address_v6(&a, m.id.idiag_src);
	a.v6_only = a.any && !a.v4 && is_v6_only(h);
	if (collide(&q->host, &a))
		add_listener(out, m.idiag_inode, m.idiag_uid);
}

/* Returns 1: more to come; 0: done; -1: the kernel has no such dump. */
static int take_answers(int fd, const struct question *q, struct listeners *out)
{
	union {
		struct nlmsghdr align;
		char bytes[8192];
	} data;
	ssize_t n = recv(fd, &data, sizeof(data), 0);
	size_t at = 0;

	if (n <= 0)
		return n < 0 && errno == EINTR ? 1 : -1;
	while (at + sizeof(struct nlmsghdr) <= (size_t)n) {
		const struct nlmsghdr *h =
			(const struct nlmsghdr *)(const void *)(data.bytes +
								at);

		if (h->nlmsg_len < sizeof(*h) || at + h->nlmsg_len > (size_t)n)
			return -1;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -1;
		take_socket(h, q, out);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return 1;
}

static int dump_family(int fd, int family, const struct question *q,
		       struct listeners *out)
{
	int more = 1;

	if (send_request(fd, family, q) < 0)
		return -1;
	while (more > 0)
		more = take_answers(fd, q, out);
	return more;
}

static int ask_sock_diag(const struct question *q, struct listeners *out)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);
	int ret;

	if (fd < 0)
		return -1;
	ret = dump_family(fd, AF_INET, q, out);
	if (ret == 0)
		ret = dump_family(fd, AF_INET6, q, out);
	fd_close(&fd);
	return ret;
}

/* ---- /proc/net/tcp ----------------------------------------------------- */

/* 32-bit words in the byte order of the machine, as hex (proc(5)). */
static bool read_hex_ip(const char *hex, size_t words, unsigned char *ip)
{
	uint32_t word;
	size_t i;

	for (i = 0; i < words; i++) {
		if (sscanf(hex + 8 * i, "%8" SCNx32, &word) != 1)
			return false;
		memcpy(ip + 4 * i, &word, sizeof(word));
	}
	return true;
}

static void take_line(const char *line, bool v6, const struct question *q,
		      struct listeners *out)
{
	unsigned char ip[16];
	unsigned port, state, uid;
	uint64_t inode;
	struct address a;
	char local[40];

	if (sscanf(line,
		   " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %u "
		   "%*d %" SCNu64,
		   local, &port, &state, &uid, &inode) != 5 ||
	    (int)port != q->port || inode == 0 || state > 31 ||
	    (q->states & 1u << state) == 0 ||
	    strlen(local) != (v6 ? 32u : 8u) ||
	    !read_hex_ip(local, v6 ? 4 : 1, ip))
		return;
	if (v6)
		address_v6(&a, ip);
	else
		address_v4(&a, ip);
	if (collide(&q->host, &a))
		add_listener(out, inode, (uid_t)uid);
}

static int read_table(const char *path, bool v6, const struct question *q,
		      struct listeners *out)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL)
		take_line(line, v6, q, out);
	fclose(f);
	return 0;
}

static int ask(const struct question *q, struct listeners *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (ask_sock_diag(q, out) == 0)
		return 0;
	memset(out, 0, sizeof(*out));
	if (read_table("/proc/net/tcp", false, q, out) < 0)
		return err_sys(err, "cannot tell who listens: neither "
				    "sock_diag nor /proc/net/tcp can be read");
	read_table("/proc/net/tcp6", true, q, out);
	return 0;
}

int diag_listeners(int port, const char *host, struct listeners *out,
		   struct err *err)
{
	struct question q = { .port = port, .states = LISTENING };

	address_of_host(&q.host, host);
	return ask(&q, out, err);
}

/* ---- processes --------------------------------------------------------- */

/* Called for each descriptor of a process: its number, and what it is. dir is
 * /proc/PID/fd. Returns true to end the search. */
typedef bool fd_fn(pid_t pid, int dir, const char *number, const char *target,
		   void *data);

static bool each_fd(pid_t pid, fd_fn *fn, void *data)
{
	char path[64], target[LINK_TEXT_MAX];
	struct dirent *e;
	bool found = false;
	DIR *dir;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!found && (e = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), e->d_name, target,
			       sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		found = fn(pid, dirfd(dir), e->d_name, target, data);
	}
	closedir(dir);
	return found;
}

static bool is_in(const pid_t *pids, size_t n, pid_t pid)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Over every process but ours, lowest pid first: mostly the parent. */
static pid_t each_process(const pid_t *ours, size_t n, fd_fn *fn, void *data)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;
	int64_t pid;

	if (dir == NULL)
		return 0;
	while (found == 0 && (e = readdir(dir)) != NULL) {
		if (str_to_int(e->d_name, 1, INT_MAX, &pid) == 0 &&
		    !is_in(ours, n, (pid_t)pid) &&
		    each_fd((pid_t)pid, fn, data))
			found = (pid_t)pid;
	}
	closedir(dir);
	return found;
}

static bool is_listener(pid_t pid, int dir, const char *number,
			const char *target, void *data)
{
	const struct listeners *l = data;
	uint64_t inode;
	size_t i;

	(void)pid;
	(void)dir;
	(void)number;
	if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
		return false;
	for (i = 0; i < l->n; i++)
		if (l->v[i].inode == inode)
			return true;
	return false;
}

bool diag_is_held_by(const struct listeners *l, const pid_t *pids, size_t n)
{
	struct listeners copy = *l;
	size_t i;

	for (i = 0; l->n > 0 && i < n; i++)
		if (each_fd(pids[i], is_listener, &copy))
			return true;
	return false;
}

static size_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, buffer, size - 1);
	fd_close(&fd);
	buffer[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void fill_command(struct holder *h)
{
	size_t n = read_proc(h->pid, "cmdline", h->command, sizeof(h->command));
	size_t i;

	if (n == 0)
		n = read_proc(h->pid, "comm", h->command, sizeof(h->command));
	while (n > 0 &&
	       (h->command[n - 1] == '\0' || h->command[n - 1] == '\n'))
		n--;
	h->command[n] = '\0';
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)h->command[i];

		if (c == '\0')
			h->command[i] = ' ';
		else if (c < ' ' || c == 127)
			h->command[i] = '?';
	}
	if (n == 0)
		snprintf(h->command, sizeof(h->command), "?");
}

int diag_port_holder(int port, const char *host, struct holder *out,
		     struct err *err)
{
	struct question q = { .port = port, .states = LISTENING };
	struct listeners l;

	memset(out, 0, sizeof(*out));
	address_of_host(&q.host, host);
	if (ask(&q, &l, err) < 0)
		return -1;
	q.states = CONNECTED;
	if (l.n == 0 && ask(&q, &l, err) < 0)
		return -1;
	if (l.n == 0)
		return 0;
	out->uid = l.v[0].uid;
	out->inode = l.v[0].inode;
	out->pid = each_process(NULL, 0, is_listener, &l);
	snprintf(out->command, sizeof(out->command), "?");
	if (out->pid > 0)
		fill_command(out);
	return 1;
}

/* ---- is it free -------------------------------------------------------- */

static int try_bind(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, ret = -1, error;

	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0)
		ret = bind(fd, address, len);
	error = errno;
	fd_close(&fd);
	errno = error;
	return ret;
}

static int bind_v4(int port, const void *ip)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port) };

	memcpy(&a.sin_addr, ip, sizeof(a.sin_addr));
	return try_bind((struct sockaddr *)&a, sizeof(a));
}

static int bind_v6(int port, const struct in6_addr *ip)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)port),
				  .sin6_addr = *ip };

	return try_bind((struct sockaddr *)&a, sizeof(a));
}

/* Any address: :: takes v4 along, unless there is no v6 here, or
 * net.ipv6.bindv6only parts them. */
static int bind_every(int port)
{
	if (bind_v4(port, "\0\0\0\0") < 0)
		return -1;
	if (bind_v6(port, &in6addr_any) == 0 || errno == EAFNOSUPPORT ||
	    errno == EADDRNOTAVAIL)
		return 0;
	return -1;
}

int diag_port_is_free(int port, const char *host, struct err *err)
{
	const char *shown = host != NULL && host[0] != '\0' ? host : "*";
	struct address a;
	int ret;

	if (!address_of_host(&a, host))
		return err_set(err, ERR_VALUE, "'%s' is not an address", host);
	if (a.every || (a.any && !a.v4))
		ret = bind_every(port);
	else if (a.v4)
		ret = bind_v4(port, a.ip.s6_addr + 12);
	else
		ret = bind_v6(port, &a.ip);
	if (ret == 0 || errno == EADDRINUSE)
		return ret == 0;
	if (errno == EACCES) {
		err_set(err, ERR_SYS, "port %d may not be bound by this user",
			port);
		if (err != NULL)
			err->sys = EACCES;
		return err_hint(err, "use a port above 1023, or lower "
				     "net.ipv4.ip_unprivileged_port_start");
	}
	err_sys(err, "cannot bind %s:%d", shown, port);
	if (errno == EADDRNOTAVAIL)
		err_hint(err, "no interface of this machine has that address");
	return -1;
}

/* ---- files ------------------------------------------------------------- */

struct file {
	const char *name; /* last component */
	dev_t dev;
	ino_t ino;
	pid_t opener; /* first that only has it open */
	bool need_lock;
};

/* By name first: a stat through the descriptor of a dead network file system
 * would hang. */
static bool is_file(int dir, const char *number, const char *target,
		    const struct file *f)
{
	size_t len = strlen(f->name);
	const char *base = strrchr(target, '/');
	struct stat st;

	return base != NULL && strncmp(base + 1, f->name, len) == 0 &&
	       (base[1 + len] == '\0' || base[1 + len] == ' ') &&
	       fstatat(dir, number, &st, 0) == 0 && st.st_dev == f->dev &&
	       st.st_ino == f->ino;
}

/* fdinfo has a line "lock:" for what this open file holds: also OFD locks,
 * and a flock inherited from a process that is gone. */
static bool has_lock(pid_t pid, const char *number)
{
	char name[64], text[1024];

	snprintf(name, sizeof(name), "fdinfo/%.20s", number);
	return read_proc(pid, name, text, sizeof(text)) > 0 &&
	       strstr(text, "\nlock:") != NULL;
}

static bool is_open(pid_t pid, int dir, const char *number, const char *target,
		    void *data)
{
	struct file *f = data;

	if (!is_file(dir, number, target, f))
		return false;
	if (!f->need_lock || has_lock(pid, number))
		return true;
	if (f->opener == 0)
		f->opener = pid;
	return false;
}

/* "1: FLOCK  ADVISORY  WRITE 3548 08:01:1180 0 EOF"; the device is that of the
 * superblock, which st_dev is not on btrfs and overlayfs: only the inode is
 * compared, and the descriptor of the pid decides. */
static pid_t locker_of(struct file *f, const pid_t *ours, size_t n)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	uint64_t inode;
	pid_t found = 0;
	int pid;

	if (locks == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), locks) != NULL) {
		if (strstr(line, "->") != NULL ||
		    sscanf(line, "%*d: %*s %*s %*s %d %*x:%*x:%" SCNu64, &pid,
			   &inode) != 2)
			continue;
		if (pid > 0 && inode == f->ino && !is_in(ours, n, pid) &&
		    each_fd(pid, is_open, f))
			found = pid;
	}
	fclose(locks);
	return found;
}

int diag_file_holder(const char *path, const pid_t *ours, size_t n,
		     struct holder *out)
{
	struct file f = { .name = path_base(path) };
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) < 0)
		return 0;
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	out->pid = locker_of(&f, ours, n);
	f.need_lock = true;
	if (out->pid == 0)
		out->pid = each_process(ours, n, is_open, &f);
	if (out->pid == 0)
		out->pid = f.opener;
	if (out->pid == 0)
		return 0;
	out->inode = st.st_ino;
	out->uid = st.st_uid;
	fill_command(out);
	return 1;
}
