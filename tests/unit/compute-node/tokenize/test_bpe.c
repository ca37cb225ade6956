/* Byte-pair encoding and WordPiece on vocabularies small enough to follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/gguf.h"
#include "tokenize/tokenizer.h"
#include "vocab_gguf.h"

#define VOCAB_BYTES_MAX ((size_t)1 << 20)
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* "Ġ" (U+0120) spells a blank in the byte alphabet, "Ċ" (U+010A) a newline. */
static const char *const tokens[] = { "a", "b", "c", "\xC4\xA0", "ab", "bc", "\xC4\xA0\x61", "abc",
	"<|end|>", "\xC4\x8A", "1", "111", "\xC4\xA0\x61\x62" };
static const int32_t types[] = { 1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1 };
static const char *const merges[] = { "b c", "a b", "\xC4\xA0 a", "\xC4\xA0 ab" };

struct loaded {
	struct buf bytes;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
};

static enum rc load(const struct vocab_gguf *vocab, struct loaded *out, struct errmsg *why)
{
	*out = (struct loaded){ 0 };
	buf_init(&out->bytes, VOCAB_BYTES_MAX);
	vocab_gguf_write(vocab, &out->bytes);
	assert_int_equal(buf_rc(&out->bytes), RC_OK);
	enum rc rc = gguf_parse(out->bytes.bytes, out->bytes.len, &out->gguf, why);
	return rc == RC_OK ? tokenizer_load(out->gguf, &out->tokenizer, why) : rc;
}

static void unload(struct loaded *loaded)
{
	tokenizer_free(loaded->tokenizer);
	gguf_close(loaded->gguf);
	buf_fini(&loaded->bytes);
}

static void check(const struct loaded *l, const char *text, unsigned flags, const char *expected)
{
	struct tokens ids = { 0 };
	char line[256] = "";
	size_t at = 0;

	assert_int_equal(
	    tokenizer_encode(l->tokenizer, text, strlen(text), flags, &ids, NULL), RC_OK);
	for (size_t i = 0; i < ids.len && at < sizeof(line); i++)
		at += (size_t)snprintf(
		    line + at, sizeof(line) - at, "%s%d", i > 0 ? " " : "", (int)ids.ids[i]);
	assert_string_equal(line, expected);
	tokens_free(&ids);
}

static const struct vocab_gguf base = {
	.model = "gpt2",
	.pre = "qwen2",
	.tokens = tokens,
	.types = types,
	.tokens_len = LEN(tokens),
	.merges = merges,
	.merges_len = LEN(merges),
};

static void test_the_merge_that_ranks_first_wins(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;

	(void)state;
	assert_int_equal(load(&base, &l, &why), RC_OK);
	check(&l, "abc", 0, "0 5"); /* "b c" ranks before "a b" */
	check(&l, "ab", 0, "4");
	check(&l, " ab", 0, "12"); /* a+b first, then Ġ + ab */
	check(&l, "abab", 0, "4 4");
	check(&l, " a", 0, "6");
	check(&l, "a b", 0, "0 3 1"); /* no merge of Ġ and b */
	check(&l, "", 0, "");
	unload(&l);
}

static void test_merges_do_not_cross_pieces(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct vocab_gguf vocab = base;
	struct loaded l;

	(void)state;
	assert_int_equal(load(&base, &l, &why), RC_OK);
	check(&l, "a\nb", 0, "0 9 1");
	check(&l, "111", 0, "10 10 10"); /* qwen2: one digit a piece */
	unload(&l);
	vocab.pre = "llama-bpe"; /* a piece that is a token needs no merges */
	assert_int_equal(load(&vocab, &l, &why), RC_OK);
	check(&l, "111", 0, "11");
	check(&l, "abc", 0, "7");
	unload(&l);
}

static void test_special_tokens_are_parsed_in_trusted_text_only(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;

	(void)state;
	assert_int_equal(load(&base, &l, &why), RC_OK);
	check(&l, "a<|end|>b", TOKENIZE_SPECIAL, "0 8 1");
	/* as plain text its letters are unknown here: id 0 stands for each */
	struct tokens ids = { 0 };
	assert_int_equal(tokenizer_encode(l.tokenizer, "<|end|>", 7, 0, &ids, NULL), RC_OK);
	for (size_t i = 0; i < ids.len; i++)
		assert_int_not_equal(ids.ids[i], 8);
	tokens_free(&ids);
	unload(&l);
}

static void test_pieces_give_their_bytes_back(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;
	char out[8];

	(void)state;
	assert_int_equal(load(&base, &l, &why), RC_OK);
	assert_int_equal(tokenizer_piece(l.tokenizer, 12, false, out, sizeof(out)), 3);
	assert_memory_equal(out, " ab", 3);
	assert_int_equal(tokenizer_piece(l.tokenizer, 9, false, out, sizeof(out)), 1);
	assert_int_equal(out[0], '\n');
	assert_int_equal(tokenizer_piece(l.tokenizer, 8, false, out, sizeof(out)), 0);
	assert_int_equal(tokenizer_piece(l.tokenizer, 12, false, out, 1), 3);
	unload(&l);
}

