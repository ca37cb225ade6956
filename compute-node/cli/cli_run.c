/* `compute-node run`: a prompt in, its completion on stdout, nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/load.h"
#include "base/buf.h"
#include "cli/cli_adapter.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "infer/choose.h"
#include "infer/engine.h"
#include "infer/sample.h"
#include "infer/textstream.h"
#include "model/model.h"
#include "serve/fleet.h"
#include "tokenize/tokenizer.h"

#define TOKENS_MAX 1000000
#define OUT_BYTES_MAX (1u << 20)

struct run_options {
	const char *prompt, *cache, *backend, *adapter;
	int64_t n, threads, top_k, seed, context, ubatch;
	uint64_t device_memory;
	double temperature, top_p, min_p, repeat_penalty;
};

#define AT(field) offsetof(struct run_options, field)

static const struct conf_option options[] = {
	{ "prompt", 'p', CONF_STRING, AT(prompt), "TEXT", "", 0, 0, true,
	    "text to complete; special tokens in it count" },
	{ "tokens", 'n', CONF_INT, AT(n), "N", "128", 0, TOKENS_MAX, true,
	    "tokens to generate at most" },
	{ "temp", 0, CONF_REAL, AT(temperature), "T", "0.8", 0, 100, true,
	    "temperature; 0 takes the likeliest token" },
	{ "seed", 0, CONF_INT, AT(seed), "S", "0", 0, 0, true,
	    "number of the random stream; the same seed gives the same text" },
	{ "top-k", 0, CONF_INT, AT(top_k), "K", "40", 0, TOKENS_MAX, true,
	    "keep the K likeliest tokens; 0: all" },
	{ "top-p", 0, CONF_REAL, AT(top_p), "P", "0.95", 0, 1, true,
	    "keep the likeliest tokens up to this probability; 1: all" },
	{ "min-p", 0, CONF_REAL, AT(min_p), "P", "0.05", 0, 1, true,
	    "keep tokens at least P times as likely as the likeliest; 0: all" },
	{ "repeat-penalty", 0, CONF_REAL, AT(repeat_penalty), "F", "1", 0, 100, true,
	    "make tokens that stand already less likely; 1: no change" },
	{ "context", 'c', CONF_INT, AT(context), "N", "0", 0, 1 << 22, true,
	    "tokens that prompt and answer may take; 0: what the model was made for" },
	{ "ubatch", 0, CONF_INT, AT(ubatch), "N", "0", 0, 4096, true,
	    "prompt tokens computed at once; 0: 256, or 2048 on a device" },
	{ "cache-type", 0, CONF_STRING, AT(cache), "TYPE", "f16", 0, 0, true,
	    "numbers in the KV cache: f16, f32 or q8_0" },
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "backend", 0, CONF_STRING, AT(backend), "NAME", "auto", 0, 0, true,
	    "what computes: auto, cpu, cuda, or the path of a library" },
	{ "device-memory", 0, CONF_BYTES, AT(device_memory), "BYTES", "0", 0, 0, true,
	    "bytes of its device that a backend may take, 0: what is free; the CPU computes the "
	    "first layers where not all find room" },
	{ "adapter", 0, CONF_STRING, AT(adapter), "FILE", NULL, 0, 0, true, CLI_ADAPTER_HELP },
	{ 0 },
};

static const struct conf_command command = { "run", "MODEL", 1, 1,
	"complete a prompt with a model file",
	"Prints the completion of -p TEXT on standard output and nothing else.", options };

struct session {
	const struct run_options *options;
	struct model *model;
	const struct backend_api *backend;
	struct engine *engine;
	struct cli_adapter adapter;
	struct textstream *stream;
	struct tokens history;
	size_t prompt_len;
	struct engine_row *rows; /* [prompt_len] */
	float *logits;           /* [n_vocab] the engine's, or own_logits */
	float *own_logits;
	void *sampling; /* [sample_scratch_bytes(n_vocab)] */
};

static enum rc tokenize_prompt(struct session *s, struct errmsg *why)
{
	const struct tokenizer *t = model_tokenizer(s->model);
	enum rc rc = RC_OK;

	if (t == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "the file has no vocabulary");
	if (tokenizer_add_bos(t))
		rc = tokens_push(&s->history, tokenizer_bos(t));
	if (rc == RC_OK)
		rc = tokenizer_encode(t, s->options->prompt, strlen(s->options->prompt),
		    TOKENIZE_SPECIAL | TOKENIZE_FIRST, &s->history, why);
	if (rc != RC_OK)
		return rc;
	s->prompt_len = s->history.len;
	if (s->prompt_len == 0)
		return errmsg_rc(why, RC_INVALID,
		    "an empty prompt, and the model has no start token: give text with -p");
	return textstream_new(t, NULL, 0,
	    s->options->prompt[0] == '\0' && tokenizer_space_prefix(t), &s->stream, why);
}

static enum rc take_logits(struct session *s)
{
	s->logits = engine_logits(s->engine);
	if (s->logits == NULL)
		s->logits = s->own_logits =
		    malloc(model_info(s->model)->n_vocab * sizeof(*s->logits));
	return s->logits != NULL ? RC_OK : RC_NOMEM;
}

