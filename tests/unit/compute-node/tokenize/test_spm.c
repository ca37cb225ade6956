/* SentencePiece: merging by score, bytes, special tokens, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/utf8.h"
#include "gguf_build.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define SP "\xe2\x96\x81"

/* <unk> <s> </s>, 256 bytes, then these. */
#define FIRST 259
static const struct word {
	const char *text;
	float score;
	int32_t type;
} words[] = {
	{ "<|mark|>", 0, 3 },     /* 259 control */
	{ "[TOOL]", 0, 4 },       /* 260 user-defined */
	{ "<|end|>", 0, 4 },      /* 261 user-defined markup: special all the same */
	{ "[TOOL][TOOL]", 0, 4 }, /* 262 longer than 260 */
	{ SP, -1, 1 },            /* 263 */
	{ "a", -2, 1 },           /* 264 */
	{ "b", -3, 1 },           /* 265 */
	{ "c", -4, 1 },           /* 266 */
	{ "ab", -5, 1 },          /* 267 */
	{ "bc", -4.5f, 1 },       /* 268 */
	{ SP "a", -6, 1 },        /* 269 */
	{ "abc", -9, 1 },         /* 270 */
	{ "aa", -3.5f, 1 },       /* 271 */
	{ "\xc3\xa4", -7, 1 },    /* 272 ä */
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))
#define N (FIRST + N_WORDS)

static struct gguf *gguf;
static struct tokenizer *tokenizer;
static uint8_t *bytes;

