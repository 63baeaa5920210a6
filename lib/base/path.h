/* SPDX-License-Identifier: MIT */
/* File names as text: joined, cleaned, compared. No system calls but in
 * path_mkdirs and path_read. */
#ifndef HR_BASE_PATH_H
#define HR_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct err;

/* dir/name, or name alone if it is absolute; cleaned. OWNED: free(). */
char *path_join(const char *dir, const char *name);
/* In place: no "//", no "/./", "a/../" resolved as text, no trailing "/". */
void path_clean(char *path);
/* Whether path is dir itself or lies below it; both absolute and clean. */
bool path_is_below(const char *path, const char *dir);
/* path relative to dir if it lies below it ("." for dir itself), else path. */
const char *path_relative(const char *path, const char *dir);
/* Last component. BORROWED from path. */
const char *path_base(const char *path);
/* All but the last component. OWNED: free(). */
char *path_dir(const char *path);
/* mkdir -p. Returns 0, or -1 with err. */
int path_mkdirs(const char *path, mode_t mode, struct err *err);
/* Whole file into out (which carries the limit). Returns 0, or -1 with err;
 * err->sys is errno of open or read, ERR_LIMIT if it is too large. */
int path_read(const char *path, struct buf *out, struct err *err);

#endif
