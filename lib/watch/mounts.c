/* SPDX-License-Identifier: MIT */
/* /proc/self/mountinfo: proc(5). */
#include "lib/watch/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"

#define MOUNTINFO_MAX_BYTES ((size_t)8 << 20)

static const char *const silent[] = {
	"9p",	 "afs",	      "ceph",	  "cifs",   "fuse",
	"gfs2",	 "glusterfs", "lustre",	  "ncpfs",  "nfs",
	"nfs4",	 "ocfs2",     "overlay",  "prl_fs", "smb3",
	"smbfs", "vboxsf",    "virtiofs", "vmhgfs", NULL
};

bool mounts_is_silent(const char *type)
{
	return strv_has(silent, type) || str_starts(type, "fuse.");
}

/* `\040` and its like, in place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] != 0 &&
		    s[3] != 0) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
					(s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* id parent major:minor root MOUNTPOINT options… - TYPE source … */
static bool parse(char *line, char **point, char **type)
{
	char *dash = strstr(line, " - ");
	int i;

	if (dash == NULL)
		return false;
	*type = dash + 3;
	(*type)[strcspn(*type, " ")] = '\0';
	for (i = 0; i < 4; i++) {
		line = strchr(line, ' ');
		if (line == NULL)
			return false;
		line++;
	}
	line[strcspn(line, " ")] = '\0';
	unescape(line);
	*point = line;
	return true;
}

bool mounts_type(const char *mountinfo, const char *path, char *type,
		 size_t size)
{
	char *text = xstrdup(mountinfo), *rest = text, *line, *point, *t;
	size_t best = 0, len;
	bool found = false;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (!parse(line, &point, &t) ||
		    !(str_eq(point, "/") || path_is_below(path, point)))
			continue;
		/* Of two on the same place the later hides the earlier. */
		len = strlen(point);
		if (len < best)
			continue;
		best = len;
		found = true;
		snprintf(type, size, "%s", t);
	}
	free(text);
	return found;
}

bool mounts_must_poll(const char *path, char *type, size_t size)
{
	struct buf b;
	bool yes;

	buf_init(&b, MOUNTINFO_MAX_BYTES);
	yes = path_read("/proc/self/mountinfo", &b, NULL) == 0 &&
	      mounts_type(buf_str(&b), path, type, size) &&
	      mounts_is_silent(type);
	buf_done(&b);
	return yes;
}
