/*
 * Engine: memory of passes and caches, and the walk over ubatches.
 */
#include "infer/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "infer/adapt.h"
#include "infer/block.h"
#include "infer/device.h"
#include "infer/embed.h"
#include "infer/encode.h"
#include "infer/layout.h"
#include "infer/pass.h"
#include "model/model_impl.h"
#include "os/pages.h"

#define CTX_MAX (1u << 22)
#define SEQ_MAX 1024u
#define UBATCH_DEFAULT 256u
#define UBATCH_DEVICE 2048u
#define UBATCH_MAX 8192u
/* What a thread costs besides its scratch: the touched part of its stack. */
#define THREAD_BYTES (64u << 10)
/* The kernels give the same bits on every instruction set, so this says which
 * specification they follow, not which set runs. */
#define NUMERICS "cpu/k1"
#define NUMERICS_LONG "/long" /* rotation for contexts beyond the original one */
#define NUMERICS_BYTES 64

struct sequence {
	uint32_t n_past;
	uint32_t n_touched; /* positions ever written since the last wipe */
	const struct adapter *adapter;
};

struct engine {
	const struct model *model;
	struct engine_config config;
	struct cache cache;
	struct state state;
	struct pass pass;
	struct crew *crew;
	struct worker *workers; /* [n_threads] */
	struct sequence *seqs;  /* [n_seq] */
	uint32_t *tails;        /* [n_seq] scratch of row checks */
	uint8_t *scratch;
	size_t scratch_bytes;
	struct device *device; /* NULL: the crew computes */
	struct engine *lower;  /* of the first layers, on the CPU; NULL: the device has all */
	bool *brief;           /* [its places] of the last call's wanted rows */
	size_t n_brief;        /* of them; 0: they had no places */
	char numerics[NUMERICS_BYTES];
};

static void lay_acts(
    struct layout *at, const struct model *m, struct acts *acts, size_t rows, size_t width)
{
	acts->f32 = layout_array(at, rows * width, sizeof(float));
	if ((m->forms & 1u << FORM_Q8) == 0)
		return;
	acts->q8.quants = layout_array(at, rows * width, 1);
	acts->q8.blocks =
	    layout_array(at, rows * (width / KERNEL_BLOCK + 1), sizeof(struct q8_block));
}

/* Positions that one softmax takes: a step, or a whole text of an encoder. */
static size_t scores_width(const struct model *m, const struct engine_config *config)
{
	return m->encoder != NULL ? config->n_ubatch + KERNEL_CELLS : PASS_STEP;
}

/* The most queries of a unit of attention: all of one KV head of a row, or those of
 * the rows that are taken together. */
static size_t unit_queries(const struct model *m)
{
	size_t n = m->latent.absorbed ? PASS_SHARED_QUERIES : KERNEL_QUERIES_MAX;

	for (uint32_t il = 0; il < m->n_layer; il++) {
		const struct layer *l = &m->layers[il];
		size_t group = l->n_head_kv > 0 ? l->n_head / l->n_head_kv : 0;

		n = group > n ? group : n;
	}
	return n;
}

static void lay_worker(
    struct layout *at, const struct model *m, const struct engine_config *config, struct worker *w)
{
	size_t k = (size_t)m->row_max;
	size_t dk = m->head_dim_k, dv = m->head_dim_v;

