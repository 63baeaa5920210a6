/* SPDX-License-Identifier: MIT */
/*
 * What a git repository adds to the watching of its work tree: the ignore
 * lists outside of the tree (info/exclude, core.excludesFile), and whether
 * git is at work (index.lock).
 */
#ifndef HR_WATCH_REPO_H
#define HR_WATCH_REPO_H

#include <stdbool.h>
#include <stddef.h>

struct ignore;

struct repo {
	char *gitdir;  /* with index.lock */
	char *infodir; /* with exclude; of the main work tree */
	char *global;  /* core.excludesFile, or NULL */
	struct ignore *info;
	struct ignore *excludes; /* of global */
	bool locked;
};

/* work_tree: a directory. NULL if it holds no .git (directory, or file that
 * names one). OWNED: repo_free(). */
struct repo *repo_open(const char *work_tree);
void repo_free(struct repo *r);
/* Read the lists again. Returns whether they differ. */
bool repo_reload(struct repo *r);
/* Look for index.lock: held if it is there, and not left over by a git that
 * died (older than 10 s). Sets and returns r->locked. */
bool repo_look_lock(struct repo *r);

/* One list from one file; NULL if there is none. */
struct ignore *repo_read_list(const char *path, bool follow);
/* core.excludesFile as the text of one config file says; false if not. */
bool repo_config_excludes(const char *text, char *out, size_t size);

#endif
