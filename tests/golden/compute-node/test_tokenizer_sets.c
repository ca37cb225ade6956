/*
 * Every vocabulary of ../shared/data/tokenizer: 46 texts each, 100 %, and back
 * to the text where the kind keeps every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/gguf.h"
#include "os/file.h"
#include "tokenize/tokenizer.h"

#define SET_DIR "../shared/data/tokenizer/ggml-vocab-"
#define SET_BYTES_MAX ((size_t)1 << 20)
#define SEPARATOR "\n__ggml_vocab_test__\n"

struct set {
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	uint8_t *texts, *ids;
};

static void open_set(const char *name, struct set *set)
{
	struct errmsg why = ERRMSG_INIT;
	char path[256];
	size_t len;

	(void)snprintf(path, sizeof(path), SET_DIR "%s.gguf", name);
	if (!file_exists(path))
		skip();
	if (gguf_open(path, &set->gguf, &why) != RC_OK ||
	    tokenizer_load(set->gguf, &set->tokenizer, &why) != RC_OK)
		fail_msg("%s: %s", name, why.text);
	(void)snprintf(path, sizeof(path), SET_DIR "%s.gguf.inp", name);
	assert_int_equal(file_read(path, SET_BYTES_MAX, &set->texts, &len, &why), RC_OK);
	(void)snprintf(path, sizeof(path), SET_DIR "%s.gguf.out", name);
	assert_int_equal(file_read(path, SET_BYTES_MAX, &set->ids, &len, &why), RC_OK);
}

static void close_set(struct set *set)
{
	tokenizer_free(set->tokenizer);
	gguf_close(set->gguf);
	free(set->texts);
	free(set->ids);
}

static void check_back(
    const struct set *set, const struct tokens *got, const char *text, size_t len)
{
	char piece[TOKEN_BYTES_MAX];
	size_t at = 0;

	for (size_t i = 0; i < got->len; i++) {
		size_t n = tokenizer_piece(set->tokenizer, got->ids[i], true, piece, sizeof(piece));
		assert_true(n <= len - at);
		assert_memory_equal(piece, text + at, n);
		at += n;
	}
	assert_int_equal(at, len);
}

static void check_set(const char *name, bool and_back)
{
	struct set set = { 0 };
	size_t texts = 0;

	open_set(name, &set);
	const char *ids = (const char *)set.ids;
	const char *text = (const char *)set.texts;
	for (const char *end; (end = strstr(text, SEPARATOR)) != NULL; texts++) {
		size_t len = (size_t)(end - text);
		struct tokens got = { 0 };
		assert_int_equal(
		    tokenizer_encode(set.tokenizer, text, len, TOKENIZE_FIRST, &got, NULL), RC_OK);
		const char *line_end = strchr(ids, '\n');
		assert_non_null(line_end);
		for (size_t i = 0; i < got.len; i++) {
			char *next;
			long expected = strtol(ids, &next, 10);
			if (next == ids || next > line_end || expected != got.ids[i])
				fail_msg("%s: text %zu: id %zu is %d", name, texts, i, got.ids[i]);
			ids = next;
		}
		while (*ids == ' ')
			ids++;
		assert_ptr_equal(ids, line_end);
		ids++;
		if (and_back)
			check_back(&set, &got, text, len);
		tokens_free(&got);
		text = end + strlen(SEPARATOR);
	}
	assert_int_equal(texts, 46);
	close_set(&set);
}

static void test_byte_level_vocabularies(void **state)
{
	(void)state;
	check_set("gpt-2", true);
	check_set("llama-bpe", true);
	check_set("qwen2", true);
	check_set("deepseek-llm", true);
}

static void test_sentencepiece_vocabularies(void **state)
{
	(void)state;
	check_set("llama-spm", false);
	check_set("phi-3", false);
}

static void test_wordpiece_vocabulary(void **state)
{
	(void)state;
	check_set("bert-bge", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_level_vocabularies),
		cmocka_unit_test(test_sentencepiece_vocabularies),
		cmocka_unit_test(test_wordpiece_vocabulary),
	};

	if (!file_exists(SET_DIR "gpt-2.gguf")) {
		(void)printf("no ../shared/data/tokenizer\n");
		return EXIT_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
