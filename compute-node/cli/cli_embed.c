/* `compute-node embed`: a line of text to a vector of length 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/load.h"
#include "base/wipe.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "infer/embed.h"
#include "model/model.h"
#include "serve/fleet.h"

#define LINE_BYTES_MAX ((size_t)16 << 20)
#define FLOAT_DIGITS 9 /* these always read back exactly */

struct embed_options {
	int64_t threads;
	const char *backend;
};

#define AT(field) offsetof(struct embed_options, field)

static const struct conf_option options[] = {
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "backend", 0, CONF_STRING, AT(backend), "NAME", "auto", 0, 0, true,
	    "what computes: cpu, cuda, auto, or the path of a library" },
	{ 0 },
};

static const struct conf_command command = { "embed", "MODEL", 1, 1,
	"turn lines of text on standard input into vectors",
	"Prints a JSON array a line, normalised to length 1 (L2).", options };

/* What works on lines. */
struct desk {
	const struct tokenizer *tokenizer;
	struct engine *engine;
	struct embed *embed;
	float *vector; /* [n_embd] */
	size_t n_embd;
};

/* The fewest digits that read back as the same number. */
static void print_float(float value)
{
	char text[32];

	for (int digits = 1; digits <= FLOAT_DIGITS; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	(void)fputs(text, stdout);
}

static enum rc print_vector(const struct desk *d, struct errmsg *why)
{
	for (size_t i = 0; i < d->n_embd; i++) {
		(void)putchar(i == 0 ? '[' : ',');
		print_float(d->vector[i]);
	}
	if (fputs("]\n", stdout) < 0 || fflush(stdout) != 0)
		return errmsg_errno(why, "standard output");
	return RC_OK;
}

static enum rc embed_line(struct desk *d, const char *line, size_t len, struct errmsg *why)
{
	struct tokens ids = { 0 };
	enum rc rc = embed_tokenize(d->tokenizer, line, len, &ids, why);

	if (rc == RC_OK)
		rc = embed_check(engine_config(d->engine)->n_ctx, ids.len, why);
	if (rc == RC_OK) {
		const struct embed_text text = { .ids = ids.ids, .n = ids.len, .out = d->vector };

		rc = embed_run(d->embed, &text, 1, why);
	}
	tokens_free(&ids);
	return rc == RC_OK ? print_vector(d, why) : rc;
}

/* Lines end with LF or CRLF; the last may end with the input. */
static enum rc embed_lines(struct desk *d, FILE *in, struct errmsg *why)
{
	char *line = NULL;
	size_t cap = 0, number = 0;
	enum rc rc = RC_OK;

	for (ssize_t got; rc == RC_OK && (errno = 0, got = getline(&line, &cap, in)) >= 0;) {
		size_t len = (size_t)got;
		struct errmsg cause = ERRMSG_INIT;

		number++;
		len -= len > 0 && line[len - 1] == '\n';
		len -= len > 0 && line[len - 1] == '\r';
		if (len > LINE_BYTES_MAX)
			rc = errmsg_rc(
			    &cause, RC_LIMIT, "%zu bytes (limit %zu)", len, LINE_BYTES_MAX);
		else
			rc = embed_line(d, line, len, &cause);
		if (rc != RC_OK)
			errmsg_set(why, "line %zu: %s", number, errmsg_text(&cause, rc));
	}
	if (rc == RC_OK && ferror(in) != 0)
		rc = errmsg_errno(why, "standard input");
	if (line != NULL)
		wipe(line, cap);
	free(line);
	return rc;
}

static enum rc embed_input(const struct model *model, const struct backend_api *backend,
    const struct embed_options *o, struct errmsg *why)
{
	struct engine_config config = { .n_threads = (uint32_t)o->threads, .backend = backend };
	struct engine_plan plan;
	struct desk d = { .tokenizer = model_tokenizer(model),
		.n_embd = model_info(model)->n_embd };
	enum rc rc;

	if (!model_info(model)->pools)
		return errmsg_rc(why, RC_UNSUPPORTED, "this model does not embed");
	if (d.tokenizer == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "the file has no vocabulary");
	d.vector = calloc(d.n_embd, sizeof(*d.vector));
	if (d.vector == NULL)
		return RC_NOMEM;
	rc = fleet_choose(model, strcmp(o->backend, "auto") == 0, &config,
	    fleet_device_room(&config, 0), &plan, NULL, why);
	if (rc == RC_OK)
		rc = engine_new(model, &config, &d.engine, why);
	if (rc == RC_OK)
		rc = embed_new(model, d.engine, &d.embed, why);
	if (rc == RC_OK)
		rc = embed_lines(&d, stdin, why);
	embed_free(d.embed);
	engine_free(d.engine);
	free(d.vector);
	return rc;
}

int cli_embed(int argc, char **argv)
{
	struct embed_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	const struct backend_api *backend = NULL;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	rc = backend_load(values.backend, &backend, &why);
	if (rc == RC_OK) {
		errmsg_reset(&why);
		rc = model_open(args.args[0], &model, &why);
	}
	if (rc == RC_OK)
		rc = embed_input(model, backend, &values, &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
out:
	model_close(model);
	arena_fini(&arena);
	return code;
}
