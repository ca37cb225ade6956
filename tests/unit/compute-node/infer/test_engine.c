/*
 * Engine: the bits of a row depend on its own past alone.  Random models of
 * every type, odd shapes, all ways to cut a prompt.
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

#include "base/random.h"
#include "effort.h"
#include "engine_scratch.h"
#include "gguf_build.h"
#include "infer/engine.h"
#include "kernels/kernels.h"
#include "model/model.h"

#define N_TOKENS 24
#define N_VOCAB 70

static char path[64];
static int32_t ids[600];

static struct model *open_shape(const struct gguf_build_llama *shape)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 5);
	gguf_build_llama(&b, shape);
	assert_true(gguf_build_write(&b, path));
	gguf_build_fini(&b);
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s", why.text);
	(void)unlink(path);
	return model;
}

static struct engine *start(const struct model *model, const struct engine_config *config)
{
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(model, config, &engine, &why) != RC_OK)
		fail_msg("%s", why.text);
	return engine;
}

/* Append ids first … first + n - 1 to a sequence; all rows want logits. */
static void append(struct engine *engine, uint32_t seq, size_t first, size_t n, float *logits)
{
	struct engine_row rows[600];
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < n; i++)
		rows[i] = (struct engine_row){ .token = ids[first + i],
			.seq = seq,
			.pos = (uint32_t)(first + i),
			.want_logits = true };
	if (engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

static float *whole(const struct model *model, const struct engine_config *config, size_t n)
{
	struct engine *engine = start(model, config);
	float *logits = calloc(n * N_VOCAB, sizeof(*logits));

	assert_non_null(logits);
	append(engine, 0, 0, n, logits);
	engine_free(engine);
	return logits;
}

static void assert_same(const float *a, const float *b, size_t rows)
{
	for (size_t i = 0; i < rows * N_VOCAB; i++) {
		if (memcmp(a + i, b + i, sizeof(float)) != 0)
			fail_msg("row %zu differs", i / N_VOCAB);
	}
}

/* All ubatches, thread counts and cuts of one model. */
static void check_all_cuts(const struct gguf_build_llama *shape, enum cache_type cache)
{
	static const uint32_t ubatches[] = { 1, 2, 3, 7, 256 };
	struct model *model = open_shape(shape);
	struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 1, .cache = cache };
	float *expected = whole(model, &config, N_TOKENS), *got;

	for (uint32_t threads = 1; threads <= 3; threads++) {
		for (size_t i = 0; i < 5; i++) {
			config.n_threads = threads;
			config.n_ubatch = ubatches[i];
			got = whole(model, &config, N_TOKENS);
			assert_same(got, expected, N_TOKENS);
			free(got);
		}
	}
	got = calloc(N_TOKENS * N_VOCAB, sizeof(*got));
	assert_non_null(got);
	for (size_t cut = 1; cut < N_TOKENS; cut += 6) { /* prefill, then decode */
		struct engine *engine = start(model, &config);

		append(engine, 0, 0, cut, got);
		for (size_t at = cut; at < N_TOKENS; at++)
			append(engine, 0, at, 1, got + at * N_VOCAB);
		assert_same(got, expected, N_TOKENS);
		engine_free(engine);
	}
	free(got);
	free(expected);
	model_close(model);
}

static void test_bits_are_equal_for_every_type_ubatch_thread_count_and_cut(void **unused)
{
	(void)unused;
	for (uint32_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		struct gguf_build_llama shape = { .n_vocab = N_VOCAB,
			.n_ctx = 64,
			.n_embd = 64,
			.n_layer = 2,
			.n_head = 6,
			.n_head_kv = 2,
			.head_dim = 32,
			.n_ff = 96,
			.type = (enum tensor_type)t,
			.bias = t % 2 == 0,
			.freqs = true };

		if (type_info(t) == NULL || kernels_form((enum tensor_type)t) == FORM_NONE)
			continue;
		/* Where only threads matter: floats, a block of 32 and one of 256. */
		if (EFFORT_WATCHED && t != TYPE_F16 && t != TYPE_Q8_0 && t != TYPE_Q4_K)
			continue;
		if (type_info(t)->block > 32) {
			shape.n_embd = shape.n_ff = 256;
			shape.n_head = 8;
		}
		check_all_cuts(&shape, (enum cache_type)(t % 3));
		check_all_cuts(&shape, CACHE_Q8_0);
	}
}