	if ((m->forms & 1u << FORM_Q8) != 0) {
		w->strip.quants = layout_array(at, k * KERNEL_STRIP, 1);
		w->strip.scales = layout_array(
		    at, (k / KERNEL_BLOCK + 1) * KERNEL_STRIP * KERNEL_FLOATS_MAX, sizeof(float));
	}
	w->tile = layout_array(at, (size_t)config->n_ubatch * KERNEL_STRIP, sizeof(float));
	w->row = layout_array(at, (size_t)m->n_layer * m->n_per_layer, sizeof(float));
	w->tile_up = layout_array(at, (size_t)config->n_ubatch * KERNEL_STRIP, sizeof(float));
	lay_acts(at, m, &w->own, PASS_OWN_ROWS, m->n_embd);
	w->products = layout_array(at, m->n_products, sizeof(struct product));
	w->slices = layout_array(at, m->n_products, sizeof(struct acts));
	w->heads = layout_array(
	    at, 2 * (size_t)m->recurrent.n_state + m->recurrent.head_dim, sizeof(float));
	w->queries = layout_array(at, KERNEL_QUERIES_MAX * dk, sizeof(float));
	w->scores = layout_array(at, KERNEL_QUERIES_MAX * scores_width(m, config), sizeof(float));
	w->step_values = layout_array(at, KERNEL_QUERIES_MAX * dv, sizeof(float));
	w->sum_values = layout_array(at, unit_queries(m) * dv, sizeof(float));
	w->unpacked = layout_array(at, m->latent.absorbed ? PASS_STEP * dv : 0, sizeof(float));
}

static void lay_experts(struct layout *at, const struct model *m, size_t rows, struct routed *r)
{
	const struct moe *moe = &m->moe;
	size_t slots = rows * moe->n_used, width = moe->n_latent > 0 ? moe->n_latent : m->n_embd;

	if (moe->n_expert == 0)
		return;
	r->scores = layout_array(at, rows * moe->n_expert, sizeof(float));
	r->keys = layout_array(at, rows * moe->n_expert, sizeof(float));
	r->taken = layout_array(at, rows * moe->n_expert, 1);
	r->chosen = layout_array(at, slots, sizeof(uint32_t));
	r->weights = layout_array(at, slots, sizeof(float));
	r->slots = layout_array(at, slots, sizeof(uint32_t));
	r->ends = layout_array(at, moe->n_expert, sizeof(uint32_t));
	r->rows_of = layout_array(at, slots, sizeof(uint32_t));
	lay_acts(at, m, &r->latent, rows, moe->n_latent);
	lay_acts(at, m, &r->in, slots, width);
	r->gate = layout_array(at, slots * moe->n_ff, sizeof(float));
	r->up = layout_array(at, slots * moe->n_ff, sizeof(float));
	lay_acts(at, m, &r->hidden, slots, moe->n_ff);
	r->out = layout_array(at, slots * width, sizeof(float));
	r->ins = layout_array(at, moe->n_expert, sizeof(struct acts));
	r->hiddens = layout_array(at, moe->n_expert, sizeof(struct acts));
	r->inner = layout_array(at, 2 * (size_t)moe->n_expert, sizeof(struct product));
	r->outer = layout_array(at, (size_t)moe->n_expert + 1, sizeof(struct product));
	if (moe->beside) {
		lay_acts(at, m, &r->router_in, rows, m->n_embd);
		r->stream = layout_array(at, rows * m->n_embd, sizeof(float));
		r->dense = layout_array(at, rows * m->n_embd, sizeof(float));
	}
	if (moe->n_ff_shared == 0)
		return;
	r->shared_gate = layout_array(at, rows * moe->n_ff_shared, sizeof(float));
	r->shared_up = layout_array(at, rows * moe->n_ff_shared, sizeof(float));
	lay_acts(at, m, &r->shared_hidden, rows, moe->n_ff_shared);
	r->shared = layout_array(at, rows * m->n_embd, sizeof(float));
	r->shared_scale = layout_array(at, rows, sizeof(float));
}

static void lay_latents(struct layout *at, const struct model *m, size_t rows, struct latents *l)
{
	const struct latent_sizes *s = &m->latent;
	size_t n_head = m->n_head, n_rot = m->rope.n_rot;

	if (s->n_rank == 0)
		return;
	lay_acts(at, m, &l->q_rank, rows, s->n_q_rank);
	l->q = layout_array(at, rows * n_head * (s->n_nope + n_rot), sizeof(float));
	l->kv = layout_array(at, rows * (s->n_rank + n_rot), sizeof(float));
	lay_acts(at, m, &l->rank, rows, s->n_rank);
	if (s->absorbed) {
		lay_acts(at, m, &l->by_head, rows * n_head,
		    s->n_nope > s->n_rank ? s->n_nope : s->n_rank);
		lay_acts(at, m, &l->values, rows, n_head * s->n_value);
	} else {
		l->heads_kv =
		    layout_array(at, rows * n_head * (s->n_nope + s->n_value), sizeof(float));
	}
}

