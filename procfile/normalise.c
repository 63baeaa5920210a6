/* SPDX-License-Identifier: MIT */
/* hr.conf into tokens, and into text that libconfuse reads the same way. */
#include "procfile/normalise.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"
#include "procfile/load.h"
#include "procfile/model.h"

#define TOKENS_MAX 100000
#define VALUE_MAX_BYTES 65536
#define TEXT_MAX_BYTES (8 * LOAD_FILE_MAX_BYTES)

struct lexer {
	struct normal *out;
	struct arena *arena;
	const char *file;
	const char *p; /* where we are; the text ends with a NUL */
	const char *line_start;
	int line;
	bool fresh;	 /* no token on this line yet */
	bool suspicious; /* some quote is never closed: which one? */
	bool cut;	 /* the string being read ends with its line */
	bool said_quote; /* the unclosed quote has been reported */
	struct buf value;
	struct problems *problems;
};

static struct where here(const struct lexer *l, const char *p)
{
	return (struct where){ l->file, l->line, (int)(p - l->line_start) + 1 };
}

static void emit(struct lexer *l, const char *s, size_t len)
{
	(void)buf_add(&l->out->text, s, len);
}

static void new_line(struct lexer *l)
{
	emit(l, "\n", 1);
	l->line++;
	l->line_start = l->p + 1;
	l->fresh = true;
}

static struct token *add_token(struct lexer *l, enum token_kind kind)
{
	struct where at = here(l, l->p);
	struct token t = { .kind = kind,
			   .text = "",
			   .line = at.line,
			   .col = at.col,
			   .first = l->fresh,
			   .out = l->out->text.len };

	VEC_PUSH(l->out, t);
	l->fresh = false;
	return &l->out->v[l->out->n - 1];
}

/* ---- comments ----------------------------------------------------------- */

static bool at_comment(const struct lexer *l)
{
	return l->p[0] == '#' ||
	       (l->p[0] == '/' && (l->p[1] == '/' || l->p[1] == '*'));
}

static void skip_block_comment(struct lexer *l)
{
	struct where at = here(l, l->p);
	bool fresh = l->fresh;

	for (l->p += 2; l->p[0] != '*' || l->p[1] != '/'; l->p++) {
		if (*l->p == '\0') {
			problems_error(l->problems, &at, NULL,
				       "'/*' opened here is never closed");
			return;
		}
		if (*l->p == '\n')
			new_line(l);
	}
	l->fresh = l->fresh || fresh;
	l->p += 2;
	emit(l, " ", 1);
}

static void skip_comment(struct lexer *l)
{
	if (l->p[0] == '/' && l->p[1] == '*')
		skip_block_comment(l);
	else
		l->p += strcspn(l->p, "\n");
}

/* ---- quoted strings ----------------------------------------------------- */

/* One byte of a string's meaning, and how libconfuse is told it. */
static void put_byte(struct lexer *l, char c, bool verbatim)
{
	(void)buf_add(&l->value, &c, 1);
	if (c == '\n' && !verbatim) {
		emit(l, "\\n", 2);
		return;
	}
	if (c == '"' || c == '\\' || c == '$')
		emit(l, "\\", 1);
	emit(l, &c, 1);
}

static void put_text(struct lexer *l, const char *s)
{
	for (; *s != '\0'; s++)
		put_byte(l, *s, false);
}

