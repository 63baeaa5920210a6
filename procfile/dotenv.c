/* SPDX-License-Identifier: MIT */
/* The grammar of .env files, and the environment of a service. */
#include "procfile/dotenv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "procfile/load.h"

/* execve(2) takes 128 KiB for one "KEY=value", the NUL included. */
#define VALUE_MAX_BYTES 131000
/* ${A:-${B:-…}} */
#define NESTING_MAX 8

struct reader {
	struct env *env;
	const struct env *shell; /* wins over the file, or NULL */
	const char *file;
	const char *p; /* where we are; the text ends with a NUL */
	int line;      /* of p */
	const char *line_start;
	struct buf value;
	const char *fault; /* what is wrong with this line, or NULL */
	const char *hint;
	const char *fault_at;
};

static int fail(struct reader *r, const char *at, const char *hint,
		const char *what)
{
	r->fault = what;
	r->hint = hint;
	r->fault_at = at;
	return -1;
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && ((c >= '0' && c <= '9') || c == '.'));
}

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (is_name_char(s[n], n == 0))
		n++;
	return n;
}

static void skip_blanks(struct reader *r)
{
	r->p += strspn(r->p, " \t");
}

static int put(struct reader *r, const char *s, size_t len)
{
	if (r->value.len + len > VALUE_MAX_BYTES ||
	    buf_add(&r->value, s, len) < 0)
		return fail(r, r->p, NULL,
			    "the value is longer than 131000 bytes");
	return 0;
}

static const char *look_up(struct reader *r, const char *name, size_t len)
{
	char *copy = xstrndup(name, len);
	const char *found = NULL;

	if (r->shell != NULL)
		found = env_get(r->shell, copy);
	if (found == NULL)
		found = env_get(r->env, copy);
	free(copy);
	return found;
}

/* A variable's name in "$A.b" ends at the dot, as in sh. */
static size_t reference_len(const char *s)
{
	size_t n = name_len(s), dot = strcspn(s, ".");

	return dot < n ? dot : n;
}

static int expand(struct reader *r, int depth);

/* The default in ${NAME:-default}, up to its brace; kept if wanted. */
static int read_default(struct reader *r, bool wanted, int depth)
{
	size_t len = r->value.len;

	while (*r->p != '}') {
		if (*r->p == '\0' || *r->p == '\n')
			return fail(r, r->p, NULL, "'${' without '}'");
		if (*r->p == '$') {
			if (expand(r, depth + 1) < 0)
				return -1;
		} else if (put(r, r->p++, 1) < 0) {
			return -1;
		}
	}
	if (!wanted && r->value.data != NULL) {
		r->value.len = len;
		r->value.data[len] = '\0';
	}
	return 0;
}

static int expand_braced(struct reader *r, int depth)
{
	const char *start = r->p, *name = start + 2, *found;
	size_t n = name_len(name);
	bool colon;

	if (depth > NESTING_MAX)
		return fail(r, start, NULL, "'${' is nested too deeply");
	r->p = name + n;
	colon = *r->p == ':';
	r->p += colon;
	if (n == 0 || (*r->p != '}' && *r->p != '-') || (colon && *r->p != '-'))
		return fail(r, start, "write '\\$' for a plain '$'",
			    "only ${NAME} and ${NAME:-default} are known "
			    "here");
	found = look_up(r, name, n);
	if (colon && found != NULL && *found == '\0')
		found = NULL;
	if (found != NULL && put(r, found, strlen(found)) < 0)
		return -1;
	if (*r->p == '-') {
		r->p++;
		if (read_default(r, found == NULL, depth) < 0)
			return -1;
	}
	r->p++;
	return 0;
}

/* At a '$'. What is no reference stays as it is: nothing is ever run. */
static int expand(struct reader *r, int depth)
{
	const char *name = r->p + 1, *found;
	size_t n = reference_len(name);

	if (*name == '{')
		return expand_braced(r, depth);
	if (n == 0)
		return put(r, r->p++, 1);
	r->p = name + n;
	found = look_up(r, name, n);
	return found != NULL ? put(r, found, strlen(found)) : 0;
}