static enum rc start(struct session *s, struct errmsg *why)
{
	const struct run_options *o = s->options;
	const struct model_info *info = model_info(s->model);
	uint64_t wanted = s->prompt_len + (uint64_t)o->n;
	struct engine_config config = {
		.n_ctx = o->context != 0 ? (uint32_t)o->context : info->n_ctx_train,
		.n_ubatch = (uint32_t)o->ubatch,
		.n_threads = (uint32_t)o->threads,
		.cache = (enum cache_type)fleet_cache_parse(o->cache),
		.backend = s->backend,
		.adapters = o->adapter != NULL,
	};
	struct engine_plan plan;
	enum rc rc;

	if (s->prompt_len > config.n_ctx)
		return errmsg_rc(why, RC_CONTEXT,
		    "the prompt has %zu tokens, the context holds %u: shorten it or raise "
		    "--context",
		    s->prompt_len, config.n_ctx);
	if (wanted < config.n_ctx)
		config.n_ctx = (uint32_t)wanted;
	s->sampling = malloc(sample_scratch_bytes(info->n_vocab));
	s->rows = calloc(s->prompt_len, sizeof(*s->rows));
	if (s->sampling == NULL || s->rows == NULL)
		return RC_NOMEM;
	if (config.adapters && strcmp(o->backend, "auto") == 0)
		config.backend = NULL; /* the CPU computes them */
	rc = fleet_choose(s->model, strcmp(o->backend, "auto") == 0, &config,
	    fleet_device_room(&config, o->device_memory), &plan, NULL, why);
	if (rc == RC_OK)
		rc = fleet_check_device(&config, &plan, o->device_memory, why);
	if (rc == RC_OK)
		rc = engine_new(s->model, &config, &s->engine, why);
	if (rc == RC_OK)
		rc = take_logits(s);
	return rc == RC_OK ? cli_adapter_open(&s->adapter, o->adapter, s->model, s->engine, why)
			   : rc;
}

/* Compute the tokens of the history that the engine does not hold yet. */
static enum rc catch_up(struct session *s, bool brief, struct errmsg *why)
{
	uint32_t done = engine_seq_len(s->engine, 0);
	size_t n = s->history.len - done;

	for (size_t i = 0; i < n; i++)
		s->rows[i] = (struct engine_row){ .token = s->history.ids[done + i],
			.pos = done + (uint32_t)i,
			.want_logits = i + 1 == n,
			.brief = brief,
			.answer = done + i >= s->prompt_len };
	return engine_forward(s->engine, s->rows, n, s->logits, NULL, NULL, why);
}

static bool print(struct buf *out)
{
	bool ok = fwrite(out->bytes, 1, out->len, stdout) == out->len && fflush(stdout) == 0;

	buf_reset(out);
	return ok;
}

static enum rc generate(struct session *s, struct errmsg *why)
{
	const struct run_options *o = s->options;
	const struct sample_params params = { .temperature = (float)o->temperature,
		.top_k = (uint32_t)o->top_k,
		.top_p = (float)o->top_p,
		.min_p = (float)o->min_p,
		.repeat_penalty = (float)o->repeat_penalty,
		.repeat_last_n = 64,
		.seed = (uint64_t)o->seed };
	const struct tokenizer *t = model_tokenizer(s->model);
	uint32_t n_ctx = engine_config(s->engine)->n_ctx;
	struct buf out;
	enum rc rc = RC_OK;

	buf_init(&out, OUT_BYTES_MAX);
	for (int64_t i = 0; rc == RC_OK && i < o->n && s->history.len <= n_ctx; i++) {
		const struct sample_row row = { .logits = s->logits,
			.n_vocab = model_info(s->model)->n_vocab,
			.history = s->history.ids,
			.history_len = s->history.len,
			.index = (uint64_t)i };
		int32_t id;

		rc = catch_up(s, sample_is_brief(&params), why);
		if (rc == RC_OK)
			rc = choose_token(s->engine, 0, &params, &row, s->sampling, &id, why);
		if (rc != RC_OK || tokenizer_is_end(t, id))
			break;
		(void)textstream_push(s->stream, id, &out);
		if (!print(&out))
			rc = errmsg_errno(why, "standard output");
		if (rc == RC_OK)
			rc = tokens_push(&s->history, id);
	}
	textstream_flush(s->stream, &out);
	if (rc == RC_OK && !print(&out))
		rc = errmsg_errno(why, "standard output");
	buf_fini(&out);
	return rc;
}

static void end(struct session *s)
{
	textstream_free(s->stream);
	engine_free(s->engine);
	cli_adapter_close(&s->adapter);
	model_close(s->model);
	tokens_free(&s->history);
	free(s->rows);
	free(s->own_logits);
	free(s->sampling);
}

int cli_run(int argc, char **argv)
{
	struct run_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct session s = { .options = &values };
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	if (fleet_cache_parse(values.cache) < 0) {
		(void)fprintf(stderr, "compute-node run: --cache-type: f16, f32 or q8_0\n");
		code = EXIT_USAGE;
		goto out;
	}
	rc = backend_load(values.backend, &s.backend, &why);
	if (rc == RC_OK) {
		errmsg_reset(&why);
		rc = model_open(args.args[0], &s.model, &why);
	}
	if (rc == RC_OK)
		rc = tokenize_prompt(&s, &why);
	if (rc == RC_OK)
		rc = start(&s, &why);
	if (rc == RC_OK)
		rc = generate(&s, &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
	end(&s);
out:
	arena_fini(&arena);
	return code;
}
