/*
 * Adapter files: refused by name for what does not fit the base, cut anywhere, or
 * beyond a limit.
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

#include "adapter_build.h"
#include "model/adapter.h"
#include "model/gguf.h"
#include "model/model.h"

#define N_EMBD 32
#define Q "blk.0.attn_q.weight"

static struct model *model;
static void *table;

static enum rc parse(const uint8_t *bytes, size_t len, struct errmsg *why)
{
	const struct adapter *adapter = NULL;

	return adapter_parse(model, bytes, len, table, &adapter, why);
}

static void expect(const uint8_t *bytes, size_t len, enum rc rc, const char *part)
{
	struct errmsg why = ERRMSG_INIT;

	assert_int_equal(parse(bytes, len, &why), rc);
	if (strstr(why.text, part) == NULL)
		fail_msg("expected '%s' in: %s", part, why.text);
}

/* A file of the keys that adapters have, but for those that are other, and of one
 * pair of matrices. */
struct file {
	const char *type, *kind, *arch, *base; /* NULL: as they should be; "": none */
	float alpha;
	const char *a, *b;              /* names; NULL: of Q; "": none */
	uint64_t n, rank, rank_b, rows; /* 0: as they should be */
	enum tensor_type matrix_type;
};

static void put_text(struct gguf_build *b, const char *key, const char *value, const char *normal)
{
	if (value == NULL)
		value = normal;
	if (value != NULL && value[0] != '\0')
		gguf_build_string(b, key, value);
}

static uint8_t *build(const struct file *f, size_t *len)
{
	const uint64_t rank = f->rank != 0 ? f->rank : 2;
	const char *a = f->a != NULL ? f->a : Q ".lora_a", *b = f->b != NULL ? f->b : Q ".lora_b";
	struct gguf_build g;
	uint8_t *bytes;

	gguf_build_init(&g, 4);
	put_text(&g, "general.type", f->type, "adapter");
	put_text(&g, "general.architecture", f->arch, "llama");
	put_text(&g, "adapter.type", f->kind, "lora");
	put_text(&g, "hearth.base_hash", f->base, NULL);
	if (f->alpha >= 0)
		gguf_build_f32(&g, "adapter.lora.alpha", f->alpha);
	if (a[0] != '\0')
		gguf_build_tensor(&g, a, f->matrix_type, f->n != 0 ? f->n : N_EMBD, rank, 0.1f, 0);
	if (b[0] != '\0')
		gguf_build_tensor(&g, b, f->matrix_type, f->rank_b != 0 ? f->rank_b : rank,
		    f->rows != 0 ? f->rows : N_EMBD, 0.1f, 0);
	bytes = gguf_build_finish(&g, len);
	gguf_build_fini(&g);
	return bytes;
}

static void expect_file(const struct file *f, enum rc rc, const char *part)
{
	size_t len = 0;
	uint8_t *bytes = build(f, &len);

	expect(bytes, len, rc, part);
	free(bytes);
}

static void test_what_fits_is_found_by_any_row_of_its_base(void **unused)
{
	const struct adapter_build how = {
		.seed = 9, .rank = 3, .alpha = 6, .type = TYPE_F16, .named = true
	};
	const struct gguf_tensor *q = gguf_find_tensor(model_gguf(model), Q);
	const struct gguf_tensor *norm =
	    gguf_find_tensor(model_gguf(model), "blk.0.attn_norm.weight");
	const struct adapter *adapter = NULL;
	size_t len = 0;
	uint8_t *bytes = adapter_build(model, &how, &len);

	(void)unused;
	assert_int_equal(adapter_parse(model, bytes, len, table, &adapter, NULL), RC_OK);
	assert_int_equal(adapter->n, 8); /* of the layer, and the output matrix */
	const struct adapter_target *t = adapter_find(adapter, q->data + q->n_bytes - 1);
	assert_non_null(t);
	assert_ptr_equal(t->base, q->data);
	assert_ptr_equal(adapter_find(adapter, q->data), t);
	assert_int_equal(t->rank, 3);
	assert_true(t->scale == 2.0f);
	assert_null(adapter_find(adapter, norm->data));
	free(bytes);
}

static void test_alpha_0_stands_for_the_rank(void **unused)
{
	const struct adapter *adapter = NULL;
	size_t len = 0;
	uint8_t *bytes = build(&(struct file){ .alpha = 0 }, &len);

	(void)unused;
	assert_int_equal(adapter_parse(model, bytes, len, table, &adapter, NULL), RC_OK);
	assert_true(adapter->targets[0].scale == 1.0f);
	free(bytes);
}

static void test_keys_that_do_not_fit_are_named(void **unused)
{
	char other[65] = { 0 };

	(void)unused;
	memset(other, 'a', 64);
	expect_file(&(struct file){ .type = "model" }, RC_INVALID, "general.type");
	expect_file(&(struct file){ .type = "" }, RC_INVALID, "general.type is missing");
	expect_file(&(struct file){ .kind = "control" }, RC_UNSUPPORTED, "adapter.type");
	expect_file(&(struct file){ .arch = "qwen3" }, RC_INVALID, "general.architecture");
	expect_file(&(struct file){ .alpha = -1 }, RC_INVALID, "alpha is missing");
	expect_file(&(struct file){ .alpha = INFINITY }, RC_INVALID, "adapter.lora.alpha");
	expect_file(&(struct file){ .base = other }, RC_INVALID, "of another model");
}