static void count_line(struct reader *r)
{
	if (*r->p == '\n') {
		r->line++;
		r->line_start = r->p + 1;
	}
}

static int read_single(struct reader *r)
{
	const char *open = r->p++;

	for (; *r->p != '\''; r->p++) {
		if (*r->p == '\0')
			return fail(r, open, NULL, "\"'\" is never closed");
		if (put(r, r->p, 1) < 0)
			return -1;
		count_line(r);
	}
	r->p++;
	return 0;
}

/* After a backslash inside double quotes. */
static int read_escape(struct reader *r)
{
	static const char from[] = "nrt\"\\$`", to[] = "\n\r\t\"\\$`";
	const char *found = *r->p != '\0' ? strchr(from, *r->p) : NULL;

	if (*r->p == '\n') {
		count_line(r);
		r->p++;
		return 0;
	}
	if (found == NULL)
		return put(r, "\\", 1); /* as sh: it stands for itself */
	r->p++;
	return put(r, &to[found - from], 1);
}

static int read_double(struct reader *r)
{
	const char *open = r->p++;
	int rc = 0;

	while (rc == 0 && *r->p != '"') {
		if (*r->p == '\0')
			return fail(r, open, NULL, "'\"' is never closed");
		if (*r->p == '\\') {
			r->p++;
			rc = read_escape(r);
		} else if (*r->p == '$') {
			rc = expand(r, 0);
		} else {
			count_line(r);
			rc = put(r, r->p++, 1);
		}
	}
	r->p++;
	return rc;
}

/* Up to the end of the line, or white space and '#'. */
static int read_plain(struct reader *r)
{
	size_t keep = 0;
	int rc = 0;

	while (rc == 0 && *r->p != '\0' && *r->p != '\n') {
		if (*r->p == '#' && (r->p[-1] == ' ' || r->p[-1] == '\t'))
			break;
		if (*r->p == '$') {
			rc = expand(r, 0);
			keep = r->value.len;
			continue;
		}
		if (r->p[0] == '\\' && r->p[1] == '$')
			r->p++;
		rc = put(r, r->p, 1);
		if (*r->p != ' ' && *r->p != '\t')
			keep = r->value.len;
		r->p++;
	}
	if (r->value.data != NULL) {
		r->value.len = keep;
		r->value.data[keep] = '\0';
	}
	return rc;
}

static int read_value(struct reader *r)
{
	bool quoted = *r->p == '"' || *r->p == '\'', blank;
	int rc;

	if (!quoted)
		return read_plain(r);
	rc = *r->p == '"' ? read_double(r) : read_single(r);
	if (rc < 0)
		return -1;
	blank = *r->p == ' ' || *r->p == '\t';
	skip_blanks(r);
	if (*r->p != '\0' && *r->p != '\n' && !(blank && *r->p == '#'))
		return fail(r, r->p,
			    "quote the whole value; a comment needs a space "
			    "before '#'",
			    "text after the closing quote");
	return 0;
}

static bool skip_export(struct reader *r)
{
	if (strncmp(r->p, "export", 6) != 0 ||
	    (r->p[6] != ' ' && r->p[6] != '\t'))
		return false;
	r->p += 6;
	skip_blanks(r);
	if (*r->p == '=') { /* a variable named export */
		r->p = strstr(r->line_start, "export");
		return false;
	}
	return true;
}

static void set(struct reader *r, const char *name, int line)
{
	char *origin;

	if (r->shell != NULL && env_get(r->shell, name) != NULL)
		return;
	origin = xasprintf("%s:%d", r->file, line);
	env_set(r->env, name, buf_str(&r->value), origin);
	free(origin);
}

/* One assignment; its value may span lines. */
static int read_assignment(struct reader *r)
{
	const char *start;
	int line = r->line;
	char *name;
	size_t n;

	skip_export(r);
	start = r->p;
	n = name_len(start);
	if (n == 0)
		return fail(r, start,
			    "a name consists of letters, digits and '_'",
			    "this is no KEY=value");
	r->p += n;
	skip_blanks(r);
	if (*r->p != '=')
		return fail(r, r->p, "write KEY=value",
			    "'=' is missing after the name");
	r->p++;
	skip_blanks(r);
	buf_clear(&r->value);
	if (read_value(r) < 0)
		return -1;
	name = xstrndup(start, n);
	set(r, name, line);
	free(name);
	return 0;
}