static void lay_recurrent(struct layout *at, const struct model *m, size_t rows, struct recur *r)
{
	const struct recurrent *s = &m->recurrent;
	size_t inner = (size_t)s->n_head * s->head_dim, gate = (size_t)m->n_head * m->head_dim_v;

	if (s->n_layer == 0)
		return;
	r->in = layout_array(at, rows * s->n_channel, sizeof(float));
	r->z = layout_array(at, rows * (inner > gate ? inner : gate), sizeof(float));
	r->beta = layout_array(at, rows * s->n_head, sizeof(float));
	r->alpha = layout_array(at, rows * s->n_head, sizeof(float));
	lay_acts(at, m, &r->out, rows, inner);
}

static void lay_pass(
    struct layout *at, const struct model *m, const struct engine_config *config, struct pass *p)
{
	size_t rows = config->n_ubatch, dk = m->head_dim_k, dv = m->head_dim_v;
	size_t parts;

	p->wanted = layout_array(at, rows, sizeof(*p->wanted));
	if (config->adapters) {
		p->adapters = layout_array(at, rows, sizeof(const struct adapter *));
		p->low = layout_array(at, adapt_low_numbers(m, rows), sizeof(float));
	}
	p->x = layout_array(at, rows * m->n_embd, sizeof(float));
	lay_acts(at, m, &p->normed, rows, m->n_embd);
	p->q = layout_array(at, rows * m->n_head * dk, sizeof(float));
	p->k = layout_array(at, rows * m->n_head_kv * dk, sizeof(float));
	p->v = layout_array(at, rows * m->n_head_kv * dv, sizeof(float));
	lay_acts(at, m, &p->mixed, rows, m->n_head * dv);
	p->gate = layout_array(at, rows * m->n_ff, sizeof(float));
	p->up = layout_array(at, rows * m->n_ff, sizeof(float));
	lay_acts(at, m, &p->hidden, rows, m->n_ff);
	lay_experts(at, m, rows, &p->routed);
	lay_latents(at, m, rows, &p->latents);
	lay_recurrent(at, m, rows, &p->recur);
	p->rope = layout_array(at, rows * m->rope.n_rot, sizeof(float));
	p->rope_local = layout_array(at, rows * m->rope_local.n_rot, sizeof(float));
	p->per_layer = layout_array(at, rows * m->n_layer * m->n_per_layer, sizeof(float));
	p->n_steps_max = (config->n_ctx + PASS_STEP - 1) / PASS_STEP;
	parts = config->n_threads > 1 ? (PASS_SPLIT_ROWS - 1) * m->n_head * p->n_steps_max : 0;
	p->partials = layout_array(at, parts, sizeof(struct partial));
	p->partial_values = layout_array(at, parts * dv, sizeof(float));
}

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
		out->n_ubatch = out->backend != NULL ? UBATCH_DEVICE : UBATCH_DEFAULT;
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

static enum rc lay_all(struct engine *e, uint8_t *base, struct errmsg *why)
{
	struct layout at = { .base = base };

	lay_pass(&at, e->model, &e->config, &e->pass);
	for (uint32_t i = 0; i < e->config.n_threads; i++) {
		struct worker unused = { 0 };

		lay_worker(&at, e->model, &e->config, base != NULL ? &e->workers[i] : &unused);
	}
	if (at.overflow)
		return errmsg_rc(why, RC_LIMIT, "engine: scratch is larger than any memory");
	e->scratch_bytes = at.used;
	return RC_OK;
}

/* Of the engine of the first layers: rows come to the device as they are ready. */
static struct engine_config lower_config(const struct engine_config *config)
{
	struct engine_config lower = *config;

