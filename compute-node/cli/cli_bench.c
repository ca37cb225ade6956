/*
 * `compute-node bench`: tokens a second, next to what this machine's memory
 * can deliver, measured in the same run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "infer/crew.h"
#include "infer/engine.h"
#include "kernels/kernels.h"
#include "model/gguf.h"
#include "model/model.h"
#include "serve/fleet.h"

#define REPEATS_MAX 100
#define TOKENS_MAX 65536
/* Far more than any cache holds. */
#define READ_BYTES (size_t)(512u << 20)
#define READ_PART (size_t)(1u << 20)
#define SEED_TOKEN 1u

struct bench_options {
	int64_t prompt, generate, threads, repeats, ubatch, depth;
	const char *cache;
	bool json;
};

#define AT(field) offsetof(struct bench_options, field)

static const struct conf_option options[] = {
	{ "prompt", 'p', CONF_INT, AT(prompt), "N", "512", 1, TOKENS_MAX, true,
	    "tokens of the prompt" },
	{ "generate", 'n', CONF_INT, AT(generate), "N", "128", 1, TOKENS_MAX, true,
	    "tokens generated one by one" },
	{ "depth", 'd', CONF_INT, AT(depth), "N", "0", 0, TOKENS_MAX, true,
	    "tokens that stand before both" },
	{ "repeats", 'r', CONF_INT, AT(repeats), "N", "5", 1, REPEATS_MAX, true,
	    "runs; medians are printed" },
	{ "ubatch", 0, CONF_INT, AT(ubatch), "N", "0", 0, 4096, true,
	    "prompt tokens computed at once; 0: 256" },
	{ "cache-type", 0, CONF_STRING, AT(cache), "TYPE", "f16", 0, 0, true,
	    "numbers in the KV cache: f16, f32 or q8_0" },
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "json", 0, CONF_BOOL, AT(json), NULL, "false", 0, 0, true, "print one JSON object" },
	{ 0 },
};

static const struct conf_command command = { "bench", "MODEL", 1, 1,
	"measure a model's speed and the machine's memory", "Works without a vocabulary.",
	options };

struct bench {
	const struct bench_options *options;
	const struct model_info *info;
	struct engine *engine;
	struct crew *crew;
	uint64_t *memory; /* [READ_BYTES / 8] */
	_Atomic uint64_t sink;
	struct engine_row *rows;
	float *logits;
	double prompt_s[REPEATS_MAX], generate_s[REPEATS_MAX], read_s[REPEATS_MAX];
};

static double seconds_since(int64_t start_ns)
{
	return (double)(clock_mono_ns() - start_ns) / (double)NS_PER_S;
}

static void read_memory(void *arg, unsigned thread)
{
	struct bench *b = arg;
	uint64_t sums[8] = { 0 };

	(void)thread;
	for (size_t part; (part = crew_take(b->crew)) < READ_BYTES / READ_PART;) {
		const uint64_t *at = b->memory + part * (READ_PART / sizeof(*at));

		for (size_t i = 0; i < READ_PART / sizeof(*at); i += 8) {
			for (size_t j = 0; j < 8; j++)
				sums[j] += at[i + j];
		}
	}
	for (size_t j = 0; j < 8; j++)
		b->sink += sums[j];
}

/* Any ids will do; they only have to exist. */
static int32_t token_at(const struct bench *b, size_t i)
{
	return (int32_t)((SEED_TOKEN + i * 7919u) % b->info->n_vocab);
}

static enum rc append(struct bench *b, size_t n, bool want_logits, struct errmsg *why)
{
	uint32_t past = engine_seq_len(b->engine, 0);

	for (size_t i = 0; i < n; i++)
		b->rows[i] = (struct engine_row){ .token = token_at(b, past + i),
			.pos = past + (uint32_t)i,
			.want_logits = want_logits && i + 1 == n };
	return engine_forward(b->engine, b->rows, n, b->logits, NULL, NULL, why);
}

static enum rc run_once(struct bench *b, size_t repeat, struct errmsg *why)
{
	const struct bench_options *o = b->options;
	int64_t start;
	enum rc rc = RC_OK;

	engine_seq_wipe(b->engine, 0);
	if (o->depth > 0)
		rc = append(b, (size_t)o->depth, false, why);
	start = clock_mono_ns();
	if (rc == RC_OK)
		rc = append(b, (size_t)o->prompt, true, why);
	b->prompt_s[repeat] = seconds_since(start);
	start = clock_mono_ns();
	for (int64_t i = 0; rc == RC_OK && i < o->generate; i++)
		rc = append(b, 1, true, why);
	b->generate_s[repeat] = seconds_since(start);
	start = clock_mono_ns();
	crew_run(b->crew, read_memory, b);
	b->read_s[repeat] = seconds_since(start);
	return rc;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *da = a, *db = b;

