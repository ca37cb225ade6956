/*
 * Adapters in the engine: what a pass gives with one is what a model with merged
 * matrices gives, in every family; its bits depend on a row's own past and adapter
 * alone; and rows without one are as they were.
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

#include "adapter_build.h"
#include "base/random.h"
#include "engine_scratch.h"
#include "family_build.h"
#include "infer/engine.h"
#include "model/adapter.h"
#include "model/model.h"

#define N_TOKENS 20
#define N_VOCAB FAMILY_VOCAB
#define N_FLOATS ((size_t)N_TOKENS * N_VOCAB)
#define N_SEQ 4

static char path[64];
static int32_t ids[N_SEQ][N_TOKENS];

struct loaded {
	uint8_t *bytes;
	void *table;
	const struct adapter *adapter;
};

static struct model *open_bytes(const uint8_t *bytes, size_t len)
{
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s", why.text);
	(void)unlink(path);
	return model;
}

static uint8_t *family_bytes(const struct family *f, enum tensor_type type, size_t *len)
{
	struct gguf_build b;
	uint8_t *bytes;

	gguf_build_init(&b, 7);
	family_build(&b, f, type);
	bytes = gguf_build_finish(&b, len);
	gguf_build_fini(&b);
	return bytes;
}

static uint8_t *qwen3moe_bytes(enum tensor_type type, size_t *len)
{
	const struct gguf_build_llama shape = { .arch = "qwen3moe",
		.n_vocab = N_VOCAB,
		.n_ctx = 64,
		.n_embd = 64,
		.n_layer = 2,
		.n_head = 4,
		.n_head_kv = 2,
		.head_dim = 32,
		.n_ff = 96,
		.type = type,
		.qk_norm = true,
		.n_expert = 5,
		.n_used = 2 };
	struct gguf_build b;
	uint8_t *bytes;

	gguf_build_init(&b, 11);
	gguf_build_llama(&b, &shape);
	bytes = gguf_build_finish(&b, len);
	gguf_build_fini(&b);
	return bytes;
}

static struct loaded load(const struct model *model, const struct adapter_build *how, size_t *len)
{
	struct errmsg why = ERRMSG_INIT;
	struct loaded l = { .bytes = adapter_build(model, how, len) };

	l.table = malloc(adapter_table_bytes(model));
	assert_non_null(l.table);
	if (adapter_parse(model, l.bytes, *len, l.table, &l.adapter, &why) != RC_OK)
		fail_msg("%s", why.text);
	return l;
}

static void unload(struct loaded *l)
{
	free(l->bytes);
	free(l->table);
}

static struct engine *start(const struct model *model, const struct engine_config *config)
{
	struct engine_config own = *config;
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	own.n_ctx = N_TOKENS;
	own.adapters = true;
	if (engine_new(model, &own, &engine, &why) != RC_OK)
		fail_msg("%s", why.text);
	return engine;
}

static struct engine_row row_of(uint32_t seq, size_t at)
{
	return (struct engine_row){
		.token = ids[seq][at], .seq = seq, .pos = (uint32_t)at, .want_logits = true
	};
}

static void forward(struct engine *engine, const struct engine_row *rows, size_t n, float *logits)
{
	struct errmsg why = ERRMSG_INIT;

	if (engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

/* All tokens of a text by sequence `seq` alone, the first `cut` of them at once. */
static float *alone(const struct model *model, const struct engine_config *config, uint32_t seq,
    const struct adapter *adapter, size_t cut)
{
	struct engine_config own = *config;
	float *logits = calloc(N_FLOATS, sizeof(*logits));
	struct engine_row rows[N_TOKENS];
	struct engine *engine;

	own.n_seq = N_SEQ;
	engine = start(model, &own);
	assert_non_null(logits);
	assert_int_equal(engine_seq_adapt(engine, seq, adapter), RC_OK);
	for (size_t i = 0; i < N_TOKENS; i++)
		rows[i] = row_of(seq, i);
	forward(engine, rows, cut, logits);
	for (size_t i = cut; i < N_TOKENS; i++)
		forward(engine, rows + i, 1, logits + i * N_VOCAB);
	engine_seq_wipe(engine, seq);
	assert_int_equal(engine_scratch_left(engine), 0);
	engine_free(engine);
	return logits;
}

static double nmse(const float *got, const float *expected)
{
	double error = 0, power = 0;

	for (size_t i = 0; i < N_FLOATS; i++) {
		double d = (double)got[i] - (double)expected[i];

		error += d * d;
		power += (double)expected[i] * (double)expected[i];
	}
	return error / power;
}