/* The value for `${NAME}` or `${NAME:-default}`; *end is its brace. */
static const char *find_value(struct lexer *l, const char **end)
{
	const char *name = l->p + 2, *rest, *value;
	struct where at = here(l, l->p);
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
				"qrstuvwxyz0123456789_");

	rest = name + n;
	*end = rest + strcspn(rest, "}\"\n");
	if (**end != '}' || n == 0 ||
	    (rest != *end && strncmp(rest, ":-", 2) != 0)) {
		problems_error(l->problems, &at,
			       "in single quotes the shell gets it as it "
			       "stands",
			       "in double quotes only ${NAME} and "
			       "${NAME:-default} are known");
		return NULL;
	}
	value = getenv(arena_strndup(l->arena, name, n));
	if (rest != *end && (value == NULL || *value == '\0'))
		value = arena_strndup(l->arena, rest + 2,
				      (size_t)(*end - rest) - 2);
	if (value == NULL)
		problems_error(l->problems, &at,
			       "use single quotes if the shell shall expand "
			       "it when the command runs, or "
			       "${NAME:-default}",
			       "'%.*s' is not set; in double quotes variables "
			       "are expanded when this file is read",
			       (int)n, name);
	return value;
}

/*
 * At `${` inside double quotes. An unset variable is an error: libconfuse
 * would put nothing in its place, which breaks shell commands silently.
 */
static int expand(struct lexer *l)
{
	const char *end, *value = find_value(l, &end);

	if (value == NULL)
		return -1;
	put_text(l, value);
	l->p = end + 1;
	return 0;
}

/* After a backslash inside double quotes. Returns 0, or -1 if unknown. */
static int read_escape(struct lexer *l)
{
	static const char from[] = "ntre\"\\$'", to[] = "\n\t\r\033\"\\$'";
	const char *found = *l->p != '\0' ? strchr(from, *l->p) : NULL;
	struct where at = here(l, l->p - 1);

	if (*l->p == '\n') {
		new_line(l);
		/* A newline in the text, none in the value. */
		l->out->text.len--;
		emit(l, "\\\n", 2);
		l->p++;
		return 0;
	}
	if (found == NULL) {
		problems_error(l->problems, &at,
			       "write '\\\\' for a backslash, or use single "
			       "quotes",
			       "unknown escape '\\%.1s' in a double-quoted "
			       "string",
			       l->p);
		return -1;
	}
	l->p++;
	put_byte(l, to[found - from], false);
	return 0;
}

/* A control character: reported where it stands, and left out. */
static void bad_byte(struct lexer *l)
{
	struct where at = here(l, l->p);

	problems_error(l->problems, &at, NULL, "control character 0x%02x",
		       (unsigned int)(unsigned char)*l->p);
	l->p++;
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t' && c != '\n' &&
		c != '\0') ||
	       c == 0x7f;
}

static void read_single_byte(struct lexer *l)
{
	if (l->p[0] == '\\' && (l->p[1] == '\\' || l->p[1] == '\''))
		l->p++;
	else if (l->p[0] == '\\' && l->p[1] == '\n') {
		l->p++;
		(void)read_escape(l);
		return;
	}
	if (*l->p == '\n')
		new_line(l), (void)buf_add_char(&l->value, '\n');
	else
		put_byte(l, *l->p, true);
	l->p++;
}

static int read_double_byte(struct lexer *l)
{
	if (l->p[0] == '\\') {
		l->p++;
		return read_escape(l);
	}
	if (l->p[0] == '$' && l->p[1] == '{') {
		if (expand(l) == 0)
			return 0;
		put_byte(l, *l->p++, true);
		return -1;
	}
	if (*l->p == '\n')
		new_line(l), (void)buf_add_char(&l->value, '\n');
	else
		put_byte(l, *l->p, true);
	l->p++;
	return 0;
}

/* Whether a string that is still open ends here for want of a quote. */
static bool is_cut(const struct lexer *l)
{
	return *l->p == '\0' || (l->cut && *l->p == '\n');
}

/* `}`, `key = …` or `key {`: what a line of hr.conf may begin with. */
static bool is_conf_line(const char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");
	if (n == 0)
		return *s == '}';
	s += n + strspn(s + n, " \t");
	return *s == '=' || *s == '{' || strncmp(s, "+=", 2) == 0;
}