static void test_matrices_that_do_not_fit_are_named(void **unused)
{
	(void)unused;
	expect_file(&(struct file){ .n = 64 }, RC_INVALID, "do not fit a base");
	expect_file(&(struct file){ .rows = 33 }, RC_INVALID, "do not fit a base");
	expect_file(&(struct file){ .rank_b = 3 }, RC_INVALID, "do not fit a base");
	expect_file(&(struct file){ .rank = ADAPTER_RANK_MAX + 1 }, RC_LIMIT, "rank 129");
	expect_file(&(struct file){ .matrix_type = TYPE_Q8_0, .rank = 32 }, RC_UNSUPPORTED,
	    "type Q8_0, expected");
	expect_file(&(struct file){ .a = "blk.7.attn_q.weight.lora_a" }, RC_INVALID,
	    "the model has no such");
	expect_file(&(struct file){ .a = "" }, RC_INVALID, "stands without its .lora_a");
	expect_file(&(struct file){ .b = "" }, RC_INVALID, "stands without its .lora_b");
	expect_file(&(struct file){ .a = "x.bias" }, RC_INVALID, "x.bias is neither");
	expect_file(&(struct file){ .a = "", .b = "" }, RC_INVALID, "no tensors");
	expect_file(
	    &(struct file){ .a = "token_embd.weight.lora_a", .b = "token_embd.weight.lora_b" },
	    RC_UNSUPPORTED, "token_embd.weight.lora_a");
	expect_file(&(struct file){ .a = "blk.0.attn_norm.weight.lora_a",
			.b = "blk.0.attn_norm.weight.lora_b" },
	    RC_UNSUPPORTED, "attn_norm.weight.lora_a");
}

static void test_numbers_that_are_not_finite_are_named(void **unused)
{
	const float bad = -1.0f / 0.0f;
	size_t len = 0;
	uint8_t *bytes = build(&(struct file){ .alpha = 1 }, &len);

	(void)unused;
	memcpy(bytes + len - sizeof(bad), &bad, sizeof(bad));
	expect(bytes, len, RC_INVALID, "lora_b: number 63 is not finite");
	free(bytes);
}

static void test_more_tensors_and_keys_than_the_limits_are_refused_unread(void **unused)
{
	const uint64_t tensors = ADAPTER_TENSORS_MAX + 1, keys = ADAPTER_KEYS_MAX + 1;
	size_t len = 0;
	uint8_t *bytes = build(&(struct file){ .alpha = 1 }, &len);

	(void)unused;
	memcpy(bytes + 8, &tensors, sizeof(tensors));
	expect(bytes, len, RC_LIMIT, "8193 tensors");
	free(bytes);
	bytes = build(&(struct file){ .alpha = 1 }, &len);
	memcpy(bytes + 16, &keys, sizeof(keys));
	expect(bytes, len, RC_LIMIT, "257 keys");
	free(bytes);
}

static void test_a_file_cut_at_any_byte_is_refused(void **unused)
{
	const struct adapter_build how = {
		.seed = 9, .rank = 1, .type = TYPE_F16, .only = "attn_q"
	};
	size_t len = 0;
	uint8_t *bytes = adapter_build(model, &how, &len);

	(void)unused;
	for (size_t cut = 0; cut < len; cut++) {
		struct errmsg why = ERRMSG_INIT;
		uint8_t *exact = malloc(cut + 1);

		assert_non_null(exact);
		memcpy(exact, bytes, cut);
		if (parse(exact, cut, &why) == RC_OK)
			fail_msg("cut at %zu of %zu", cut, len);
		assert_true(why.text[0] != '\0');
		free(exact);
	}
	free(bytes);
}

static int open_model(void **unused)
{
	const struct gguf_build_llama shape = { .n_vocab = 40,
		.n_ctx = 32,
		.n_embd = N_EMBD,
		.n_layer = 1,
		.n_head = 1,
		.n_head_kv = 1,
		.head_dim = N_EMBD,
		.n_ff = 64,
		.type = TYPE_F32 };
	struct gguf_build b;
	char path[64];

	(void)unused;
	(void)snprintf(path, sizeof(path), "/tmp/test_adapter.%d.gguf", (int)getpid());
	gguf_build_init(&b, 1);
	gguf_build_llama(&b, &shape);
	bool ok = gguf_build_write(&b, path) && model_open(path, &model, NULL) == RC_OK;
	gguf_build_fini(&b);
	(void)unlink(path);
	table = ok ? malloc(adapter_table_bytes(model)) : NULL;
	return table != NULL ? 0 : -1;
}

static int close_model(void **unused)
{
	(void)unused;
	free(table);
	model_close(model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_fits_is_found_by_any_row_of_its_base),
		cmocka_unit_test(test_alpha_0_stands_for_the_rank),
		cmocka_unit_test(test_keys_that_do_not_fit_are_named),
		cmocka_unit_test(test_matrices_that_do_not_fit_are_named),
		cmocka_unit_test(test_numbers_that_are_not_finite_are_named),
		cmocka_unit_test(test_more_tensors_and_keys_than_the_limits_are_refused_unread),
		cmocka_unit_test(test_a_file_cut_at_any_byte_is_refused),
	};

	return cmocka_run_group_tests(tests, open_model, close_model);
}
