/* Scratch of passes on the CPU: one piece, parted into arrays, zeroed when a sequence ends. */
#include "infer/adapt.h"
#include "infer/block.h"
#include "infer/engine_impl.h"
#include "infer/layout.h"

/* `times` rows of `width` for each of the pass's. */
static void lay_acts(struct layout *at, const struct model *m, struct acts *acts, size_t rows,
    size_t times, size_t width)
{
	acts->f32 = layout_rows(at, rows, times * width, sizeof(float));
	if ((m->forms & 1u << FORM_Q8) == 0)
		return;
	acts->q8.quants = layout_rows(at, rows, times * width, 1);
	acts->q8.blocks =
	    layout_rows(at, rows, times * (width / KERNEL_BLOCK + 1), sizeof(struct q8_block));
}

/* Of a step, or of a whole text of an encoder: what ends in the middle of a tile of keys is
 * written to its end. */
static void lay_scores(
    struct layout *at, const struct model *m, const struct engine_config *config, struct worker *w)
{
	struct layout text = *at;

	if (m->encoder == NULL) {
		w->scores = layout_array(at, KERNEL_QUERIES_MAX * PASS_STEP, sizeof(float));
		return;
	}
	text.n_rows += KERNEL_CELLS;
	w->scores = layout_rows(
	    &text, (size_t)config->n_ubatch + KERNEL_CELLS, KERNEL_QUERIES_MAX, sizeof(float));
	text.n_rows = at->n_rows;
	*at = text;
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
		w->strip.quants = layout_weights(at, k * KERNEL_STRIP, 1);
		w->strip.scales = layout_weights(
		    at, (k / KERNEL_BLOCK + 1) * KERNEL_STRIP * KERNEL_FLOATS_MAX, sizeof(float));
	}
	w->tile = layout_rows(at, config->n_ubatch, KERNEL_STRIP, sizeof(float));
	w->row = layout_array(at, (size_t)m->n_layer * m->n_per_layer, sizeof(float));
	w->tile_up = layout_rows(at, config->n_ubatch, KERNEL_STRIP, sizeof(float));
	lay_acts(at, m, &w->own, PASS_OWN_ROWS, 1, m->n_embd);
	w->products = layout_array(at, m->n_products, sizeof(struct product));
	w->slices = layout_array(at, m->n_products, sizeof(struct acts));
	w->heads = layout_array(
	    at, 2 * (size_t)m->recurrent.n_state + m->recurrent.head_dim, sizeof(float));
	w->queries = layout_array(at, KERNEL_QUERIES_MAX * dk, sizeof(float));
	lay_scores(at, m, config, w);
	w->step_values = layout_array(at, KERNEL_QUERIES_MAX * dv, sizeof(float));
	w->sum_values = layout_array(at, unit_queries(m) * dv, sizeof(float));
	w->unpacked = layout_array(at, m->latent.absorbed ? PASS_STEP * dv : 0, sizeof(float));
}

static void lay_experts(struct layout *at, const struct model *m, size_t rows, struct routed *r)
{
	const struct moe *moe = &m->moe;
	size_t used = moe->n_used, width = moe->n_latent > 0 ? moe->n_latent : m->n_embd;

	if (moe->n_expert == 0)
		return;
	r->scores = layout_rows(at, rows, moe->n_expert, sizeof(float));
	r->keys = layout_rows(at, rows, moe->n_expert, sizeof(float));
	r->taken = layout_rows(at, rows, moe->n_expert, 1);
	r->chosen = layout_rows(at, rows, used, sizeof(uint32_t));
	r->weights = layout_rows(at, rows, used, sizeof(float));
	r->slots = layout_rows(at, rows, used, sizeof(uint32_t));
	r->ends = layout_array(at, moe->n_expert, sizeof(uint32_t));
	r->rows_of = layout_rows(at, rows, used, sizeof(uint32_t));
	lay_acts(at, m, &r->latent, rows, 1, moe->n_latent);
	lay_acts(at, m, &r->in, rows, used, width);
	r->gate = layout_rows(at, rows, used * moe->n_ff, sizeof(float));
	r->up = layout_rows(at, rows, used * moe->n_ff, sizeof(float));
	lay_acts(at, m, &r->hidden, rows, used, moe->n_ff);
	r->out = layout_rows(at, rows, used * width, sizeof(float));
	r->ins = layout_array(at, moe->n_expert, sizeof(struct acts));
	r->hiddens = layout_array(at, moe->n_expert, sizeof(struct acts));
	r->inner = layout_array(at, 2 * (size_t)moe->n_expert, sizeof(struct product));
	r->outer = layout_array(at, (size_t)moe->n_expert + 1, sizeof(struct product));
	if (moe->beside) {
		lay_acts(at, m, &r->router_in, rows, 1, m->n_embd);
		r->stream = layout_rows(at, rows, m->n_embd, sizeof(float));
		r->dense = layout_rows(at, rows, m->n_embd, sizeof(float));
	}
	if (moe->n_ff_shared == 0)
		return;
	r->shared_gate = layout_rows(at, rows, moe->n_ff_shared, sizeof(float));
	r->shared_up = layout_rows(at, rows, moe->n_ff_shared, sizeof(float));
	lay_acts(at, m, &r->shared_hidden, rows, 1, moe->n_ff_shared);
	r->shared = layout_rows(at, rows, m->n_embd, sizeof(float));
	r->shared_scale = layout_rows(at, rows, 1, sizeof(float));
}

