/*
 * Families: the bits of a row depend on its own past alone, nothing is left of one whose
 * sequence has been wiped, and a file that lacks a tensor or has it in another shape is
 * refused by name.
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
#include "engine_scratch.h"
#include "family_build.h"
#include "infer/engine.h"
#include "model/gguf.h"
#include "model/model.h"

#define N_TOKENS 24
#define N_FLOATS ((size_t)N_TOKENS * FAMILY_VOCAB)

static char path[64];
static int32_t ids[2][N_TOKENS];

static enum rc open_built(struct gguf_build *b, struct model **out, struct errmsg *why)
{
	enum rc rc;

	assert_true(gguf_build_write(b, path));
	rc = model_open(path, out, why);
	(void)unlink(path);
	return rc;
}

static struct model *open_family(const struct family *f, enum tensor_type type)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 7);
	family_build(&b, f, type);
	if (open_built(&b, &model, &why) != RC_OK)
		fail_msg("%s: %s", f->name, why.text);
	gguf_build_fini(&b);
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

/* Append tokens first … first + n - 1 of text `which`. */
static void append(
    struct engine *engine, uint32_t seq, int which, size_t first, size_t n, float *logits)
{
	struct engine_row rows[N_TOKENS];
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < n; i++)
		rows[i] = (struct engine_row){ .token = ids[which][first + i],
			.seq = seq,
			.pos = (uint32_t)(first + i),
			.want_logits = true };
	if (engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

static void assert_same(const char *name, const float *a, const float *b, size_t rows)
{
	for (size_t i = 0; i < rows * FAMILY_VOCAB; i++) {
		if (memcmp(a + i, b + i, sizeof(float)) != 0)
			fail_msg("%s: row %zu differs", name, i / FAMILY_VOCAB);
		if (!(a[i] == a[i]))
			fail_msg("%s: row %zu is no number", name, i / FAMILY_VOCAB);
	}
}

/* Nothing of the last sequence is left, however few of an ubatch's rows it took. */
static void check_wiped(const char *name, struct engine *engine)
{
	size_t left;

	assert_true(engine_scratch_left(engine) > 0); /* the search can see */
	engine_seq_wipe(engine, 0);
	left = engine_scratch_left(engine);
	if (left > 0)
		fail_msg("%s: %zu bytes of scratch are left", name, left);
}

static void check_ubatches_and_threads(
    const char *name, const struct model *model, enum cache_type cache, const float *expected)
{
	static const uint32_t ubatches[] = { 1, 2, 5, 32 };
	float got[N_FLOATS];

	for (uint32_t i = 0; i < 4; i++) {
		struct engine_config config = { .n_ctx = N_TOKENS,
			.n_threads = 1 + i % 3,
			.n_ubatch = ubatches[i],
			.cache = cache };
		struct engine *engine = start(model, &config);

		append(engine, 0, 0, 0, N_TOKENS, got);
		assert_same(name, got, expected, N_TOKENS);
		check_wiped(name, engine);
		engine_free(engine);
	}
}

/* Prefill up to `cut`, decode the rest, another sequence in the same passes. */
static void check_cut(const char *name, struct engine *engine, size_t cut, const float *expected)
{
	float got[N_FLOATS], both[2 * FAMILY_VOCAB];
	struct errmsg why = ERRMSG_INIT;

	append(engine, 1, 0, 0, cut, got);
	append(engine, 0, 1, 0, cut, got);
	for (uint32_t at = (uint32_t)cut; at < N_TOKENS; at++) {
		const struct engine_row rows[2] = {
			{ .token = ids[1][at], .seq = 0, .pos = at, .want_logits = true },
			{ .token = ids[0][at], .seq = 1, .pos = at, .want_logits = true },
		};

		assert_int_equal(engine_forward(engine, rows, 2, both, NULL, NULL, &why), RC_OK);
		assert_same(name, both + FAMILY_VOCAB, expected + at * FAMILY_VOCAB, 1);
	}
	engine_seq_wipe(engine, 0);
	engine_seq_wipe(engine, 1);
}

static void check_bits(const struct family *f, enum tensor_type type, enum cache_type cache)
{
	struct model *model = open_family(f, type);
	struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 1, .cache = cache };
	struct engine *engine = start(model, &config);
	float expected[N_FLOATS];

	append(engine, 0, 0, 0, N_TOKENS, expected);
	engine_free(engine);
	check_ubatches_and_threads(f->name, model, cache, expected);
	config.n_seq = config.n_threads = 2;
	config.n_ubatch = 4;
	engine = start(model, &config);
	for (size_t cut = 1; cut < N_TOKENS; cut += 6)
		check_cut(f->name, engine, cut, expected);
	engine_free(engine);
	model_close(model);
}

