/*
 * Embedding: encoders against their twin in double, pooling, and the same bits
 * for any company in a pass and any number of threads.
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

#include "encoder_twin.h"
#include "engine_scratch.h"
#include "infer/embed.h"
#include "infer/encode.h"
#include "model/model.h"

#define TEXTS 7
#define DIM_MAX 64

static char path[64];
static const size_t lengths[TEXTS] = { 1, 2, 15, 16, 17, 33, 60 };
static int32_t ids[TEXTS][64];

static const struct encoder_twin_shape bert = {
	.n_embd = 48, .n_layer = 2, .n_head = 4, .n_ff = 72, .n_ctx = 64, .pooling = TWIN_MEAN
};
static const struct encoder_twin_shape nomic = { .nomic = true,
	.fused = true,
	.n_embd = 48,
	.n_layer = 3,
	.n_head = 3,
	.n_ff = 40,
	.n_ctx = 64,
	.pooling = TWIN_MEAN };

static enum rc try_open(struct gguf_build *b, struct model **out, struct errmsg *why)
{
	enum rc rc;

	assert_true(gguf_build_write(b, path));
	gguf_build_fini(b);
	rc = model_open(path, out, why);
	(void)unlink(path);
	return rc;
}

struct rig {
	struct engine *engine;
	struct embed *embed;
};

static struct rig rig_open(const struct model *model, struct engine_config config)
{
	struct rig rig = { 0 };
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(model, &config, &rig.engine, &why) != RC_OK ||
	    embed_new(model, rig.engine, &rig.embed, &why) != RC_OK)
		fail_msg("%s", why.text);
	return rig;
}

static void rig_close(struct rig *rig)
{
	embed_free(rig->embed);
	engine_free(rig->engine);
}

/* All texts, `together` or one by one, [TEXTS][n_embd]. */
static void embed_all(const struct model *model, uint32_t threads, bool together, float *out)
{
	size_t n_embd = model_info(model)->n_embd;
	struct rig rig = rig_open(model, (struct engine_config){ .n_threads = threads });
	struct embed_text texts[TEXTS];
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < TEXTS; i++)
		texts[i] = (struct embed_text){ ids[i], lengths[i], out + i * n_embd };
	for (size_t i = 0; i < TEXTS; i += together ? TEXTS : 1)
		assert_int_equal(
		    embed_run(rig.embed, texts + i, together ? TEXTS : 1, &why), RC_OK);
	assert_int_equal(engine_scratch_left(rig.engine), 0);
	rig_close(&rig);
}

static void check_against_twin(const struct encoder_twin_shape *shape)
{
	struct model *model = encoder_twin_open(shape);
	float got[TEXTS * DIM_MAX];
	double expected[DIM_MAX];

	embed_all(model, 1, true, got);
	for (size_t i = 0; i < TEXTS; i++) {
		double error = 0, square = 0;

		encoder_twin_embed(model_gguf(model), shape, ids[i], lengths[i], expected);
		for (size_t d = 0; d < shape->n_embd; d++) {
			double v = (double)got[i * shape->n_embd + d];

			error += (v - expected[d]) * (v - expected[d]);
			square += v * v;
		}
		if (!(error < 1e-10) || !(fabs(square - 1) < 1e-6))
			fail_msg(
			    "text of %zu tokens: error %g, length² %g", lengths[i], error, square);
	}
	model_close(model);
}

static void test_bert_agrees_with_its_twin_for_every_pooling(void **unused)
{
	struct encoder_twin_shape shape = bert;

	(void)unused;
	for (shape.pooling = TWIN_MEAN; shape.pooling <= TWIN_LAST; shape.pooling++)
		check_against_twin(&shape);
	shape.pooling = 0; /* no key: the mean */
	check_against_twin(&shape);
	shape.fused = true;
	check_against_twin(&shape);
}

static void test_nomic_bert_agrees_with_its_twin_for_every_pooling(void **unused)
{
	struct encoder_twin_shape shape = nomic;

	(void)unused;
	for (shape.pooling = TWIN_MEAN; shape.pooling <= TWIN_LAST; shape.pooling++)
		check_against_twin(&shape);
	shape.pooling = TWIN_CLS;
	shape.fused = false;
	check_against_twin(&shape);
}

static void test_odd_head_dimensions_agree_with_the_twin(void **unused)
{
	struct encoder_twin_shape shape = bert;

	(void)unused;
	shape.n_embd = 45;
	shape.n_head = 9; /* of 5 */
	shape.n_ff = 31;
	check_against_twin(&shape);
	shape = nomic;
	shape.n_embd = 42;
	shape.n_head = 7; /* of 6 */
	check_against_twin(&shape);
}