	lower.backend = NULL;
	lower.n_ubatch = config->n_ubatch < UBATCH_DEFAULT ? config->n_ubatch : UBATCH_DEFAULT;
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

static enum rc plan_shared(const struct model *m, const struct engine_config *config,
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
		return rc == RC_OK ? plan_shared(m, &e.config, out, why) : rc;
	}
	out->host_weights_bytes = out->host_bytes = out->graph_bytes = 0;
	if (rc == RC_OK)
		rc = lay_all(&e, NULL, why);
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

/* Peers count a context in whole steps here, and files are made for them. */
static bool is_long(const struct model *m, uint32_t n_ctx)
{
	return m->rope.freqs_long != NULL &&
	       (n_ctx + PASS_STEP - 1) / PASS_STEP * PASS_STEP > m->rope.n_ctx_short;
}

static void name_numerics(struct engine *e)
{
	static const char *const caches[] = {
		[CACHE_F16] = "f16", [CACHE_F32] = "f32", [CACHE_Q8_0] = "q8_0"
	};

	char lower[24] = "";

	if (e->lower != NULL)
		(void)snprintf(lower, sizeof(lower), "%u*" NUMERICS "+", e->config.n_host_layers);
	(void)snprintf(e->numerics, sizeof(e->numerics), "%s%s/%s%s", lower,
	    e->device != NULL ? device_numerics(e->device) : NUMERICS, caches[e->config.cache],
	    e->pass.rope_long ? NUMERICS_LONG : "");
}

/* Memory of the host that passes on the CPU use. */
static enum rc take_scratch(struct engine *e, struct errmsg *why)
{
	enum rc rc = lay_all(e, NULL, why);

	if (rc == RC_OK)
		rc = cache_take(&e->cache, why);
	if (rc == RC_OK)
		rc = state_take(&e->state, why);
	if (rc != RC_OK)
		return rc;
	e->scratch = pages_take(e->scratch_bytes);
	if (e->scratch == NULL)
		return errmsg_rc(
		    why, RC_NOMEM, "no memory for %zu bytes of scratch", e->scratch_bytes);
	rc = lay_all(e, e->scratch, why);
	if (rc == RC_OK)
		rc = crew_new(e->config.n_threads, &e->crew, why);
	e->pass.crew = e->crew;
	if (rc == RC_OK)
		crew_set_pulse(e->crew, e->config.pulse);
	return rc;
}

static enum rc new_lower(struct engine *e, struct errmsg *why)
{
	const struct engine_config lower = lower_config(&e->config);

	return engine_new(e->model, &lower, &e->lower, why);
}

static enum rc take_all(struct engine *e, struct errmsg *why)
{
	const struct engine_config *config = &e->config;
	enum rc rc = cache_measure(e->model, config, &e->cache, why);

	if (rc == RC_OK)
		rc = state_measure(e->model, config, &e->state, why);
	if (rc != RC_OK)
		return rc;
	e->workers = calloc(config->n_threads, sizeof(*e->workers));
	e->seqs = calloc(config->n_seq, sizeof(*e->seqs));
	e->tails = calloc(config->n_seq, sizeof(*e->tails));
	if (e->workers == NULL || e->seqs == NULL || e->tails == NULL)
		return RC_NOMEM;
	e->pass.model = e->model;
	e->pass.layers = pass_layers_of(e->model, config);
	e->pass.kernels = kernels_get();
	e->pass.cache = &e->cache;
	e->pass.state = &e->state;
	e->pass.rope_long = is_long(e->model, config->n_ctx);
	for (uint32_t i = 0; i < config->n_threads; i++) {
		e->workers[i].pass = &e->pass;
		e->workers[i].thread = i;
	}
	if (config->backend == NULL)
		rc = take_scratch(e, why);
	else if (config->n_host_layers > 0)
		rc = new_lower(e, why);
	if (rc == RC_OK && config->backend != NULL)
		rc = device_new(e->model, config, &e->pass, &e->cache, &e->device, why);
	if (rc == RC_OK && e->device != NULL) {
		e->brief = calloc(device_places(e->device), sizeof(*e->brief));
		rc = e->brief != NULL ? RC_OK : RC_NOMEM;
	}
	if (rc == RC_OK)
		name_numerics(e);
	return rc;
}

enum rc engine_new(const struct model *model, const struct engine_config *config,
    struct engine **out, struct errmsg *why)
{
	struct engine *e = calloc(1, sizeof(*e));
	enum rc rc;

