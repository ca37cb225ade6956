/* Opening models: what is missing, mis-shaped or unknown is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf_build.h"
#include "model/model.h"

static char path[64];

static const struct gguf_build_llama tiny = { .n_vocab = 50,
	.n_ctx = 64,
	.n_embd = 32,
	.n_layer = 2,
	.n_head = 4,
	.n_head_kv = 2,
	.head_dim = 8,
	.n_ff = 48,
	.type = TYPE_F32 };

static enum rc open_built(struct gguf_build *b, struct model **out, struct errmsg *why)
{
	enum rc rc;

	assert_true(gguf_build_write(b, path));
	gguf_build_fini(b);
	rc = model_open(path, out, why);
	(void)unlink(path);
	return rc;
}

static void expect(struct gguf_build *b, enum rc rc, const char *text)
{
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	assert_int_equal(open_built(b, &model, &why), rc);
	assert_null(model);
	if (strstr(why.text, text) == NULL)
		fail_msg("'%s' does not name '%s'", why.text, text);
}

static void build(struct gguf_build *b, const struct gguf_build_llama *shape)
{
	gguf_build_init(b, 5);
	gguf_build_llama(b, shape);
}

/* Overwrite `len` bytes right behind the first place where `text` stands. */
static void patch_behind(
    struct buf *buf, const char *text, size_t skip, const void *value, size_t len)
{
	uint8_t *at = memmem(buf->bytes, buf->len, text, strlen(text));

	assert_non_null(at);
	memcpy(at + strlen(text) + skip, value, len);
}

static void test_a_model_is_described(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	const struct model_info *info;

	(void)unused;
	build(&b, &tiny);
	assert_int_equal(open_built(&b, &model, &why), RC_OK);
	info = model_info(model);
	assert_string_equal(info->architecture, "llama");
	assert_int_equal(info->n_vocab, 50);
	assert_int_equal(info->n_layer, 2);
	assert_int_equal(info->n_ctx_train, 64);
	assert_int_equal(info->weights_bytes, 4 * info->parameters);
	assert_null(model_tokenizer(model));
	assert_true(info->causal);
	model_close(model);
}

static void test_the_content_hash_depends_on_the_header_alone(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	uint8_t first[MODEL_HASH_BYTES];

	(void)unused;
	build(&b, &tiny);
	assert_int_equal(open_built(&b, &model, &why), RC_OK);
	memcpy(first, model_info(model)->content_hash, sizeof(first));
	model_close(model);
	gguf_build_init(&b, 6); /* other weights */
	gguf_build_llama(&b, &tiny);
	assert_int_equal(open_built(&b, &model, &why), RC_OK);
	assert_memory_equal(first, model_info(model)->content_hash, sizeof(first));
	model_close(model);
	build(&b, &tiny);
	gguf_build_u32(&b, "other", 1);
	assert_int_equal(open_built(&b, &model, &why), RC_OK);
	assert_memory_not_equal(first, model_info(model)->content_hash, sizeof(first));
	model_close(model);
}

static void test_an_unknown_architecture_is_named(void **unused)
{
	struct gguf_build_llama shape = tiny;
	struct gguf_build b;

	(void)unused;
	shape.arch = "mamba7";
	build(&b, &shape);
	expect(&b, RC_UNSUPPORTED, "mamba7");
	gguf_build_init(&b, 1);
	expect(&b, RC_INVALID, "general.architecture");
}

static void test_missing_tensors_and_keys_are_named(void **unused)
{
	struct gguf_build b;

	(void)unused;
	build(&b, &tiny);
	patch_behind(&b.infos, "blk.1.ffn_u", 0, "q", 1);
	expect(&b, RC_INVALID, "blk.1.ffn_up.weight is missing");
	build(&b, &tiny);
	patch_behind(&b.pairs, "llama.block_c", 0, "q", 1);
	expect(&b, RC_INVALID, "llama.block_count is missing");
	build(&b, &tiny);
	patch_behind(&b.infos, "token_e", 0, "q", 1);
	expect(&b, RC_INVALID, "token_embd.weight is missing");
}

