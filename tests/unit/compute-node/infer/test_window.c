/*
 * Windows: a row of a model with one layer depends on the last tokens of its
 * window to the bit, and on no older one, wherever steps of attention begin and
 * however the prompt is cut; and layers with a window keep no more than it, with
 * the bits of those that keep all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "family_build.h"
#include "infer/engine.h"
#include "model/model.h"

#define N_TOKENS 700
#define ROW_BYTES (FAMILY_VOCAB * sizeof(float))

static char path[64];
static int32_t ids[N_TOKENS];

/* gemma2 with one layer, which has a window. */
static struct model *open_window(uint32_t window)
{
	const struct family f = { .name = "window",
		.arch = "gemma2",
		.keys = { { "context_length", 'u', FAMILY_CTX, NULL },
		    { "embedding_length", 'u', 64, NULL }, { "block_count", 'u', 1, NULL },
		    { "feed_forward_length", 'u', 32, NULL },
		    { "attention.head_count", 'u', 3, NULL },
		    { "attention.head_count_kv", 'u', 1, NULL },
		    { "attention.key_length", 'u', 16, NULL },
		    { "attention.value_length", 'u', 16, NULL },
		    { "attention.layer_norm_rms_epsilon", 'f', 1e-6, NULL },
		    { "attention.sliding_window", 'u', window, NULL } },
		.tensors = { { "blk.0.attn_norm.weight", FAMILY_NORM, 64, 0, 0 },
		    { "blk.0.attn_q.weight", FAMILY_MATRIX, 64, 48, 0 },
		    { "blk.0.attn_k.weight", FAMILY_MATRIX, 64, 16, 0 },
		    { "blk.0.attn_v.weight", FAMILY_MATRIX, 64, 16, 0 },
		    { "blk.0.attn_output.weight", FAMILY_MATRIX, 48, 64, 0 },
		    { "blk.0.post_attention_norm.weight", FAMILY_NORM, 64, 0, 0 },
		    { "blk.0.ffn_norm.weight", FAMILY_NORM, 64, 0, 0 },
		    { "blk.0.ffn_gate.weight", FAMILY_MATRIX, 64, 32, 0 },
		    { "blk.0.ffn_up.weight", FAMILY_MATRIX, 64, 32, 0 },
		    { "blk.0.ffn_down.weight", FAMILY_MATRIX, 32, 64, 0 },
		    { "blk.0.post_ffw_norm.weight", FAMILY_NORM, 64, 0, 0 } } };
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 3);
	family_build(&b, &f, TYPE_F32);
	assert_true(gguf_build_write(&b, path));
	gguf_build_fini(&b);
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s", why.text);
	(void)unlink(path);
	return model;
}

static struct engine *start(const struct model *model, uint32_t ubatch, uint32_t threads)
{
	struct engine_config config = {
		.n_ctx = N_TOKENS, .n_ubatch = ubatch, .n_threads = threads
	};
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(model, &config, &engine, &why) != RC_OK)
		fail_msg("%s", why.text);
	return engine;
}

