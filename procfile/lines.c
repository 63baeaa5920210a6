/* SPDX-License-Identifier: MIT */
/* The grammar of a Procfile. */
#include "procfile/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "procfile/load.h"

/* execve(2) takes 128 KiB in one string; a message of ours less than that. */
#define COMMAND_MAX_BYTES 65536

struct reader {
	struct lines *out;
	struct arena *arena;
	const char *file;
	const char *next; /* rest of the text */
	const char *end;
	int line; /* number of the line that next begins */
	bool lenient;
	struct problems *problems;
};

static bool is_name_char(char c, bool first)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '_')
		return true;
	return !first && (c == '.' || c == '-');
}

size_t lines_name_len(const char *s)
{
	size_t n = 0;

	while (is_name_char(s[n], n == 0))
		n++;
	return n;
}

const char *lines_name_fault(const char *name)
{
	size_t n = lines_name_len(name);

	if (name[0] == '\0')
		return "must not be empty";
	if (n == 0)
		return "begins with a letter, a digit or '_'";
	if (name[n] != '\0')
		return "consists of letters, digits, '_', '.' and '-'";
	if (n >= SERVICE_NAME_MAX)
		return "has at most 63 characters";
	return NULL;
}

/* One line without its end, which may be LF, CRLF or the end of the file. */
static size_t take_line(struct reader *r, const char **start)
{
	const char *lf = memchr(r->next, '\n', (size_t)(r->end - r->next));
	const char *stop = lf != NULL ? lf : r->end;
	size_t len = (size_t)(stop - r->next);

	*start = r->next;
	r->next = lf != NULL ? lf + 1 : r->end;
	r->line++;
	return len > 0 && stop[-1] == '\r' ? len - 1 : len;
}

static bool is_continued(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[len - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

static size_t skip_blanks(const char *s, size_t i)
{
	return i + strspn(s + i, " \t");
}

static bool is_comment_or_blank(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && (s[i] == ' ' || s[i] == '\t'))
		i++;
	return i == len || s[i] == '#';
}

static void complain(struct reader *r, int line, size_t col, const char *hint,
		     const char *what)
{
	struct where at = { r->file, line, (int)col + 1 };

	problems_report(r->problems, r->lenient, &at, hint, "%s", what);
}

/* Nobody means them, and a terminal that shows them may do anything. */
static bool find_control(const struct buf *text, size_t *at)
{
	unsigned char c;

	for (*at = 0; *at < text->len; ++*at) {
		c = (unsigned char)text->data[*at];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/*
 * A line and those that it continues with, into text.
 * Returns 0, or -1 with a complaint.
 */
static int take_joined(struct reader *r, struct buf *text)
{
	int first = r->line;
	const char *s;
	size_t len = take_line(r, &s);
	bool more = is_continued(s, len) && !is_comment_or_blank(s, len);
	bool fits = true, ended = false;
	char what[40];
	size_t odd;

	while (more) {
		fits = fits && buf_add(text, s, len - 1) == 0;
		ended = r->next == r->end;
		if (ended)
			break;
		len = take_line(r, &s);
		more = is_continued(s, len);
	}
	if (ended) {
		complain(r, r->line - 1, len - 1, "remove the '\\'",
			 "'\\' joins the next line, but the file ends here");
		return -1;
	}
	if (!fits || buf_add(text, s, len) < 0) {
		complain(r, first, 0, "move the command into a script",
			 "the line is longer than 65536 bytes");
		return -1;
	}
	if (find_control(text, &odd)) {
		snprintf(what, sizeof(what), "control character 0x%02x",
			 (unsigned int)(unsigned char)text->data[odd]);
		complain(r, first, odd, NULL, what);
		return -1;
	}
	return 0;
}

static struct line *find(const struct lines *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

static void add(struct reader *r, struct line *line)
{
	struct line *first = find(r->out, line->name);

	if (first == NULL && r->out->n == LOAD_SERVICES_MAX) {
		problems_error(r->problems, &line->at, NULL,
			       "more than %d services; the rest is not read",
			       LOAD_SERVICES_MAX);
		r->next = r->end;
		return;
	}
	if (first == NULL) {
		VEC_PUSH(r->out, *line);
		return;
	}
	problems_report(r->problems, r->lenient, &line->at,
			arena_printf(r->arena,
				     "rename one of them, or remove line %d",
				     first->at.line),
			"service '%s' is defined twice (first at line %d)",
			line->name, first->at.line);
}

static const char no_service[] = "this is no `name: command`";

static void complain_name(struct reader *r, int line, const char *s, size_t i)
{
	size_t n = lines_name_len(s + i), after = skip_blanks(s, i + n);
	const char *colon = strchr(s + i, ':');

	if (n == 0 && s[i] == ':')
		complain(r, line, i, NULL, "a name is missing before ':'");
	else if (colon == NULL)
		complain(r, line, i,
			 "put the service's name and ':' in front, or '#' to "
			 "make it a comment",
			 no_service);
	else
		complain(r, line, after,
			 "a name consists of letters, digits, '_', '.' and "
			 "'-', and does not begin with '.' or '-'",
			 n == 0 ? no_service :
				  "the name is not followed by ':'");
}

/* s: one whole joined line that is neither blank nor a comment. */
static void parse_line(struct reader *r, int number, const char *s)
{
	size_t i = skip_blanks(s, 0), n = lines_name_len(s + i);
	size_t colon = skip_blanks(s, i + n), start, end;
	struct line line = { .at = { r->file, number, (int)i + 1 } };

	if (n == 0 || s[colon] != ':') {
		complain_name(r, number, s, i);
		return;
	}
	line.name = arena_strndup(r->arena, s + i, n);
	if (lines_name_fault(line.name) != NULL) {
		complain(r, number, i, NULL,
			 "a name has at most 63 characters");
		return;
	}
	start = skip_blanks(s, colon + 1);
	end = strlen(s);
	while (end > start && (s[end - 1] == ' ' || s[end - 1] == '\t'))
		end--;
	if (end == start)
		problems_report(r->problems, r->lenient, &line.at,
				"write what runs behind ':', or remove the "
				"line",
				"service '%s' has no command", line.name);
	else
		line.command = arena_strndup(r->arena, s + start, end - start);
	line.command_at = (struct where){ r->file, number, (int)start + 1 };
	if (line.command != NULL || !r->lenient)
		add(r, &line);
}

static void parse_all(struct reader *r)
{
	struct buf text;
	int number;

	buf_init(&text, COMMAND_MAX_BYTES);
	while (r->next < r->end) {
		number = r->line;
		buf_clear(&text);
		if (take_joined(r, &text) == 0 &&
		    !is_comment_or_blank(buf_str(&text), text.len))
			parse_line(r, number, buf_str(&text));
	}
	buf_done(&text);
}

void lines_parse(struct lines *out, struct arena *a, const char *file,
		 const char *text, size_t len, bool lenient,
		 struct problems *problems)
{
	struct reader r = { .out = out,
			    .arena = a,
			    .file = file,
			    .next = text,
			    .end = text + len,
			    .line = 1,
			    .lenient = lenient,
			    .problems = problems };

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.next += 3;
	parse_all(&r);
}

void lines_free(struct lines *l)
{
	VEC_FREE(l);
}