static void test_bits_are_equal_for_every_family_ubatch_and_cut_and_leave_nothing(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		check_bits(f, TYPE_F32, CACHE_F32);
		check_bits(f, TYPE_Q8_0, CACHE_F16);
		check_bits(f, TYPE_MXFP4, CACHE_F16);
	}
}

static void test_a_cut_sequence_goes_on_like_a_fresh_one_or_says_it_cannot(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		struct model *model = open_family(f, TYPE_F32);
		struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 2 };
		struct engine *engine = start(model, &config);
		float expected[N_FLOATS], got[N_FLOATS];
		size_t from = f->recurrent ? 0 : 9;

		append(engine, 0, 0, 0, N_TOKENS, expected);
		assert_int_equal(
		    engine_seq_truncate(engine, 0, 9), f->recurrent ? RC_UNSUPPORTED : RC_OK);
		assert_int_equal(engine_seq_len(engine, 0), f->recurrent ? N_TOKENS : 9);
		assert_int_equal(engine_seq_truncate(engine, 0, N_TOKENS), RC_OK);
		if (f->recurrent)
			assert_int_equal(engine_seq_truncate(engine, 0, 0), RC_OK);
		append(engine, 0, 0, from, N_TOKENS - from, got + from * FAMILY_VOCAB);
		assert_same(f->name, got + from * FAMILY_VOCAB, expected + from * FAMILY_VOCAB,
		    N_TOKENS - from);
		engine_free(engine);
		model_close(model);
	}
}

static void expect_named(const struct family *f, struct gguf_build *b, const char *name)
{
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	if (open_built(b, &model, &why) == RC_OK)
		fail_msg("%s: %s as it should not be", f->name, name);
	if (strstr(why.text, name) == NULL)
		fail_msg("%s: '%s' names no %s", f->name, why.text, name);
}

static void test_a_missing_tensor_is_named(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		for (const struct family_tensor *t = f->tensors; t->name != NULL; t++) {
			struct gguf_build b;
			uint8_t *at;

			if (t->kind == FAMILY_BIAS)
				continue;
			gguf_build_init(&b, 0);
			family_build(&b, f, TYPE_F32);
			at = memmem(b.infos.bytes, b.infos.len, t->name, strlen(t->name));
			assert_non_null(at);
			*at = 'x';
			expect_named(f, &b, t->kind == FAMILY_EITHER ? "is missing" : t->name);
			gguf_build_fini(&b);
		}
	}
}

static void test_a_mis_shaped_tensor_is_named(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		for (size_t i = 0; f->tensors[i].name != NULL; i++) {
			struct family other = *f;
			struct gguf_build b;

			other.tensors[i].n += 32;
			gguf_build_init(&b, 0);
			family_build(&b, &other, TYPE_F32);
			expect_named(f, &b, f->tensors[i].name);
			gguf_build_fini(&b);
		}
	}
}

static void test_a_key_of_another_type_is_named(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		for (size_t i = 0; f->keys[i].name != NULL; i++) {
			struct family other = *f;
			struct gguf_build b;

			other.keys[i].type = f->keys[i].type == 's' ? 'u' : 's';
			other.keys[i].text = "many";
			gguf_build_init(&b, 0);
			family_build(&b, &other, TYPE_F32);
			expect_named(f, &b, f->keys[i].name);
			gguf_build_fini(&b);
		}
	}
}

/* Vectors are F32 and nothing else. */
static void test_a_vector_of_another_type_is_named(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		for (size_t i = 0; f->tensors[i].name != NULL; i++) {
			struct family other = *f;
			struct gguf_build b;

			if (f->tensors[i].kind < FAMILY_NORM ||
			    (f->tensors[i].kind == FAMILY_BIAS && f->tensors[i].n_rows > 0))
				continue; /* a matrix */
			other.tensors[i].kind = FAMILY_MATRIX;
			gguf_build_init(&b, 0);
			family_build(&b, &other, TYPE_F16);
			expect_named(f, &b, f->tensors[i].name);
			gguf_build_fini(&b);
		}
	}
}

/* No count, width or length of a model is so large; refused before anything is
 * taken for it.  Arrays and flags have tests of their own. */
static void test_an_absurd_number_is_named(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		for (size_t i = 0; f->keys[i].name != NULL; i++) {
			struct family other = *f;
			struct gguf_build b;

			if (f->keys[i].type != 'u')
				continue;
			other.keys[i].value = (double)(UINT32_MAX - 1);
			gguf_build_init(&b, 0);
			family_build(&b, &other, TYPE_F32);
			expect_named(f, &b, f->keys[i].name);
			gguf_build_fini(&b);
		}
	}
}

