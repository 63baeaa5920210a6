/* SPDX-License-Identifier: MIT */
/* HTML templates: {{name}} escaped, {{{name}}} as it is. */
#include "web/template.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATE_MAX_BYTES = 1 << 20 };

char *template_read(const char *dir, const char *name)
{
	char path[PATH_MAX], *text;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	text = malloc(TEMPLATE_MAX_BYTES + 1);
	if (text) {
		n = fread(text, 1, TEMPLATE_MAX_BYTES, f);
		text[n] = '\0';
	}
	fclose(f);
	return text;
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static const char *value_of(const struct field *fields, const char *name,
			    size_t len)
{
	for (; fields->name; fields++)
		if (strncmp(fields->name, name, len) == 0 &&
		    fields->name[len] == '\0')
			return fields->value;
	return "";
}

/* The tag that starts at tag; returns what follows, or NULL if it has no
 * end. */
static const char *put_tag(FILE *out, const char *tag,
			   const struct field *fields)
{
	size_t braces = tag[2] == '{' ? 3 : 2;
	const char *name = tag + braces,
		   *end = strstr(name, braces == 3 ? "}}}" : "}}");

	if (!end)
		return NULL;
	if (braces == 3)
		fputs(value_of(fields, name, (size_t)(end - name)), out);
	else
		put_escaped(out, value_of(fields, name, (size_t)(end - name)));
	return end + braces;
}

void template_put(FILE *out, const char *template, const struct field *fields)
{
	const char *tag, *next;

	while ((tag = strstr(template, "{{"))) {
		fwrite(template, 1, (size_t)(tag - template), out);
		next = put_tag(out, tag, fields);
		if (!next) {
			template = tag;
			break;
		}
		template = next;
	}
	fputs(template, out);
}
