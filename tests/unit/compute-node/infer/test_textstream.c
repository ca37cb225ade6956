/*
 * Text of an answer: whole code points, stop strings across tokens, and the
 * same offsets when an answer is replayed.  The vocabulary is one token a byte.
 */
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
#include "infer/textstream.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define OUT_MAX 65536
#define HELLO 256 /* "▁hello" */
#define CONTROL 257

static struct gguf *gguf;
static struct tokenizer *tokenizer;
static uint8_t *bytes;

static int set_up(void **unused)
{
	static const char *texts[258];
	static char byte_texts[256][8];
	static float scores[258];
	static int32_t types[258];
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	size_t len;

	(void)unused;
	for (int i = 0; i < 256; i++) {
		(void)snprintf(byte_texts[i], sizeof(byte_texts[i]), "<0x%02X>", i);
		texts[i] = byte_texts[i];
		types[i] = 6;
	}
	texts[HELLO] = "\xe2\x96\x81hello";
	types[HELLO] = 1;
	texts[CONTROL] = "<s>";
	types[CONTROL] = 3;
	gguf_build_init(&b, 1);
	gguf_build_string(&b, "tokenizer.ggml.model", "llama");
	gguf_build_strings(&b, "tokenizer.ggml.tokens", texts, 258);
	gguf_build_f32s(&b, "tokenizer.ggml.scores", scores, 258);
	gguf_build_i32s(&b, "tokenizer.ggml.token_type", types, 258);
	bytes = gguf_build_finish(&b, &len);
	gguf_build_fini(&b);
	if (gguf_parse(bytes, len, &gguf, &why) != RC_OK)
		return -1;
	return tokenizer_load(gguf, &tokenizer, &why) == RC_OK ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	tokenizer_free(tokenizer);
	gguf_close(gguf);
	free(bytes);
	return 0;
}

static struct textstream *open_stream(const char *const *stops, size_t n, bool skip)
{
	struct textstream *stream = NULL;
	struct errmsg why = ERRMSG_INIT;

	assert_int_equal(textstream_new(tokenizer, stops, n, skip, &stream, &why), RC_OK);
	return stream;
}

/* Push `text` byte by byte; returns how many bytes went in before a stop. */
static size_t push(struct textstream *stream, const char *text, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		if (textstream_push(stream, (uint8_t)text[i], out))
			return i + 1;
	}
	return len + 1;
}

static void expect(const char *const *stops, size_t n, const char *text, size_t len,
    const char *expected, const char *stop)
{
	struct textstream *stream = open_stream(stops, n, false);
	struct buf out;

	buf_init(&out, OUT_MAX);
	(void)push(stream, text, len, &out);
	textstream_flush(stream, &out);
	assert_string_equal(buf_text(&out), expected);
	assert_int_equal(textstream_offset(stream), strlen(expected));
	if (stop == NULL)
		assert_null(textstream_stop(stream));
	else
		assert_string_equal(textstream_stop(stream), stop);
	buf_fini(&out);
	textstream_free(stream);
}

#define STOPS(...)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void test_a_stop_string_across_tokens_ends_the_answer_before_it(void **unused)
{
	(void)unused;
	expect(STOPS("END"), 1, "abENDcd", 7, "ab", "END");
	expect(STOPS("END"), 1, "abEN", 4, "abEN", NULL);
	expect(STOPS("END"), 1, "ENENDx", 6, "EN", "END");
	expect(STOPS("aab"), 1, "aaab", 4, "a", "aab");
	expect(STOPS("END"), 1, "END", 3, "", "END");
}

static void test_of_several_stop_strings_the_first_to_be_complete_counts(void **unused)
{
	(void)unused;
	expect(STOPS("xyz", "y"), 2, "axyz", 4, "ax", "y");
	expect(STOPS("yz", "xyz"), 2, "axyzb", 5, "a", "xyz");
	expect(STOPS("\n\n", "User:"), 2, "hi\nUser:", 8, "hi\n", "User:");
}

static void test_nothing_that_could_become_a_stop_string_is_given_out(void **unused)
{
	struct textstream *stream = open_stream(STOPS("STOP"), 1, false);
	struct buf out;

	(void)unused;
	buf_init(&out, OUT_MAX);
	(void)push(stream, "aST", 3, &out);
	assert_string_equal(buf_text(&out), "a");
	(void)push(stream, "S", 1, &out);
	assert_string_equal(buf_text(&out), "aST");
	(void)push(stream, "x", 1, &out);
	assert_string_equal(buf_text(&out), "aSTSx");
	buf_fini(&out);
	textstream_free(stream);
}

static void test_code_points_split_over_tokens_come_whole(void **unused)
{
	struct textstream *stream = open_stream(NULL, 0, false);
	struct buf out;

	(void)unused;
	buf_init(&out, OUT_MAX);
	(void)push(stream, "\xf0\x9f\x98", 3, &out);
	assert_int_equal(out.len, 0);
	(void)push(stream, "\x80", 1, &out);
	assert_string_equal(buf_text(&out), "\xf0\x9f\x98\x80");
	buf_fini(&out);
	textstream_free(stream);
	expect(NULL, 0, "\xc3\xa4\xe2\x82\xac", 5, "\xc3\xa4\xe2\x82\xac", NULL);
}

