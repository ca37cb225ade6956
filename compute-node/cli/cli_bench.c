/*
 * `compute-node bench`: tokens a second at several depths and in batches, next
 * to what this machine can do, measured in the same run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/load.h"
#include "base/clock.h"
#include "cli/cli_args.h"
#include "cli/cli_bench_machine.h"
#include "cli/commands.h"
#include "infer/choose.h"
#include "infer/engine.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "serve/fleet.h"

#define REPEATS_MAX 100
#define TOKENS_MAX 65536
#define LIST_MAX 16
#define BATCH_MAX 64
#define SEED_TOKEN 1u

struct bench_options {
	int64_t prompt, generate, threads, repeats, ubatch;
	uint64_t device_memory;
	const char *cache, *depths, *batches, *backend;
	bool json;
};

#define AT(field) offsetof(struct bench_options, field)

static const struct conf_option options[] = {
	{ "prompt", 'p', CONF_INT, AT(prompt), "N", "512", 1, TOKENS_MAX, true,
	    "tokens of the prompt" },
	{ "generate", 'n', CONF_INT, AT(generate), "N", "128", 1, TOKENS_MAX, true,
	    "tokens generated one by one" },
	{ "depth", 'd', CONF_STRING, AT(depths), "N,N", "0", 0, 0, true,
	    "tokens that stand before both; several, parted by commas" },
	{ "batch", 'b', CONF_STRING, AT(batches), "N,N", "1", 0, 0, true,
	    "sequences that generate together; several, parted by commas" },
	{ "repeats", 'r', CONF_INT, AT(repeats), "N", "5", 1, REPEATS_MAX, true,
	    "runs; medians are printed" },
	{ "ubatch", 0, CONF_INT, AT(ubatch), "N", "0", 0, 4096, true,
	    "prompt tokens computed at once; 0: 256" },
	{ "cache-type", 0, CONF_STRING, AT(cache), "TYPE", "f16", 0, 0, true,
	    "numbers in the KV cache: f16, f32 or q8_0" },
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "backend", 0, CONF_STRING, AT(backend), "NAME", "auto", 0, 0, true,
	    "what computes: auto, cpu, cuda, or the path of a library" },
	{ "device-memory", 0, CONF_BYTES, AT(device_memory), "BYTES", "0", 0, 0, true,
	    "bytes of its device that a backend may take, 0: what is free; the CPU computes the "
	    "first layers where not all find room" },
	{ "json", 0, CONF_BOOL, AT(json), NULL, "false", 0, 0, true, "print one JSON object" },
	{ 0 },
};

static const struct conf_command command = { "bench", "MODEL", 1, 1,
	"measure a model's speed and the machine's",
	"Works without a vocabulary.  A batch of more than 1 starts at depth 0.", options };

struct list {
	uint32_t items[LIST_MAX];
	size_t n;
};

/* Seconds of each repeat. */
struct samples {
	double s[REPEATS_MAX];
};

struct bench {
	const struct bench_options *options;
	const struct model *model;
	const struct model_info *info;
	const struct backend_api *backend;
	struct list depths, batches;
	struct engine *engine;
	struct bench_machine *machine;
	struct bench_work work;
	struct bench_rates device; /* of a backend; zeros without */
	double kv_bytes;           /* of one position */
	uint64_t graphs_planned;   /* bytes of the device */
	struct engine_row *rows;
	float *logits; /* [largest batch][n_vocab] the engine's, or own_logits */
	float *own_logits;
	void *sampling; /* [sample_scratch_bytes(n_vocab)] */
	struct samples prompt[LIST_MAX], generate[LIST_MAX], batch[LIST_MAX], read, macs;
};

static double seconds_since(int64_t start_ns)
{
	return (double)(clock_mono_ns() - start_ns) / (double)NS_PER_S;
}

static bool parse_list(const char *text, uint32_t min, uint32_t max, struct list *out)
{
	do {
		char *end;
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || *text == '-' || value < min || value > max ||
		    out->n == LIST_MAX || (*end != ',' && *end != '\0'))
			return false;
		out->items[out->n++] = (uint32_t)value;
		text = end + 1;
	} while (text[-1] == ',');
	return true;
}

