/*
 * Fuzz target: what the tokenizer and the JSON walker make of any bytes, and a
 * search with them as the question.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "align/peek.h"
#include "base/utf8.h"
#include "recall/document.h"
#include "recall/search.h"
#include "recall/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_token(void *ctx, const struct token *token)
{
	const size_t *size = ctx;

	if (token->len == 0 || token->len > TOKEN_BYTES_MAX + UTF8_BYTES_MAX ||
	    !utf8_valid(token->text, token->len) || token->begin >= token->end ||
	    token->end > *size)
		abort();
	return true;
}

/* In every language at once. */
static void scan(const char *text, size_t size)
{
	struct token_rules rules = { .languages_len = LANGUAGE_COUNT };

	for (enum language i = 0; i < LANGUAGE_COUNT; i++)
		rules.languages[i] = (enum language)((i + 1) % LANGUAGE_COUNT);
	if (stemmer_new(&rules.stemmer) != RC_OK)
		abort();
	token_scan(&rules, text, size, check_token, &size);
	stemmer_free(rules.stemmer);
}

static void check_string(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	if (len == 0 || len > PEEK_STRING_BYTES_MAX || !utf8_valid(text, len))
		abort();
}

static void walk(const char *json)
{
	struct peek peek;
	double number;
	const char *text;
	size_t len;

	peek_open(&peek, json);
	while (peek_next(&peek)) {
		(void)peek_number(&peek, &number);
		(void)peek_string(&peek, &text, &len);
		(void)peek_empty(&peek);
	}
	peek_strings(json, SIZE_MAX, check_string, NULL);
}

static void index_and_search(const char *text, size_t size)
{
	struct observation obs = { .seq = 1,
		.source = "s",
		.client_id = "",
		.layer = LAYER_TEXT,
		.kind = "note",
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.origin = ORIGIN_OWNER,
		.text = text,
		.data_json = text };
	static struct language_model *model; /* learned once */
	struct search search = { .k = 5 };
	enum language languages[LANGUAGE_COUNT];
	struct document_talks *talks;
	struct index *index;
	struct arena arena;
	bool added;

	if ((model == NULL && language_new(&model) != RC_OK) || index_new(&index) != RC_OK ||
	    document_talks_new(model, &talks) != RC_OK)
		abort();
	arena_init(&arena, (size_t)4 << 20);
	if (document_take(index, talks, &obs, &added) != RC_OK || !added ||
	    search_prepare(&search, languages, document_languages(talks, text, size, languages),
		text, size, 0, 0, &arena) != RC_OK ||
	    search_run(index, &search) != RC_OK || search.hits_len > 1)
		abort();
	arena_fini(&arena);
	document_talks_free(talks);
	index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	scan(text, size);
	walk(text);
	index_and_search(text, size);
	free(text);
	return 0;
}