static void test_bits_are_equal_for_odd_shapes(void **unused)
{
	static const struct gguf_build_llama shapes[] = {
		{ NULL, N_VOCAB, 64, 36, 1, 3, 1, 10, 52, TYPE_F32, true, false, false, false, 0,
		    0 },
		{ NULL, N_VOCAB, 64, 20, 3, 5, 5, 6, 7, TYPE_F16, false, true, false, false, 0, 0 },
		{ NULL, N_VOCAB, 64, 32, 1, 12, 1, 32, 32, TYPE_Q8_0, true, true, true, false, 0,
		    0 },
		{ NULL, N_VOCAB, 64, 96, 1, 9, 3, 64, 160, TYPE_Q4_0, false, false, false, false, 0,
		    0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		check_all_cuts(&shapes[i], CACHE_F16);
}

static void test_an_8_bit_cache_is_near_and_refuses_heads_it_cannot_hold(void **unused)
{
	struct gguf_build_llama shape = { .n_vocab = N_VOCAB,
		.n_ctx = 64,
		.n_embd = 64,
		.n_layer = 2,
		.n_head = 4,
		.n_head_kv = 2,
		.head_dim = 64,
		.n_ff = 96,
		.type = TYPE_F32 };
	struct model *model = open_shape(&shape);
	struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 1, .cache = CACHE_F32 };
	float *expected = whole(model, &config, N_TOKENS), *got;
	struct engine_plan f32, q8;
	struct errmsg why = ERRMSG_INIT;
	double sum = 0, error = 0;

	(void)unused;
	assert_int_equal(engine_plan(model, &config, &f32, &why), RC_OK);
	config.cache = CACHE_Q8_0;
	assert_int_equal(engine_plan(model, &config, &q8, &why), RC_OK);
	assert_int_equal(q8.cache_bytes * 128, f32.cache_bytes * 34);
	got = whole(model, &config, N_TOKENS);
	for (size_t i = 0; i < N_TOKENS * N_VOCAB; i++) {
		double difference = (double)got[i] - (double)expected[i];

		error += difference * difference;
		sum += (double)expected[i] * (double)expected[i];
	}
	assert_true(error > 0 && error <= 1e-3 * sum);
	model_close(model);
	free(expected);
	free(got);
	shape.head_dim = 48;
	model = open_shape(&shape);
	assert_int_equal(engine_plan(model, &config, &q8, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "q8_0"));
	model_close(model);
}

static const struct gguf_build_llama small = { .n_vocab = N_VOCAB,
	.n_ctx = 1024,
	.n_embd = 32,
	.n_layer = 1,
	.n_head = 4,
	.n_head_kv = 1,
	.head_dim = 16,
	.n_ff = 32,
	.type = TYPE_F32,
	.tied = true };

static void test_attention_over_several_steps_has_equal_bits_decoded_and_prefilled(void **unused)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 600, .n_threads = 3, .n_ubatch = 64 };
	float *expected = whole(model, &config, 600), *got = calloc(600 * N_VOCAB, sizeof(*got));
	struct engine *engine;

	(void)unused;
	assert_non_null(got);
	config.n_threads = 2;
	engine = start(model, &config);
	append(engine, 0, 0, 250, got);
	for (size_t at = 250; at < 600; at++)
		append(engine, 0, at, 1, got + at * N_VOCAB);
	assert_same(got, expected, 600);
	engine_free(engine);
	free(got);
	free(expected);
	model_close(model);
}

static void test_sequences_in_one_batch_do_not_touch_each_other(void **unused)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 64, .n_seq = 3, .n_threads = 2, .n_ubatch = 5 };
	float *expected = whole(model, &config, 20), got[3 * N_VOCAB];
	struct engine *engine = start(model, &config);
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	for (uint32_t at = 0; at < 20; at++) {
		struct engine_row rows[3];

		for (uint32_t s = 0; s < 3; s++)
			rows[s] = (struct engine_row){ .token = s == 1 ? ids[100 + at] : ids[at],
				.seq = s,
				.pos = at,
				.want_logits = s != 1 };
		assert_int_equal(engine_forward(engine, rows, 3, got, NULL, NULL, &why), RC_OK);
		assert_memory_equal(got, expected + at * N_VOCAB, N_VOCAB * sizeof(float));
		assert_memory_equal(
		    got + N_VOCAB, expected + at * N_VOCAB, N_VOCAB * sizeof(float));
	}
	engine_free(engine);
	free(expected);
	model_close(model);
}

static void test_a_truncated_or_wiped_sequence_goes_on_like_a_fresh_one(void **unused)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 64, .n_seq = 2, .n_threads = 2 };
	float *expected = whole(model, &config, 30), got[40 * N_VOCAB];
	struct engine *engine = start(model, &config);
	struct errmsg why = ERRMSG_INIT;
	struct engine_row row = { .token = 69, .seq = 1, .pos = 0 };

	(void)unused;
	append(engine, 1, 0, 11, got);
	row.pos = 11;
	for (; row.pos < 33; row.pos++)
		assert_int_equal(engine_forward(engine, &row, 1, NULL, NULL, NULL, &why), RC_OK);
	assert_int_equal(engine_seq_truncate(engine, 1, 11), RC_OK);
	assert_int_equal(engine_seq_len(engine, 1), 11);
	append(engine, 1, 11, 19, got + 11 * N_VOCAB);
	assert_same(got, expected, 30);
	engine_seq_wipe(engine, 1);
	assert_int_equal(engine_seq_len(engine, 1), 0);
	append(engine, 1, 0, 30, got);
	assert_same(got, expected, 30);
	engine_free(engine);
	free(expected);
	model_close(model);
}

