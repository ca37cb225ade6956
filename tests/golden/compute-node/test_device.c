/*
 * Models from ../shared/data through a backend: logits within the bounds of the CPU's
 * own test in both classes of rows, equal bits however rows are taken, greedy text to
 * the byte, a resumed answer that goes on as it was, memory that is zero behind a
 * lease.
 *
 * The backend is the emulated one (tests/compute-emulated.so beside this program), or
 * what HEARTH_BACKEND names: a library's absolute path.
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

#include "backend/load.h"
#include "base/buf.h"
#include "encoder_twin.h"
#include "golden_models.h"
#include "infer/choose.h"
#include "infer/embed.h"
#include "infer/engine.h"
#include "infer/textstream.h"
#include "model/model.h"
#include "plain_sample.h"
#include "test_backend.h"
#include "tokenize/tokenizer.h"

#define VOCAB 512
#define STORY 200
#define STORY_EMULATED 60 /* tokens; the emulator takes seconds */
#define RESUMED 40        /* ids of an answer that is cut, its prompt among them */
#define SKIPPED 77
#define EMULATED_TOKENS 7
#define EMULATED_MODELS                                                                            \
	"llama-dense gemma2-dense gpt-oss-moe gemma4-dense deepseek2-moe qwen3next-moe "           \
	"nemotron_h_moe-dense"
#define TAKEN_MAX 4096
/* Prompts are multiplied as halves: 2^-11 of a number is lost in each product. */
#define PROMPT_BOUND 3e-6

static const struct backend_api *backend;
static bool emulated;
static uint32_t host_layers; /* that the CPU computes in what follows */

/* What is computed of a model: rows from `answer_from` on are an answer's. */
struct run {
	uint32_t ubatch;
	enum cache_type cache;
	size_t answer_from;
};

static float *logits_of(
    const struct model *model, const int32_t *ids, size_t n, const struct run *run)
{
	struct engine_config config = { .n_ctx = (uint32_t)n,
		.n_ubatch = run->ubatch,
		.cache = run->cache,
		.backend = backend,
		.n_host_layers = host_layers };
	struct engine_row rows[GOLDEN_TOKENS_MAX];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;
	size_t n_vocab = model_info(model)->n_vocab;
	float *logits = malloc(n * n_vocab * sizeof(*logits));

	assert_non_null(logits);
	memset(logits, 0xff, n * n_vocab * sizeof(*logits));
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct engine_row){ .token = ids[i],
			.pos = (uint32_t)i,
			.want_logits = true,
			.answer = i >= run->answer_from };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
	return logits;
}

/* Rows of one class, in every way that a pass can be cut. */
static void check_class(const struct model *model, const char *name, const int32_t *ids, size_t n,
    struct run run, const float *expected, double bound)
{
	static const uint32_t ubatches[] = { 4, 1, 3, 16 };
	size_t n_floats = n * model_info(model)->n_vocab;
	float *first = logits_of(model, ids, n, &run);
	double got = golden_nmse(first, expected, n_floats);

	print_message("%s %s cache %d: NMSE %.3g (bound %.3g)\n", name,
	    run.answer_from == 0 ? "answer" : "prompt", (int)run.cache, got, bound);
	if (!(got <= bound))
		fail_msg("%s: NMSE %g, bound %g", name, got, bound);
	for (size_t i = 0; i < (emulated ? 1 : 4); i++) {
		float *other;

		run.ubatch = ubatches[i];
		other = logits_of(model, ids, n, &run);
		if (memcmp(other, first, n_floats * sizeof(float)) != 0)
			fail_msg("%s: other bits with %u rows in a pass", name, run.ubatch);
		free(other);
	}
	free(first);
}

/* gemma4's queries and keys are normed and their scores not scaled, so that 16 bits of
 * a key are seen in its logits, on the CPU too. */
static double f16_bound(const char *name, double bound)
{
	return strncmp(name, "gemma4", 6) == 0 ? 20 * bound : bound;
}