static void assert_same(const char *name, const float *a, const float *b)
{
	for (size_t i = 0; i < N_FLOATS; i++) {
		if (memcmp(a + i, b + i, sizeof(float)) != 0)
			fail_msg("%s: row %zu differs", name, i / N_VOCAB);
	}
}

/* `bytes` is the file of an F32 model; it becomes the merged one. */
static void check_merged(const char *name, uint8_t *bytes, size_t len, enum tensor_type type)
{
	const struct engine_config config = { .n_threads = 2, .cache = CACHE_F32 };
	const struct adapter_build how = { .seed = 3, .type = type, .named = true };
	struct model *base = open_bytes(bytes, len), *merged;
	size_t adapter_len = 0;
	struct loaded l = load(base, &how, &adapter_len);
	float *got = alone(base, &config, 0, l.adapter, N_TOKENS), *expected, *plain;

	plain = alone(base, &config, 0, NULL, N_TOKENS);
	adapter_merge(bytes, len, l.bytes, adapter_len);
	merged = open_bytes(bytes, len);
	expected = alone(merged, &config, 0, NULL, N_TOKENS);
	if (!(nmse(got, expected) < 1e-9) || nmse(plain, expected) < 1e-4)
		fail_msg("%s: %g from the merged model, that one %g from its base", name,
		    nmse(got, expected), nmse(plain, expected));
	free(got);
	free(plain);
	free(expected);
	unload(&l);
	model_close(base);
	model_close(merged);
}

static void test_logits_are_those_of_the_merged_model_in_every_family(void **unused)
{
	static const enum tensor_type types[] = { TYPE_F32, TYPE_F16, TYPE_BF16 };
	size_t n = 0, len = 0;
	uint8_t *bytes;

	(void)unused;
	for (const struct family *f = family_next(NULL); f != NULL; f = family_next(f)) {
		bytes = family_bytes(f, TYPE_F32, &len);
		check_merged(f->name, bytes, len, types[n++ % 3]);
		free(bytes);
	}
	bytes = qwen3moe_bytes(TYPE_F32, &len);
	check_merged("qwen3moe", bytes, len, TYPE_F16);
	free(bytes);
}

static void check_cuts(const char *name, const struct model *model, const struct adapter *adapter)
{
	static const uint32_t ubatches[] = { 1, 3, 11, 64 };
	struct engine_config config = { .n_threads = 1 };
	float *expected = alone(model, &config, 1, adapter, N_TOKENS), *got;

	for (uint32_t threads = 1; threads <= 3; threads++) {
		for (size_t i = 0; i < 4; i++) {
			config.n_threads = threads;
			config.n_ubatch = ubatches[i];
			got = alone(model, &config, 1, adapter, N_TOKENS);
			assert_same(name, got, expected);
			free(got);
		}
		got = alone(model, &config, 1, adapter, 1 + 4 * (size_t)threads);
		assert_same(name, got, expected);
		free(got);
	}
	free(expected);
}

/* Four sequences in the same passes, some rows of each, two with adapters. */
static void check_beside(
    const char *name, const struct model *model, const struct adapter *const adapters[N_SEQ])
{
	const struct engine_config config = { .n_seq = N_SEQ, .n_threads = 2, .n_ubatch = 13 };
	struct engine *engine = start(model, &config);
	static float got[N_SEQ][N_FLOATS], logits[N_SEQ * N_FLOATS];
	struct engine_row rows[N_SEQ * N_TOKENS];
	size_t done = 0;

	for (uint32_t s = 0; s < N_SEQ; s++)
		assert_int_equal(engine_seq_adapt(engine, s, adapters[s]), RC_OK);
	for (size_t each = 1; done < N_TOKENS; done += each, each += 2) {
		size_t n = 0;

		each = each < N_TOKENS - done ? each : N_TOKENS - done;
		for (size_t i = 0; i < N_SEQ * each; i++) /* by turns, and one after another */
			rows[n++] = each % 4 == 1 ? row_of((uint32_t)(i % N_SEQ), done + i / N_SEQ)
						  : row_of((uint32_t)(i / each), done + i % each);
		forward(engine, rows, n, logits);
		for (size_t i = 0; i < n; i++)
			memcpy(got[rows[i].seq] + rows[i].pos * N_VOCAB, logits + i * N_VOCAB,
			    N_VOCAB * sizeof(float));
	}
	for (uint32_t s = 0; s < N_SEQ; s++) {
		float *expected = alone(model, &config, s, adapters[s], N_TOKENS);

		assert_same(name, got[s], expected);
		free(expected);
	}
	engine_free(engine);
}