static void test_bytes_that_cannot_become_text_turn_into_u_fffd(void **unused)
{
	(void)unused;
	expect(NULL, 0,
	    "a\xff"
	    "b",
	    3,
	    "a\xef\xbf\xbd"
	    "b",
	    NULL);
	expect(NULL, 0,
	    "\xe2\x82"
	    "A",
	    3,
	    "\xef\xbf\xbd\xef\xbf\xbd"
	    "A",
	    NULL);
	expect(NULL, 0, "\xc3", 1, "\xef\xbf\xbd", NULL); /* cut off by the end */
	expect(NULL, 0, "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", NULL);
}

static void test_the_first_blank_goes_only_where_the_text_stands_alone(void **unused)
{
	struct buf out;

	(void)unused;
	for (int skip = 0; skip < 2; skip++) {
		struct textstream *stream = open_stream(NULL, 0, skip == 1);

		buf_init(&out, OUT_MAX);
		(void)textstream_push(stream, CONTROL, &out);
		(void)textstream_push(stream, HELLO, &out);
		(void)textstream_push(stream, HELLO, &out);
		assert_string_equal(buf_text(&out), skip == 1 ? "hello hello" : " hello hello");
		buf_fini(&out);
		textstream_free(stream);
	}
}

/* Straight from the definition: clean the whole text, cut at the first place
 * where a stop string is complete, the longest there. */
static size_t naive(const char *text, size_t len, const char *const *stops, size_t n, char *out)
{
	size_t out_len = 0;

	for (size_t at = 0; at < len;) {
		uint32_t cp;
		size_t one = utf8_decode((const uint8_t *)text + at, len - at, &cp), longest = 0;

		memcpy(out + out_len, one > 0 ? text + at : "\xef\xbf\xbd", one > 0 ? one : 3);
		out_len += one > 0 ? one : 3;
		at += one > 0 ? one : 1;
		for (size_t i = 0; i < n; i++) {
			size_t stop_len = strlen(stops[i]);

			if (stop_len > longest && stop_len <= out_len &&
			    memcmp(out + out_len - stop_len, stops[i], stop_len) == 0)
				longest = stop_len;
		}
		if (longest > 0)
			return out_len - longest;
	}
	return out_len;
}

static void test_random_texts_are_cut_like_the_twin_and_replay_to_the_same_offsets(void **unused)
{
	static const char alphabet[] = "aab\xc3\xa4\xe2\x82\xac\xff";
	const char *const stops[] = { "aab", "ba\xc3\xa4", "bb" };
	uint64_t state = 8;

	(void)unused;
	for (int round = 0; round < 4000; round++) {
		char text[24], expected[100];
		uint64_t offsets[25];
		size_t len = random_next(&state) % sizeof(text), n, used = 0;
		struct textstream *stream = open_stream(stops, 3, false), *again;
		struct buf out;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[random_next(&state) % (sizeof(alphabet) - 1)];
		n = naive(text, len, stops, 3, expected);
		buf_init(&out, OUT_MAX);
		for (size_t i = 0; i < len && used == 0; i++) {
			if (textstream_push(stream, (uint8_t)text[i], &out))
				used = i + 1;
			offsets[i] = textstream_offset(stream);
		}
		textstream_flush(stream, &out);
		assert_int_equal(out.len, n);
		assert_memory_equal(buf_text(&out), expected, n);
		buf_reset(&out);
		again = open_stream(stops, 3, false);
		for (size_t i = 0; i < (used > 0 ? used : len); i++) {
			(void)textstream_push(again, (uint8_t)text[i], &out);
			assert_int_equal(textstream_offset(again), offsets[i]);
		}
		buf_fini(&out);
		textstream_free(stream);
		textstream_free(again);
	}
}

static void test_empty_and_endless_stop_strings_are_refused(void **unused)
{
	struct textstream *stream = NULL;
	struct errmsg why = ERRMSG_INIT;
	char *longest = calloc(1, 5000);

	(void)unused;
	assert_non_null(longest);
	memset(longest, 'x', 4999);
	assert_int_equal(
	    textstream_new(tokenizer, STOPS("a", ""), 2, false, &stream, &why), RC_INVALID);
	assert_int_equal(
	    textstream_new(tokenizer, (const char *const[]){ longest }, 1, false, &stream, &why),
	    RC_LIMIT);
	assert_null(stream);
	free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stop_string_across_tokens_ends_the_answer_before_it),
		cmocka_unit_test(test_of_several_stop_strings_the_first_to_be_complete_counts),
		cmocka_unit_test(test_nothing_that_could_become_a_stop_string_is_given_out),
		cmocka_unit_test(test_code_points_split_over_tokens_come_whole),
		cmocka_unit_test(test_bytes_that_cannot_become_text_turn_into_u_fffd),
		cmocka_unit_test(test_the_first_blank_goes_only_where_the_text_stands_alone),
		cmocka_unit_test(
		    test_random_texts_are_cut_like_the_twin_and_replay_to_the_same_offsets),
		cmocka_unit_test(test_empty_and_endless_stop_strings_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
