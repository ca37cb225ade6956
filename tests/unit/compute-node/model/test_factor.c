/*
 * Factors beside matrices.  A factor that is a power of two changes no mantissa,
 * so a file with factors must give the bits of a file whose weights were
 * multiplied by them, in every family, wherever a matrix is used.
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
#include "family_build.h"
#include "infer/engine.h"
#include "model/gguf.h"
#include "model/model.h"

#define N_TOKENS 12
#define N_FLOATS ((size_t)N_TOKENS * FAMILY_VOCAB)

static char path[64];
static int32_t ids[N_TOKENS];

static struct model *open_built(struct gguf_build *b)
{
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	assert_true(gguf_build_write(b, path));
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s", why.text);
	(void)unlink(path);
	return model;
}

static void logits_of(const struct model *model, uint32_t ubatch, uint32_t threads, float *logits)
{
	struct engine_config config = {
		.n_ctx = N_TOKENS, .n_ubatch = ubatch, .n_threads = threads
	};
	struct engine_row rows[N_TOKENS];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < N_TOKENS; i++)
		rows[i] =
		    (struct engine_row){ .token = ids[i], .pos = (uint32_t)i, .want_logits = true };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, N_TOKENS, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
}

/* The factor of matrix `i` of a tensor: 2, 1/2, 1, 4, ... */
static float factor(const char *name, uint64_t i)
{
	static const float factors[] = { 2.0f, 0.5f, 1.0f, 4.0f, 0.25f };

	return factors[(strlen(name) + i) % (sizeof(factors) / sizeof(factors[0]))];
}

/* NAME.scale of NAME.weight; false where the name ends otherwise. */
static bool scale_name(const char *weight, char out[64])
{
	const char *dot = strrchr(weight, '.');

	if (dot == NULL || strcmp(dot, ".weight") != 0)
		return false;
	(void)snprintf(out, 64, "%.*s.scale", (int)(dot - weight), weight);
	return true;
}

static bool in_family(const struct family *f, const char *name)
{
	for (const struct family_tensor *t = f->tensors; t->name != NULL; t++) {
		if (strcmp(t->name, name) == 0)
			return true;
	}
	return false;
}

static bool may_have(const struct family *f, const struct family_tensor *t, char scale[64])
{
	return t->kind <= FAMILY_FLOAT && t->n_rows > 0 && scale_name(t->name, scale) &&
	       !in_family(f, scale);
}

static void put_scale(struct gguf_build *b, const char *name, const char *weight, uint64_t n)
{
	gguf_build_tensor(b, name, TYPE_F32, n, 0, 0.0f, 1.0f);
	for (uint64_t i = 0; i < n; i++) {
		float value = factor(weight, i);

		memcpy(
		    b->data.bytes + b->data.len - (n - i) * sizeof(value), &value, sizeof(value));
	}
}

/* Matrices of F32 or Q8_0 times their factors, where they lie in the file. */
static void multiply(
    struct gguf_build *b, const struct model *laid, const char *name, uint64_t n_factors)
{
	const struct gguf *g = model_gguf(laid);
	const struct gguf_tensor *t = gguf_find_tensor(g, name);
	const struct type_info *info = type_info(t->type);
	uint8_t *at = b->data.bytes + (t->data - gguf_find_tensor(g, "token_embd.weight")->data);
	uint64_t n_blocks = t->n_bytes / info->block_bytes;

	for (uint64_t i = 0; i < n_blocks; i++, at += info->block_bytes) {
		float value, f = factor(name, n_factors > 1 ? i / (n_blocks / n_factors) : 0);
		uint16_t half;

		if (t->type == TYPE_F32) {
			memcpy(&value, at, sizeof(value));
			value *= f;
			memcpy(at, &value, sizeof(value));
			continue;
		}
		memcpy(&half, at, sizeof(half));
		for (; f > 1.0f; f /= 2)
			half = (uint16_t)(half + 0x400);
		for (; f < 1.0f; f *= 2)
			half = (uint16_t)(half - 0x400);
		memcpy(at, &half, sizeof(half));
	}
}

/* A tensor's factors; those of gate and up in one tensor are also known by the
 * names that they have in two. */
static void put_scales(
    struct gguf_build *b, const struct family_tensor *t, const char *scale, uint64_t n, bool two)
{
	static const char both[] = "gate_up_exps.scale";
	const char *at = strstr(scale, both);
	char name[64];

	if (at == NULL || !two) {
		put_scale(b, scale, t->name, n);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*sgate_exps.scale", (int)(at - scale), scale);
	put_scale(b, name, t->name, n);
	(void)snprintf(name, sizeof(name), "%.*sup_exps.scale", (int)(at - scale), scale);
	put_scale(b, name, t->name, n);
}

/* `apart`: factors beside the matrices, else in them.  One number for a stack in
 * every second tensor. */
static struct model *open_family(const struct family *f, enum tensor_type type, bool apart)
{
	struct gguf_build plain, b;
	struct model *laid, *model;
	char scale[64];

