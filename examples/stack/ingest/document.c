/* SPDX-License-Identifier: MIT */
/* What of a title goes into the index. */
#include "ingest/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/dict.h"
#include "ingest/tokenize.h"

static void put(FILE *out, const char *text, size_t len)
{
	if (ftell(out) > 0)
		fputc(' ', out);
	fwrite(text, 1, len, out);
}

static int on_term(const struct token *token, void *arg)
{
	put(arg, token->text, token->len);
	return 0;
}

static int on_word(const struct token *token, void *arg)
{
	char *plain;

	if (token->kind != TOKEN_WORD)
		return 0;
	plain = tokenize_plain(token->text, token->len);
	if (plain && (strlen(plain) != token->len ||
		      memcmp(plain, token->text, token->len) != 0))
		put(arg, plain, strlen(plain));
	free(plain);
	return 0;
}

static void put_dict_words(FILE *out, const struct dict *d, const char *normal)
{
	size_t len;

	for (; *normal; normal += len ? len : 1) {
		len = dict_match(d, normal);
		if (len)
			put(out, normal, len);
	}
}

char *document_terms(const char *title)
{
	char *normal = tokenize_normalise(title), *terms = NULL;
	size_t size;
	FILE *out = open_memstream(&terms, &size);

	if (normal && out)
		tokenize(normal, on_term, out);
	if (out)
		fclose(out);
	free(normal);
	return terms;
}

char *document_words(const struct dict *d, const char *title)
{
	char *normal = tokenize_normalise(title), *words = NULL;
	size_t size;
	FILE *out = open_memstream(&words, &size);

	if (normal && out) {
		put_dict_words(out, d, normal);
		tokenize(normal, on_word, out);
	}
	if (out)
		fclose(out);
	free(normal);
	return words;
}