static void check_logits(const char *folder, const char *name, const char *suffix, double bound)
{
	struct model *model = golden_open(folder, name);
	int32_t ids[GOLDEN_TOKENS_MAX];
	size_t n = golden_tokens(folder, ids), n_floats = n * model_info(model)->n_vocab, len;
	char file[128];
	uint8_t *expected;

	(void)snprintf(file, sizeof(file), "%s%s", name, suffix);
	expected = golden_file(&len, folder, file);
	assert_int_equal(len, n_floats * sizeof(float));
	if (emulated) /* a prefix's logits are the same */
		n = n < EMULATED_TOKENS ? n : EMULATED_TOKENS;
	for (int class_ = 0; class_ < 2; class_++) {
		double least = class_ == 1 && bound < PROMPT_BOUND ? PROMPT_BOUND : bound;

		for (int type = 0; type < (emulated ? 1 : 2); type++)
			check_class(model, name, ids, n,
			    (struct run){ .cache = type == 0 ? CACHE_F16 : CACHE_F32,
				.answer_from = class_ == 0 ? 0 : n },
			    (const float *)(const void *)expected,
			    type == 0 ? f16_bound(name, least) : least);
	}
	free(expected);
	model_close(model);
}

/* The emulator takes seconds for what a device does at once: a few stand for all. */
static bool among(const char *name, const char *names)
{
	const char *at = strstr(names, name);
	size_t len = strlen(name);

	return at != NULL && (at == names || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0');
}

static void test_the_arch_set_is_within_its_bound(void **unused)
{
	static const char *const names[] = { "llama-dense", "llama-yarn-dense", "qwen2-dense",
		"qwen3-dense", "qwen3-yarn-dense", "smollm3-dense", "mistral3-dense", "phi3-dense",
		"glm4-dense", "gemma2-dense", "gemma3-dense", "qwen3moe-moe", "glm4moe-moe",
		"gpt-oss-moe", "gemma4-dense", "gemma4-nople-dense", "deepseek2-moe",
		"qwen35-dense", "qwen35moe-moe", "qwen3next-moe", "nemotron_h_moe-dense" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!emulated || among(names[i], EMULATED_MODELS))
			check_logits("arch", names[i], ".logits", 1e-6);
}

static void test_the_quant_set_is_within_the_peers_error(void **unused)
{
	static const char *const names[] = { "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1",
		"Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		double peer = golden_peer_nmse(names[i]);

		assert_true(peer > 0);
		if (emulated && !among(names[i], "Q8_0 Q4_K_M"))
			continue;
		check_logits("quant", names[i], ".exact.logits", 1.1 * peer);
	}
}

/* Final norms of some rows, by `api`; NULL: the CPU. */
static void embed_rows(
    const struct model *model, const struct backend_api *api, float *out, size_t n)
{
	struct engine_config config = { .n_ctx = 16, .cache = CACHE_F32, .backend = api };
	struct engine_row rows[16];
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	for (size_t i = 0; i < n; i++)
		rows[i] = (struct engine_row){ .token = 50 + 9 * (int32_t)i, .pos = (uint32_t)i };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, n, NULL, out, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
}

static void test_embeddings_of_rows_are_the_cpus(void **unused)
{
	struct model *model = golden_open("models", "stories260K");
	size_t n = 7 * model_info(model)->n_embd;
	float *ours = malloc(n * sizeof(*ours)), *cpu = malloc(n * sizeof(*cpu));

	(void)unused;
	assert_true(ours != NULL && cpu != NULL);
	memset(ours, 0xff, n * sizeof(*ours));
	embed_rows(model, backend, ours, 7);
	embed_rows(model, NULL, cpu, 7);
	assert_true(golden_nmse(ours, cpu, n) < 1e-6);
	free(ours);
	free(cpu);
	model_close(model);
}

/* ---- encoders ---- */

#define TEXTS 4u
#define TEXT_DIM_MAX 128

/* Vectors of some texts, in one pass or one by one. */
static void embed_texts(
    const struct model *model, const struct backend_api *api, bool together, float *out)
{
	static const size_t lengths[TEXTS] = { 17, 1, 40, 5 };
	const struct engine_config config = { .n_threads = 1, .backend = api };
	size_t n_embd = model_info(model)->n_embd;
	struct embed_text texts[TEXTS];
	struct engine *engine = NULL;
	struct embed *embed = NULL;
	struct errmsg why = ERRMSG_INIT;
	int32_t ids[64];

	for (int32_t i = 0; i < 64; i++)
		ids[i] = 4 + i * 7 % 50;
	for (size_t i = 0; i < TEXTS; i++)
		texts[i] = (struct embed_text){ ids + i, lengths[i], out + i * n_embd };
	if (engine_new(model, &config, &engine, &why) != RC_OK ||
	    embed_new(model, engine, &embed, &why) != RC_OK)
		fail_msg("%s", why.text);
	for (size_t i = 0; i < TEXTS; i += together ? TEXTS : 1)
		if (embed_run(embed, texts + i, together ? TEXTS : 1, &why) != RC_OK)
			fail_msg("%s", why.text);
	embed_free(embed);
	engine_free(engine);
}

static void check_texts(struct model *model)
{
	float cpu[TEXTS * TEXT_DIM_MAX], ours[TEXTS * TEXT_DIM_MAX], alone[TEXTS * TEXT_DIM_MAX];
	size_t n = TEXTS * model_info(model)->n_embd;
	double error;

	assert_true(model_info(model)->n_embd <= TEXT_DIM_MAX);
	embed_texts(model, NULL, true, cpu);
	embed_texts(model, backend, true, ours);
	embed_texts(model, backend, false, alone);
	error = golden_nmse(ours, cpu, n);
	print_message("%s: NMSE %.3g of the CPU's\n", model_info(model)->architecture, error);
	assert_true(error < 1e-6);
	assert_memory_equal(ours, alone, n * sizeof(float));
	model_close(model);
}

static void test_texts_are_embedded_as_the_cpu_does(void **unused)
{
	static const struct encoder_twin_shape nomic = { .nomic = true,
		.fused = true,
		.n_embd = 48,
		.n_layer = 2,
		.n_head = 3,
		.n_ff = 40,
		.n_ctx = 64,
		.pooling = TWIN_MEAN };

	(void)unused;
	check_texts(golden_open("embed", "bert-cls"));
	check_texts(golden_open("embed", "bert-mean"));
	check_texts(encoder_twin_open(&nomic));
}

/* Heads whose width no kernel has. */
static void test_what_has_no_kernels_is_refused_by_name(void **unused)
{
	static const struct encoder_twin_shape wide = {
		.n_embd = 264, .n_layer = 1, .n_head = 1, .n_ff = 8, .n_ctx = 8, .pooling = TWIN_CLS
	};
	struct model *model = encoder_twin_open(&wide);
	struct engine_config config = { .backend = backend };
	struct engine *engine = NULL;
	struct engine_plan plan;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(engine_plan(model, &config, &plan, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "bert"));
	assert_non_null(strstr(why.text, "264"));
	assert_int_equal(engine_new(model, &config, &engine, &why), RC_UNSUPPORTED);
	model_close(model);
}

/* ---- answers ---- */

struct teller {
	struct model *model;
	struct engine *engine;
	int32_t ids[STORY + 1];
	size_t len, prompt_len;
};

/* Go on until `n` ids stand there, all that is missing computed at once at first. */
static void tell(struct teller *t, size_t n)
{
	const struct sample_params greedy = { 0 };
	struct engine_row rows[STORY + 1];
	struct errmsg why = ERRMSG_INIT;
	uint32_t n_vocab = model_info(t->model)->n_vocab;
	float logits[VOCAB];
	const struct sample_row row = { .logits = logits, .n_vocab = n_vocab };
	void *scratch = malloc(sample_scratch_bytes(n_vocab));

	assert_non_null(scratch);
	assert_true(n_vocab <= VOCAB);
	while (t->len < n) {
		size_t done = engine_seq_len(t->engine, 0), more = t->len - done;

		for (size_t i = 0; i < more; i++)
			rows[i] = (struct engine_row){ .token = t->ids[done + i],
				.pos = (uint32_t)(done + i),
				.want_logits = i + 1 == more,
				.brief = true,
				.answer = done + i >= t->prompt_len };
		if (engine_forward(t->engine, rows, more, logits, NULL, NULL, &why) != RC_OK ||
		    choose_token(t->engine, 0, &greedy, &row, scratch, &t->ids[t->len], &why) !=
			RC_OK)
			fail_msg("%s", why.text);
		t->len++;
	}
	free(scratch);
}

static void begin(struct teller *t, const struct backend_api *api)
{
	struct engine_config config = {
		.n_ctx = STORY + 1, .backend = api, .n_host_layers = host_layers
	};
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(t->model, &config, &t->engine, &why) != RC_OK)
		fail_msg("%s", why.text);
}

