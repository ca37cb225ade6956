/*
 * Tiny random models of every family through a backend, the emulated one beside this
 * program or what HEARTH_BACKEND names: logits are the CPU's within rounding in both
 * classes of rows, and a row has the same bits alone, beside rows of another sequence,
 * after its sequence has been wiped, and at the end of a pass that is longer than those
 * of the CPU, which has the first layers.  What is played back stays within its plan.
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

#include "backend/load.h"
#include "engine_scratch.h"
#include "family_build.h"
#include "golden_models.h"
#include "infer/engine.h"
#include "model/model.h"
#include "test_backend.h"

#define SKIPPED 77
#define TOKENS 3u /* of each of two sequences */
#define ROWS (2 * TOKENS)
#define FLOATS ((size_t)ROWS * FAMILY_VOCAB)
#define BOUND 1e-6
/* With matrices in blocks the CPU's rows are in 8 bits, and those of a prompt in halves:
 * random experts' scores lie close, and some rows go to others. */
#define PROMPT_BOUND 0.1
/* The emulator is slow: of what no model of ../shared has. */
#define EMULATED_FAMILIES "qwen3next in parts|deepseek2 unsplit|nemotron_h_moe|gemma4 with experts"
#define EMULATED_IN_BLOCKS "qwen2"
#define GRAPHS_RESERVE ((uint64_t)64 << 20) /* of a small model */
/* Prompts in one pass: the CPU takes all but the last of them in its first turn. */
#define PROMPTS 65u
#define PROMPT_LEN 4u

static const struct backend_api *backend;
static bool emulated;
static char path[64];

static struct model *open_family(const struct family *f, enum tensor_type type)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 7);
	family_build(&b, f, type);
	assert_true(gguf_build_write(&b, path));
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s: %s", f->name, why.text);
	(void)unlink(path);
	gguf_build_fini(&b);
	return model;
}

static struct engine *start(const struct model *model, const struct backend_api *api)
{
	const struct engine_config config = { .n_ctx = 16,
		.n_seq = 2,
		.n_ubatch = 4,
		.n_threads = 1,
		.cache = CACHE_F32,
		.backend = api };
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(model, &config, &engine, &why) != RC_OK)
		fail_msg("%s: %s", model_info(model)->architecture, why.text);
	return engine;
}

/* Rows of both sequences in turn, or of the one `seq` alone; logits in that order. */
static void compute(struct engine *engine, uint32_t n_seq, uint32_t seq, bool answer, float *logits)
{
	struct engine_row rows[ROWS];
	struct errmsg why = ERRMSG_INIT;
	size_t n = 0;

	for (uint32_t pos = 0; pos < TOKENS; pos++) {
		for (uint32_t s = seq; s < seq + n_seq; s++)
			rows[n++] = (struct engine_row){ .token = (int32_t)(pos * 11 + s * 17 + 3) %
								  FAMILY_VOCAB,
				.seq = s,
				.pos = pos,
				.want_logits = true,
				.answer = answer };
	}
	if (engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

/* Both sequences, then one alone. */
static void check_class(
    struct engine *engine, const char *name, bool answer, const float *expected, double bound)
{
	float both[FLOATS], alone[FLOATS];
	double error;

	memset(both, 0xff, sizeof(both));
	compute(engine, 2, 0, answer, both);
	error = golden_nmse(both, expected, FLOATS);
	if (!emulated)
		print_message("%s: NMSE %.3g\n", name, error);
	if (!(error <= bound))
		fail_msg("%s: NMSE %g of the CPU's (bound %g) in %s", name, error, bound,
		    answer ? "answers" : "prompts");
	engine_seq_wipe(engine, 0);
	engine_seq_wipe(engine, 1);
	compute(engine, 1, 1, answer, alone);
	engine_seq_wipe(engine, 1);
	for (size_t t = 0; t < TOKENS; t++) {
		if (memcmp(alone + t * FAMILY_VOCAB, both + (2 * t + 1) * FAMILY_VOCAB,
			FAMILY_VOCAB * sizeof(float)) != 0)
			fail_msg("%s: row %zu has other bits alone", name, t);
	}
}

static void check_family(const struct family *f, enum tensor_type type, double prompt_bound)
{
	struct model *model = open_family(f, type);
	struct engine *cpu = start(model, NULL), *engine = start(model, backend);
	float expected[FLOATS];

	compute(cpu, 2, 0, false, expected);
	check_class(engine, f->name, true, expected, BOUND);
	check_class(engine, f->name, false, expected, prompt_bound);
	engine_free(cpu);
	engine_free(engine);
	model_close(model);
}

static bool among(const char *name, const char *names)
{
	const char *at = strstr(names, name);
	size_t len = strlen(name);

	return at != NULL && (at == names || at[-1] == '|') && (at[len] == '|' || at[len] == '\0');
}

static void test_every_family_is_computed_as_the_cpu_does(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;)
		if (!emulated || among(f->name, EMULATED_FAMILIES))
			check_family(f, TYPE_F32, BOUND);
}

static void test_matrices_in_blocks_are_too(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;)
		if (!emulated || among(f->name, EMULATED_IN_BLOCKS))
			check_family(f, TYPE_Q8_0, PROMPT_BOUND);
}

#define MATRIX(name, n, n_rows)                                                                    \
	{                                                                                          \
		name ".weight", FAMILY_MATRIX, n, n_rows, 0                                        \
	}
