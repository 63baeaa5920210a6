/* SPDX-License-Identifier: MIT */
/* What the files of the tree share: tree.c, scan.c, events.c, index.c. */
#ifndef HR_WATCH_TREEINT_H
#define HR_WATCH_TREEINT_H

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/watch/nodes.h"
#include "lib/watch/sets.h"
#include "lib/watch/tree.h"
#include "procfile/model.h"

/* A change clock is coarse: what is this much older than a moment may have
 * happened after it. */
#define CTIME_SLACK_NS ((int64_t)20000000)

struct sub {
	const struct filter *filter;
	const struct watch *w;
	unsigned kind; /* equal filters have the same */
	bool armed;
	int64_t since_ns;
};

enum scan_mode {
	SCAN_ARM,     /* existing: directories now, files by the indexer */
	SCAN_NEW,     /* just appeared: whatever is in it has been touched */
	SCAN_COMPARE, /* events were lost: touched is what differs */
};

struct todo {
	struct dir *dir;
	enum scan_mode mode;
};

struct entry {
	uint32_t name; /* offset in names */
	uint8_t type;  /* DT_… */
};

struct listing {
	struct buf names;
	VEC(struct entry) v;
	bool has_gitignore;
	bool has_git;
};

struct tree {
	int fd;
	char *stack_dir;
	const struct tree_ops *ops;
	void *data;
	struct nodes *nodes;
	struct sets *sets;
	struct sub *subs[SETS_SLOTS];
	unsigned n_subs;  /* slots that were ever used */
	struct dir **wds; /* hash table of wd */
	size_t wds_size;
	size_t n_wds;
	VEC(struct todo) todo;
	VEC(struct dir *) queue;     /* for the indexer, LIFO; held */
	VEC(struct file *) unhashed; /* for the indexer; held */
	VEC(struct dir *) dirty;     /* ignore rules changed; held */
	VEC(struct dir *) polled;    /* held */
	VEC(struct dir *) repos;     /* directories with .git; held */
	struct listing listing;
	struct buf path;	    /* scratch */
	struct buf child;	    /* scratch */
	const struct dir *child_of; /* child begins with its path */
	uint32_t turn;
	bool recheck; /* roots may have come, gone, or be others now */
	bool overflow;
	bool limited; /* the limit of watches has been told */
	bool git_locked;
	int64_t poll_cost_us; /* of the last tree_poll */
	/* Verdicts of one path, by kind of filter and narrowness. */
	uint32_t memo_turn;
	uint32_t memo_at[SETS_SLOTS * 2];
	uint8_t memo[SETS_SLOTS * 2];
};

/* ---- tree.c */
void tree_map_wd(struct tree *t, struct dir *d, int wd);
void tree_unmap_wd(struct tree *t, struct dir *d);
struct dir *tree_by_wd(const struct tree *t, int wd);
void dir_hold(struct dir *d);
void dir_release(struct tree *t, struct dir *d);
void dir_free_if_idle(struct tree *t, struct dir *d);
void tree_touch(struct tree *t, struct file *f, enum change_kind kind);
/* The path as patterns see it. BORROWED from abs. */
const char *tree_pattern_path(const struct tree *t, const char *abs);

/* ---- interest.c: who wants a path */
struct interest {
	uint32_t set;
	uint32_t narrow;
};
/* abs: of the directory; d: its node if there is one. link: it is reached by
 * a symbolic link. */
struct interest tree_dir_interest(struct tree *t, const struct dir *parent,
				  const struct dir *d, const char *abs,
				  bool link);
uint32_t tree_file_interest(struct tree *t, const struct dir *parent,
			    const char *abs);
/* What .gitignore files say about a path in parent, or NULL. */
const struct ignore_rule *tree_git_rule(const struct dir *parent,
					const char *abs, bool is_dir);

/* ---- scan.c */
void scan_push(struct tree *t, struct dir *d, enum scan_mode mode);
/* Work off what was pushed. */
void scan_run(struct tree *t);
/* Watch it, or mark it for polling. Returns false if it is not there. */
bool scan_watch(struct tree *t, struct dir *d, const char *path, bool all);
/* A directory of that name is there: follow it if anyone wants it. */
void scan_child_dir(struct tree *t, struct dir *parent, const char *name,
		    enum scan_mode mode, bool link);
/* A file of that name appeared in a new or compared directory. */
void scan_child_file(struct tree *t, struct dir *parent, const char *name,
		     uint8_t type, enum scan_mode mode);
/* It is gone: all that was in it counts as touched. */
void scan_gone(struct tree *t, struct dir *d);
/* Nobody wants it any more. */
void scan_drop(struct tree *t, struct dir *d);
/* Into t->listing. Returns 0, or -1 with errno. Fills dev and ino. */
int scan_list(struct tree *t, struct dir *d, const char *path,
	      int64_t *ctime_ns);
/* Touch it for those who want to hear of changes since a moment before it was
 * last changed. */
void scan_since_file(struct tree *t, struct file *f, const char *abs);
/* Whether somebody has it open for writing. */
bool scan_is_written(const char *path);

/* ---- roots.c */
/* Find each root again; touch: what appears or goes counts as touched. */
void roots_place(struct tree *t, unsigned slot, enum scan_mode mode);
void roots_recheck(struct tree *t);
/* Whether a name in a directory on the way concerns a root. */
bool roots_concern(const struct tree *t, const char *abs);
/* The repositories around and in a directory. */
void roots_find_repo(struct tree *t, struct dir *d);
void roots_open_repo(struct tree *t, struct dir *d);
void roots_close_repo(struct tree *t, struct dir *d);

/* ---- events.c */
/* What was put off until all events were read. */
void events_finish(struct tree *t);

/* ---- index.c */
void index_dir(struct tree *t, struct dir *d);
void index_file(struct tree *t, struct file *f);

#endif
