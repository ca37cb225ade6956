/*
 * Writes a random LoRA adapter of a model, for scenario tests.
 *
 *   compute_tiny_adapter MODEL FILE [--seed N] [--rank N]
 */
#include <stdio.h>
#include <stdlib.h>

#include "adapter_build.h"
#include "conf/conf.h"
#include "model/model.h"
#include "os/file.h"

struct values {
	int64_t seed, rank;
};

static const struct conf_option options[] = {
	{ "seed", 0, CONF_INT, offsetof(struct values, seed), "N", "1", 1, 1000000, true,
	    "of the random numbers" },
	{ "rank", 0, CONF_INT, offsetof(struct values, rank), "N", "4", 1, 100000, true,
	    "of every pair of matrices" },
	{ 0 },
};
static const struct conf_command command = { "", "MODEL FILE", 2, 2,
	"Writes a random adapter of a model.", NULL, options };

int main(int argc, char **argv)
{
	struct values values = { 0 };
	struct conf_argv rest = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	struct arena arena;
	uint8_t *bytes = NULL;
	size_t len = 0;

	arena_init(&arena, (size_t)1 << 16);
	enum rc rc = conf_defaults(&command, &values, &arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_argv(&command, argc - 1, argv + 1, &values, &rest, &arena, &why);
	if (rc == RC_OK)
		rc = model_open(rest.args[0], &model, &why);
	if (rc == RC_OK) {
		const struct adapter_build how = { .seed = (uint64_t)values.seed,
			.rank = (uint32_t)values.rank,
			.type = TYPE_F16,
			.named = true };

		bytes = adapter_build(model, &how, &len);
		rc = file_write_atomic(rest.args[1], 0600, bytes, len, &why);
	}
	if (rc != RC_OK)
		(void)fprintf(stderr, "%s\n", errmsg_text(&why, rc));
	free(bytes);
	model_close(model);
	arena_fini(&arena);
	return rc_exit_code(rc);
}