/* Whether the string that opens here has run over what comes after it. */
static bool is_runaway(const char *s, char quote)
{
	for (s++; *s != quote; s++) {
		if (s[0] == '\\' && s[1] != '\0')
			s++;
		if (*s == '\0' || (*s == '\n' && is_conf_line(s + 1)))
			return true;
	}
	return false;
}

static void say_unclosed(struct lexer *l, const struct where *at, char quote)
{
	if (!l->said_quote)
		problems_error(l->problems, at, NULL,
			       "%s opened here is never closed",
			       quote == '"' ? "'\"'" : "\"'\"");
	l->said_quote = true;
}

static void finish_string(struct lexer *l, size_t index, const struct where *at)
{
	struct token *t = &l->out->v[index];

	emit(l, "\"", 1);
	t->out_len = l->out->text.len - t->out;
	t->text = arena_strndup(l->arena, buf_str(&l->value), l->value.len);
	if (l->value.len < VALUE_MAX_BYTES)
		return;
	problems_error(l->problems, at, "move it into a script",
		       "the string is longer than %d bytes", VALUE_MAX_BYTES);
	t->bad = true;
}

static void read_string(struct lexer *l)
{
	struct where at = here(l, l->p);
	size_t index = l->out->n;
	bool bad = false;
	char quote = *l->p;

	add_token(l, TOKEN_STRING);
	emit(l, "\"", 1);
	buf_clear(&l->value);
	l->cut = l->suspicious && is_runaway(l->p, quote);
	for (l->p++; *l->p != quote && !is_cut(l);) {
		if (is_control(*l->p)) {
			bad_byte(l);
			bad = true;
		} else if (quote == '\'') {
			read_single_byte(l);
		} else if (read_double_byte(l) < 0) {
			bad = true;
		}
	}
	if (*l->p == quote) {
		l->p++;
	} else {
		say_unclosed(l, &at, quote);
		bad = true;
	}
	/* Several lines may have gone by. */
	l->fresh = false;
	l->out->v[index].bad = bad;
	finish_string(l, index, &at);
}

/* ---- words and signs ---------------------------------------------------- */

static const char word_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
				 "QRSTUVWXYZ0123456789_-./:@%~^!";
/* What libconfuse gives a meaning, or people expect one of. */
static const char stops[] = " \t\n={}(),\"'#";

static void bad_word(struct lexer *l, const char *odd)
{
	struct where at = here(l, odd);
	unsigned char c = (unsigned char)*odd;

	if (c >= 0x20 && c < 0x7f)
		problems_error(l->problems, &at, "put the value in quotes",
			       "'%c' outside quotes", c);
	else
		problems_error(l->problems, &at, "put the value in quotes",
			       "byte 0x%02x outside quotes", c);
}

/* Up to a stop; but `${…}` is one thing, if a wrong one. */
static size_t word_len(const char *s)
{
	size_t n = strcspn(s, stops);

	while (s[n] == '{' && n > 0 && s[n - 1] == '$') {
		n += strcspn(s + n, "}\n");
		n += s[n] == '}';
		n += strcspn(s + n, stops);
	}
	return n;
}

static void read_word(struct lexer *l)
{
	size_t n = word_len(l->p), good = strspn(l->p, word_chars);
	const char *slashes;
	struct token *t;

	/* a+={…} */
	if (l->p[n] == '=' && n > 1 && l->p[n - 1] == '+')
		n--;
	t = add_token(l, TOKEN_WORD);
	t->text = arena_strndup(l->arena, l->p, n);
	t->out_len = n;
	slashes = strstr(t->text, "//");
	if (slashes != NULL && (size_t)(slashes - t->text) < good)
		good = (size_t)(slashes - t->text);
	if (good < n) {
		t->bad = true;
		bad_word(l, l->p + good);
	}
	emit(l, l->p, n);
	l->p += n;
}