static void test_a_mis_shaped_tensor_is_named_with_both_shapes(void **unused)
{
	struct gguf_build b;
	const uint32_t heads = 2;

	(void)unused;
	build(&b, &tiny);
	patch_behind(&b.pairs, "llama.attention.head_count", 4, &heads, sizeof(heads));
	expect(&b, RC_INVALID, "blk.0.attn_q.weight is [32, 32, 1, 1], expected [32, 16]");
}

static void test_a_type_without_kernels_is_named(void **unused)
{
	struct gguf_build_llama shape = tiny;
	struct gguf_build b;

	(void)unused;
	shape.type = TYPE_I32;
	build(&b, &shape);
	expect(&b, RC_UNSUPPORTED, "token_embd.weight: type I32");
}

static void test_absurd_numbers_are_refused_by_name(void **unused)
{
	static const struct {
		const char *key;
		uint32_t value;
	} bad[] = { { "llama.block_count", 100000 }, { "llama.embedding_length", 1u << 30 },
		{ "llama.attention.head_count", 70000 }, { "llama.attention.head_count_kv", 3 },
		{ "llama.attention.key_length", 100000 }, { "llama.rope.dimension_count", 7 },
		{ "llama.rope.dimension_count", 4000 }, { "llama.feed_forward_length", 1u << 31 },
		{ "llama.context_length", 1u << 31 } };

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gguf_build b;

		build(&b, &tiny);
		patch_behind(&b.pairs, bad[i].key, 4, &bad[i].value, sizeof(bad[i].value));
		assert_true(gguf_build_write(&b, path));
		gguf_build_fini(&b);

		struct errmsg why = ERRMSG_INIT;
		struct model *model = NULL;
		enum rc rc = model_open(path, &model, &why);

		(void)unlink(path);
		assert_true(rc == RC_INVALID || rc == RC_LIMIT);
		if (strstr(why.text, bad[i].key) == NULL)
			fail_msg("'%s' does not name %s", why.text, bad[i].key);
	}
}

static void test_values_written_for_unset_count_as_absent(void **unused)
{
	static const uint32_t unset[] = { 0, UINT32_MAX };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct gguf_build b;
		struct errmsg why = ERRMSG_INIT;
		struct model *model = NULL;

		build(&b, &tiny);
		patch_behind(&b.pairs, "llama.attention.key_length", 4, &unset[i], 4);
		patch_behind(&b.pairs, "llama.rope.dimension_count", 4, &unset[i], 4);
		assert_int_equal(open_built(&b, &model, &why), RC_OK);
		model_close(model);
	}
}

static void test_heads_without_dimensions_and_frequencies_without_end_are_named(void **unused)
{
	struct gguf_build_llama shape = tiny;
	const uint32_t heads = 64, unset = 0;
	const float zero = 0;
	struct gguf_build b;

	(void)unused;
	build(&b, &tiny);
	patch_behind(&b.pairs, "llama.attention.head_count", 4, &heads, sizeof(heads));
	patch_behind(&b.pairs, "llama.attention.key_length", 4, &unset, sizeof(unset));
	expect(&b, RC_INVALID, "llama.attention.head_count");
	shape.freqs = true;
	build(&b, &shape);
	/* behind embedding, norm and output */
	assert_true(b.data.len > (50 * 32 * 2 + 32) * sizeof(float));
	memcpy(b.data.bytes + (50 * 32 * 2 + 32 + 3) * sizeof(float), &zero, sizeof(zero));
	expect(&b, RC_INVALID, "rope_freqs.weight: number 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_model_is_described),
		cmocka_unit_test(test_the_content_hash_depends_on_the_header_alone),
		cmocka_unit_test(test_an_unknown_architecture_is_named),
		cmocka_unit_test(test_missing_tensors_and_keys_are_named),
		cmocka_unit_test(test_a_mis_shaped_tensor_is_named_with_both_shapes),
		cmocka_unit_test(test_a_type_without_kernels_is_named),
		cmocka_unit_test(test_absurd_numbers_are_refused_by_name),
		cmocka_unit_test(
		    test_heads_without_dimensions_and_frequencies_without_end_are_named),
		cmocka_unit_test(test_values_written_for_unset_count_as_absent),
	};

	(void)snprintf(path, sizeof(path), "/tmp/test_model.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
