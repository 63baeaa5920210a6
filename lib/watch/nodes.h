/* SPDX-License-Identifier: MIT */
/*
 * Directories and files by name: one tree from "/" down, of what is watched,
 * and of the way there.
 *
 * A node is found by (parent, name) in one hash table. Directories know their
 * children; files carry their stamp. About 150 bytes a file.
 */
#ifndef HR_WATCH_NODES_H
#define HR_WATCH_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/watch/baseline.h"

struct buf;
struct dir;
struct ignore;
struct repo;

struct node {
	struct dir *parent; /* NULL: "/" */
	struct node *next;  /* among the parent's children */
	struct node *prev;
	struct node *chain; /* in the hash table */
	uint32_t hash;
	uint32_t set;  /* who wants it (sets.h) */
	uint32_t refs; /* who holds it; a directory's children do */
	bool is_dir;
	bool seen;    /* by the rescan that is under way */
	bool follows; /* a symbolic link that is followed */
};

enum dir_flag {
	DIR_LIVE = 1,	  /* exists and is watched, or polled */
	DIR_ROOT = 2,	  /* somebody's watched directory: never pruned */
	DIR_WAY = 4,	  /* on the way to a root: its renaming matters */
	DIR_HOT = 8,	  /* a way where names matter: next one is missing, is
			     a link or a file, or ignore rules live here */
	DIR_LISTED = 16,  /* its files have been recorded */
	DIR_QUEUED = 32,  /* waits for the indexer */
	DIR_POLLED = 64,  /* no events come: looked at from time to time */
	DIR_GITDIR = 128, /* holds index.lock, or info/exclude */
	DIR_WARNED = 256, /* its trouble has been told */
	DIR_PUSHED = 512, /* waits for a SCAN_ARM already */
};

struct dir {
	struct node node;
	struct node *children;
	struct dir *same_wd; /* further directory with this wd: a link */
	struct dir *wd_chain;
	struct ignore *ignore; /* its .gitignore, or NULL */
	struct repo *repo;     /* it holds .git; else NULL */
	uint64_t dev, ino;     /* when it was last opened */
	int64_t armed_ns;      /* real time when it was first watched */
	int wd;		       /* or -1 */
	uint32_t narrow;       /* of node.set: only for their strong includes */
	uint32_t roots;	       /* those for whom it is a root */
	uint32_t flags;
	uint32_t path_len; /* "/" counts as 0 */
	char name[];
};

struct file {
	struct node node;
	struct stamp stamp;
	uint32_t turn;	 /* of the last look */
	bool tentative;	 /* stamp is newer than events not read yet */
	bool unfinished; /* created, its writer has not closed it */
	char name[];
};

struct nodes;

struct nodes *nodes_new(void);
void nodes_free(struct nodes *n);
struct dir *nodes_top(struct nodes *n);
size_t nodes_files(const struct nodes *n);
size_t nodes_dirs(const struct nodes *n);

/* NULL if there is none. */
struct dir *dir_find(const struct nodes *n, const struct dir *parent,
		     const char *name);
struct file *file_find(const struct nodes *n, const struct dir *parent,
		       const char *name);
/* Found or made; a new file's stamp is STAMP_UNKNOWN. */
struct dir *dir_get(struct nodes *n, struct dir *parent, const char *name);
struct file *file_get(struct nodes *n, struct dir *parent, const char *name);
/* Removes it from the tree; a directory must have no children. Its ignore
 * list and repo must be gone. */
void node_free(struct nodes *n, struct node *node);

struct dir *as_dir(struct node *node);
struct file *as_file(struct node *node);
const char *node_name(const struct node *node);
/* The absolute path into b (cleared first). Returns buf_str(b). */
const char *node_path(const struct node *node, struct buf *b);

#endif