static void test_the_plan_covers_what_is_taken(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		struct model *model = open_family(f, TYPE_F32);
		struct engine_config config = { .n_ctx = 32, .n_threads = 1 };
		struct engine_plan one, two;
		struct errmsg why = ERRMSG_INIT;

		assert_int_equal(engine_plan(model, &config, &one, &why), RC_OK);
		config.n_seq = 2;
		assert_int_equal(engine_plan(model, &config, &two, &why), RC_OK);
		assert_int_equal(two.cache_bytes, 2 * one.cache_bytes);
		config.n_ctx = 128;
		assert_int_equal(engine_plan(model, &config, &two, &why), RC_OK);
		/* state is no longer for more context, KV is */
		assert_int_equal(two.cache_bytes < 8 * one.cache_bytes, f->recurrent);
		model_close(model);
	}
}

static const struct family *find_family(const char *name)
{
	const struct family *f = family_table;

	while (f->name != NULL && strcmp(f->name, name) != 0)
		f++;
	assert_non_null(f->name);
	return f;
}

/* Copy floats from a tensor to one of a file being built, whose places are
 * those of the opened file `laid`. */
static void copy_floats(struct gguf_build *to, const struct model *laid, const char *to_name,
    size_t to_first, const struct model *from, const char *from_name, size_t from_first, size_t n)
{
	const struct gguf *out = model_gguf(laid);
	size_t at = (size_t)(gguf_find_tensor(out, to_name)->data -
			     gguf_find_tensor(out, "token_embd.weight")->data);

	memcpy(to->data.bytes + at + to_first * sizeof(float),
	    gguf_find_tensor(model_gguf(from), from_name)->data + from_first * sizeof(float),
	    n * sizeof(float));
}

/* Make a matrix of 64 by 64 one that changes nothing. */
static void put_unit(struct gguf_build *to, const struct model *laid, const char *name)
{
	const struct gguf *out = model_gguf(laid);
	size_t at = (size_t)(gguf_find_tensor(out, name)->data -
			     gguf_find_tensor(out, "token_embd.weight")->data);

	for (size_t i = 0; i < (size_t)64 * 64; i++) {
		float value = i / 64 == i % 64 ? 1.0f : 0.0f;

		memcpy(to->data.bytes + at + i * sizeof(float), &value, sizeof(value));
	}
}

/* The same of rows of 64. */
static void copy_rows(struct gguf_build *to, const struct model *laid, const char *to_name,
    size_t to_row, const struct model *from, const char *from_name, size_t from_row, size_t n)
{
	copy_floats(to, laid, to_name, to_row * 64, from, from_name, from_row * 64, n * 64);
}

/* All tensors that both files have; one seed gives others in another order. */
static void copy_common(struct gguf_build *to, const struct model *laid,
    const struct family *family, const struct model *from)
{
	copy_floats(to, laid, "token_embd.weight", 0, from, "token_embd.weight", 0,
	    (size_t)64 * FAMILY_VOCAB);
	copy_floats(to, laid, "output_norm.weight", 0, from, "output_norm.weight", 0, 64);
	for (const struct family_tensor *t = family->tensors; t->name != NULL; t++) {
		size_t rows = (t->n_rows > 0 ? t->n_rows : 1) * (t->n_stack > 0 ? t->n_stack : 1);

		if (gguf_find_tensor(model_gguf(laid), t->name) != NULL)
			copy_floats(to, laid, t->name, 0, from, t->name, 0, t->n * rows);
	}
}

/* What the older files have in one matrix, sorted into the newer ones. */
static void sort_parts(struct gguf_build *to, const struct model *laid, const struct model *from)
{
	const char *in = "blk.0.ssm_in.weight", *ba = "blk.0.ssm_ba.weight";
	const char *qkv = "blk.0.attn_qkv.weight";

	for (size_t g = 0; g < 2; g++) {
		size_t row = g * (20 + 20 + 96 + 96);

		copy_rows(to, laid, qkv, g * 20, from, in, row, 20);
		copy_rows(to, laid, qkv, 40 + g * 20, from, in, row + 20, 20);
		copy_rows(to, laid, qkv, 80 + g * 96, from, in, row + 40, 96);
		copy_rows(to, laid, "blk.0.attn_gate.weight", g * 96, from, in, row + 136, 96);
		copy_rows(to, laid, "blk.0.ssm_beta.weight", g * 3, from, ba, g * 6, 3);
		copy_rows(to, laid, "blk.0.ssm_alpha.weight", g * 3, from, ba, g * 6 + 3, 3);
	}
}

static void logits_of(const struct model *model, float *logits)
{
	struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 1, .cache = CACHE_F32 };
	struct engine *engine = start(model, &config);

	append(engine, 0, 0, 0, N_TOKENS, logits);
	engine_free(engine);
}

