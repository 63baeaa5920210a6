/* SPDX-License-Identifier: MIT */
/* The dictionary: an open hash table of normalised words and compounds. */
#include "ingest/dict.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/tokenize.h"

enum {
	LANG_WORDS = 512,
	LANG_BYTES = 4,
	WORD_BYTES = 64,
	FIRST_SLOTS = 1024, /* a power of two */
};

struct dict {
	char **slots;
	size_t n_slots, used;
	size_t longest;
};

/* The words of one language so far, to make compounds of. */
struct reader {
	struct dict *dict;
	const char *path;
	int line;
	char lang[LANG_BYTES];
	size_t n;
	char words[LANG_WORDS][WORD_BYTES];
};

#define HASH_START 0xcbf29ce484222325u

static uint64_t hash_add(uint64_t hash, char c)
{
	return (hash ^ (unsigned char)c) * 0x100000001b3u;
}

/* The slot of a word, or the free one where it belongs. */
static char **find(const struct dict *d, uint64_t hash, const char *word,
		   size_t len)
{
	size_t i = (size_t)(hash ^ hash >> 32) & (d->n_slots - 1);

	while (d->slots[i] && (strncmp(d->slots[i], word, len) != 0 ||
			       d->slots[i][len] != '\0'))
		i = (i + 1) & (d->n_slots - 1);
	return &d->slots[i];
}

static char **find_word(const struct dict *d, const char *word, size_t len)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < len; i++)
		hash = hash_add(hash, word[i]);
	return find(d, hash, word, len);
}

static int grow(struct dict *d)
{
	struct dict bigger = *d;

	bigger.n_slots = d->n_slots ? d->n_slots * 2 : FIRST_SLOTS;
	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < d->n_slots; i++)
		if (d->slots[i])
			*find_word(&bigger, d->slots[i], strlen(d->slots[i])) =
				d->slots[i];
	free(d->slots);
	*d = bigger;
	return 0;
}

static int add(struct dict *d, const char *text)
{
	char *word = tokenize_normalise(text), **slot;
	size_t len;

	if (!word)
		return -1;
	if (d->used * 2 >= d->n_slots && grow(d) < 0) {
		free(word);
		return -1;
	}
	len = strlen(word);
	slot = find_word(d, word, len);
	if (*slot || len == 0) {
		free(word);
		return 0;
	}
	*slot = word;
	d->used++;
	if (len > d->longest)
		d->longest = len;
	return 0;
}

static int add_compounds(struct reader *r, const char *word)
{
	char both[2 * WORD_BYTES];

	for (size_t i = 0; i < r->n; i++) {
		snprintf(both, sizeof(both), "%s%s", r->words[i], word);
		if (add(r->dict, both) < 0)
			return -1;
		snprintf(both, sizeof(both), "%s%s", word, r->words[i]);
		if (add(r->dict, both) < 0)
			return -1;
	}
	return 0;
}

/* Returns NULL, or what is wrong. */
static const char *add_line(struct reader *r, const char *line)
{
	char lang[LANG_BYTES], word[WORD_BYTES], more[2];

	if (*line == '#' || *line == '\n')
		return NULL;
	if (sscanf(line, "%3s %63s %1s", lang, word, more) != 2)
		return "expected a language and a word";
	if (strcmp(lang, r->lang) != 0) {
		memcpy(r->lang, lang, sizeof(lang));
		r->n = 0;
	}
	if (r->n == LANG_WORDS)
		return "too many words of one language";
	if (add(r->dict, word) < 0 || add_compounds(r, word) < 0)
		return "not UTF-8, or no memory";
	memcpy(r->words[r->n++], word, sizeof(word));
	return NULL;
}

static int read_lines(struct reader *r, FILE *f)
{
	const char *wrong = NULL;
	char line[256];

	while (!wrong && fgets(line, sizeof(line), f)) {
		r->line++;
		wrong = add_line(r, line);
	}
	if (wrong)
		fprintf(stderr, "%s:%d: %s\n", r->path, r->line, wrong);
	return wrong ? -1 : 0;
}

static int read_file(struct dict *d, const char *path)
{
	struct reader *r = calloc(1, sizeof(*r));
	FILE *f = fopen(path, "re");
	int rc = -1;

	if (!f)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (f && r) {
		r->dict = d;
		r->path = path;
		rc = read_lines(r, f);
	}
	if (f)
		fclose(f);
	free(r);
	return rc;
}

struct dict *dict_load(const char *path)
{
	struct dict *d = calloc(1, sizeof(*d));

	if (d && grow(d) == 0 && read_file(d, path) == 0)
		return d;
	dict_free(d);
	return NULL;
}

void dict_free(struct dict *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_slots; i++)
		free(d->slots[i]);
	free(d->slots);
	free(d);
}

size_t dict_count(const struct dict *d)
{
	return d->used;
}

/* Whether a letter ends before p: the next byte does not continue one. */
static bool is_boundary(const char *p)
{
	return ((unsigned char)*p & 0xc0) != 0x80;
}

size_t dict_match(const struct dict *d, const char *normal)
{
	uint64_t hash = HASH_START;
	size_t best = 0;

	for (size_t len = 1; len <= d->longest && normal[len - 1]; len++) {
		hash = hash_add(hash, normal[len - 1]);
		if (is_boundary(normal + len) && *find(d, hash, normal, len))
			best = len;
	}
	return best;
}
