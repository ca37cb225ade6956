/*
 * Encoders of ../shared/data/embed: each sentence's vector within the bound, of
 * length 1, with the same bits for any number of threads.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "infer/embed.h"
#include "model/model.h"
#include "os/file.h"

#define DATA "../shared/data/embed"
#define FILE_BYTES_MAX ((size_t)1 << 20)
#define VALUES_MAX 1024
#define COSINE_MIN 0.9999
#define SKIPPED 77

/* Every number between the brackets; rows are counted by '['. */
static size_t read_numbers(char *text, double *out, size_t *n_rows)
{
	size_t n = 0;

	*n_rows = 0;
	for (char *at = text; *at != '\0' && n < VALUES_MAX;) {
		char *end = at;

		*n_rows += *at == '[' && at[1] != '[';
		if (strchr("-0123456789", *at) != NULL)
			out[n++] = strtod(at, &end);
		at = end == at ? at + 1 : end;
	}
	return n;
}

/* The vectors of all lines, one behind another. */
static size_t embed_sentences(const char *name, uint32_t threads, float *out)
{
	const struct engine_config config = { .n_threads = threads };
	struct model *model = NULL;
	struct engine *engine = NULL;
	struct embed *embed = NULL;
	struct errmsg why = ERRMSG_INIT;
	char path[128];
	uint8_t *lines = NULL;
	size_t len = 0, n = 0;

	(void)snprintf(path, sizeof(path), DATA "/%s.gguf", name);
	if (model_open(path, &model, &why) != RC_OK ||
	    engine_new(model, &config, &engine, &why) != RC_OK ||
	    embed_new(model, engine, &embed, &why) != RC_OK ||
	    file_read(DATA "/sentences.txt", FILE_BYTES_MAX, &lines, &len, &why) != RC_OK)
		fail_msg("%s", why.text);
	for (char *at = (char *)lines, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		struct tokens ids = { 0 };

		assert_int_equal(
		    embed_tokenize(model_tokenizer(model), at, (size_t)(end - at), &ids, &why),
		    RC_OK);
		const struct embed_text text = { ids.ids, ids.len, out + n };

		assert_int_equal(embed_run(embed, &text, 1, &why), RC_OK);
		n += model_info(model)->n_embd;
		tokens_free(&ids);
	}
	free(lines);
	embed_free(embed);
	engine_free(engine);
	model_close(model);
	return n;
}

static void check(const char *name)
{
	static float got[VALUES_MAX], again[VALUES_MAX];
	static double expected[VALUES_MAX];
	char file[128];
	uint8_t *bytes = NULL;
	size_t len = 0, n, n_rows, width;

	(void)snprintf(file, sizeof(file), DATA "/%s.expected.json", name);
	assert_int_equal(file_read(file, FILE_BYTES_MAX, &bytes, &len, NULL), RC_OK);
	n = read_numbers((char *)bytes, expected, &n_rows);
	assert_int_equal(embed_sentences(name, 1, got), n);
	assert_int_equal(embed_sentences(name, 3, again), n);
	assert_memory_equal(got, again, n * sizeof(float));
	width = n / n_rows;
	for (size_t r = 0; r < n_rows; r++) {
		double dot = 0, a = 0, b = 0;

		for (size_t i = r * width; i < (r + 1) * width; i++) {
			dot += (double)got[i] * expected[i];
			a += (double)got[i] * (double)got[i];
			b += expected[i] * expected[i];
		}
		print_message("%s sentence %zu: cosine %.9f\n", name, r, dot / sqrt(a * b));
		assert_true(dot / sqrt(a * b) >= COSINE_MIN);
		assert_true(fabs(a - 1) < 1e-6);
	}
	free(bytes);
}

static void test_mean_pooled_sentences_agree(void **unused)
{
	(void)unused;
	check("bert-mean");
}

static void test_first_token_pooled_sentences_agree(void **unused)
{
	(void)unused;
	check("bert-cls");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mean_pooled_sentences_agree),
		cmocka_unit_test(test_first_token_pooled_sentences_agree),
	};

	if (access(DATA, R_OK) != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