	if (e == NULL)
		return RC_NOMEM;
	e->model = model;
	rc = engine_resolve(model, config, &e->config, why);
	if (rc == RC_OK)
		rc = take_all(e, why);
	if (rc != RC_OK) {
		engine_free(e);
		return rc;
	}
	*out = e;
	return RC_OK;
}

void engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	crew_free(e->crew);
	for (uint32_t i = 0; e->seqs != NULL && e->cache.values != NULL && i < e->config.n_seq; i++)
		engine_seq_wipe(e, i);
	if (e->device != NULL) { /* cache and state are its memory */
		device_free(e->device);
		e->cache.keys = e->cache.values = NULL;
		e->state.floats = NULL;
	}
	cache_fini(&e->cache);
	state_fini(&e->state);
	if (e->scratch != NULL)
		wipe(e->scratch, e->scratch_bytes);
	pages_give(e->scratch, e->scratch_bytes);
	free(e->workers);
	free(e->seqs);
	free(e->tails);
	free(e->brief);
	engine_free(e->lower);
	free(e);
}

const struct engine_config *engine_config(const struct engine *e)
{
	return &e->config;
}

/* Before anything is written: token ids, sequences, positions. */
static enum rc check_rows(
    struct engine *e, const struct engine_row *rows, size_t n, struct errmsg *why)
{
	for (uint32_t s = 0; s < e->config.n_seq; s++)
		e->tails[s] = e->seqs[s].n_past;
	for (size_t i = 0; i < n; i++) {
		const struct engine_row *row = &rows[i];

		if (row->token < 0 || (uint32_t)row->token >= e->model->n_vocab)
			return errmsg_rc(why, RC_INVALID,
			    "token id %" PRId32 " is outside the vocabulary of %" PRIu32,
			    row->token, e->model->n_vocab);
		if (row->seq >= e->config.n_seq)
			return errmsg_rc(why, RC_INVALID, "sequence %" PRIu32 " of %" PRIu32,
			    row->seq, e->config.n_seq);
		if (row->pos != e->tails[row->seq])
			return errmsg_rc(why, RC_INVALID,
			    "position %" PRIu32 " in a sequence of %" PRIu32 " tokens", row->pos,
			    e->tails[row->seq]);
		if (row->pos >= e->config.n_ctx)
			return errmsg_rc(why, RC_CONTEXT,
			    "the sequence needs more than the context of %" PRIu32 " tokens",
			    e->config.n_ctx);
		e->tails[row->seq]++;
	}
	return RC_OK;
}

/* The same for an encoder: whole texts, all in one ubatch. */
static enum rc check_texts(
    const struct engine *e, const struct engine_row *rows, size_t n, struct errmsg *why)
{
	size_t n_texts = 0;

	for (size_t i = 0; i < n; i++) {
		const struct engine_row *row = &rows[i];

		if (row->token < 0 || (uint32_t)row->token >= e->model->n_vocab)
			return errmsg_rc(why, RC_INVALID,
			    "token id %" PRId32 " is outside the vocabulary of %" PRIu32,
			    row->token, e->model->n_vocab);
		if (row->want_logits)
			return errmsg_rc(why, RC_UNSUPPORTED, "an encoder gives no logits");
		if (row->pos != 0 && (i == 0 || row->pos != rows[i - 1].pos + 1))
			return errmsg_rc(
			    why, RC_INVALID, "position %" PRIu32 " in a text of %zu", row->pos, i);
		if (row->pos >= e->config.n_ctx)
			return errmsg_rc(why, RC_CONTEXT,
			    "the text needs more than the context of %" PRIu32 " tokens",
			    e->config.n_ctx);
		n_texts += row->pos == 0;
	}
	if (n > e->config.n_ubatch || n_texts > ENCODE_TEXTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "%zu texts of %zu tokens (limits %u, %" PRIu32 ")",
		    n_texts, n, ENCODE_TEXTS_MAX, e->config.n_ubatch);
	return RC_OK;
}