static void test_company_and_threads_change_no_bit(void **unused)
{
	static const struct encoder_twin_shape *const shapes[] = { &bert, &nomic };
	float first[TEXTS * DIM_MAX], again[TEXTS * DIM_MAX];

	(void)unused;
	for (size_t s = 0; s < 2; s++) {
		struct model *model = encoder_twin_open(shapes[s]);
		size_t n_bytes = TEXTS * shapes[s]->n_embd * sizeof(float);

		embed_all(model, 1, false, first);
		for (uint32_t threads = 1; threads <= 5; threads += 2) {
			for (int together = 0; together < 2; together++) {
				embed_all(model, threads, together, again);
				assert_memory_equal(first, again, n_bytes);
			}
		}
		model_close(model);
	}
}

static void test_more_texts_than_a_pass_takes_are_all_done(void **unused)
{
	enum { MANY = 3 * ENCODE_TEXTS_MAX + 5 };
	struct model *model = encoder_twin_open(&bert);
	struct rig rig = rig_open(model, (struct engine_config){ .n_threads = 2 });
	static float out[MANY][48];
	struct embed_text texts[MANY];
	struct errmsg why = ERRMSG_INIT;
	float one[48];
	struct embed_text single = { ids[2], 15, one };

	(void)unused;
	for (size_t i = 0; i < MANY; i++)
		texts[i] = (struct embed_text){ ids[2], i % 15 + 1, out[i] };
	assert_int_equal(embed_run(rig.embed, texts, MANY, &why), RC_OK);
	for (size_t i = 0; i < MANY; i++) {
		single.n = i % 15 + 1;
		assert_int_equal(embed_run(rig.embed, &single, 1, &why), RC_OK);
		assert_memory_equal(one, out[i], sizeof(one));
	}
	rig_close(&rig);
	model_close(model);
}

static void test_texts_that_do_not_fit_are_refused_with_numbers(void **unused)
{
	struct model *model = encoder_twin_open(&bert);
	struct rig rig = rig_open(model, (struct engine_config){ .n_ctx = 9999 });
	struct errmsg why = ERRMSG_INIT;
	struct engine_row row = { .token = 1, .want_logits = true };

	(void)unused;
	assert_int_equal(engine_config(rig.engine)->n_ctx, 64);
	assert_int_equal(embed_check(engine_config(rig.engine)->n_ctx, 64, &why), RC_OK);
	assert_int_equal(embed_check(engine_config(rig.engine)->n_ctx, 65, &why), RC_CONTEXT);
	assert_non_null(strstr(why.text, "65"));
	errmsg_reset(&why);
	assert_int_equal(embed_check(engine_config(rig.engine)->n_ctx, 0, &why), RC_INVALID);
	errmsg_reset(&why);
	assert_int_equal(
	    engine_forward(rig.engine, &row, 1, NULL, NULL, NULL, &why), RC_UNSUPPORTED);
	errmsg_reset(&why);
	row = (struct engine_row){ .token = ENCODER_TWIN_VOCAB };
	assert_int_equal(engine_forward(rig.engine, &row, 1, NULL, NULL, NULL, &why), RC_INVALID);
	errmsg_reset(&why);
	row = (struct engine_row){ .token = 1, .pos = 3 };
	assert_int_equal(engine_forward(rig.engine, &row, 1, NULL, NULL, NULL, &why), RC_INVALID);
	rig_close(&rig);
	model_close(model);
}

static void test_ranking_is_refused_by_name(void **unused)
{
	struct encoder_twin_shape shape = bert;
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	(void)unused;
	shape.pooling = 4;
	gguf_build_init(&b, 1);
	encoder_twin_build(&b, &shape);
	assert_int_equal(try_open(&b, &model, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "bert.pooling_type: 4 (ranking)"));
}

static void test_missing_and_misshaped_tensors_are_named(void **unused)
{
	static const char *const names[] = { "blk.1.attn_output_norm.weight",
		"position_embd.weight", "token_embd_norm.weight", "blk.0.ffn_up.weight",
		"blk.1.layer_output_norm.weight" };
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct gguf_build b;
		uint8_t *at;

		gguf_build_init(&b, 1);
		encoder_twin_build(&b, &bert);
		at = memmem(b.infos.bytes, b.infos.len, names[i], strlen(names[i]));
		assert_non_null(at);
		at[strlen(names[i]) - 1] = 'x'; /* another name: it is missing */
		errmsg_reset(&why);
		assert_int_equal(try_open(&b, &model, &why), RC_INVALID);
		assert_non_null(strstr(why.text, names[i]));
		gguf_build_init(&b, 1);
		encoder_twin_build(&b, &bert);
		at = memmem(b.infos.bytes, b.infos.len, names[i], strlen(names[i]));
		at[strlen(names[i]) + 4] ^= 16; /* another width */
		errmsg_reset(&why);
		assert_int_not_equal(try_open(&b, &model, &why), RC_OK);
		assert_true(why.text[0] != '\0');
	}
}

