/* SPDX-License-Identifier: MIT */
/* Finding and reading a repository's lists; no git is run. */
#include "lib/watch/repo.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/watch/ignore.h"

#define LIST_MAX_BYTES ((size_t)4 << 20)
#define STALE_LOCK_S 10

static bool read_text(const char *path, struct buf *b)
{
	buf_init(b, LIST_MAX_BYTES);
	if (path_read(path, b, NULL) == 0)
		return true;
	buf_done(b);
	return false;
}

struct ignore *repo_read_list(const char *path, bool follow)
{
	struct ignore *ig;
	struct stat st;
	struct buf b;

	/* As git: a .gitignore that is a link counts for nothing. */
	if (!follow && lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return NULL;
	if (!read_text(path, &b))
		return NULL;
	ig = ignore_new();
	ignore_add_text(ig, buf_str(&b), b.len, path);
	buf_done(&b);
	return ig;
}

/* The value of a config line behind `=`, unquoted, without comment. */
static void unquote(const char *p, char *out, size_t size)
{
	size_t n = 0, end = 0;
	bool quoted = false;

	while (isspace((unsigned char)*p))
		p++;
	for (; *p != '\0' && n + 1 < size; p++) {
		if (*p == '"') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && (*p == '#' || *p == ';'))
			break;
		if (*p == '\\' && p[1] != '\0')
			p++;
		out[n++] = *p;
		if (quoted || !isspace((unsigned char)*p))
			end = n;
	}
	out[end] = '\0';
}

bool repo_config_excludes(const char *text, char *out, size_t size)
{
	static const char key[] = "excludesfile";
	bool core = false, found = false;
	char line[PATH_MAX + 64];
	const char *p, *nl;
	size_t n;

	for (; *text != '\0'; text = *nl != '\0' ? nl + 1 : nl) {
		nl = text + strcspn(text, "\n");
		n = (size_t)(nl - text);
		if (n >= sizeof(line))
			continue;
		memcpy(line, text, n);
		line[n] = '\0';
		for (p = line; isspace((unsigned char)*p); p++)
			;
		if (*p == '[') {
			core = strncasecmp(p, "[core]", 6) == 0;
			p += core ? 6 : 0;
			for (; isspace((unsigned char)*p); p++)
				;
		}
		if (!core || strncasecmp(p, key, sizeof(key) - 1) != 0)
			continue;
		for (p += sizeof(key) - 1; isspace((unsigned char)*p); p++)
			;
		if (*p != '=')
			continue;
		unquote(p + 1, out, size);
		found = true;
	}
	return found;
}

static void config_excludes(const char *dir, const char *name, char *out,
			    size_t size)
{
	char *path = path_join(dir, name);
	struct buf b;

	if (read_text(path, &b)) {
		repo_config_excludes(buf_str(&b), out, size);
		buf_done(&b);
	}
	free(path);
}

/* core.excludesFile, or where git looks when nobody sets it. */
static char *find_global(const char *common)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	char value[PATH_MAX] = "";
	char *xdg_dir = NULL, *path = NULL;

	if (xdg != NULL && xdg[0] == '/')
		xdg_dir = xstrdup(xdg);
	else if (home != NULL && home[0] == '/')
		xdg_dir = path_join(home, ".config");
	config_excludes("/etc", "gitconfig", value, sizeof(value));
	if (xdg_dir != NULL)
		config_excludes(xdg_dir, "git/config", value, sizeof(value));
	if (home != NULL && home[0] == '/')
		config_excludes(home, ".gitconfig", value, sizeof(value));
	config_excludes(common, "config", value, sizeof(value));
	if (str_starts(value, "~/") && home != NULL)
		path = path_join(home, value + 2);
	else if (value[0] == '/')
		path = xstrdup(value);
	else if (value[0] == '\0' && xdg_dir != NULL)
		path = path_join(xdg_dir, "git/ignore");
	free(xdg_dir);
	return path;
}

/* A file of one line that names a directory, relative to base. OWNED. */
static char *named_dir(const char *path, const char *prefix, const char *base)
{
	const char *text;
	char *dir = NULL;
	struct buf b;

	if (!read_text(path, &b))
		return NULL;
	text = buf_str(&b);
	if (str_starts(text, prefix)) {
		text += strlen(prefix);
		dir = xstrndup(text, strcspn(text, "\r\n"));
	}
	buf_done(&b);
	if (dir != NULL && dir[0] != '/') {
		char *joined = path_join(base, dir);

		free(dir);
		dir = joined;
	}
	return dir;
}

/* The directory that .git is, or that the file .git names. */
static char *find_gitdir(const char *work_tree)
{
	char *git = path_join(work_tree, ".git"), *dir;
	struct stat st;

	if (stat(git, &st) < 0) {
		free(git);
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		return git;
	dir = named_dir(git, "gitdir: ", work_tree);
	free(git);
	return dir;
}

struct repo *repo_open(const char *work_tree)
{
	char *gitdir = find_gitdir(work_tree), *common, *path;
	struct repo *r;

	if (gitdir == NULL)
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->gitdir = gitdir;
	path = path_join(gitdir, "commondir");
	common = named_dir(path, "", gitdir);
	free(path);
	r->infodir = path_join(common != NULL ? common : gitdir, "info");
	r->global = find_global(common != NULL ? common : gitdir);
	free(common);
	repo_reload(r);
	repo_look_lock(r);
	return r;
}

void repo_free(struct repo *r)
{
	if (r == NULL)
		return;
	ignore_free(r->info);
	ignore_free(r->excludes);
	free(r->gitdir);
	free(r->infodir);
	free(r->global);
	free(r);
}

static bool lists_equal(const struct ignore *a, const struct ignore *b)
{
	size_t n = a != NULL ? ignore_count(a) : 0, i;

	if (n != (b != NULL ? ignore_count(b) : 0))
		return false;
	for (i = 0; i < n; i++) {
		if (strcmp(ignore_rule(a, i)->text, ignore_rule(b, i)->text) !=
		    0)
			return false;
	}
	return true;
}

static bool replace(struct ignore **list, struct ignore *fresh)
{
	bool differs = !lists_equal(*list, fresh);

	ignore_free(*list);
	*list = fresh;
	return differs;
}

bool repo_reload(struct repo *r)
{
	char *path = path_join(r->infodir, "exclude");
	bool differs = replace(&r->info, repo_read_list(path, true));

	free(path);
	if (r->global != NULL)
		differs |=
			replace(&r->excludes, repo_read_list(r->global, true));
	return differs;
}

bool repo_look_lock(struct repo *r)
{
	char *path = path_join(r->gitdir, "index.lock");
	struct stat st;

	r->locked = lstat(path, &st) == 0 &&
		    time(NULL) - st.st_mtime < STALE_LOCK_S;
	free(path);
	return r->locked;
}
