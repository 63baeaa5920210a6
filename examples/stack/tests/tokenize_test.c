/* SPDX-License-Identifier: MIT */
/* Tests of the tokenizer: a text, and the terms that must come out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/tokenize.h"

static const struct {
	const char *name, *text, *terms;
} cases[] = {
	{ "japanese pairs", "東京駅", "東京 京駅" },
	{ "one letter alone", "桜", "桜" },
	{ "kana and long vowels", "ニュース", "ニュ ュー ース" },
	{ "half-width katakana", "ﾆｭｰｽ", "ニュ ュー ース" },
	{ "half-width voiced sound", "ｶﾞｽ", "ガス" },
	{ "full-width latin", "ＮＨＫ　２０２６", "nhk 2026" },
	{ "latin inside japanese", "新型iPhone発売", "新型 iphone 発売" },
	{ "korean", "서울 날씨", "서울 날씨" },
	{ "korean particle", "서울에서", "서울 울에 에서" },
	{ "korean decomposed", "\u1109\u1165\u110b\u116e\u11af", "서울" },
	{ "chinese", "台北捷運", "台北 北捷 捷運" },
	{ "thai keeps vowels and tones", "น้ำท่วม",
	  "น้\u0e4d\u0e32 \u0e32ท่ ท่ว วม" },
	{ "vietnamese lower case", "Hà Nội", "hà nội" },
	{ "vietnamese decomposed", "Ha\u0300 No\u0323\u0302i", "hà nội" },
	{ "vietnamese capital", "ĐÀ NẴNG", "đà nẵng" },
	{ "punctuation parts", "a-b, c!d", "a b c d" },
	{ "middle dot parts", "ハリー・ポッター", "ハリ リー ポッ ッタ ター" },
	{ "nothing", " ！？ ", "" },
	{ "empty", "", "" },
	{ "emoji", "🎉party🎉", "party" },
	{ "rare han", "𠮷野家", "𠮷野 野家" },
};

static int add_term(const struct token *token, void *arg)
{
	FILE *out = arg;

	fprintf(out, "%s%.*s", ftell(out) ? " " : "", (int)token->len,
		token->text);
	return 0;
}

/* All terms with a space between. OWNED: free(). */
static char *terms_of(const char *text)
{
	char *normal = tokenize_normalise(text), *terms = NULL;
	size_t size;
	FILE *out = open_memstream(&terms, &size);

	if (!normal || !out)
		abort();
	tokenize(normal, add_term, out);
	fclose(out);
	free(normal);
	return terms;
}

static int check(const char *name, const char *got, const char *want)
{
	int ok = strcmp(got, want) == 0;

	if (!ok)
		printf("FAIL %s: got '%s', want '%s'\n", name, got, want);
	return !ok;
}

static int check_terms(void)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *terms = terms_of(cases[i].text);

		failed += check(cases[i].name, terms, cases[i].terms);
		free(terms);
	}
	return failed;
}

static int check_plain(void)
{
	char *plain = tokenize_plain("đà nẵng.", strlen("đà nẵng"));
	int failed = check("plain", plain, "da nang");

	free(plain);
	return failed;
}

static int check_invalid(void)
{
	char *normal = tokenize_normalise("\xe6\x9d");

	free(normal);
	return check("not UTF-8", normal ? "text" : "nothing", "nothing");
}

static int count_then_stop(const struct token *token, void *arg)
{
	int *calls = arg;

	(void)token;
	return ++*calls == 2 ? 7 : 0;
}

static int check_stop(void)
{
	int calls = 0, rc = tokenize("一二三四 a b", count_then_stop, &calls);

	return check("stops when told", rc == 7 && calls == 2 ? "2" : "else",
		     "2");
}

int main(void)
{
	int n = (int)(sizeof(cases) / sizeof(cases[0])) + 3;
	int failed =
		check_terms() + check_plain() + check_invalid() + check_stop();

	printf("tokenizer: %d passed, %d failed\n", n - failed, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