/* A decoder's last row, scaled, is what its output matrix is multiplied with. */
static void test_a_decoder_that_says_so_embeds_its_last_row(void **unused)
{
	const struct gguf_build_llama shape = { .n_vocab = 50,
		.n_ctx = 64,
		.n_embd = 32,
		.n_layer = 2,
		.n_head = 4,
		.n_head_kv = 2,
		.head_dim = 8,
		.n_ff = 48,
		.type = TYPE_F32 };
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	float vector[32], rows[60 * 32], logits[50];
	struct engine_row last[60];
	double dot = 0, a = 0;

	(void)unused;
	gguf_build_init(&b, 3);
	gguf_build_llama(&b, &shape);
	gguf_build_u32(&b, "llama.pooling_type", 3);
	assert_int_equal(try_open(&b, &model, &why), RC_OK);
	assert_true(model_info(model)->pools);
	assert_false(model_info(model)->causal);
	for (uint32_t ubatch = 1; ubatch <= 64; ubatch *= 4) {
		struct rig rig = rig_open(model, (struct engine_config){ .n_ubatch = ubatch });
		const struct embed_text text = { ids[5], 33, vector };

		assert_int_equal(embed_run(rig.embed, &text, 1, &why), RC_OK);
		assert_int_equal(engine_seq_len(rig.engine, 0), 0);
		for (uint32_t i = 0; i < 33; i++)
			last[i] = (struct engine_row){
				.token = ids[5][i], .pos = i, .want_logits = i == 32
			};
		assert_int_equal(
		    engine_forward(rig.engine, last, 33, logits, rows, NULL, &why), RC_OK);
		rig_close(&rig);
	}
	const struct gguf_tensor *output = gguf_find_tensor(model_gguf(model), "output.weight");
	for (size_t v = 0; v < 50; v++) {
		const float *w = (const float *)(const void *)output->data + v * 32;
		double product = 0;

		for (size_t d = 0; d < 32; d++)
			product += (double)w[d] * (double)vector[d];
		if (v == 0)
			a = (double)logits[0] / product;
		dot = fabs(product * a - (double)logits[v]);
		assert_true(dot < 1e-4);
	}
	assert_true(a > 0);
	model_close(model);
}

static void test_a_decoder_without_pooling_does_not_embed(void **unused)
{
	const struct gguf_build_llama shape = { .n_vocab = 50,
		.n_ctx = 64,
		.n_embd = 32,
		.n_layer = 1,
		.n_head = 4,
		.n_head_kv = 2,
		.head_dim = 8,
		.n_ff = 48,
		.type = TYPE_F32 };
	const struct engine_config config = { 0 };
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	struct engine *engine = NULL;
	struct embed *embed = NULL;

	(void)unused;
	gguf_build_init(&b, 3);
	gguf_build_llama(&b, &shape);
	gguf_build_u32(&b, "llama.pooling_type", 0);
	assert_int_equal(try_open(&b, &model, &why), RC_OK);
	assert_false(model_info(model)->pools);
	assert_int_equal(engine_new(model, &config, &engine, &why), RC_OK);
	assert_int_equal(embed_new(model, engine, &embed, &why), RC_UNSUPPORTED);
	engine_free(engine);
	model_close(model);
}

static void test_start_and_end_tokens_stand_around_a_text(void **unused)
{
	struct model *model = encoder_twin_open(&bert);
	struct tokens tokens = { 0 };
	struct errmsg why = ERRMSG_INIT;
	static const int32_t expected[] = { ENCODER_TWIN_CLS, 4, 31, 1, ENCODER_TWIN_SEP };

	(void)unused;
	assert_int_equal(embed_tokenize(model_tokenizer(model), "ab !", 4, &tokens, &why), RC_OK);
	assert_int_equal(tokens.len, 5);
	assert_memory_equal(tokens.ids, expected, sizeof(expected));
	tokens.len = 0;
	assert_int_equal(embed_tokenize(model_tokenizer(model), "", 0, &tokens, &why), RC_OK);
	assert_int_equal(tokens.len, 2);
	tokens_free(&tokens);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bert_agrees_with_its_twin_for_every_pooling),
		cmocka_unit_test(test_nomic_bert_agrees_with_its_twin_for_every_pooling),
		cmocka_unit_test(test_odd_head_dimensions_agree_with_the_twin),
		cmocka_unit_test(test_company_and_threads_change_no_bit),
		cmocka_unit_test(test_more_texts_than_a_pass_takes_are_all_done),
		cmocka_unit_test(test_texts_that_do_not_fit_are_refused_with_numbers),
		cmocka_unit_test(test_ranking_is_refused_by_name),
		cmocka_unit_test(test_missing_and_misshaped_tensors_are_named),
		cmocka_unit_test(test_a_decoder_that_says_so_embeds_its_last_row),
		cmocka_unit_test(test_a_decoder_without_pooling_does_not_embed),
		cmocka_unit_test(test_start_and_end_tokens_stand_around_a_text),
	};

	(void)snprintf(path, sizeof(path), "/tmp/hearth-test-embed-%d.gguf", (int)getpid());
	for (size_t i = 0; i < TEXTS; i++) {
		for (size_t t = 0; t < 64; t++)
			ids[i][t] = (int32_t)((i * 31 + t * 17 + t * t) % 50);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