static void check_bits(const char *name, struct model *model)
{
	const struct adapter_build one = { .seed = 5, .type = TYPE_F16, .rank = 5 };
	const struct adapter_build two = {
		.seed = 6, .type = TYPE_F32, .rank = 18, .alpha = 7, .only = "ffn"
	};
	size_t len = 0;
	struct loaded a = load(model, &one, &len), b = load(model, &two, &len);
	const struct adapter *const adapters[N_SEQ] = { NULL, a.adapter, b.adapter, a.adapter };

	check_cuts(name, model, a.adapter);
	check_beside(name, model, adapters);
	unload(&a);
	unload(&b);
	model_close(model);
}

static void test_bits_depend_on_a_rows_past_and_its_own_adapter_alone(void **unused)
{
	static const char *const names[] = { "llama", "deepseek2", "qwen3next", "gemma4" };
	size_t len = 0;
	uint8_t *bytes;

	(void)unused;
	for (const struct family *f = family_next(NULL); f != NULL; f = family_next(f)) {
		bool taken = false;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			taken = taken || strncmp(f->name, names[i], strlen(names[i])) == 0;
		if (!taken)
			continue;
		bytes = family_bytes(f, TYPE_Q8_0, &len);
		check_bits(f->name, open_bytes(bytes, len));
		free(bytes);
	}
	bytes = qwen3moe_bytes(TYPE_Q4_0, &len);
	check_bits("qwen3moe", open_bytes(bytes, len));
	free(bytes);
}

static void test_a_sequence_that_was_wiped_has_no_adapter(void **unused)
{
	const struct engine_config config = { .n_threads = 1 };
	const struct adapter_build how = { .seed = 5, .type = TYPE_F32 };
	size_t len = 0, adapter_len = 0;
	uint8_t *bytes = qwen3moe_bytes(TYPE_F32, &len);
	struct model *model = open_bytes(bytes, len);
	struct loaded l = load(model, &how, &adapter_len);
	float *plain = alone(model, &config, 0, NULL, N_TOKENS);
	float *got = calloc(N_FLOATS, sizeof(*got));
	struct engine *engine = start(model, &config);
	struct engine_row rows[N_TOKENS];

	(void)unused;
	assert_non_null(got);
	for (size_t i = 0; i < N_TOKENS; i++)
		rows[i] = row_of(0, i);
	assert_int_equal(engine_seq_adapt(engine, 0, l.adapter), RC_OK);
	forward(engine, rows, 3, got);
	engine_seq_wipe(engine, 0);
	forward(engine, rows, N_TOKENS, got);
	assert_same("wiped", got, plain);
	engine_free(engine);
	free(got);
	free(plain);
	free(bytes);
	unload(&l);
	model_close(model);
}

static void test_an_engine_without_room_for_adapters_takes_none(void **unused)
{
	const struct engine_config config = { .n_threads = 1 };
	const struct adapter_build how = { .seed = 5, .type = TYPE_F32 };
	size_t len = 0, adapter_len = 0;
	uint8_t *bytes = qwen3moe_bytes(TYPE_F32, &len);
	struct model *model = open_bytes(bytes, len);
	struct loaded l = load(model, &how, &adapter_len);
	struct engine_config with = config;
	struct engine_plan plans[2];
	struct engine *engine = NULL;

	(void)unused;
	assert_int_equal(engine_new(model, &config, &engine, NULL), RC_OK);
	assert_int_equal(engine_seq_adapt(engine, 0, l.adapter), RC_UNSUPPORTED);
	assert_int_equal(engine_seq_adapt(engine, 0, NULL), RC_OK);
	with.adapters = true;
	assert_int_equal(engine_plan(model, &config, &plans[0], NULL), RC_OK);
	assert_int_equal(engine_plan(model, &with, &plans[1], NULL), RC_OK);
	assert_true(plans[1].scratch_bytes > plans[0].scratch_bytes);
	engine_free(engine);
	free(bytes);
	unload(&l);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logits_are_those_of_the_merged_model_in_every_family),
		cmocka_unit_test(test_bits_depend_on_a_rows_past_and_its_own_adapter_alone),
		cmocka_unit_test(test_a_sequence_that_was_wiped_has_no_adapter),
		cmocka_unit_test(test_an_engine_without_room_for_adapters_takes_none),
	};
	uint64_t state = 2;

	(void)snprintf(path, sizeof(path), "/tmp/test_adapt.%d.gguf", (int)getpid());
	for (size_t s = 0; s < N_SEQ; s++) {
		for (size_t i = 0; i < N_TOKENS; i++)
			ids[s][i] = (int32_t)(random_next(&state) % N_VOCAB);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
