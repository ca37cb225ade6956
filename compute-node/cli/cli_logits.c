/* `compute-node logits`: the raw output of a model for given tokens. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/load.h"
#include "cli/cli_adapter.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "infer/engine.h"
#include "model/model.h"
#include "serve/fleet.h"

#define TOKENS_MAX 65536u

struct logits_options {
	const char *tokens, *out, *cache, *backend, *adapter;
	int64_t ubatch, threads;
};

#define AT(field) offsetof(struct logits_options, field)

static const struct conf_option options[] = {
	{ "tokens", 0, CONF_STRING, AT(tokens), "1,2,3", NULL, 0, 0, true,
	    "token ids, parted by commas" },
	{ "out", 'o', CONF_STRING, AT(out), "FILE", NULL, 0, 0, true,
	    "file to write: float32, little-endian, [tokens][vocabulary]" },
	{ "ubatch", 0, CONF_INT, AT(ubatch), "N", "0", 0, 4096, true,
	    "tokens computed at once; 0: 256, or 2048 on a device" },
	{ "cache-type", 0, CONF_STRING, AT(cache), "TYPE", "f32", 0, 0, true,
	    "numbers in the KV cache: f32, f16 or q8_0" },
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "backend", 0, CONF_STRING, AT(backend), "NAME", "cpu", 0, 0, true,
	    "what computes: cpu, cuda, auto, or the path of a library" },
	{ "adapter", 0, CONF_STRING, AT(adapter), "FILE", NULL, 0, 0, true, CLI_ADAPTER_HELP },
	{ 0 },
};

static const struct conf_command command = { "logits", "MODEL", 1, 1,
	"write a model's logits for given tokens",
	"Works without a vocabulary.  The bytes do not depend on --ubatch and -t.", options };

static enum rc parse_tokens(
    const char *text, struct engine_row **out, size_t *len, struct errmsg *why)
{
	struct engine_row *rows = calloc(TOKENS_MAX, sizeof(*rows));
	size_t n = 0;

	if (rows == NULL)
		return RC_NOMEM;
	for (const char *at = text; at != NULL && *at != '\0';) {
		char *end = NULL;
		long id;

		errno = 0;
		id = strtol(at, &end, 10);
		if (end == at || errno != 0 || id < 0 || id > INT32_MAX || n == TOKENS_MAX ||
		    (*end != ',' && *end != '\0')) {
			free(rows);
			return errmsg_rc(why, RC_INVALID,
			    "--tokens: item %zu is no token id (at most %u, parted by commas)", n,
			    TOKENS_MAX);
		}
		rows[n] = (struct engine_row){
			.token = (int32_t)id, .pos = (uint32_t)n, .want_logits = true
		};
		n++;
		at = *end == ',' ? end + 1 : end;
	}
	*out = rows;
	*len = n;
	return RC_OK;
}

static enum rc write_floats(const char *path, const float *floats, size_t n, struct errmsg *why)
{
	FILE *file = fopen(path, "wb");
	bool ok;

	if (file == NULL)
		return errmsg_errno(why, "%s", path);
	ok = fwrite(floats, sizeof(*floats), n, file) == n;
	ok = fclose(file) == 0 && ok;
	return ok ? RC_OK : errmsg_errno(why, "%s", path);
}

static enum rc compute(const struct model *model, const struct backend_api *backend,
    const struct logits_options *o, const struct engine_row *rows, size_t n, struct errmsg *why)
{
	struct engine_config config = { .n_ctx = (uint32_t)n,
		.n_ubatch = (uint32_t)o->ubatch,
		.n_threads = (uint32_t)o->threads,
		.cache = (enum cache_type)fleet_cache_parse(o->cache),
		.backend = backend,
		.adapters = o->adapter != NULL };
	struct cli_adapter adapter = { 0 };
	size_t n_floats = n * model_info(model)->n_vocab;
	float *logits = malloc(n_floats * sizeof(*logits));
	struct engine *engine = NULL;
	enum rc rc = logits != NULL ? engine_new(model, &config, &engine, why) : RC_NOMEM;

	if (rc == RC_OK)
		rc = cli_adapter_open(&adapter, o->adapter, model, engine, why);
	if (rc == RC_OK)
		rc = engine_forward(engine, rows, n, logits, NULL, NULL, why);
	if (rc == RC_OK)
		rc = write_floats(o->out, logits, n_floats, why);
	engine_free(engine);
	cli_adapter_close(&adapter);
	free(logits);
	return rc;
}

/* What conf cannot check. */
static const char *usage_error(const struct logits_options *o)
{
	if (o->tokens == NULL || o->tokens[0] == '\0')
		return "--tokens 1,2,3 is needed";
	if (o->out == NULL)
		return "--out FILE is needed";
	if (fleet_cache_parse(o->cache) < 0)
		return "--cache-type: f32, f16 or q8_0";
	return NULL;
}

int cli_logits(int argc, char **argv)
{
	struct logits_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct errmsg why = ERRMSG_INIT;
	struct engine_row *rows = NULL;
	struct model *model = NULL;
	const struct backend_api *backend = NULL;
	size_t n = 0;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	if (usage_error(&values) != NULL) {
		(void)fprintf(stderr, "compute-node logits: %s\n", usage_error(&values));
		code = EXIT_USAGE;
		goto out;
	}
	if (parse_tokens(values.tokens, &rows, &n, &why) != RC_OK) {
		(void)cli_fail(&command, NULL, RC_INVALID, &why);
		code = EXIT_USAGE;
		goto out;
	}
	rc = backend_load(values.backend, &backend, &why);
	if (rc == RC_OK) {
		errmsg_reset(&why);
		rc = model_open(args.args[0], &model, &why);
	}
	if (rc == RC_OK)
		rc = compute(model, backend, &values, rows, n, &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
out:
	model_close(model);
	free(rows);
	arena_fini(&arena);
	return code;
}