static void test_stories_tell_the_expected_text_to_the_byte(void **unused)
{
	struct teller t = {
		.model = golden_open("models", "stories260K"), .len = 1, .prompt_len = 1
	};
	const struct tokenizer *tokenizer = model_tokenizer(t.model);
	struct textstream *stream = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct buf out;
	size_t len, n = emulated ? STORY_EMULATED : STORY;
	uint8_t *expected = golden_file(&len, "models", "stories260K.expected.txt");

	(void)unused;
	buf_init(&out, 65536);
	begin(&t, backend);
	t.ids[0] = tokenizer_bos(tokenizer);
	assert_int_equal(textstream_new(tokenizer, NULL, 0, true, &stream, &why), RC_OK);
	tell(&t, n + 1);
	for (size_t i = 1; i <= n; i++)
		(void)textstream_push(stream, t.ids[i], &out);
	textstream_flush(stream, &out);
	if (emulated)
		assert_in_range(out.len, n, len);
	else
		assert_int_equal(out.len, len);
	assert_memory_equal(out.bytes, expected, out.len);
	free(expected);
	buf_fini(&out);
	textstream_free(stream);
	engine_free(t.engine);
	model_close(t.model);
}

/* Two passes of one call: the token of an answer, and a prompt. */
static void test_brief_rows_can_be_had_whole(void **unused)
{
	struct model *model = golden_open("models", "stories260K");
	const struct engine_config config = { .n_ctx = 16, .n_seq = 2, .backend = backend };
	const struct sample_params greedy = { 0 };
	float whole[2 * VOCAB], fetched[VOCAB];
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	for (int brief = 0; brief < 2; brief++) {
		struct engine_row rows[4] = { { .token = 9, .want_logits = true, .answer = true },
			{ .token = 70, .seq = 1 }, { .token = 71, .seq = 1, .pos = 1 },
			{ .token = 72, .seq = 1, .pos = 2, .want_logits = true } };
		struct engine *engine = NULL;
		float *logits;

		assert_int_equal(engine_new(model, &config, &engine, &why), RC_OK);
		logits = engine_logits(engine);
		assert_non_null(logits);
		rows[0].brief = rows[3].brief = brief == 1;
		memset(logits, 0xff, sizeof(whole));
		assert_int_equal(engine_forward(engine, rows, 4, logits, NULL, NULL, &why), RC_OK);
		if (brief == 0)
			memcpy(whole, logits, sizeof(whole));
		for (size_t i = 0; i < 2; i++) {
			float *row = &whole[i * VOCAB];
			int32_t id = -1;

			assert_true((engine_shortlist(engine, i) != NULL) == (brief == 1));
			if (brief == 0)
				continue;
			assert_true(isnan(logits[i * VOCAB])); /* it stayed on the device */
			assert_true(sample_short(&greedy, &(struct sample_row){ .n_vocab = VOCAB },
			    engine_shortlist(engine, i), NULL, &id));
			assert_int_equal(
			    id, plain_sample(&greedy,
				    &(struct sample_row){ .logits = row, .n_vocab = VOCAB }));
			assert_int_equal(engine_fetch(engine, i, fetched, &why), RC_OK);
			assert_memory_equal(fetched, row, sizeof(fetched));
		}
		assert_null(engine_shortlist(engine, 2));
		engine_free(engine);
	}
	model_close(model);
}

