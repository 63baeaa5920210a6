/* SPDX-License-Identifier: MIT */
/* File names as text, and reading a whole file. */
#include "lib/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

char *path_join(const char *dir, const char *name)
{
	char *path =
		name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", dir, name);

	path_clean(path);
	return path;
}

/* Where the component before `out` starts, for "..". */
static char *drop_component(char *start, char *out)
{
	while (out > start && *--out != '/')
		;
	return out;
}

void path_clean(char *path)
{
	bool absolute = path[0] == '/';
	char *first = path + absolute, *start = first, *out = first;
	const char *in = first;
	size_t len;

	while (*in != '\0') {
		len = strcspn(in, "/");
		if (len == 0 || (len == 1 && in[0] == '.')) {
			/* "//" and "/./" vanish */
		} else if (len == 2 && in[0] == '.' && in[1] == '.' &&
			   (out > start || absolute)) {
			out = drop_component(start, out);
		} else {
			if (out > first)
				*out++ = '/';
			memmove(out, in, len);
			out += len;
			/* A ".." that leads out of a relative path stays. */
			if (len == 2 && in[0] == '.' && in[1] == '.')
				start = out;
		}
		in += len + (in[len] == '/');
	}
	if (out == path)
		*out++ = '.';
	*out = '\0';
}

bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

const char *path_relative(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (!path_is_below(path, dir))
		return path;
	if (path[n] == '\0')
		return ".";
	return dir[n - 1] == '/' ? path + n : path + n + 1;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xstrndup(path, (size_t)(slash - path));
}

int path_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char *copy = xstrdup(path), *p;
	int rc = 0;

	for (p = copy + 1; rc == 0 && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			rc = err_sys(err, "cannot make directory %s", copy);
		*p = '/';
	}
	if (rc == 0 && mkdir(copy, mode) < 0 && errno != EEXIST)
		rc = err_sys(err, "cannot make directory %s", copy);
	free(copy);
	return rc;
}

int path_read(const char *path, struct buf *out, struct err *err)
{
	/* Without O_NONBLOCK a FIFO would hold us until somebody writes. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char chunk[4096];
	struct stat st;
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return err_sys(err, "cannot open %s", path);
	if (fstat(fd, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
		close(fd);
		return err_set(err, ERR_VALUE, "%s is not a file", path);
	}
	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0 && buf_add(out, chunk, (size_t)n) < 0)
			rc = err_set(err, ERR_LIMIT,
				     "%s is larger than %zu bytes", path,
				     out->max_bytes);
	} while (rc == 0 && (n > 0 || (n < 0 && errno == EINTR)));
	if (n < 0)
		rc = err_sys(err, "cannot read %s", path);
	close(fd);
	return rc;
}