static uint32_t largest(const struct list *list)
{
	uint32_t most = 0;

	for (size_t i = 0; i < list->n; i++)
		most = list->items[i] > most ? list->items[i] : most;
	return most;
}

/* Append `n` tokens to each of the first `n_seq` sequences.  Any ids will do;
 * they only have to exist. */
static enum rc append(
    struct bench *b, uint32_t n_seq, size_t n, bool want_logits, bool answer, struct errmsg *why)
{
	size_t len = 0;

	for (uint32_t seq = 0; seq < n_seq; seq++) {
		uint32_t past = engine_seq_len(b->engine, seq);

		for (size_t i = 0; i < n; i++, len++)
			b->rows[len] = (struct engine_row){
				.token = (int32_t)((SEED_TOKEN + seq + (past + i) * 7919u) %
						   b->info->n_vocab),
				.seq = seq,
				.pos = past + (uint32_t)i,
				.want_logits = want_logits && i + 1 == n,
				.brief = true,
				.answer = answer,
			};
	}
	return engine_forward(b->engine, b->rows, len, b->logits, NULL, NULL, why);
}

/* The likeliest token of each sequence, as an answer at temperature 0 takes it.  None of
 * them is gone on with: what is computed would depend on the weights. */
static enum rc choose(struct bench *b, uint32_t n_seq, struct errmsg *why)
{
	const struct sample_params greedy = { 0 };
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < n_seq; i++) {
		const struct sample_row row = { .logits = b->logits + (size_t)i * b->info->n_vocab,
			.n_vocab = b->info->n_vocab };
		int32_t id;

		rc = choose_token(b->engine, i, &greedy, &row, b->sampling, &id, why);
	}
	return rc;
}

/* Generate with each of `n_seq` sequences. */
static enum rc generate(struct bench *b, uint32_t n_seq, double *out_s, struct errmsg *why)
{
	int64_t start = clock_mono_ns();
	enum rc rc = RC_OK;

	for (int64_t i = 0; rc == RC_OK && i < b->options->generate; i++) {
		rc = append(b, n_seq, 1, true, true, why);
		if (rc == RC_OK)
			rc = choose(b, n_seq, why);
	}
	*out_s = seconds_since(start);
	return rc;
}

/* Sequence 0 holds `depth` tokens, of those it had if it can go back. */
static enum rc go_to(struct bench *b, uint32_t depth, struct errmsg *why)
{
	uint32_t past = engine_seq_len(b->engine, 0);

	if (past > depth && engine_seq_truncate(b->engine, 0, depth) == RC_OK)
		return RC_OK;
	if (past > depth)
		engine_seq_wipe(b->engine, 0);
	past = engine_seq_len(b->engine, 0);
	return past < depth ? append(b, 1, depth - past, false, false, why) : RC_OK;
}

static enum rc run_depth(struct bench *b, size_t i, size_t repeat, struct errmsg *why)
{
	enum rc rc = go_to(b, b->depths.items[i], why);
	int64_t start = clock_mono_ns();

	if (rc == RC_OK)
		rc = append(b, 1, (size_t)b->options->prompt, true, false, why);
	b->prompt[i].s[repeat] = seconds_since(start);
	return rc == RC_OK ? generate(b, 1, &b->generate[i].s[repeat], why) : rc;
}

static enum rc run_batch(struct bench *b, size_t i, size_t repeat, struct errmsg *why)
{
	uint32_t n = b->batches.items[i];
	enum rc rc;

	for (uint32_t seq = 0; seq < n; seq++)
		engine_seq_wipe(b->engine, seq);
	rc = append(b, n, 1, false, false, why);
	return rc == RC_OK ? generate(b, n, &b->batch[i].s[repeat], why) : rc;
}

/* The machine's own rates are measured between the runs, so that a busy moment
 * does not hit one of them alone. */
static enum rc run_all(struct bench *b, struct errmsg *why)
{
	size_t repeats = (size_t)b->options->repeats;
	enum rc rc = RC_OK;