/* `n` ids, their prompt of `prompt` among them; another engine is then given the prompt
 * and what there is of the answer, in one go. */
static void check_resumed(
    const char *folder, const char *name, size_t prompt, size_t n, size_t cut_step)
{
	struct teller whole = { .model = golden_open(folder, name), .prompt_len = prompt };
	struct teller rest = whole;

	begin(&whole, backend);
	for (whole.len = 0; whole.len < prompt; whole.len++)
		whole.ids[whole.len] = 300 - 7 * (int32_t)whole.len;
	tell(&whole, n);
	for (size_t cut = prompt + 1; cut < n; cut += cut_step) {
		begin(&rest, backend);
		memcpy(rest.ids, whole.ids, cut * sizeof(rest.ids[0]));
		rest.len = cut;
		tell(&rest, n);
		assert_memory_equal(rest.ids, whole.ids, n * sizeof(rest.ids[0]));
		engine_free(rest.engine);
	}
	engine_free(whole.engine);
	model_close(whole.model);
}

static void test_a_resumed_answer_goes_on_as_it_was(void **unused)
{
	static const char *const names[] = { "qwen3next-moe", "nemotron_h_moe-dense",
		"deepseek2-moe", "gemma4-dense" };

	(void)unused;
	check_resumed("models", "stories260K", 8, emulated ? 27 : RESUMED, 16);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!emulated || i < 2) /* those that a state of their own might lead astray */
			check_resumed("arch", names[i], 4, emulated ? 9 : RESUMED, 3);
}

