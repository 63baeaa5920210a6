/* SPDX-License-Identifier: MIT */
/* Descriptors: close once, write all, set flags. */
#ifndef HR_BASE_FD_H
#define HR_BASE_FD_H

#include <stddef.h>

struct err;

/* Close *fd unless it is -1, and make it -1. */
void fd_close(int *fd);
/* Returns 0, or -1 with errno. */
int fd_nonblock(int fd);
/* Write everything to a blocking fd. Returns 0, or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t len);
/* Open /dev/null on 0, 1 and 2 where they are closed, so that no descriptor
 * of ours ever lands there. */
void fd_fill_standard(void);
/* Raise the soft limit of descriptors to the hard one; returns the soft
 * limit before, to be given back to programs we start. */
unsigned long fd_raise_limit(void);

#endif
