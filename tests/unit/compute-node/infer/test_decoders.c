/*
 * Decoders against their twin in double: experts, their groups, factors, NVFP4,
 * blocks that are not run, windows; with odd numbers of heads, widths that are no
 * powers of two, and prompts longer than the window and than a ubatch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "decoder_twin.h"
#include "infer/engine.h"
#include "kernels/kernels.h"
#include "model/model.h"

#define N_TOKENS_MAX 400
/* Where activations are multiplied in 8 bits. */
#define NMSE_8_BIT 6e-4

static char path[64];
static int32_t ids[N_TOKENS_MAX];

static const struct decoder_twin_shape llama = { .family = TWIN_LLAMA,
	.n_embd = 72,
	.n_layer = 2,
	.n_ff = 100,
	.n_ctx = 512,
	.n_head = 9,
	.n_head_kv = 3,
	.n_dim = 20,
	.n_rot = 20 };
static const struct decoder_twin_shape gemma2 = { .family = TWIN_GEMMA2,
	.n_embd = 60,
	.n_layer = 3,
	.n_ff = 84,
	.n_ctx = 512,
	.n_head = 5,
	.n_head_kv = 1,
	.n_dim = 28,
	.n_rot = 28,
	.window = 37 };
static const struct decoder_twin_shape deepseek2 = { .family = TWIN_DEEPSEEK2,
	.n_embd = 80,
	.n_layer = 3,
	.n_ff = 100,
	.n_ctx = 512,
	.n_head = 5,
	.n_head_kv = 1,
	.n_dim = 24,
	.n_rot = 12,
	.n_rank = 40,
	.n_q_rank = 56,
	.n_nope = 20,
	.n_expert = 12,
	.n_used = 3,
	.n_ff_expert = 36,
	.n_dense = 1,
	.n_shared = 2,
	.n_group = 4,
	.n_group_used = 2,
	.scale = 2.5f };

static struct model *open_shape(const struct decoder_twin_shape *shape)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 23);
	decoder_twin_build(&b, shape);
	assert_true(gguf_build_write(&b, path));
	gguf_build_fini(&b);
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s", why.text);
	(void)unlink(path);
	return model;
}

static void compute(
    const struct model *model, enum cache_type cache, uint32_t ubatch, size_t n, float *logits)
{
	struct engine_config config = { .n_ctx = N_TOKENS_MAX,
		.n_ubatch = ubatch,
		.n_threads = ubatch > 1 ? 2 : 1,
		.cache = cache };
	struct engine_row rows[N_TOKENS_MAX];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < n; i++)
		rows[i] =
		    (struct engine_row){ .token = ids[i], .pos = (uint32_t)i, .want_logits = true };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
}

static void check_cached(
    const struct decoder_twin_shape *shape, enum cache_type cache, size_t n, double bound)
{
	struct model *model = open_shape(shape);
	float *got = calloc(n * DECODER_TWIN_VOCAB, sizeof(*got));
	double *expected = calloc(n * DECODER_TWIN_VOCAB, sizeof(*expected));
	double error = 0, power = 0;

	assert_non_null(got);
	assert_non_null(expected);
	compute(model, cache, 48, n, got);
	decoder_twin_logits(model_gguf(model), shape, ids, n, expected);
	for (size_t i = 0; i < n * DECODER_TWIN_VOCAB; i++) {
		double d = (double)got[i] - expected[i];

		error += d * d;
		power += expected[i] * expected[i];
	}
	print_message("NMSE %.3g (bound %.3g)\n", error / power, bound);
	if (!(error <= bound * power))
		fail_msg("NMSE %g, bound %g", error / power, bound);
	free(got);
	free(expected);
	model_close(model);
}

static void check(const struct decoder_twin_shape *shape, size_t n, double bound)
{
	check_cached(shape, CACHE_F32, n, bound);
}

static void test_llama_agrees_with_its_twin(void **unused)
{
	struct decoder_twin_shape shape = llama;

	(void)unused;
	check(&shape, 150, 1e-6);
	shape.factors = true;
	check(&shape, 60, 1e-6);
}

static void test_mixtral_agrees_with_its_twin(void **unused)
{
	struct decoder_twin_shape shape = llama;

	(void)unused;
	shape.n_expert = 7;
	shape.n_used = 2;
	shape.n_ff_expert = 52;
	check(&shape, 120, 1e-6);
	shape.factors = true;
	check(&shape, 120, 1e-6);
}

static void test_windows_agree_with_their_twin(void **unused)
{
	struct decoder_twin_shape shape = gemma2;

	(void)unused;
	check(&shape, N_TOKENS_MAX, 1e-6);
	shape.window = 1;
	check(&shape, 100, 1e-6);
	shape.window = 300;
	shape.factors = true;
	check(&shape, 330, 1e-6);
}

static void test_groups_of_experts_agree_with_their_twin(void **unused)
{
	struct decoder_twin_shape shape = deepseek2;

	(void)unused;
	check(&shape, 120, 1e-6); /* V2 */
	shape.sigmoid = shape.norm = true;
	check(&shape, 120, 1e-6); /* V3 */
	shape.n_group = shape.n_group_used = 0;
	shape.n_q_rank = 0;
	shape.factors = true;
	check(&shape, 120, 1e-6);
}