#define NARROW(il)                                                                                 \
	{ "blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0 },                                  \
	    MATRIX("blk." il ".attn_q", 64, 32), MATRIX("blk." il ".attn_k", 64, 32),              \
	    MATRIX("blk." il ".attn_v", 64, 32), MATRIX("blk." il ".attn_output", 32, 64),         \
	    { "blk." il ".ffn_norm.weight", FAMILY_NORM, 64, 0, 0 },                               \
	    MATRIX("blk." il ".ffn_gate", 64, 32), MATRIX("blk." il ".ffn_up", 64, 32),            \
	    MATRIX("blk." il ".ffn_down", 32, 64)

/* As little to compute as there can be. */
static const struct family narrow = { .name = "narrow",
	.arch = "qwen2",
	.keys = { { "context_length", 'u', FAMILY_CTX, NULL },
	    { "embedding_length", 'u', 64, NULL }, { "block_count", 'u', 2, NULL },
	    { "feed_forward_length", 'u', 32, NULL }, { "attention.head_count", 'u', 1, NULL },
	    { "attention.head_count_kv", 'u', 1, NULL }, { "attention.key_length", 'u', 32, NULL },
	    { "attention.value_length", 'u', 32, NULL },
	    { "attention.layer_norm_rms_epsilon", 'f', 1e-6, NULL } },
	.tensors = { NARROW("0"), NARROW("1") } };

/* The last prompt's logits, from a pass of the last `n` prompts. */
static void compute_last(struct engine *engine, uint32_t n, float *logits)
{
	struct engine_row rows[PROMPTS * PROMPT_LEN];
	struct errmsg why = ERRMSG_INIT;

	for (uint32_t i = 0; i < n * PROMPT_LEN; i++) {
		uint32_t seq = PROMPTS - n + i / PROMPT_LEN, pos = i % PROMPT_LEN;

		rows[i] =
		    (struct engine_row){ .token = (int32_t)((seq * 13 + pos * 5) % FAMILY_VOCAB),
			    .seq = seq,
			    .pos = pos,
			    .want_logits = seq + 1 == PROMPTS };
	}
	if (engine_forward(engine, rows, n * PROMPT_LEN, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

static void test_the_first_layers_take_a_long_pass_in_turns(void **unused)
{
	const struct engine_config config = { .n_ctx = PROMPT_LEN,
		.n_seq = PROMPTS,
		.n_ubatch = PROMPTS * PROMPT_LEN,
		.n_threads = 1,
		.cache = CACHE_F32,
		.backend = backend,
		.n_host_layers = 1 };
	struct model *model = open_family(&narrow, TYPE_Q8_0);
	float alone[PROMPT_LEN * FAMILY_VOCAB], last[PROMPT_LEN * FAMILY_VOCAB];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	if (engine_new(model, &config, &engine, &why) != RC_OK)
		fail_msg("%s", why.text);
	compute_last(engine, 1, alone);
	assert_true(engine_scratch_left(engine->lower) > 0);
	engine_seq_wipe(engine, PROMPTS - 1);
	assert_int_equal(engine_scratch_left(engine->lower), 0);
	compute_last(engine, PROMPTS, last);
	assert_memory_equal(last, alone, sizeof(alone));
	engine_free(engine);
	model_close(model);
}

/* How many of four answers are played back where the emulator takes `each` bytes for one. */
static uint32_t graphs_with(uint64_t each)
{
	const struct engine_config config = {
		.n_ctx = 8, .n_seq = 4, .n_ubatch = 4, .cache = CACHE_F32, .backend = backend
	};
	struct model *model = open_family(&narrow, TYPE_F32);
	struct engine *engine = NULL;
	struct engine_plan plan;
	char text[32];
	uint64_t bytes;
	uint32_t n;

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)each);
	assert_int_equal(setenv("HEARTH_EMULATED_GRAPH_BYTES", text, 1), 0);
	assert_int_equal(engine_plan(model, &config, &plan, NULL), RC_OK);
	assert_int_equal(plan.graph_bytes, GRAPHS_RESERVE);
	assert_int_equal(engine_new(model, &config, &engine, NULL), RC_OK);
	n = engine_graphs(engine, &bytes);
	print_message("%u graphs took %llu bytes\n", n, (unsigned long long)bytes);
	assert_true(n > 0 && bytes <= plan.graph_bytes);
	engine_free(engine);
	model_close(model);
	assert_int_equal(unsetenv("HEARTH_EMULATED_GRAPH_BYTES"), 0);
	return n;
}

static void test_graphs_take_what_the_plan_has_for_them(void **unused)
{
	uint32_t whole = graphs_with(GRAPHS_RESERVE);

	(void)unused;
	if (!emulated)
		return;
	assert_int_equal(whole, 1); /* the second was made, and given back */
	assert_int_equal(graphs_with(GRAPHS_RESERVE / 2), 2);
	assert_int_equal(graphs_with(GRAPHS_RESERVE / 3), 3);
	assert_int_equal(graphs_with(GRAPHS_RESERVE / 4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_family_is_computed_as_the_cpu_does),
		cmocka_unit_test(test_matrices_in_blocks_are_too),
		cmocka_unit_test(test_the_first_layers_take_a_long_pass_in_turns),
		cmocka_unit_test(test_graphs_take_what_the_plan_has_for_them),
	};

	if (!test_backend_find(&backend, &emulated))
		return SKIPPED;
	(void)snprintf(path, sizeof(path), "/tmp/test_device.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