static void run_thread(void *arg, unsigned thread)
{
	struct engine *e = arg;

	e->model->arch->forward(&e->workers[thread]);
}

static enum rc run(struct engine *e, size_t n_given, struct errmsg *why);

/* The rows that the pass points at, through the first layers and to the device. */
static enum rc run_lower(struct engine *e, struct errmsg *why)
{
	struct pass *p = &e->pass, *lower = &e->lower->pass;
	size_t most = e->lower->config.n_ubatch;
	enum rc rc = RC_OK;

	for (size_t at = 0; rc == RC_OK && at < p->n_rows; at += lower->n_rows) {
		lower->rows = p->rows + at;
		lower->n_rows = p->n_rows - at < most ? p->n_rows - at : most;
		rc = run(e->lower, 0, why);
		if (rc == RC_OK)
			rc = device_load(e->device, p, at, lower->x, lower->n_rows, why);
	}
	return rc;
}

/* The rows that the pass points at, or as many of them as can be computed together;
 * `n_given` rows of the call have got their logits before. */
static enum rc run(struct engine *e, size_t n_given, struct errmsg *why)
{
	struct pass *p = &e->pass;

	if (e->device != NULL) {
		enum rc rc = RC_OK;

		p->n_rows = device_rows(p->rows, p->n_rows, e->config.n_ubatch);
		if (e->config.pulse != NULL)
			(*e->config.pulse)++;
		if (e->lower != NULL)
			rc = run_lower(e, why);
		if (rc != RC_OK)
			return rc;
		return device_run(e->device, e->workers, e->n_brief > 0 ? (uint32_t)n_given : 0,
		    e->n_brief > 0, why);
	}
	p->n_wanted = 0;
	for (uint32_t t = 0; t < p->n_rows; t++) {
		if (p->rows[t].want_logits)
			p->wanted[p->n_wanted++] = t;
	}
	p->adapted = false;
	for (size_t t = 0; p->adapters != NULL && t < p->n_rows; t++) {
		p->adapters[t] = e->seqs[p->rows[t].seq].adapter;
		p->adapted = p->adapted || p->adapters[t] != NULL;
	}
	p->normed.n_rows = p->mixed.n_rows = p->hidden.n_rows = p->n_rows;
	p->routed.latent.n_rows = p->routed.shared_hidden.n_rows = p->recur.out.n_rows = p->n_rows;
	p->latents.q_rank.n_rows = p->latents.rank.n_rows = p->latents.values.n_rows = p->n_rows;
	crew_run(e->crew, run_thread, e);
	return RC_OK;
}

static size_t count_wanted(const struct engine_row *rows, size_t n)
{
	size_t wanted = 0;

	for (size_t i = 0; i < n; i++)
		wanted += rows[i].want_logits;
	return wanted;
}

/* Shortlists are kept of rows that all have a place on the device. */
static void note_brief(struct engine *e, const struct engine_row *rows, size_t n)
{
	e->n_brief = 0;
	if (e->device == NULL || count_wanted(rows, n) > device_places(e->device))
		return;
	for (size_t i = 0; i < n; i++) {
		if (rows[i].want_logits)
			e->brief[e->n_brief++] = rows[i].brief;
	}
}

float *engine_logits(struct engine *e)
{
	return e->device != NULL ? device_host_logits(e->device) : NULL;
}

const struct backend_shortlist *engine_shortlist(struct engine *e, size_t i)
{
	return i < e->n_brief && e->brief[i] ? device_shortlist(e->device, (uint32_t)i) : NULL;
}

enum rc engine_fetch(struct engine *e, size_t i, float *logits, struct errmsg *why)
{
	if (engine_shortlist(e, i) == NULL)
		return errmsg_rc(why, RC_INVALID, "row %zu has no shortlist", i);
	return device_fetch(e->device, (uint32_t)i, logits, why);
}