static void build_vocabulary(struct gguf_build *b)
{
	static const char *texts[N];
	static char byte_texts[256][8];
	static float scores[N];
	static int32_t types[N] = { 2, 3, 3 };

	texts[0] = "<unk>";
	texts[1] = "<s>";
	texts[2] = "</s>";
	for (int i = 0; i < 256; i++) {
		(void)snprintf(byte_texts[i], sizeof(byte_texts[i]), "<0x%02X>", i);
		texts[3 + i] = byte_texts[i];
		types[3 + i] = 6;
	}
	for (size_t i = 0; i < N_WORDS; i++) {
		texts[FIRST + i] = words[i].text;
		scores[FIRST + i] = words[i].score;
		types[FIRST + i] = words[i].type;
	}
	gguf_build_init(b, 1);
	gguf_build_string(b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(b, "tokenizer.ggml.tokens", texts, N);
	gguf_build_f32s(b, "tokenizer.ggml.scores", scores, N);
	gguf_build_i32s(b, "tokenizer.ggml.token_type", types, N);
	gguf_build_u32(b, "tokenizer.ggml.bos_token_id", 1);
	gguf_build_u32(b, "tokenizer.ggml.eos_token_id", 2);
	gguf_build_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

static enum rc load(struct gguf_build *b, struct errmsg *why)
{
	size_t len;
	enum rc rc;

	bytes = gguf_build_finish(b, &len);
	gguf_build_fini(b);
	gguf = NULL;
	tokenizer = NULL;
	rc = gguf_parse(bytes, len, &gguf, why);
	return rc == RC_OK ? tokenizer_load(gguf, &tokenizer, why) : rc;
}

static void unload(void)
{
	tokenizer_free(tokenizer);
	gguf_close(gguf);
	free(bytes);
}

static int set_up(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	build_vocabulary(&b);
	return load(&b, &why) == RC_OK ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	unload();
	return 0;
}

/* `expected` ends with -1. */
static void expect(const char *text, size_t len, unsigned flags, const int32_t *expected)
{
	struct tokens ids = { 0 };
	struct errmsg why = ERRMSG_INIT;
	size_t i = 0;

	assert_int_equal(tokenizer_encode(tokenizer, text, len, flags, &ids, &why), RC_OK);
	for (; i < ids.len && expected[i] >= 0; i++)
		assert_int_equal(ids.ids[i], expected[i]);
	assert_int_equal(i, ids.len);
	assert_int_equal(expected[i], -1);
	tokens_free(&ids);
}

#define EXPECT(text, flags, ...)                                                                   \
	expect(text, sizeof(text) - 1, flags, (const int32_t[]){ __VA_ARGS__, -1 })

static void test_the_joined_pair_of_the_highest_score_goes_first(void **unused)
{
	(void)unused;
	/* bc (-4.5) beats ab (-5); then a + bc = abc is a token */
	EXPECT("abc", 0, 270);
	EXPECT("ab", 0, 267);
	EXPECT("abab", 0, 267, 267);
}

static void test_of_equal_scores_the_leftmost_is_joined(void **unused)
{
	(void)unused;
	EXPECT("aaa", 0, 271, 264);
	EXPECT("aaaa", 0, 271, 271);
}

static void test_a_blank_stands_before_the_first_word_of_a_prompt_only(void **unused)
{
	(void)unused;
	EXPECT("a", TOKENIZE_FIRST, 269);
	EXPECT("a", 0, 264);
	EXPECT(" a", TOKENIZE_FIRST, 263, 269);
	expect("", 0, TOKENIZE_FIRST, (const int32_t[]){ -1 });
}

static void test_what_is_no_token_becomes_its_bytes(void **unused)
{
	(void)unused;
	EXPECT("\xc3\xa4", 0, 272);
	EXPECT("\xc3\xb6", 0, 3 + 0xc3, 3 + 0xb6);
	EXPECT("\xff"
	       "a",
	    0, 3 + 0xff, 264);
	EXPECT("\xc3"
	       "a",
	    0, 3 + 0xc3, 264);
	EXPECT("\0b", 0, 3, 265);
}

static void test_control_tokens_are_text_unless_the_caller_trusts_it(void **unused)
{
	struct tokens ids = { 0 };
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	EXPECT("a<|mark|>b", TOKENIZE_SPECIAL, 264, 259, 263, 265);
	assert_int_equal(
	    tokenizer_encode(tokenizer, "<|mark|></s><|end|>", 19, 0, &ids, &why), RC_OK);
	for (size_t i = 0; i < ids.len; i++)
		assert_true(ids.ids[i] != 259 && ids.ids[i] != 2 && ids.ids[i] != 261);
	tokens_free(&ids);
	EXPECT("</s><|end|>", TOKENIZE_SPECIAL, 2, 261);
}

static void test_user_defined_tokens_are_found_always_the_longest_first(void **unused)
{
	(void)unused;
	EXPECT("a[TOOL]b", 0, 264, 260, 265);
	EXPECT("[TOOL][TOOL][TOOL]", 0, 262, 260);
}

static void test_pieces_give_the_bytes_back(void **unused)
{
	char out[16];

	(void)unused;
	assert_int_equal(tokenizer_piece(tokenizer, 269, false, out, sizeof(out)), 2);
	assert_memory_equal(out, " a", 2);
	assert_int_equal(tokenizer_piece(tokenizer, 3 + 0xc3, false, out, sizeof(out)), 1);
	assert_int_equal((uint8_t)out[0], 0xc3);
	assert_int_equal(tokenizer_piece(tokenizer, 259, false, out, sizeof(out)), 0);
	assert_int_equal(tokenizer_piece(tokenizer, 259, true, out, 4), 8);
	assert_memory_equal(out, "<|ma", 4);
	assert_int_equal(tokenizer_piece(tokenizer, 260, false, out, sizeof(out)), 6);
	assert_int_equal(tokenizer_piece(tokenizer, -1, false, out, sizeof(out)), 0);
	assert_int_equal(tokenizer_piece(tokenizer, (int32_t)N, true, out, sizeof(out)), 0);
}

static void test_decoding_what_was_encoded_gives_the_text_back(void **unused)
{
	static const char alphabet[] = "aabbc  \xc3\xa4\xff\x80 [<|mark>";
	uint64_t state = 4;

	(void)unused;
	for (int round = 0; round < 3000; round++) {
		char text[40], back[200], piece[16];
		size_t len = random_next(&state) % sizeof(text), n = 0;
		struct tokens ids = { 0 };
		struct errmsg why = ERRMSG_INIT;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[random_next(&state) % (sizeof(alphabet) - 1)];
		assert_int_equal(tokenizer_encode(tokenizer, text, len, 0, &ids, &why), RC_OK);
		for (size_t i = 0; i < ids.len; i++) {
			size_t piece_len =
			    tokenizer_piece(tokenizer, ids.ids[i], false, piece, sizeof(piece));

			memcpy(back + n, piece, piece_len);
			n += piece_len;
		}
		assert_int_equal(n, len);
		assert_memory_equal(back, text, len);
		tokens_free(&ids);
	}
}

static void test_ends_of_answers_are_known_by_key_and_by_text(void **unused)
{
	size_t n = 0;

	(void)unused;
	assert_true(tokenizer_is_end(tokenizer, 2));
	assert_true(tokenizer_is_end(tokenizer, 261));
	assert_false(tokenizer_is_end(tokenizer, 259));
	(void)tokenizer_ends(tokenizer, &n);
	assert_int_equal(n, 2);
	assert_true(tokenizer_add_bos(tokenizer));
	assert_int_equal(tokenizer_bos(tokenizer), 1);
	assert_true(tokenizer_space_prefix(tokenizer));
}

static void expect_refused(struct gguf_build *b, enum rc rc, const char *text)
{
	struct tokenizer *kept = tokenizer;
	struct gguf *kept_gguf = gguf;
	uint8_t *kept_bytes = bytes;
	struct errmsg why = ERRMSG_INIT;

	assert_int_equal(load(b, &why), rc);
	if (strstr(why.text, text) == NULL)
		fail_msg("'%s' does not name '%s'", why.text, text);
	unload();
	tokenizer = kept;
	gguf = kept_gguf;
	bytes = kept_bytes;
}

static void test_broken_vocabularies_are_refused_by_key(void **unused)
{
	struct gguf_build b;

	(void)unused;
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "klingon");
	expect_refused(&b, RC_UNSUPPORTED, "klingon");
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "no_vocab");
	expect_refused(&b, RC_NOTFOUND, "");
	gguf_build_init(&b, 1);
	expect_refused(&b, RC_NOTFOUND, "");
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "llama");
	expect_refused(&b, RC_INVALID, "tokenizer.ggml.tokens is missing");
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(&b, "tokenizer.ggml.tokens", (const char *const[]){ "a", "b" }, 2);
	gguf_build_f32s(&b, "tokenizer.ggml.scores", (const float[]){ 0 }, 1);
	expect_refused(&b, RC_INVALID, "tokenizer.ggml.scores: 1 items for 2 tokens");
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(&b, "tokenizer.ggml.tokens", (const char *const[]){ "a", "b" }, 2);
	gguf_build_u32(&b, "tokenizer.ggml.eos_token_id", 2);
	expect_refused(&b, RC_INVALID, "tokenizer.ggml.eos_token_id: id 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_joined_pair_of_the_highest_score_goes_first),
		cmocka_unit_test(test_of_equal_scores_the_leftmost_is_joined),
		cmocka_unit_test(test_a_blank_stands_before_the_first_word_of_a_prompt_only),
		cmocka_unit_test(test_what_is_no_token_becomes_its_bytes),
		cmocka_unit_test(test_control_tokens_are_text_unless_the_caller_trusts_it),
		cmocka_unit_test(test_user_defined_tokens_are_found_always_the_longest_first),
		cmocka_unit_test(test_pieces_give_the_bytes_back),
		cmocka_unit_test(test_decoding_what_was_encoded_gives_the_text_back),
		cmocka_unit_test(test_ends_of_answers_are_known_by_key_and_by_text),
		cmocka_unit_test(test_broken_vocabularies_are_refused_by_key),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
