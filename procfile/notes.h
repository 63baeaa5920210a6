/* SPDX-License-Identifier: MIT */
/* Keys that files set but that have no effect yet, for `hr up` to say. */
#ifndef HR_PROCFILE_NOTES_H
#define HR_PROCFILE_NOTES_H

struct conf;
struct model;

/* For load_model(): fill m->inert from what the files set. */
void notes_collect(struct model *m, const struct conf *conf);

/*
 * Call say once per such value, in the order of the files, with one line:
 * `hr.conf:12: service web: tty = "true" has no effect yet`. line: BORROWED.
 */
void notes_each(const struct model *m,
		void (*say)(void *data, const char *line), void *data);

#endif