	for (size_t r = 0; rc == RC_OK && r < repeats; r++) {
		struct bench_rates rates =
		    b->backend != NULL ? b->device : bench_machine_measure(b->machine);

		b->read.s[r] = rates.read_bps;
		b->macs.s[r] = rates.macs;
		rc = run_depth(b, 0, r, why);
	}
	for (size_t i = 1; i < b->depths.n; i++) {
		for (size_t r = 0; rc == RC_OK && r < repeats; r++)
			rc = run_depth(b, i, r, why);
	}
	for (size_t r = 0; r < repeats; r++) {
		for (size_t i = 0; rc == RC_OK && i < b->batches.n; i++)
			rc = run_batch(b, i, r, why);
	}
	return rc;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *da = a, *db = b;

	return (*da > *db) - (*da < *db);
}

static double median(const struct bench *b, struct samples *samples)
{
	size_t n = (size_t)b->options->repeats;
	double *s = samples->s;

	qsort(s, n, sizeof(*s), compare_doubles);
	return n % 2 == 1 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

/* One line of the report. */
struct figures {
	uint32_t depth;
	double prompt_tps, macs_ratio;          /* of the machine's products */
	double generate_tps, bps, read_ratio;   /* weights and KV, of what it reads */
	double weights_bps, weights_read_ratio; /* weights alone */
};

/* 0 where the machine's own rate is not known: a device without its maker's library. */
static double ratio_of(double rate, double most)
{
	return most > 0 ? rate / most : 0;
}

static struct figures figures_of(struct bench *b, size_t i, double read_bps, double macs)
{
	const struct bench_options *o = b->options;
	struct figures f = { .depth = b->depths.items[i] };
	double position = f.depth + (double)o->prompt + (double)o->generate / 2;

	f.prompt_tps = (double)o->prompt / median(b, &b->prompt[i]);
	f.generate_tps = (double)o->generate / median(b, &b->generate[i]);
	f.macs_ratio = ratio_of(f.prompt_tps * (double)b->work.macs, macs);
	f.weights_bps = f.generate_tps * (double)b->work.bytes;
	f.weights_read_ratio = ratio_of(f.weights_bps, read_bps);
	f.bps = f.weights_bps + f.generate_tps * position * b->kv_bytes;
	f.read_ratio = ratio_of(f.bps, read_bps);
	return f;
}

static const char *kernels_name(const struct bench *b)
{
	return b->backend != NULL ? b->backend->name : kernels_get()->name;
}

static void report_json(struct bench *b, double read_bps, double macs)
{
	const struct engine_config *c = engine_config(b->engine);
	struct figures first = figures_of(b, 0, read_bps, macs);
	uint64_t graph_bytes;
	uint32_t graphs = engine_graphs(b->engine, &graph_bytes);

	(void)printf("{\"model\":\"%s\",\"prompt_tps\":%.3f,\"generation_tps\":%.3f,"
		     "\"read_gbps\":%.3f,\"int8_gmacs\":%.1f,\"weights_bytes\":%" PRIu64
		     ",\"bytes_per_token\":%" PRIu64 ",\"macs_per_token\":%" PRIu64
		     ",\"generation_gbps\":%.3f,\"generation_read_ratio\":%.3f,"
		     "\"prompt_int8_ratio\":%.3f,\"depths\":[",
	    b->info->architecture, first.prompt_tps, first.generate_tps, read_bps / 1e9, macs / 1e9,
	    b->info->weights_bytes, b->work.bytes, b->work.macs, first.weights_bps / 1e9,
	    first.weights_read_ratio, first.macs_ratio);
	for (size_t i = 0; i < b->depths.n; i++) {
		struct figures f = figures_of(b, i, read_bps, macs);

		(void)printf("%s{\"depth\":%" PRIu32 ",\"prompt_tps\":%.3f,\"generation_tps\":%.3f,"
			     "\"weights_gbps\":%.3f,\"weights_read_ratio\":%.3f,"
			     "\"all_gbps\":%.3f,\"all_read_ratio\":%.3f}",
		    i > 0 ? "," : "", f.depth, f.prompt_tps, f.generate_tps, f.weights_bps / 1e9,
		    f.weights_read_ratio, f.bps / 1e9, f.read_ratio);
	}
	(void)printf("],\"batches\":[");
	for (size_t i = 0; i < b->batches.n; i++) {
		double n = (double)b->batches.items[i] * (double)b->options->generate;

		(void)printf("%s{\"batch\":%" PRIu32 ",\"generation_tps\":%.3f}", i > 0 ? "," : "",
		    b->batches.items[i], n / median(b, &b->batch[i]));
	}
	(void)printf("],\"threads\":%u,\"ubatch\":%u,\"cache_type\":\"%s\",\"prompt\":%" PRId64
		     ",\"generate\":%" PRId64 ",\"repeats\":%" PRId64
		     ",\"kernels\":\"%s\",\"host_layers\":%" PRIu32 ",\"graphs\":%" PRIu32
		     ",\"graph_bytes\":%" PRIu64 ",\"graph_bytes_planned\":%" PRIu64 "}\n",
	    c->n_threads, c->n_ubatch, fleet_cache_word(c->cache), b->options->prompt,
	    b->options->generate, b->options->repeats, kernels_name(b), c->n_host_layers, graphs,
	    graph_bytes, b->graphs_planned);
}

static void report_table(struct bench *b, double read_bps, double macs)
{
	const struct engine_config *c = engine_config(b->engine);
	const struct bench_options *o = b->options;
	uint64_t graph_bytes;
	uint32_t graphs = engine_graphs(b->engine, &graph_bytes);
	double one = 0;

	(void)printf("%s, %.2f GB of weights, %u threads, kernels %s, cache %s\n",
	    b->info->architecture, (double)b->info->weights_bytes / 1e9, c->n_threads,
	    kernels_name(b), fleet_cache_word(c->cache));
	if (c->n_host_layers > 0)
		(void)printf("the first %" PRIu32 " of %" PRIu32 " layers on the CPU\n",
		    c->n_host_layers, b->info->n_layer);
	if (b->backend != NULL)
		(void)printf("graphs of %" PRIu32 " passes took %.1f of %.1f MiB of the device\n",
		    graphs, (double)graph_bytes / (1 << 20), (double)b->graphs_planned / (1 << 20));
	(void)printf("this %s reads %.2f GB/s and does %.0f G products of %s a second at most\n",
	    b->backend != NULL ? "device" : "machine", read_bps / 1e9, macs / 1e9,
	    b->backend != NULL ? "bf16" : "int8");
	(void)printf("medians of %" PRId64 "; prompt %" PRId64 ", generation %" PRId64
		     " tokens\n\n",
	    o->repeats, o->prompt, o->generate);
	(void)printf("%8s %12s %8s %14s %12s %8s %14s %8s\n", "depth", "prompt t/s",
	    b->backend != NULL ? "of bf16" : "of int8", "generation t/s", "weights GB/s", "of read",
	    "with KV GB/s", "of read");
	for (size_t i = 0; i < b->depths.n; i++) {
		struct figures f = figures_of(b, i, read_bps, macs);

		(void)printf("%8" PRIu32 " %12.2f %8.2f %14.2f %12.2f %8.2f %14.2f %8.2f\n",
		    f.depth, f.prompt_tps, f.macs_ratio, f.generate_tps, f.weights_bps / 1e9,
		    f.weights_read_ratio, f.bps / 1e9, f.read_ratio);
	}
	(void)printf("\n%8s %14s %14s\n", "batch", "generation t/s", "times one");
	for (size_t i = 0; i < b->batches.n; i++) {
		double n = (double)b->batches.items[i] * (double)o->generate;
		double tps = n / median(b, &b->batch[i]);

		if (i == 0)
			one = tps / b->batches.items[0];
		(void)printf("%8" PRIu32 " %14.2f %14.2f\n", b->batches.items[i], tps, tps / one);
	}
}

/* Once, since it takes memory of the device for itself. */
static enum rc measure_device(struct bench *b, struct errmsg *why)
{
	double read_bps = 0, flops = 0;
	struct backend *device = NULL;
	enum rc rc = b->backend->open(0, &device, why);

	if (rc != RC_OK)
		return rc;
	rc = b->backend->measure(device, &read_bps, &flops, why);
	b->device = (struct bench_rates){ .read_bps = read_bps, .macs = flops / 2 };
	b->backend->close(device);
	return rc;
}

static enum rc prepare(struct bench *b, struct errmsg *why)
{
	const struct bench_options *o = b->options;
	uint32_t depth = largest(&b->depths), batch = largest(&b->batches);
	struct engine_config config = {
		.n_ctx = depth + (uint32_t)(o->prompt + o->generate) + 1,
		.n_seq = batch,
		.n_ubatch = (uint32_t)o->ubatch,
		.n_threads = (uint32_t)o->threads,
		.cache = (enum cache_type)fleet_cache_parse(o->cache),
		.backend = b->backend,
	};
	struct engine_plan plan;
	enum rc rc = fleet_choose(b->model, strcmp(o->backend, "auto") == 0, &config,
	    fleet_device_room(&config, o->device_memory), &plan, NULL, why);

	b->backend = config.backend;
	if (rc == RC_OK)
		rc = fleet_check_device(&config, &plan, o->device_memory, why);
	if (rc == RC_OK)
		rc = engine_new(b->model, &config, &b->engine, why);
	if (rc == RC_OK)
		rc = bench_machine_new(engine_config(b->engine)->n_threads, &b->machine, why);
	if (rc == RC_OK && b->backend != NULL)
		rc = measure_device(b, why);
	if (rc != RC_OK)
		return rc;
	b->kv_bytes = (double)plan.cache_bytes / ((double)config.n_ctx * config.n_seq);
	b->graphs_planned = plan.graph_bytes;
	b->work = bench_machine_work(b->model);
	b->rows = calloc((size_t)depth + (size_t)o->prompt + batch, sizeof(*b->rows));
	b->sampling = malloc(sample_scratch_bytes(b->info->n_vocab));
	b->logits = engine_logits(b->engine);
	if (b->logits == NULL)
		b->logits = b->own_logits =
		    calloc((size_t)batch * b->info->n_vocab, sizeof(*b->logits));
	if (b->rows == NULL || b->logits == NULL || b->sampling == NULL)
		return RC_NOMEM;
	return append(b, 1, 1, true, true, why); /* page the weights in */
}

static enum rc measure(struct bench *b, struct errmsg *why)
{
	enum rc rc = prepare(b, why);

	if (rc == RC_OK)
		rc = run_all(b, why);
	if (rc == RC_OK) {
		double read_bps = median(b, &b->read), macs = median(b, &b->macs);

		if (b->options->json)
			report_json(b, read_bps, macs);
		else
			report_table(b, read_bps, macs);
	}
	bench_machine_free(b->machine);
	engine_free(b->engine);
	free(b->rows);
	free(b->own_logits);
	free(b->sampling);
	return rc;
}

/* What conf cannot check. */
static const char *usage_error(struct bench *b)
{
	if (fleet_cache_parse(b->options->cache) < 0)
		return "--cache-type: f16, f32 or q8_0";
	if (!parse_list(b->options->depths, 0, TOKENS_MAX, &b->depths))
		return "--depth: up to 16 numbers of at most 65536, parted by commas";
	if (!parse_list(b->options->batches, 1, BATCH_MAX, &b->batches))
		return "--batch: up to 16 numbers from 1 to 64, parted by commas";
	return NULL;
}

int cli_bench(int argc, char **argv)
{
	struct bench_options values = { 0 };
	static struct bench bench;
	struct conf_argv args = { 0 };
	struct arena arena;
	struct model *model = NULL;
	struct errmsg why = ERRMSG_INIT;
	const char *usage;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	bench.options = &values;
	usage = usage_error(&bench);
	if (usage != NULL) {
		(void)fprintf(stderr, "compute-node bench: %s\n", usage);
		code = EXIT_USAGE;
		goto out;
	}
	rc = backend_load(values.backend, &bench.backend, &why);
	if (rc == RC_OK) {
		errmsg_reset(&why);
		rc = model_open(args.args[0], &model, &why);
	}
	if (rc == RC_OK) {
		bench.model = model;
		bench.info = model_info(model);
		rc = measure(&bench, &why);
	}
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
out:
	model_close(model);
	arena_fini(&arena);
	return code;
}