	return (*da > *db) - (*da < *db);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* What one generated token reads: all weights but the embedding's rows, unless
 * the output matrix is the embedding. */
static uint64_t bytes_a_token(const struct model *model)
{
	const struct gguf *g = model_gguf(model);
	const struct gguf_tensor *embd = gguf_find_tensor(g, "token_embd.weight");

	if (gguf_find_tensor(g, "output.weight") == NULL || embd == NULL)
		return model_info(model)->weights_bytes;
	return model_info(model)->weights_bytes - embd->n_bytes;
}

static void report(struct bench *b, const struct model *model)
{
	const struct bench_options *o = b->options;
	size_t n = (size_t)o->repeats;
	double prompt = (double)o->prompt / median(b->prompt_s, n);
	double generate = (double)o->generate / median(b->generate_s, n);
	double read = (double)READ_BYTES / median(b->read_s, n) / 1e9;
	uint64_t bytes = bytes_a_token(model);
	double used = generate * (double)bytes / 1e9;

	if (o->json) {
		(void)printf(
		    "{\"model\":\"%s\",\"prompt_tps\":%.3f,\"generation_tps\":%.3f,"
		    "\"read_gbps\":%.3f,\"weights_bytes\":%" PRIu64 ",\"bytes_per_token\":%" PRIu64
		    ",\"generation_gbps\":%.3f,\"generation_read_ratio\":%.3f,"
		    "\"threads\":%u,\"ubatch\":%u,\"depth\":%" PRId64 ",\"prompt\":%" PRId64
		    ",\"generate\":%" PRId64 ",\"repeats\":%zu,\"kernels\":\"%s\"}\n",
		    b->info->architecture, prompt, generate, read, b->info->weights_bytes, bytes,
		    used, used / read, engine_config(b->engine)->n_threads,
		    engine_config(b->engine)->n_ubatch, o->depth, o->prompt, o->generate, n,
		    kernels_get()->name);
		return;
	}
	(void)printf("%-24s %s, %.2f GB of weights, %u threads, kernels %s\n", "model",
	    b->info->architecture, (double)b->info->weights_bytes / 1e9,
	    engine_config(b->engine)->n_threads, kernels_get()->name);
	(void)printf("%-24s %10.2f tokens/s (%" PRId64 " tokens, median of %zu)\n", "prompt",
	    prompt, o->prompt, n);
	(void)printf(
	    "%-24s %10.2f tokens/s (%" PRId64 " tokens)\n", "generation", generate, o->generate);
	(void)printf("%-24s %10.2f GB/s\n", "generation reads", used);
	(void)printf("%-24s %10.2f GB/s\n", "memory can deliver", read);
	(void)printf("%-24s %10.2f\n", "ratio", used / read);
}

static enum rc prepare(struct bench *b, const struct model *model, struct errmsg *why)
{
	const struct bench_options *o = b->options;
	struct engine_config config = { .n_ctx = (uint32_t)(o->depth + o->prompt + o->generate),
		.n_ubatch = (uint32_t)o->ubatch,
		.n_threads = (uint32_t)o->threads,
		.cache = (enum cache_type)fleet_cache_parse(o->cache) };
	enum rc rc = engine_new(model, &config, &b->engine, why);

	if (rc == RC_OK)
		rc = crew_new(engine_config(b->engine)->n_threads, &b->crew, why);
	if (rc != RC_OK)
		return rc;
	b->memory = malloc(READ_BYTES);
	b->rows = calloc((size_t)(o->depth + o->prompt), sizeof(*b->rows));
	b->logits = calloc(b->info->n_vocab, sizeof(*b->logits));
	if (b->memory == NULL || b->rows == NULL || b->logits == NULL)
		return RC_NOMEM;
	memset(b->memory, 1, READ_BYTES);
	rc = append(b, 1, true, why); /* page the weights in */
	return rc;
}

static enum rc measure(struct bench *b, const struct model *model, struct errmsg *why)
{
	enum rc rc = prepare(b, model, why);

	for (size_t i = 0; rc == RC_OK && i < (size_t)b->options->repeats; i++)
		rc = run_once(b, i, why);
	if (rc == RC_OK)
		report(b, model);
	crew_free(b->crew);
	engine_free(b->engine);
	free(b->memory);
	free(b->rows);
	free(b->logits);
	return rc;
}

int cli_bench(int argc, char **argv)
{
	struct bench_options values = { 0 };
	static struct bench bench;
	struct conf_argv args = { 0 };
	struct arena arena;
	struct model *model = NULL;
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	if (fleet_cache_parse(values.cache) < 0) {
		(void)fprintf(stderr, "compute-node bench: --cache-type: f16, f32 or q8_0\n");
		code = EXIT_USAGE;
		goto out;
	}
	rc = model_open(args.args[0], &model, &why);
	if (rc == RC_OK) {
		bench.options = &values;
		bench.info = model_info(model);
		rc = measure(&bench, model, &why);
	}
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
out:
	model_close(model);
	arena_fini(&arena);
	return code;
}