/* Append ids first … end - 1; logits of all. */
static void append(struct engine *engine, uint32_t first, uint32_t end, float *logits)
{
	static struct engine_row rows[N_TOKENS];
	struct errmsg why = ERRMSG_INIT;

	for (uint32_t i = first; i < end; i++)
		rows[i] = (struct engine_row){ .token = ids[i], .pos = i, .want_logits = true };
	if (engine_forward(engine, rows + first, end - first, logits + (size_t)first * FAMILY_VOCAB,
		NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

static float *logits_new(void)
{
	float *logits = calloc(N_TOKENS, ROW_BYTES);

	assert_non_null(logits);
	return logits;
}

static float *whole(const struct model *model, uint32_t ubatch, uint32_t threads)
{
	struct engine *engine = start(model, ubatch, threads);
	float *logits = logits_new();

	append(engine, 0, N_TOKENS, logits);
	engine_free(engine);
	return logits;
}

/* With another token at `changed`, exactly the rows changed … changed + window - 1
 * are other rows. */
static void check_reach(
    const struct model *model, uint32_t window, uint32_t changed, const float *before)
{
	float *after;

	ids[changed] = (ids[changed] + 1) % FAMILY_VOCAB;
	after = whole(model, 64, 2);
	ids[changed] = (ids[changed] + FAMILY_VOCAB - 1) % FAMILY_VOCAB;
	for (uint32_t i = 0; i < N_TOKENS; i++) {
		size_t at = (size_t)i * FAMILY_VOCAB;
		bool same = memcmp(before + at, after + at, ROW_BYTES) == 0;

		if (same == (i >= changed && i - changed < window))
			fail_msg("window %u, token %u: row %u is %s", window, changed, i,
			    same ? "the same" : "another");
	}
	free(after);
}

static void test_a_row_sees_its_window_and_nothing_older(void **unused)
{
	static const uint32_t windows[] = { 1, 5, 16, 255, 256, 300 };
	static const uint32_t changed[] = { 0, 1, 15, 16, 255, 256, 257, 399 };

	(void)unused;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct model *model = open_window(windows[i]);
		float *before = whole(model, 64, 2);

		for (size_t j = 0; j < sizeof(changed) / sizeof(changed[0]); j++)
			check_reach(model, windows[i], changed[j], before);
		free(before);
		model_close(model);
	}
}

/* With all of the prompt in one ubatch a cache keeps all positions. */
static void test_bits_are_those_of_a_cache_that_keeps_all(void **unused)
{
	static const uint32_t windows[] = { 1, 3, 40, 255, 256, 300 };
	static const uint32_t ubatches[] = { 1, 7, 64, 200, 256 };

	(void)unused;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct model *model = open_window(windows[i]);
		float *expected = whole(model, N_TOKENS, 1);

		for (uint32_t j = 0; j < sizeof(ubatches) / sizeof(ubatches[0]); j++) {
			float *other = whole(model, ubatches[j], 1 + j % 3);

			assert_memory_equal(other, expected, N_TOKENS * ROW_BYTES);
			free(other);
		}
		free(expected);
		model_close(model);
	}
}

/* A ring of whole steps that hold the window and a ubatch. */
static uint32_t cells(uint32_t window, uint32_t ubatch)
{
	uint32_t ring = (window + ubatch + 255) / 256 * 256, all = (N_TOKENS + 15) / 16 * 16;

	return ring < all ? ring : all;
}

static void test_a_sequence_is_cut_where_its_window_is_still_there(void **unused)
{
	static const uint32_t windows[] = { 3, 40, 256, 300 };
	static const uint32_t cuts[] = { 599, 400, 350, 270, 90, 1 };

	(void)unused;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct model *model = open_window(windows[i]);
		float *expected = whole(model, N_TOKENS, 1), *other = logits_new();

		for (size_t j = 0; j < sizeof(cuts) / sizeof(cuts[0]); j++) {
			struct engine *engine = start(model, 64, 2);
			uint32_t cut = cuts[j], need = cut + 1 > windows[i] ? windows[i] - 1 : cut;
			bool there = cut - need + cells(windows[i], 64) >= 600;

			append(engine, 0, 290, other);
			for (uint32_t at = 290; at < 600; at++)
				append(engine, at, at + 1, other);
			assert_memory_equal(other, expected, 600 * ROW_BYTES);
			assert_int_equal(
			    engine_seq_truncate(engine, 0, cut), there ? RC_OK : RC_UNSUPPORTED);
			assert_int_equal(engine_seq_len(engine, 0), there ? cut : 600);
			if (!there) {
				assert_int_equal(engine_seq_truncate(engine, 0, 0), RC_OK);
				cut = 0;
			}
			append(engine, cut, N_TOKENS, other);
			assert_memory_equal(other, expected, N_TOKENS * ROW_BYTES);
			engine_free(engine);
		}
		free(expected);
		free(other);
		model_close(model);
	}
}

/* Cut twice: what was written behind the first cut is gone for the second, too. */
static void test_what_was_overwritten_before_a_cut_stays_lost(void **unused)
{
	struct model *model = open_window(40); /* 256 cells with a ubatch of 64 */
	struct engine *engine = start(model, 64, 2);
	float *expected = whole(model, N_TOKENS, 1), *other = logits_new();

	(void)unused;
	append(engine, 0, 600, other); /* cells hold 344 … 599 */
	assert_int_equal(engine_seq_truncate(engine, 0, 500), RC_OK);
	append(engine, 500, 520, other);
	assert_int_equal(engine_seq_truncate(engine, 0, 382), RC_UNSUPPORTED);
	assert_int_equal(engine_seq_truncate(engine, 0, 383), RC_OK);
	append(engine, 383, N_TOKENS, other);
	assert_memory_equal(other, expected, N_TOKENS * ROW_BYTES);
	engine_free(engine);
	free(expected);
	free(other);
	model_close(model);
}

static void test_the_plan_counts_the_window_and_not_the_context(void **unused)
{
	struct model *model = open_window(300);
	struct engine_config config = { .n_ctx = 8192, .n_ubatch = 64, .n_seq = 3 };
	struct engine_plan plan;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(engine_plan(model, &config, &plan, &why), RC_OK);
	/* 512 cells, one head of 16 as key and as value, two bytes each */
	assert_int_equal(plan.cache_bytes, 3 * 512 * 2 * 16 * 2);
	config.n_ctx = 400; /* all of it are fewer */
	assert_int_equal(engine_plan(model, &config, &plan, &why), RC_OK);
	assert_int_equal(plan.cache_bytes, 3 * 400 * 2 * 16 * 2);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_row_sees_its_window_and_nothing_older),
		cmocka_unit_test(test_bits_are_those_of_a_cache_that_keeps_all),
		cmocka_unit_test(test_a_sequence_is_cut_where_its_window_is_still_there),
		cmocka_unit_test(test_what_was_overwritten_before_a_cut_stays_lost),
		cmocka_unit_test(test_the_plan_counts_the_window_and_not_the_context),
	};
	uint64_t state = 11;

	for (size_t i = 0; i < N_TOKENS; i++)
		ids[i] = (int32_t)(random_next(&state) % FAMILY_VOCAB);
	(void)snprintf(path, sizeof(path), "/tmp/test_window.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
