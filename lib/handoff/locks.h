/* SPDX-License-Identifier: MIT */
/*
 * Lock files that outlive nobody: flock, released by the kernel with the
 * last process that holds the descriptor.
 *
 * A file named by `lock` is never opened or flocked itself (SQLite's locks
 * fall when any descriptor of the inode is closed; bbolt flocks its own
 * file). Instead lock files stand for it in a directory of the user that all
 * stacks share, under up to three names: by the file's inode if it exists, by
 * its directory's inode plus its name if that exists, and by its resolved
 * path always, so that two paths to the same file meet, also before it exists.
 */
#ifndef HR_HANDOFF_LOCKS_H
#define HR_HANDOFF_LOCKS_H

#include <stddef.h>
#include <sys/types.h>

struct err;

/* The shared directory: /run/user/UID/hr if /run/user/UID is ours, else
 * /tmp/hr-UID; made 0700, refused if it is not ours or a link. OWNED: free().
 * NULL with err. */
char *locks_shared_dir(struct err *err);

struct locks;

/*
 * paths: files or directories to hold exclusively, BORROWED. own_file: one
 * more lock file, itself locked (".hr/run/NAME.1.lock"), or NULL.
 * OWNED: locks_free(), which releases. NULL with err.
 */
struct locks *locks_new(const char *shared_dir, const char *const *paths,
			const char *own_file, struct err *err);
/* Shared lock files are removed again, own_file stays; NULL is fine. */
void locks_free(struct locks *l);
/* Try to take all that are missing, in one fixed order (no deadlock between
 * two keepers). owner: text written into each lock file taken: "PID who".
 * Returns 1 when all are held, 0 if one is held by another (see below), -1
 * with err. */
int locks_try(struct locks *l, const char *owner, struct err *err);
/* The path that was held by another at the last try, and what its owner
 * wrote; BORROWED until the next try. pid 0 if unknown. */
const char *locks_blocked_by(const struct locks *l, pid_t *pid,
			     const char **who);
/* The lock file itself that was held by another, or NULL. BORROWED. */
const char *locks_blocked_file(const struct locks *l);
/* The descriptors of all locks that are held, for a process that inherits
 * them: it then keeps the locks beyond our own end. BORROWED; returns how
 * many, at most max. */
size_t locks_fds(const struct locks *l, int *fds, size_t max);

#endif
