/*
 * A vocabulary of single bytes and some longer tokens, and a matcher over it.  Include it
 * in one test file.
 */
#ifndef GRAMMAR_FIXTURE_H
#define GRAMMAR_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf_build.h"
#include "grammar/automaton.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"
#include "grammar/vocab.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define FIXTURE_FIRST 259 /* <unk> <s> </s>, 256 bytes, then words */
#define FIXTURE_END 2
#define FIXTURE_WORD_BYTES 16
#define FIXTURE_MADE 600

static const char *const fixture_words[] = { "{\"", "\":", "\",\"", "\"}", "[{", "}]", "},{",
	"true", "false", "null", ",\"", "\":\"", "\":{\"", "12", "0.5", "e+", "abc", "name", " \"",
	"\n  ", "    ", "\xc3\xa4", "\xe4\xb8\xad\xe6\x96\x87", "\\n", "\\u00", "a\"",
	"b\":", "<|x|>", "</tool_call>", "<|\"|>", "</think>", "]}", "\"a\":1", "[[", "]]", "-",
	"1,2", "tr", "ue", " {\"", ">{\"", ">\n" };
#define FIXTURE_WORDS (sizeof(fixture_words) / sizeof(fixture_words[0]))
#define FIXTURE_N (FIXTURE_FIRST + FIXTURE_WORDS + FIXTURE_MADE)

static struct fixture {
	uint8_t *bytes;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	struct vocab *vocab;
} fixture;

static void fixture_texts(struct gguf_build *b)
{
	static const char *texts[FIXTURE_N] = { "<unk>", "<s>", "</s>" };
	static char byte_texts[256][8], made[FIXTURE_MADE][FIXTURE_WORD_BYTES];
	static float scores[FIXTURE_N];
	static int32_t types[FIXTURE_N] = { 2, 3, 3 };
	static const char letters[] = "abcdefghij\":,{}[] 0123456789.-";

	for (size_t i = 0; i < 256; i++) {
		(void)snprintf(byte_texts[i], sizeof(byte_texts[i]), "<0x%02zX>", i);
		texts[3 + i] = byte_texts[i];
		types[3 + i] = 6;
	}
	for (size_t i = 0; i < FIXTURE_WORDS; i++) {
		texts[FIXTURE_FIRST + i] = fixture_words[i];
		types[FIXTURE_FIRST + i] =
		    fixture_words[i][0] == '<' && fixture_words[i][1] != '\0' ? 3 : 1;
	}
	/* Two to five letters, so that prefixes are shared. */
	for (size_t i = 0; i < FIXTURE_MADE; i++) {
		size_t n = 2 + i % 4, seed = i * 7919 + 13;

		for (size_t k = 0; k < n; k++, seed = seed * 31 + 7)
			made[i][k] = letters[seed / 3 % (sizeof(letters) - 1)];
		texts[FIXTURE_FIRST + FIXTURE_WORDS + i] = made[i];
		types[FIXTURE_FIRST + FIXTURE_WORDS + i] = 1;
	}
	gguf_build_string(b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(b, "tokenizer.ggml.tokens", texts, FIXTURE_N);
	gguf_build_f32s(b, "tokenizer.ggml.scores", scores, FIXTURE_N);
	gguf_build_i32s(b, "tokenizer.ggml.token_type", types, FIXTURE_N);
	gguf_build_u32(b, "tokenizer.ggml.bos_token_id", 1);
	gguf_build_u32(b, "tokenizer.ggml.eos_token_id", FIXTURE_END);
	gguf_build_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

static int fixture_open(void **unused)
{
	struct gguf_build b;
	size_t len;

	(void)unused;
	gguf_build_init(&b, 1);
	fixture_texts(&b);
	fixture.bytes = gguf_build_finish(&b, &len);
	gguf_build_fini(&b);
	if (gguf_parse(fixture.bytes, len, &fixture.gguf, NULL) != RC_OK ||
	    tokenizer_load(fixture.gguf, &fixture.tokenizer, NULL) != RC_OK ||
	    vocab_new(fixture.tokenizer, FIXTURE_N, &fixture.vocab) != RC_OK)
		return -1;
	return 0;
}

static int fixture_close(void **unused)
{
	(void)unused;
	vocab_free(fixture.vocab);
	tokenizer_free(fixture.tokenizer);
	gguf_close(fixture.gguf);
	free(fixture.bytes);
	return 0;
}

/* A matcher at the start; fails the test if the schema is refused. */
static inline struct matcher *fixture_matcher(const char *schema)
{
	struct errmsg why = ERRMSG_INIT;
	struct automaton *automaton = NULL;
	struct matcher *matcher = NULL;
	enum rc rc = schema == NULL ? schema_any_object(&automaton, &why)
				    : schema_compile(schema, strlen(schema), &automaton, &why);

	if (rc != RC_OK)
		print_error("%s\n%s\n", why.text, schema == NULL ? "" : schema);
	assert_int_equal(rc, RC_OK);
	assert_int_equal(matcher_new(automaton, fixture.vocab, &matcher), RC_OK);
	return matcher;
}

/* The word's token. */
static inline int32_t fixture_word(const char *word)
{
	for (size_t i = 0; i < FIXTURE_WORDS; i++) {
		if (strcmp(fixture_words[i], word) == 0)
			return FIXTURE_FIRST + (int32_t)i;
	}
	return -1;
}

static inline bool fixture_allows(const uint64_t *bitmap, int32_t id)
{
	return (bitmap[id / 64] >> (id % 64) & 1) != 0;
}

#endif
