/*
 * Models from ../shared/data: the greedy text of stories260K to the byte, the
 * logits of the arch and quant sets within their bounds with equal bits for
 * every ubatch and thread count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "golden_models.h"
#include "infer/engine.h"
#include "infer/textstream.h"
#include "model/model.h"
#include "plain_sample.h"
#include "tokenize/tokenizer.h"

#define SKIPPED 77

static float *logits_of(const struct model *model, const int32_t *ids, size_t n, uint32_t ubatch,
    uint32_t threads, enum cache_type cache)
{
	struct engine_config config = {
		.n_ctx = (uint32_t)n, .n_ubatch = ubatch, .n_threads = threads, .cache = cache
	};
	struct engine_row rows[GOLDEN_TOKENS_MAX];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;
	float *logits = calloc(n * model_info(model)->n_vocab, sizeof(*logits));

	assert_non_null(logits);
	for (size_t i = 0; i < n; i++)
		rows[i] =
		    (struct engine_row){ .token = ids[i], .pos = (uint32_t)i, .want_logits = true };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
	return logits;
}

/* gemma4 does not scale its scores, so keys of 16 bits weigh more. */
static double f16_bound(const char *name, double bound)
{
	return strncmp(name, "gemma4", 6) == 0 ? 20 * bound : bound;
}

/* NMSE against the file, and the same bits for all ubatches and threads. */
static void check_logits(const char *folder, const char *name, const char *suffix, double bound)
{
	static const uint32_t ubatches[] = { 1, 3, 16, 512 };
	struct model *model = golden_open(folder, name);
	int32_t ids[GOLDEN_TOKENS_MAX];
	size_t n = golden_tokens(folder, ids), n_floats = n * model_info(model)->n_vocab, len;
	char file[128];
	uint8_t *expected;

	(void)snprintf(file, sizeof(file), "%s%s", name, suffix);
	expected = golden_file(&len, folder, file);
	assert_int_equal(len, n_floats * sizeof(float));
	for (int cache = 0; cache < 2; cache++) {
		enum cache_type type = cache == 0 ? CACHE_F32 : CACHE_F16;
		float *first = logits_of(model, ids, n, 0, 1, type);
		double got = golden_nmse(first, (const float *)(const void *)expected, n_floats);

		print_message("%s/%s %s: NMSE %.3g (bound %.3g)\n", folder, name,
		    cache == 0 ? "f32" : "f16", got, bound);
		if (!(got <= (type == CACHE_F16 ? f16_bound(name, bound) : bound)))
			fail_msg("%s: NMSE %g, bound %g", name, got, bound);
		for (size_t i = 0; i < 4; i++) {
			float *other = logits_of(model, ids, n, ubatches[i], 1 + (uint32_t)i, type);

			assert_memory_equal(other, first, n_floats * sizeof(float));
			free(other);
		}
		free(first);
	}
	free(expected);
	model_close(model);
}

static void test_the_arch_set_is_within_its_bound(void **unused)
{
	static const char *const names[] = { "llama-dense", "llama-yarn-dense", "qwen2-dense",
		"qwen3-dense", "qwen3-yarn-dense", "smollm3-dense", "mistral3-dense", "phi3-dense",
		"glm4-dense", "gemma2-dense", "gemma3-dense", "gemma4-dense", "gemma4-nople-dense",
		"qwen3moe-moe", "glm4moe-moe", "gpt-oss-moe", "qwen35-dense", "qwen35moe-moe",
		"qwen3next-moe", "deepseek2-moe", "nemotron_h_moe-dense" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_logits("arch", names[i], ".logits", 1e-6);
}

static void test_the_quant_set_is_within_the_peers_error(void **unused)
{
	static const char *const names[] = { "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1",
		"Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		double peer = golden_peer_nmse(names[i]);

		assert_true(peer > 0);
		check_logits("quant", names[i], ".exact.logits", 1.1 * peer);
	}
}

static void test_stories_tell_the_expected_text_to_the_byte(void **unused)
{
	struct model *model = golden_open("models", "stories260K");
	const struct tokenizer *t = model_tokenizer(model);
	struct engine_config config = { .n_ctx = 201 };
	const struct sample_params greedy = { 0 };
	struct engine_row row = { .token = tokenizer_bos(t), .want_logits = true };
	struct engine *engine = NULL;
	struct textstream *stream = NULL;
	struct errmsg why = ERRMSG_INIT;
	float logits[512];
	struct buf out;
	size_t len;
	uint8_t *expected = golden_file(&len, "models", "stories260K.expected.txt");

	(void)unused;
	buf_init(&out, 65536);
	assert_int_equal(model_info(model)->n_vocab, 512);
	assert_int_equal(engine_new(model, &config, &engine, &why), RC_OK);
	assert_int_equal(textstream_new(t, NULL, 0, true, &stream, &why), RC_OK);
	for (; row.pos < 200; row.pos++) {
		assert_int_equal(engine_forward(engine, &row, 1, logits, NULL, NULL, &why), RC_OK);
		row.token =
		    plain_sample(&greedy, &(struct sample_row){ .logits = logits, .n_vocab = 512 });
		(void)textstream_push(stream, row.token, &out);
	}
	textstream_flush(stream, &out);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.bytes, expected, len);
	free(expected);
	buf_fini(&out);
	textstream_free(stream);
	engine_free(engine);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_arch_set_is_within_its_bound),
		cmocka_unit_test(test_the_quant_set_is_within_the_peers_error),
		cmocka_unit_test(test_stories_tell_the_expected_text_to_the_byte),
	};

	if (access(GOLDEN_DATA, R_OK) != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