/* Texts of an encoder leave nothing behind. */
static enum rc forward_texts(struct engine *e, const struct engine_row *rows, size_t n,
    float *embeddings, struct errmsg *why)
{
	struct pass *p = &e->pass;
	enum rc rc = check_texts(e, rows, n, why);

	if (rc != RC_OK || n == 0)
		return rc;
	p->rows = rows;
	p->n_rows = n;
	p->embeddings = embeddings;
	rc = run(e, 0, why);
	if (e->device != NULL)
		device_settle(e->device);
	else
		cache_wipe(&e->cache, 0, encode_cells((uint32_t)n));
	return rc;
}

enum rc engine_forward(struct engine *e, const struct engine_row *rows, size_t rows_len,
    float *logits, float *embeddings, const volatile bool *cancel, struct errmsg *why)
{
	struct pass *p = &e->pass;
	size_t n_given = 0;
	enum rc rc;

	if (e->model->encoder != NULL)
		return forward_texts(e, rows, rows_len, embeddings, why);
	rc = check_rows(e, rows, rows_len, why);
	note_brief(e, rows, rows_len);
	for (size_t at = 0; rc == RC_OK && at < rows_len; at += p->n_rows) {
		if (cancel != NULL && *cancel)
			return RC_CANCELLED;
		p->rows = rows + at;
		p->n_rows = rows_len - at < e->config.n_ubatch ? rows_len - at : e->config.n_ubatch;
		p->logits = logits != NULL ? logits + n_given * e->model->n_vocab : NULL;
		p->embeddings = embeddings;
		rc = run(e, n_given, why);
		if (rc != RC_OK)
			break;
		n_given += count_wanted(p->rows, p->n_rows);
		for (size_t i = 0; i < p->n_rows; i++) {
			struct sequence *seq = &e->seqs[p->rows[i].seq];

			seq->n_past++;
			if (seq->n_touched < seq->n_past)
				seq->n_touched = seq->n_past;
		}
		if (embeddings != NULL)
			embeddings += p->n_rows * e->model->n_embd;
	}
	return rc;
}

uint32_t engine_seq_len(const struct engine *e, uint32_t seq)
{
	return e->seqs[seq].n_past;
}

enum rc engine_seq_truncate(struct engine *e, uint32_t seq, uint32_t n_keep)
{
	if (n_keep >= e->seqs[seq].n_past)
		return RC_OK;
	uint32_t n_touched = e->seqs[seq].n_touched;

	if (n_keep > 0 &&
	    (e->model->recurrent.n_layer > 0 || !cache_reaches(&e->cache, n_touched, n_keep) ||
		(e->lower != NULL && !cache_reaches(&e->lower->cache, n_touched, n_keep))))
		return RC_UNSUPPORTED;
	state_wipe(&e->state, seq);
	e->seqs[seq].n_past = n_keep;
	return RC_OK;
}

enum rc engine_seq_adapt(struct engine *e, uint32_t seq, const struct adapter *adapter)
{
	if (adapter != NULL && !e->config.adapters)
		return RC_UNSUPPORTED;
	e->seqs[seq].adapter = adapter;
	return RC_OK;
}

void engine_seq_wipe(struct engine *e, uint32_t seq)
{
	cache_wipe(&e->cache, seq, e->seqs[seq].n_touched);
	state_wipe(&e->state, seq);
	if (e->lower != NULL)
		cache_wipe(&e->lower->cache, seq, e->seqs[seq].n_touched);
	if (e->device != NULL)
		device_settle(e->device);
	e->seqs[seq] = (struct sequence){ 0 };
}

struct crew *engine_crew(struct engine *e)
{
	return e->lower != NULL ? e->lower->crew : e->crew;
}

uint32_t engine_graphs(const struct engine *e, uint64_t *bytes)
{
	*bytes = 0;
	return e->device != NULL ? device_graphs(e->device, bytes) : 0;
}

const char *engine_numerics_id(const struct engine *e)
{
	return e->numerics;
}