static void test_blocks_that_guess_further_tokens_are_left_out(void **unused)
{
	struct decoder_twin_shape shape = deepseek2;

	(void)unused;
	shape.n_next = 2;
	check(&shape, 40, 1e-6);
}

/* Values are taken out of the keys that they are part of, in every type of cache,
 * and a prompt's bits are those of its tokens one at a time. */
static void test_a_latent_that_is_kept_once_agrees_with_its_twin(void **unused)
{
	static const double bounds[] = {
		[CACHE_F16] = 1e-5, [CACHE_F32] = 1e-6, [CACHE_Q8_0] = 1e-3
	};
	struct decoder_twin_shape shape = deepseek2;
	static float one[300 * DECODER_TWIN_VOCAB], other[300 * DECODER_TWIN_VOCAB];

	(void)unused;
	shape.n_expert = shape.n_used = shape.n_group = shape.n_group_used = shape.n_shared = 0;
	shape.n_rank = 64;
	shape.n_rot = 32;
	shape.n_head = 19; /* more than one tile of queries */
	shape.n_layer = 1;
	for (enum cache_type cache = CACHE_F16; cache <= CACHE_Q8_0; cache++) {
		struct model *model = open_shape(&shape);

		check_cached(&shape, cache, 300, bounds[cache]);
		compute(model, cache, 256, 300, one);
		compute(model, cache, 1, 300, other);
		assert_memory_equal(one, other, sizeof(one));
		compute(model, cache, 10, 300, other);
		assert_memory_equal(one, other, sizeof(one));
		model_close(model);
	}
}

static void test_the_plan_counts_a_latent_once(void **unused)
{
	struct model *model = open_shape(&deepseek2);
	struct engine_config config = { .n_ctx = 64, .cache = CACHE_F16 };
	struct engine_plan plan;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(engine_plan(model, &config, &plan, &why), RC_OK);
	assert_int_equal(plan.cache_bytes, (size_t)3 * 64 * (40 + 12) * 2);
	model_close(model);
}

/* Multiples of a block of 64 in every row. */
static struct decoder_twin_shape blocks_of(
    struct decoder_twin_shape shape, enum tensor_type type, bool factors)
{
	shape.type = type;
	shape.factors = factors;
	shape.n_embd = 192;
	shape.n_ff = 320;
	shape.n_head = 3;
	shape.n_head_kv = 1;
	shape.n_dim = shape.n_rot = 64;
	return shape;
}

/* Rows that are looked up hold what the published format says, to the bit. */
static void test_weights_are_decoded_as_the_twin_decodes_them(void **unused)
{
	static const enum tensor_type types[] = { TYPE_F32, TYPE_Q8_0, TYPE_NVFP4 };

	(void)unused;
	for (int i = 0; i < 3; i++) {
		struct decoder_twin_shape shape = blocks_of(llama, types[i], false);
		struct model *model = open_shape(&shape);
		const struct gguf_tensor *t =
		    gguf_find_tensor(model_gguf(model), "blk.1.ffn_down.weight");
		float row[320];

		for (uint64_t r = 0; r < t->dims[1]; r++) {
			kernels_widen(
			    t->type, t->data + r * type_row_bytes(t->type, 320), 320, row);
			for (uint64_t c = 0; c < 320; c++)
				assert_true((double)row[c] == decoder_twin_weight(t, r * 320 + c));
		}
		model_close(model);
	}
}

static void test_quantised_models_with_factors_agree_with_their_twin(void **unused)
{
	static const enum tensor_type types[] = { TYPE_NVFP4, TYPE_Q8_0 };

	(void)unused;
	for (int i = 0; i < 4; i++) {
		struct decoder_twin_shape shape = blocks_of(llama, types[i / 2], i % 2 == 1);

		check(&shape, 40, NMSE_8_BIT);
		/* all are used: a choice may turn on the rounding of activations */
		shape.n_expert = shape.n_used = 3;
		shape.n_ff_expert = 128;
		check(&shape, 40, NMSE_8_BIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_llama_agrees_with_its_twin),
		cmocka_unit_test(test_mixtral_agrees_with_its_twin),
		cmocka_unit_test(test_windows_agree_with_their_twin),
		cmocka_unit_test(test_groups_of_experts_agree_with_their_twin),
		cmocka_unit_test(test_blocks_that_guess_further_tokens_are_left_out),
		cmocka_unit_test(test_a_latent_that_is_kept_once_agrees_with_its_twin),
		cmocka_unit_test(test_the_plan_counts_a_latent_once),
		cmocka_unit_test(test_weights_are_decoded_as_the_twin_decodes_them),
		cmocka_unit_test(test_quantised_models_with_factors_agree_with_their_twin),
	};
	uint64_t state = 5;

	for (size_t i = 0; i < N_TOKENS_MAX; i++)
		ids[i] = (int32_t)(random_next(&state) % DECODER_TWIN_VOCAB);
	(void)snprintf(path, sizeof(path), "/tmp/test_decoders.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