static bool read_sign(struct lexer *l)
{
	static const char signs[] = "={},()";
	static const enum token_kind kinds[] = {
		TOKEN_ASSIGN, TOKEN_OPEN,	TOKEN_CLOSE,
		TOKEN_COMMA,  TOKEN_PAREN_OPEN, TOKEN_PAREN_CLOSE
	};
	const char *found = strchr(signs, *l->p);
	size_t len = 1;
	struct token *t;

	if (l->p[0] == '+' && l->p[1] == '=') {
		t = add_token(l, TOKEN_APPEND);
		len = 2;
	} else if (found != NULL) {
		t = add_token(l, kinds[found - signs]);
	} else {
		return false;
	}
	t->out_len = len;
	emit(l, l->p, len);
	l->p += len;
	return true;
}

static void read_token(struct lexer *l)
{
	if (*l->p == '\n') {
		new_line(l);
		l->p++;
	} else if (*l->p == ' ' || *l->p == '\t') {
		emit(l, " ", 1);
		l->p++;
	} else if (at_comment(l)) {
		skip_comment(l);
	} else if (is_control(*l->p)) {
		bad_byte(l);
	} else if (*l->p == '"' || *l->p == '\'') {
		read_string(l);
	} else if (!read_sign(l)) {
		read_word(l);
	}
}

/* ---- the whole ---------------------------------------------------------- */

static void run(struct lexer *l, const char *text)
{
	struct where at;

	buf_clear(&l->out->text);
	l->out->n = 0;
	l->p = l->line_start = text;
	l->line = 1;
	l->fresh = true;
	while (*l->p != '\0' && l->out->n < TOKENS_MAX)
		read_token(l);
	if (*l->p != '\0') {
		at = here(l, l->p);
		problems_error(l->problems, &at, NULL,
			       "more than %d words and signs; the rest is not "
			       "read",
			       TOKENS_MAX);
	}
	add_token(l, TOKEN_END);
}

/*
 * A quote that is never closed turns the rest of the file inside out. If that
 * happens, the file is read again, and a string that spans what looks like
 * lines of hr.conf is taken to end on its first line.
 */
static bool has_open_quote(struct lexer *l, const char *text)
{
	struct problems unseen = { 0 }, *wanted = l->problems;
	bool open;

	l->problems = &unseen;
	run(l, text);
	open = l->said_quote;
	l->said_quote = false;
	l->problems = wanted;
	problems_free(&unseen);
	return open;
}

/* A copy without BOM and CRs before LF; a NUL byte ends it. */
static char *copy_text(struct lexer *l, const char *text, size_t len)
{
	char *copy = xmalloc(len + 1), *out = copy;
	struct where at = { l->file, 1, 0 };
	size_t i = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	for (; i < len; i++) {
		if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if (text[i] == '\0') {
			problems_error(l->problems, &at, NULL,
				       "a NUL byte; nothing after it is "
				       "read");
			break;
		}
		at.line += text[i] == '\n';
		*out++ = text[i];
	}
	*out = '\0';
	return copy;
}

void normalise(struct normal *n, struct arena *a, const char *file,
	       const char *text, size_t len, struct problems *problems)
{
	struct lexer l = {
		.out = n, .arena = a, .file = file, .problems = problems
	};
	char *copy = copy_text(&l, text, len);

	buf_init(&n->text, TEXT_MAX_BYTES);
	buf_init(&l.value, VALUE_MAX_BYTES);
	l.suspicious = has_open_quote(&l, copy);
	run(&l, copy);
	buf_done(&l.value);
	free(copy);
}

void normal_blank(struct normal *n, size_t from, size_t to)
{
	size_t start, end, i;

	if (from >= to || from >= n->n || n->text.data == NULL)
		return;
	start = n->v[from].out;
	end = n->v[to - 1].out + n->v[to - 1].out_len;
	for (i = start; i < end && i < n->text.len; i++)
		if (n->text.data[i] != '\n')
			n->text.data[i] = ' ';
}

void normal_free(struct normal *n)
{
	buf_done(&n->text);
	VEC_FREE(n);
}
