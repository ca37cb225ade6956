/* The first layers of a model whose others a device has: an engine on the CPU inside the engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/device.h"
#include "infer/engine_impl.h"

/* Of the engine of the first layers: rows come to the device as they are ready. */
static struct engine_config lower_config(const struct engine_config *config)
{
	struct engine_config lower = *config;

	lower.backend = NULL;
	lower.n_ubatch =
	    config->n_ubatch < ENGINE_UBATCH_DEFAULT ? config->n_ubatch : ENGINE_UBATCH_DEFAULT;
	return lower;
}

/* Weights of the first `n` layers, and the embedding. */
static uint64_t layers_bytes(const struct model *m, uint32_t n)
{
	uint64_t bytes = m->token_embd->n_bytes;

	for (size_t i = 0; i < gguf_tensors_len(m->gguf); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);
		char name[32];
		unsigned long il;
		char *end;

		(void)snprintf(name, sizeof(name), "%.*s", (int)t->name.len, t->name.text);
		if (strncmp(name, "blk.", 4) != 0)
			continue;
		il = strtoul(name + 4, &end, 10);
		bytes += *end == '.' && il < n ? t->n_bytes : 0;
	}
	return bytes;
}

enum rc engine_lower_plan(const struct model *m, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why)
{
	const struct engine_config lower = lower_config(config);
	struct engine_plan host;
	enum rc rc = RC_OK;

	out->host_weights_bytes = out->host_bytes = 0;
	if (config->n_host_layers == 0)
		return RC_OK;
	rc = engine_plan(m, &lower, &host, why);
	out->host_weights_bytes = layers_bytes(m, config->n_host_layers);
	out->host_bytes = host.cache_bytes + host.scratch_bytes;
	return rc;
}

enum rc engine_lower_new(struct engine *e, struct errmsg *why)
{
	const struct engine_config lower = lower_config(&e->config);

	return engine_new(e->model, &lower, &e->lower, why);
}

enum rc engine_lower_run(struct engine *e, struct errmsg *why)
{
	struct pass *p = &e->pass, *lower = &e->lower->pass;
	size_t most = e->lower->config.n_ubatch;
	enum rc rc = RC_OK;

	for (size_t at = 0; rc == RC_OK && at < p->n_rows; at += lower->n_rows) {
		lower->rows = p->rows + at;
		lower->n_rows = p->n_rows - at < most ? p->n_rows - at : most;
		rc = engine_run(e->lower, 0, why);
		if (rc == RC_OK)
			rc = device_load(e->device, p, at, lower->x, lower->n_rows, why);
	}
	return rc;
}