static void test_what_is_missing_or_unknown_is_named(void **state)
{
	struct vocab_gguf vocab = base;
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;

	(void)state;
	vocab.pre = "frobnicate";
	assert_int_equal(load(&vocab, &l, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "'frobnicate'"));
	unload(&l);
	errmsg_reset(&why);
	vocab.pre = NULL;
	assert_int_equal(load(&vocab, &l, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "tokenizer.ggml.pre"));
	unload(&l);
	errmsg_reset(&why);
	vocab = base;
	vocab.merges = NULL;
	assert_int_equal(load(&vocab, &l, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "tokenizer.ggml.merges"));
	unload(&l);
}

static void test_raw_vocabularies_start_from_code_points(void **state)
{
	static const char *const raw[] = { "<unk>", "a", "b", "\xE2\x96\x81", "\xE2\x96\x81\x61",
		"\xC3\xA4", "<0xE4>", "<0xB8>", "<0xAD>", "\n", "\n\n" };
	static const char *const raw_merges[] = { "\xE2\x96\x81 a", "\n \n" };
	const struct vocab_gguf vocab = {
		.model = "gemma4",
		.pre = "gemma4",
		.tokens = raw,
		.tokens_len = LEN(raw),
		.merges = raw_merges,
		.merges_len = LEN(raw_merges),
	};
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;
	char out[8];

	(void)state;
	assert_int_equal(load(&vocab, &l, &why), RC_OK);
	check(&l, "a a\xC3\xA4", 0, "1 4 5");
	check(&l, "\xE4\xB8\xAD", 0, "6 7 8"); /* no token: its bytes */
	check(&l, "a\n\nb", 0, "1 10 2");
	assert_int_equal(tokenizer_piece(l.tokenizer, 4, false, out, sizeof(out)), 2);
	assert_memory_equal(out, " a", 2);
	assert_int_equal(tokenizer_piece(l.tokenizer, 7, false, out, sizeof(out)), 1);
	assert_int_equal((uint8_t)out[0], 0xB8);
	unload(&l);
}

static void test_wordpiece_takes_the_longest_token_or_gives_up(void **state)
{
#define W "\xE2\x96\x81"
	static const char *const words[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", W "un", W "u",
		"able", "ab", "le", W "cafe", W ",", W "\xE4\xB8\xAD" };
	const struct vocab_gguf vocab = {
		.model = "bert",
		.tokens = words,
		.tokens_len = LEN(words),
	};
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;

	(void)state;
	assert_int_equal(load(&vocab, &l, &why), RC_OK);
	check(&l, "unable", 0, "4 6");
	check(&l, "UnAble,caf\xC3\xA9", 0, "4 6 10 9");
	check(&l, "cafe\xCC\x81", 0, "9"); /* the accent as a character of its own */
	check(&l, "a\xE4\xB8\xADu", 0, "0 11 5");
	check(&l, "unablex u", 0, "0 5");
	check(&l, " \t\n ", 0, "");
	assert_int_equal(tokenizer_bos(l.tokenizer), 2);
	assert_int_equal(tokenizer_eos(l.tokenizer), 3);
	unload(&l);
}

/* Ends a message of a harmony vocabulary, an answer of others; its other two end both. */
static void test_in_harmony_the_end_of_a_message_is_none_of_the_answer(void **state)
{
	static const char *const words[] = { "a", "<|end|>", "<|return|>", "<|call|>" };
	static const int32_t kinds[] = { 1, 3, 3, 3 };
	struct vocab_gguf vocab = base;
	struct errmsg why = ERRMSG_INIT;
	struct loaded l;

	(void)state;
	vocab.tokens = words;
	vocab.types = kinds;
	vocab.merges_len = 0;
	for (size_t n = 3; n <= LEN(words); n++) {
		vocab.tokens_len = n;
		assert_int_equal(load(&vocab, &l, &why), RC_OK);
		assert_int_equal(tokenizer_is_end(l.tokenizer, 1), n == 3);
		assert_true(tokenizer_is_end(l.tokenizer, 2));
		assert_int_equal(tokenizer_is_end(l.tokenizer, 3), n == 4);
		unload(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_merge_that_ranks_first_wins),
		cmocka_unit_test(test_merges_do_not_cross_pieces),
		cmocka_unit_test(test_special_tokens_are_parsed_in_trusted_text_only),
		cmocka_unit_test(test_pieces_give_their_bytes_back),
		cmocka_unit_test(test_what_is_missing_or_unknown_is_named),
		cmocka_unit_test(test_raw_vocabularies_start_from_code_points),
		cmocka_unit_test(test_in_harmony_the_end_of_a_message_is_none_of_the_answer),
		cmocka_unit_test(test_wordpiece_takes_the_longest_token_or_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