static void lay_latents(struct layout *at, const struct model *m, size_t rows, struct latents *l)
{
	const struct latent_sizes *s = &m->latent;
	size_t n_head = m->n_head, n_rot = m->rope.n_rot;

	if (s->n_rank == 0)
		return;
	lay_acts(at, m, &l->q_rank, rows, 1, s->n_q_rank);
	l->q = layout_rows(at, rows, n_head * (s->n_nope + n_rot), sizeof(float));
	l->kv = layout_rows(at, rows, s->n_rank + n_rot, sizeof(float));
	lay_acts(at, m, &l->rank, rows, 1, s->n_rank);
	if (s->absorbed) {
		lay_acts(at, m, &l->by_head, rows, n_head,
		    s->n_nope > s->n_rank ? s->n_nope : s->n_rank);
		lay_acts(at, m, &l->values, rows, 1, n_head * s->n_value);
	} else {
		l->heads_kv =
		    layout_rows(at, rows, n_head * (s->n_nope + s->n_value), sizeof(float));
	}
}

static void lay_recurrent(struct layout *at, const struct model *m, size_t rows, struct recur *r)
{
	const struct recurrent *s = &m->recurrent;
	size_t inner = (size_t)s->n_head * s->head_dim, gate = (size_t)m->n_head * m->head_dim_v;

	if (s->n_layer == 0)
		return;
	r->in = layout_rows(at, rows, s->n_channel, sizeof(float));
	r->z = layout_rows(at, rows, inner > gate ? inner : gate, sizeof(float));
	r->beta = layout_rows(at, rows, s->n_head, sizeof(float));
	r->alpha = layout_rows(at, rows, s->n_head, sizeof(float));
	lay_acts(at, m, &r->out, rows, 1, inner);
}

/* By step, since few of a long context's are taken. */
static void lay_partials(
    struct layout *at, const struct model *m, const struct engine_config *config, struct pass *p)
{
	size_t most = (config->n_ctx + PASS_STEP - 1) / PASS_STEP;
	size_t n = config->n_threads > 1 ? (PASS_SPLIT_ROWS - 1) * (size_t)m->n_head : 0;
	struct layout steps = *at;

	steps.n_rows = at->n_steps;
	p->partials = layout_rows(&steps, most, n, sizeof(struct partial));
	p->partial_values = layout_rows(&steps, most, n * m->head_dim_v, sizeof(float));
	steps.n_rows = at->n_rows;
	*at = steps;
}

static void lay_pass(
    struct layout *at, const struct model *m, const struct engine_config *config, struct pass *p)
{
	size_t rows = config->n_ubatch, dk = m->head_dim_k, dv = m->head_dim_v;

	p->wanted = layout_rows(at, rows, 1, sizeof(*p->wanted));
	if (config->adapters) {
		p->adapters = layout_rows(at, rows, 1, sizeof(const struct adapter *));
		p->low = layout_rows(at, rows, adapt_low_numbers(m), sizeof(float));
	}
	p->x = layout_rows(at, rows, m->n_embd, sizeof(float));
	lay_acts(at, m, &p->normed, rows, 1, m->n_embd);
	p->q = layout_rows(at, rows, m->n_head * dk, sizeof(float));
	p->k = layout_rows(at, rows, m->n_head_kv * dk, sizeof(float));
	p->v = layout_rows(at, rows, m->n_head_kv * dv, sizeof(float));
	lay_acts(at, m, &p->mixed, rows, 1, m->n_head * dv);
	p->gate = layout_rows(at, rows, m->n_ff, sizeof(float));
	p->up = layout_rows(at, rows, m->n_ff, sizeof(float));
	lay_acts(at, m, &p->hidden, rows, 1, m->n_ff);
	lay_experts(at, m, rows, &p->routed);
	lay_latents(at, m, rows, &p->latents);
	lay_recurrent(at, m, rows, &p->recur);
	p->rope = layout_rows(at, rows, m->rope.n_rot, sizeof(float));
	p->rope_local = layout_rows(at, rows, m->rope_local.n_rot, sizeof(float));
	p->per_layer = layout_rows(at, rows, m->n_layer * m->n_per_layer, sizeof(float));
	lay_partials(at, m, config, p);
}

static void walk(struct engine *e, struct layout *at)
{
	lay_pass(at, e->model, &e->config, &e->pass);
	for (uint32_t i = 0; i < e->config.n_threads; i++) {
		struct worker unused = { 0 };

		lay_worker(at, e->model, &e->config, at->base != NULL ? &e->workers[i] : &unused);
	}
}

enum rc engine_lay(struct engine *e, uint8_t *base, struct errmsg *why)
{
	struct layout at = { .base = base };

	walk(e, &at);
	if (at.overflow)
		return errmsg_rc(why, RC_LIMIT, "engine: scratch is larger than any memory");
	e->scratch_bytes = at.used;
	return RC_OK;
}

/* All arrays are handed out again, at the same places. */
void engine_lay_wipe(struct engine *e)
{
	struct layout at = { .base = e->scratch,
		.wipes = true,
		.n_rows = e->n_rows_touched,
		.n_steps = e->n_steps_touched };

	if (e->n_rows_touched > 0)
		walk(e, &at);
	e->n_rows_touched = e->n_steps_touched = 0;
}