static void skip_line(struct reader *r)
{
	r->p += strcspn(r->p, "\n");
	if (*r->p == '\n') {
		count_line(r);
		r->p++;
	}
}

/* Report what is wrong and go on behind the line that began at start. */
static void give_up_line(struct reader *r, const char *start, int line,
			 struct problems *problems)
{
	struct where at = { r->file, line, 1 };
	const char *p;

	for (p = start; p < r->fault_at; p++) {
		at.col++;
		if (*p == '\n') {
			at.line++;
			at.col = 1;
		}
	}
	problems_error(problems, &at, r->hint, "%s", r->fault);
	r->p = r->line_start = start;
	r->line = line;
}

static void read_all(struct reader *r, struct problems *problems)
{
	const char *start;
	int line;

	while (*r->p != '\0') {
		start = r->line_start = r->p;
		line = r->line;
		skip_blanks(r);
		r->fault = NULL;
		if (*r->p != '#' && *r->p != '\n' && *r->p != '\0' &&
		    read_assignment(r) < 0)
			give_up_line(r, start, line, problems);
		skip_line(r);
	}
}

/* A copy with CRLF made LF and NULs made visible nonsense. */
static char *copy_text(const char *text, size_t len, size_t *nul)
{
	char *copy = xmalloc(len + 1), *out = copy;
	size_t i;

	*nul = len;
	for (i = 0; i < len; i++) {
		if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if (text[i] == '\0') {
			*nul = i;
			break;
		}
		*out++ = text[i];
	}
	*out = '\0';
	return copy;
}

static int count_lines(const char *text, size_t len)
{
	int n = 1;
	size_t i;

	for (i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

void dotenv_parse(struct env *e, const char *file, const char *text, size_t len,
		  const struct env *shell, struct problems *problems)
{
	struct reader r = { .env = e, .shell = shell, .file = file, .line = 1 };
	struct where at = { file, 0, 0 };
	size_t nul;
	char *copy;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	copy = copy_text(text, len, &nul);
	r.p = copy;
	buf_init(&r.value, VALUE_MAX_BYTES);
	read_all(&r, problems);
	if (nul < len) {
		at.line = count_lines(text, nul);
		problems_error(problems, &at, NULL,
			       "a NUL byte; nothing after it is read");
	}
	buf_done(&r.value);
	free(copy);
}

/* What a person in the working directory would call the file. */
static const char *shown(const char *path)
{
	char *cwd = getcwd(NULL, 0);
	const char *name = cwd != NULL ? path_relative(path, cwd) : path;

	free(cwd);
	return name;
}

static void build_file(struct env *e, const char *path, const struct env *shell,
		       struct problems *problems)
{
	struct err err;
	struct buf text;

	buf_init(&text, LOAD_FILE_MAX_BYTES);
	if (path_read(path, &text, &err) < 0)
		problems_add(problems, &err, false);
	else
		dotenv_parse(e, shown(path), buf_str(&text), text.len, shell,
			     problems);
	buf_done(&text);
}

void dotenv_build(struct env *e, char *const *environment,
		  const char *const *stack_files, enum env_precedence order,
		  const struct service *s, struct problems *problems)
{
	const struct where *at = service_key(s, "env");
	struct env shell = { 0 };
	const struct env *wins = order == ENV_SHELL_WINS ? &shell : NULL;
	const char *const *p;
	char *origin;

	env_init(e, environment);
	if (wins != NULL)
		env_init(&shell, environment);
	for (p = stack_files; p != NULL && *p != NULL; p++)
		build_file(e, *p, wins, problems);
	for (p = s->env_file; p != NULL && *p != NULL; p++)
		build_file(e, *p, wins, problems);
	origin = at != NULL && at->file != NULL ?
			 xasprintf("%s:%d", at->file, at->line) :
			 xstrdup("hr.conf");
	for (p = s->env; p != NULL && *p != NULL; p++)
		env_put(e, *p, origin);
	free(origin);
	env_free(&shell);
}