/* The same bounds, bits, and resumed answers; a cache of each side, rings too. */
static void test_layers_may_be_shared_with_the_cpu(void **unused)
{
	static const char *const names[] = { "llama-dense", "gemma3-dense", "gpt-oss-moe" };
	struct teller t = { .model = golden_open("models", "stories260K"), .len = 4 };

	(void)unused;
	host_layers = 1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_logits("arch", names[i], ".logits", 1e-6);
	host_layers = 2;
	check_resumed("models", "stories260K", 8, emulated ? 20 : RESUMED, 7);
	begin(&t, backend);
	assert_string_equal(engine_numerics_id(t.engine), "2*cpu/k1+cuda/k1-90/f16");
	engine_free(t.engine);
	model_close(t.model);
	host_layers = 0;
}

/* ---- passes that are played back ---- */

static struct {
	struct backend *device;
	unsigned n_kept, n_answers, n_replayed;
} passes;

static enum rc rehearse_and_count(struct backend *b, const struct backend_row *rows,
    uint32_t n_rows, uint32_t first, bool *known, struct errmsg *why)
{
	enum rc rc = backend->rehearse(b, rows, n_rows, first, known, why);

	passes.device = b;
	passes.n_kept += rc == RC_OK && !*known;
	return rc;
}

static enum rc begin_and_count(struct backend *b, enum backend_class class_,
    const struct backend_row *rows, uint32_t n_rows, uint32_t first, bool *replayed,
    struct errmsg *why)
{
	enum rc rc = backend->begin(b, class_, rows, n_rows, first, replayed, why);

	passes.n_answers += class_ == BACKEND_ANSWER;
	passes.n_replayed += *replayed;
	return rc;
}

/* For one and two answers, up to 512, 1024 and all positions; then no memory is taken. */
static void test_passes_of_answers_are_ready_at_start(void **unused)
{
	struct model *model = golden_open("models", "stories260K");
	struct backend_api counting = *backend;
	const struct engine_config config = { .n_ctx = 1100, .n_seq = 2, .backend = &counting };
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct backend_info at_start, after;
	float logits[3 * VOCAB];

	(void)unused;
	memset(&passes, 0, sizeof(passes));
	counting.rehearse = rehearse_and_count;
	counting.begin = begin_and_count;
	assert_int_equal(engine_new(model, &config, &engine, &why), RC_OK);
	assert_int_equal(passes.n_kept, 2 * 3);
	backend->info(passes.device, &at_start);
	for (uint32_t i = 0; i < 6; i++) {
		struct engine_row rows[3] = {
			{ .token = 7, .pos = i, .want_logits = true, .answer = true },
			{ .token = 9, .seq = 1, .want_logits = true, .answer = true },
			{ .token = 9, .seq = 1, .pos = 1, .want_logits = true }
		};

		engine_seq_wipe(engine, 1);
		assert_int_equal(
		    engine_forward(engine, rows, 1 + i % 3, logits, NULL, NULL, &why), RC_OK);
	}
	assert_int_equal(passes.n_answers, 6);
	assert_int_equal(passes.n_replayed, 6);
	backend->info(passes.device, &after);
	print_message("device memory: %llu bytes free at start, %llu later\n",
	    (unsigned long long)at_start.free_bytes, (unsigned long long)after.free_bytes);
	assert_true(after.free_bytes >= at_start.free_bytes);
	engine_free(engine);
	model_close(model);
}