static void test_projections_in_one_matrix_give_what_those_in_parts_give(void **unused)
{
	const struct family *whole = find_family("qwen3next"),
			    *parts = find_family("qwen3next in parts");
	struct model *from = open_family(whole, TYPE_F32), *to = open_family(parts, TYPE_F32);
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	float expected[N_FLOATS], got[N_FLOATS];

	(void)unused;
	logits_of(from, expected);
	gguf_build_init(&b, 7);
	family_build(&b, parts, TYPE_F32);
	copy_common(&b, to, whole, from);
	sort_parts(&b, to, from);
	model_close(to);
	assert_int_equal(open_built(&b, &to, &why), RC_OK);
	logits_of(to, got);
	assert_same("in parts", got, expected, N_TOKENS);
	gguf_build_fini(&b);
	model_close(to);
	model_close(from);
}

static void assert_near(const float *got, const float *expected)
{
	double error = 0, power = 0;

	for (size_t i = 0; i < N_FLOATS; i++) {
		double d = (double)got[i] - (double)expected[i];

		error += d * d;
		power += (double)expected[i] * (double)expected[i];
	}
	if (!(error <= 1e-11 * power))
		fail_msg("NMSE %g", error / power);
}

/* Keys transposed into the space of the latent, values as they are. */
static void split_heads(struct gguf_build *to, const struct model *laid, const struct model *from)
{
	const char *kv = "blk.0.attn_kv_b.weight";

	for (size_t h = 0; h < 6; h++) {
		for (size_t j = 0; j < 32; j++) {
			for (size_t r = 0; r < 64; r++)
				copy_floats(to, laid, "blk.0.attn_k_b.weight",
				    (h * 64 + r) * 32 + j, from, kv, (h * 64 + j) * 64 + r, 1);
		}
		copy_rows(to, laid, "blk.0.attn_v_b.weight", h * 32, from, kv, h * 64 + 32, 32);
	}
}

static void test_attention_through_the_latent_equals_that_of_heads(void **unused)
{
	const struct family *unsplit = find_family("deepseek2 unsplit");
	const struct family *split = find_family("deepseek2 split");
	struct model *from = open_family(unsplit, TYPE_F32), *to = open_family(split, TYPE_F32);
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	float expected[N_FLOATS], got[N_FLOATS];

	(void)unused;
	logits_of(from, expected);
	gguf_build_init(&b, 7);
	family_build(&b, split, TYPE_F32);
	copy_common(&b, to, unsplit, from);
	split_heads(&b, to, from);
	model_close(to);
	assert_int_equal(open_built(&b, &to, &why), RC_OK);
	logits_of(to, got);
	assert_near(got, expected);
	gguf_build_fini(&b);
	model_close(to);
	model_close(from);
}

/* Through matrices that change nothing, experts give what they give without. */
static void test_experts_in_a_space_as_wide_as_the_stream_equal_those_in_it(void **unused)
{
	const struct family *plain = find_family("nemotron_h_moe in the stream");
	const struct family *wide = find_family("nemotron_h_moe as wide");
	struct model *from = open_family(plain, TYPE_F32), *to = open_family(wide, TYPE_F32);
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	float expected[N_FLOATS], got[N_FLOATS];

	(void)unused;
	logits_of(from, expected);
	gguf_build_init(&b, 7);
	family_build(&b, wide, TYPE_F32);
	copy_common(&b, to, plain, from);
	put_unit(&b, to, "blk.2.ffn_latent_down.weight");
	put_unit(&b, to, "blk.2.ffn_latent_up.weight");
	model_close(to);
	assert_int_equal(open_built(&b, &to, &why), RC_OK);
	logits_of(to, got);
	assert_near(got, expected);
	gguf_build_fini(&b);
	model_close(to);
	model_close(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_bits_are_equal_for_every_family_ubatch_and_cut_and_leave_nothing),
		cmocka_unit_test(test_a_cut_sequence_goes_on_like_a_fresh_one_or_says_it_cannot),
		cmocka_unit_test(test_a_missing_tensor_is_named),
		cmocka_unit_test(test_a_mis_shaped_tensor_is_named),
		cmocka_unit_test(test_projections_in_one_matrix_give_what_those_in_parts_give),
		cmocka_unit_test(test_attention_through_the_latent_equals_that_of_heads),
		cmocka_unit_test(test_a_key_of_another_type_is_named),
		cmocka_unit_test(test_a_vector_of_another_type_is_named),
		cmocka_unit_test(test_an_absurd_number_is_named),
		cmocka_unit_test(test_experts_in_a_space_as_wide_as_the_stream_equal_those_in_it),
		cmocka_unit_test(test_the_plan_covers_what_is_taken),
	};
	uint64_t state = 31;

	for (size_t i = 0; i < N_TOKENS; i++) {
		ids[0][i] = (int32_t)(random_next(&state) % FAMILY_VOCAB);
		ids[1][i] = (int32_t)(random_next(&state) % FAMILY_VOCAB);
	}
	(void)snprintf(path, sizeof(path), "/tmp/test_families.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