	gguf_build_init(&plain, 7);
	family_build(&plain, f, type);
	laid = open_built(&plain);
	gguf_build_fini(&plain);
	gguf_build_init(&b, 7);
	family_build(&b, f, type);
	if (apart)
		put_scale(&b, "token_embd.scale", "token_embd.weight", 1);
	else
		multiply(&b, laid, "token_embd.weight", 1);
	for (size_t i = 0; f->tensors[i].name != NULL; i++) {
		const struct family_tensor *t = &f->tensors[i];
		uint64_t n = t->n_stack > 0 && i % 2 == 0 ? t->n_stack : 1;

		if (!may_have(f, t, scale))
			continue;
		if (apart)
			put_scales(&b, t, scale, n, type == TYPE_Q8_0);
		else
			multiply(&b, laid, t->name, n);
	}
	model = open_built(&b);
	gguf_build_fini(&b);
	model_close(laid);
	return model;
}

static void check_family(const struct family *f, enum tensor_type type)
{
	struct model *in = open_family(f, type, false), *apart = open_family(f, type, true);
	float expected[N_FLOATS], got[N_FLOATS];

	logits_of(in, 0, 1, expected);
	for (uint32_t i = 0; i < 3; i++) {
		logits_of(apart, i == 0 ? 0 : i == 1 ? 1 : 5, 1 + i, got);
		for (size_t j = 0; j < N_FLOATS; j++) {
			if (!(expected[j] == expected[j]))
				fail_msg("%s: row %zu is no number", f->name, j / FAMILY_VOCAB);
			if (memcmp(&got[j], &expected[j], sizeof(float)) != 0)
				fail_msg("%s: row %zu differs", f->name, j / FAMILY_VOCAB);
		}
	}
	model_close(in);
	model_close(apart);
}

static void test_factors_beside_matrices_equal_those_in_them(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;) {
		check_family(f, TYPE_F32);
		check_family(f, TYPE_Q8_0);
	}
}

static void put_llama(struct gguf_build *b)
{
	const struct gguf_build_llama shape = { .n_vocab = FAMILY_VOCAB,
		.n_ctx = 32,
		.n_embd = 64,
		.n_layer = 1,
		.n_head = 2,
		.n_head_kv = 2,
		.head_dim = 32,
		.n_ff = 64,
		.type = TYPE_NVFP4,
		.tied = true };

	gguf_build_init(b, 5);
	gguf_build_llama(b, &shape);
}

static void expect_named(struct gguf_build *b, const char *name)
{
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	assert_true(gguf_build_write(b, path));
	assert_int_equal(model_open(path, &model, &why), RC_INVALID);
	if (strstr(why.text, name) == NULL)
		fail_msg("'%s' names no %s", why.text, name);
	(void)unlink(path);
	gguf_build_fini(b);
}

static void test_factors_of_another_shape_or_type_are_refused_by_name(void **unused)
{
	struct gguf_build b;

	(void)unused;
	put_llama(&b);
	gguf_build_tensor(&b, "blk.0.attn_q.scale", TYPE_F32, 2, 0, 0, 1);
	expect_named(&b, "blk.0.attn_q.scale");
	put_llama(&b);
	gguf_build_tensor(&b, "blk.0.ffn_down.scale", TYPE_F16, 1, 0, 1, 0);
	expect_named(&b, "blk.0.ffn_down.scale");
	put_llama(&b);
	gguf_build_tensor(&b, "token_embd.scale", TYPE_F32, 1, 0, 0, 1);
	memset(b.data.bytes + b.data.len - 4, 0xff, 4);
	expect_named(&b, "token_embd.scale");
	put_llama(&b); /* the output matrix is that of the tokens */
	gguf_build_tensor(&b, "output.scale", TYPE_F32, 1, 0, 0, 1);
	expect_named(&b, "output.scale");
}

static void test_ranges_of_activations_change_nothing(void **unused)
{
	struct gguf_build b;
	float expected[N_FLOATS], got[N_FLOATS];
	struct model *model;

	(void)unused;
	put_llama(&b);
	model = open_built(&b);
	logits_of(model, 0, 1, expected);
	model_close(model);
	gguf_build_tensor(&b, "blk.0.attn_q.input_scale", TYPE_F32, 1, 0, 0, 7);
	model = open_built(&b);
	logits_of(model, 0, 1, got);
	assert_memory_equal(got, expected, sizeof(got));
	model_close(model);
	gguf_build_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_factors_beside_matrices_equal_those_in_them),
		cmocka_unit_test(test_factors_of_another_shape_or_type_are_refused_by_name),
		cmocka_unit_test(test_ranges_of_activations_change_nothing),
	};
	uint64_t state = 19;

	for (size_t i = 0; i < N_TOKENS; i++)
		ids[i] = (int32_t)(random_next(&state) % FAMILY_VOCAB);
	(void)snprintf(path, sizeof(path), "/tmp/test_factor.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
