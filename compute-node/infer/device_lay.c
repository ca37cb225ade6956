/* Memory of passes on a device: one piece, parted into arrays. */
#include "infer/device_impl.h"

#define PAD 64u /* of halves, as CUDA_F16_PAD */
#define BLOCK_WEIGHTS 32u

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static float *lay_floats(struct layout *at, size_t rows, size_t width)
{
	return layout_array(at, rows * width, sizeof(float));
}

static void lay_acts(struct layout *at, struct acts *acts, size_t rows, size_t width)
{
	acts->f32 = lay_floats(at, rows, width);
	acts->q8.quants = layout_array(at, rows * width, 1);
	acts->q8_scales = lay_floats(at, rows, (width / BLOCK_WEIGHTS + 1) * 2);
	acts->f16 = layout_array(at, rows * ((width + PAD - 1) / PAD * PAD), sizeof(uint16_t));
	acts->f16_scales = lay_floats(at, rows, 1);
}

static void lay_experts(struct layout *at, const struct model *m, size_t rows, struct routed *r)
{
	const struct moe *moe = &m->moe;

	if (moe->n_expert == 0)
		return;
	r->scores = lay_floats(at, rows, moe->n_expert);
	r->shared_gate = lay_floats(at, rows, moe->n_ff_shared);
	r->shared_up = lay_floats(at, rows, moe->n_ff_shared);
	lay_acts(at, &r->shared_hidden, rows, moe->n_ff_shared);
	if (moe->shared == MOE_SHARED_SCALED) {
		r->shared = lay_floats(at, rows, m->n_embd);
		r->shared_scale = lay_floats(at, rows, 1);
	}
	if (moe->n_latent > 0) {
		lay_acts(at, &r->latent, rows, moe->n_latent);
		r->latent_out = lay_floats(at, rows, moe->n_latent);
	}
	if (moe->beside) {
		lay_acts(at, &r->router_in, rows, m->n_embd);
		r->stream = lay_floats(at, rows, m->n_embd);
		r->dense = lay_floats(at, rows, m->n_embd);
	}
}

static void lay_latents(struct layout *at, const struct model *m, size_t rows, struct latents *l)
{
	const struct latent_sizes *s = &m->latent;
	size_t n_head = m->n_head, n_rot = m->rope.n_rot;

	if (s->n_rank == 0)
		return;
	lay_acts(at, &l->q_rank, rows, s->n_q_rank);
	l->q = lay_floats(at, rows, n_head * (s->n_nope + n_rot));
	l->kv = lay_floats(at, rows, s->n_rank + n_rot);
	lay_acts(at, &l->rank, rows, s->n_rank);
	if (!s->absorbed) {
		l->heads_kv = lay_floats(at, rows, n_head * (s->n_nope + s->n_value));
		return;
	}
	lay_acts(at, &l->by_head, rows * n_head, larger(s->n_nope, s->n_rank));
	lay_acts(at, &l->values, rows, n_head * s->n_value);
	l->stacked = lay_floats(at, rows * n_head, larger(s->n_rank, s->n_value));
}

static void lay_recurrent(struct layout *at, const struct model *m, size_t rows, struct recur *r)
{
	const struct recurrent *s = &m->recurrent;
	size_t inner = (size_t)s->n_head * s->head_dim, gate = (size_t)m->n_head * m->head_dim_v;
	size_t queries = (size_t)m->n_head * m->head_dim_k + gate;

	if (s->n_layer == 0)
		return;
	r->in = lay_floats(at, rows, s->n_channel);
	r->z = lay_floats(at, rows, larger(inner, gate));
	r->beta = lay_floats(at, rows, s->n_head);
	r->alpha = lay_floats(at, rows, s->n_head);
	r->rates = lay_floats(at, rows, 2 * (size_t)s->n_head);
	r->packed =
	    lay_floats(at, rows, larger(queries, s->n_channel + inner + 2 * (size_t)s->n_head));
	lay_acts(at, &r->out, rows, inner);
}

void device_lay(struct layout *at, const struct model *m, size_t rows, struct pass *p)
{
	size_t all = (size_t)m->n_layer * m->n_per_layer;

	p->x = lay_floats(at, rows, m->n_embd);
	lay_acts(at, &p->normed, rows, m->n_embd);
	p->q = lay_floats(at, rows, (size_t)m->n_head * m->head_dim_k);
	p->k = lay_floats(at, rows, (size_t)m->n_head_kv * m->head_dim_k);
	p->v = lay_floats(at, rows, (size_t)m->n_head_kv * m->head_dim_v);
	lay_acts(at, &p->mixed, rows, (size_t)m->n_head * m->head_dim_v);
	p->gate = lay_floats(at, rows, m->n_ff);
	p->up = lay_floats(at, rows, m->n_ff);
	lay_acts(at, &p->hidden, rows, m->n_ff);
	p->rope = lay_floats(at, rows, m->rope.n_rot);
	p->rope_local = lay_floats(at, rows, m->rope_local.n_rot);
	p->per_layer = lay_floats(at, rows, all);
	p->per_layer_embd = lay_floats(at, rows, all);
	lay_experts(at, m, rows, &p->routed);
	lay_latents(at, m, rows, &p->latents);
	lay_recurrent(at, m, rows, &p->recur);
}