/* ---- what is left in memory ---- */

static struct {
	struct backend *device;
	void *memory[TAKEN_MAX];
	uint64_t bytes[TAKEN_MAX];
	size_t n;
} taken;

static enum rc take_and_note(struct backend *b, uint64_t bytes, void **out, struct errmsg *why)
{
	enum rc rc = backend->take(b, bytes, out, why);

	if (rc == RC_OK && taken.n < TAKEN_MAX) {
		taken.device = b;
		taken.memory[taken.n] = *out;
		taken.bytes[taken.n++] = bytes;
	}
	return rc;
}

static size_t count_set(size_t i)
{
	uint8_t *bytes = malloc(taken.bytes[i] + 1);
	struct errmsg why = ERRMSG_INIT;
	size_t n = 0;

	assert_non_null(bytes);
	assert_int_equal(
	    backend->download(taken.device, bytes, taken.memory[i], taken.bytes[i], &why), RC_OK);
	for (uint64_t at = 0; at < taken.bytes[i]; at++)
		n += bytes[at] != 0;
	free(bytes);
	return n;
}

/* Memory is taken in this order: of passes, keys, values, recurrent states. */
static void check_wiped(const char *folder, const char *name, size_t n_taken)
{
	struct teller t = { .model = golden_open(folder, name), .len = 12, .prompt_len = 9 };
	struct backend_api noting = *backend;

	taken.n = 0;
	noting.take = take_and_note;
	begin(&t, &noting);
	for (size_t i = 0; i < t.len; i++)
		t.ids[i] = 40 + 3 * (int32_t)i;
	tell(&t, 18);
	assert_true(taken.n > n_taken);
	for (size_t i = 0; i < n_taken; i++)
		assert_true(count_set(i) > 500);
	engine_seq_wipe(t.engine, 0);
	for (size_t i = 0; i < n_taken; i++)
		assert_int_equal(count_set(i), 0);
	engine_free(t.engine);
	model_close(t.model);
}

static void test_a_wiped_sequence_is_zero_on_the_device(void **unused)
{
	(void)unused;
	check_wiped("models", "stories260K", 3);
	check_wiped("arch", "nemotron_h_moe-dense", 4);
}

/* The numerics of a backend are not the CPU's. */
static void test_the_numerics_are_the_backends(void **unused)
{
	struct teller t = { .model = golden_open("models", "stories260K") };

	(void)unused;
	begin(&t, backend);
	assert_string_equal(engine_numerics_id(t.engine), "cuda/k1-90/f16");
	engine_free(t.engine);
	model_close(t.model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories_tell_the_expected_text_to_the_byte),
		cmocka_unit_test(test_brief_rows_can_be_had_whole),
		cmocka_unit_test(test_a_resumed_answer_goes_on_as_it_was),
		cmocka_unit_test(test_passes_of_answers_are_ready_at_start),
		cmocka_unit_test(test_a_wiped_sequence_is_zero_on_the_device),
		cmocka_unit_test(test_the_numerics_are_the_backends),
		cmocka_unit_test(test_embeddings_of_rows_are_the_cpus),
		cmocka_unit_test(test_texts_are_embedded_as_the_cpu_does),
		cmocka_unit_test(test_what_has_no_kernels_is_refused_by_name),
		cmocka_unit_test(test_the_arch_set_is_within_its_bound),
		cmocka_unit_test(test_layers_may_be_shared_with_the_cpu),
		cmocka_unit_test(test_the_quant_set_is_within_the_peers_error),
	};

	if (access(GOLDEN_DATA, R_OK) != 0 || !test_backend_find(&backend, &emulated))
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