/* Of the steps of a long context only those that were taken are zeroed. */
static void test_steps_that_a_sequence_took_are_wiped_and_no_others(void **state)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 16 * PASS_STEP, .n_threads = 2 };
	float *logits = calloc(600 * N_VOCAB, sizeof(*logits));
	struct engine *engine;
	float *last;

	(void)state;
	assert_non_null(logits);
	engine = start(model, &config);
	append(engine, 0, 0, 520, logits);
	for (size_t i = 520; i < 523; i++)
		append(engine, 0, i, 1, logits);
	last = engine->pass.partial_values + (size_t)15 * (PASS_SPLIT_ROWS - 1) *
						 engine->model->n_head * engine->model->head_dim_v;
	*last = 1; /* no row ever came there */
	engine_seq_wipe(engine, 0);
	assert_true(*last == 1);
	*last = 0;
	assert_int_equal(engine_scratch_left(engine), 0);
	engine_free(engine);
	model_close(model);
	free(logits);
}

static void test_bad_rows_are_refused_and_change_nothing(void **unused)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 4, .n_threads = 1 };
	struct engine *engine = start(model, &config);
	struct errmsg why = ERRMSG_INIT;
	const struct {
		struct engine_row row;
		enum rc rc;
	} bad[] = { { { .token = -1 }, RC_INVALID }, { { .token = N_VOCAB }, RC_INVALID },
		{ { .token = 1, .seq = 1 }, RC_INVALID },
		{ { .token = 1, .pos = 1 }, RC_INVALID } };
	struct engine_row rows[5];
	const volatile bool cancelled = true;

	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(
		    engine_forward(engine, &bad[i].row, 1, NULL, NULL, NULL, &why), bad[i].rc);
		assert_int_equal(engine_seq_len(engine, 0), 0);
	}
	for (uint32_t i = 0; i < 5; i++)
		rows[i] = (struct engine_row){ .token = 1, .pos = i };
	errmsg_reset(&why);
	assert_int_equal(engine_forward(engine, rows, 5, NULL, NULL, NULL, &why), RC_CONTEXT);
	assert_int_equal(engine_seq_len(engine, 0), 0);
	assert_int_equal(
	    engine_forward(engine, rows, 4, NULL, NULL, &cancelled, &why), RC_CANCELLED);
	assert_int_equal(engine_seq_len(engine, 0), 0);
	assert_int_equal(engine_forward(engine, rows, 4, NULL, NULL, NULL, &why), RC_OK);
	assert_int_equal(engine_seq_len(engine, 0), 4);
	engine_free(engine);
	model_close(model);
}

static void test_the_plan_counts_what_new_sequences_and_context_take(void **unused)
{
	struct model *model = open_shape(&small);
	struct engine_config config = { .n_ctx = 64, .n_threads = 1 };
	struct engine_plan one, two;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(engine_plan(model, &config, &one, &why), RC_OK);
	/* layers × heads × (k + v) × positions × bytes */
	assert_int_equal(one.cache_bytes, 1 * 1 * (16 + 16) * 64 * 2);
	assert_int_equal(one.weights_bytes, model_info(model)->weights_bytes);
	config.n_seq = 3;
	assert_int_equal(engine_plan(model, &config, &two, &why), RC_OK);
	assert_int_equal(two.cache_bytes, 3 * one.cache_bytes);
	config.n_ctx = UINT32_MAX;
	assert_int_equal(engine_plan(model, &config, &two, &why), RC_LIMIT);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits_are_equal_for_every_type_ubatch_thread_count_and_cut),
		cmocka_unit_test(test_bits_are_equal_for_odd_shapes),
		cmocka_unit_test(test_an_8_bit_cache_is_near_and_refuses_heads_it_cannot_hold),
		cmocka_unit_test(
		    test_attention_over_several_steps_has_equal_bits_decoded_and_prefilled),
		cmocka_unit_test(test_sequences_in_one_batch_do_not_touch_each_other),
		cmocka_unit_test(test_a_truncated_or_wiped_sequence_goes_on_like_a_fresh_one),
		cmocka_unit_test(test_steps_that_a_sequence_took_are_wiped_and_no_others),
		cmocka_unit_test(test_bad_rows_are_refused_and_change_nothing),
		cmocka_unit_test(test_the_plan_counts_what_new_sequences_and_context_take),
	};
	uint64_t state = 23;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ids[i] = (int32_t)(random_next(&state) % N_VOCAB);
	(void)snprintf(path, sizeof(path), "/tmp/test_engine.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
