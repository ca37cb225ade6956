/*
 * Writes a model of random weights for scenario tests:
 *   compute_tiny_model FILE [--seed N] [--ctx N] [--embd N] [--heads N] [--layers N] [--ff N]
 *     [--endless]
 */
#include <stdio.h>

#include "conf/conf.h"
#include "tiny_gguf.h"

struct values {
	int64_t seed, ctx, embd, heads, layers, ff;
	bool endless;
};

#define NUMBER(name, help)                                                                         \
	{                                                                                          \
#name, 0, CONF_INT, offsetof(struct values, name), "N", "0", 0, 1e6, false, help   \
	}
static const struct conf_option options[] = {
	NUMBER(seed, "of the weights"),
	NUMBER(ctx, "context length; 0: the writer's default, as below"),
	NUMBER(embd, "width"),
	NUMBER(heads, "attention heads"),
	NUMBER(layers, "layers"),
	NUMBER(ff, "width of the feed-forward part"),
	{ "endless", 0, CONF_BOOL, offsetof(struct values, endless), NULL, "false", 0, 0, false,
	    "no token ends an answer" },
	{ .name = NULL },
};
static const struct conf_command command = { "", "FILE", 1, 1, "Writes a tiny random model.", NULL,
	options };

int main(int argc, char **argv)
{
	struct values values = { 0 };
	struct conf_argv rest;
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 16);
	enum rc rc = conf_defaults(&command, &values, &arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_argv(&command, argc - 1, argv + 1, &values, &rest, &arena, &why);
	if (rc != RC_OK || rest.help) {
		if (rc != RC_OK)
			(void)fprintf(stderr, "%s\n", errmsg_text(&why, rc));
		conf_print_help(&command, "compute_tiny_model", rc == RC_OK ? stdout : stderr);
		arena_fini(&arena);
		return rc == RC_OK ? EXIT_DONE : EXIT_USAGE;
	}
	const struct tiny_gguf shape = {
		.seed = (uint64_t)values.seed,
		.n_ctx = (uint32_t)values.ctx,
		.n_embd = (uint32_t)values.embd,
		.n_head = (uint32_t)values.heads,
		.n_head_kv = (uint32_t)values.heads,
		.n_layer = (uint32_t)values.layers,
		.n_ff = (uint32_t)values.ff,
		.endless = values.endless,
	};
	rc = tiny_gguf_write(rest.args[0], &shape, &why);
	if (rc != RC_OK)
		(void)fprintf(stderr, "%s\n", errmsg_text(&why, rc));
	arena_fini(&arena);
	return rc_exit_code(rc);
}
