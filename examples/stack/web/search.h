/* SPDX-License-Identifier: MIT */
/* Questions to the index. It belongs to ingest: opened to read, each time. */
#ifndef WEB_SEARCH_H
#define WEB_SEARCH_H

struct hit {
	const char *region, *title, *at;
};

typedef void (*hit_fn)(const struct hit *hit, void *arg);

/*
 * The newest titles that hold all that is in text, or of all if text is
 * empty. Returns how many, or -1 with *error, a text that stays valid.
 */
int search(const char *db_path, const char *text, hit_fn fn, void *arg,
	   const char **error);

#endif
