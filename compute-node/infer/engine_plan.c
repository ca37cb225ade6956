/* What an engine will be, and take: zeros of a configuration resolved, bytes counted. */
#include "infer/device.h"
#include "infer/embed.h"
#include "infer/engine_impl.h"

#define CTX_MAX (1u << 22)
#define SEQ_MAX 1024u
#define UBATCH_DEVICE 2048u
#define UBATCH_MAX 8192u
/* What a thread costs besides its scratch: the touched part of its stack. */
#define THREAD_BYTES (64u << 10)

/* A text is computed whole, in 32-bit floats, and has no more positions than
 * the model has learnt. */
static void resolve_encoder(const struct model *m, struct engine_config *out)
{
	if (out->n_ctx > m->n_ctx_train)
		out->n_ctx = m->n_ctx_train;
	if (out->n_ctx > UBATCH_MAX)
		out->n_ctx = UBATCH_MAX;
	if (out->n_ubatch < out->n_ctx)
		out->n_ubatch = out->n_ctx;
	out->cache = CACHE_F32;
}

enum rc engine_resolve(const struct model *m, const struct engine_config *in,
    struct engine_config *out, struct errmsg *why)
{
	*out = *in;
	if (out->n_ctx == 0)
		out->n_ctx = m->n_ctx_train < ENGINE_CTX_DEFAULT_MAX ? m->n_ctx_train
								     : ENGINE_CTX_DEFAULT_MAX;
	if (out->n_seq == 0)
		out->n_seq = 1;
	if (out->n_ubatch == 0)
		out->n_ubatch = out->backend != NULL ? UBATCH_DEVICE : ENGINE_UBATCH_DEFAULT;
	if (out->backend != NULL && out->n_host_layers == 0)
		out->n_threads = 1;
	if (out->backend != NULL || m->encoder != NULL)
		out->adapters = false;
	if (m->encoder != NULL)
		resolve_encoder(m, out);
	if (out->n_threads == 0)
		out->n_threads = crew_cores();
	if (out->n_ctx > CTX_MAX || out->n_seq > SEQ_MAX || out->n_ubatch > UBATCH_MAX ||
	    out->n_threads > CREW_THREADS_MAX)
		return errmsg_rc(why, RC_LIMIT,
		    "engine: context %u (limit %u), sequences %u (%u), ubatch %u (%u), "
		    "threads %u (%u)",
		    out->n_ctx, CTX_MAX, out->n_seq, SEQ_MAX, out->n_ubatch, UBATCH_MAX,
		    out->n_threads, CREW_THREADS_MAX);
	return RC_OK;
}

enum rc engine_plan(const struct model *m, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why)
{
	struct engine e = { .model = m };
	enum rc rc = engine_resolve(m, config, &e.config, why);

	if (rc == RC_OK)
		rc = cache_measure(m, &e.config, &e.cache, why);
	if (rc == RC_OK)
		rc = state_measure(m, &e.config, &e.state, why);
	if (rc == RC_OK && e.config.backend != NULL) {
		out->cache_bytes = e.cache.keys_bytes + e.cache.values_bytes + e.state.bytes;
		rc = device_measure(m, &e.config, out, why);
		return rc == RC_OK ? engine_lower_plan(m, &e.config, out, why) : rc;
	}
	out->host_weights_bytes = out->host_bytes = out->graph_bytes = 0;
	if (rc == RC_OK)
		rc = engine_lay(&e, NULL, why);
	if (rc != RC_OK)
		return rc;
	out->weights_bytes = m->info.weights_bytes;
	out->cache_bytes = e.cache.keys_bytes + e.cache.values_bytes + e.state.bytes;
	out->scratch_bytes = sizeof(e) + crew_bytes(e.config.n_threads) + e.scratch_bytes +
			     e.config.n_threads * (sizeof(*e.workers) + (uint64_t)THREAD_BYTES) +
			     (uint64_t)e.config.n_seq * (sizeof(*e.seqs) + sizeof(*e.tails)) +
			     embed_bytes(m, &e.config) + m->info.tables_bytes;
	return RC_OK;
}
