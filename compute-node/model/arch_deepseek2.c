/*
 * deepseek2: DeepSeek V2, V3 and R1.  Keys and values of all heads come from one
 * latent vector a token (multi-head latent attention, DeepSeek-AI 2024); only
 * the latent and one rotated key are cached.
 *
 * Queries are brought into the space of the latent, so that all heads share one
 * key [rotated ‖ latent] and one value, the latent; values come out of that
 * space per head.  Older files cannot be split that way: their heads' keys and
 * values are worked out and cached as such.
 */
#include <math.h>
#include <string.h>

#include "infer/attention.h"
#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"

/* The writer of these files stores a tenth of the multiplier. */
#define LOG_MULTIPLIER_UNIT 0.1

/* YaRN leaves the size of rotated parts alone and sharpens all scores. */
static enum rc bind_scale(struct model *m, struct errmsg *why)
{
	float multiplier = 0, factor = 0;
	double sharper = 1.0;
	enum rc rc = bind_f32_or(m, "rope.scaling.yarn_log_multiplier", 0, &multiplier, why);

	if (rc == RC_OK)
		rc = bind_f32_or(m, "rope.scaling.factor", 0, &factor, why);
	if (rc == RC_OK && multiplier > 0 && factor > 1) {
		double log_factor = exact_log((double)factor);

		m->rope.magnitude /= 1.0 + 0.1 * log_factor;
		sharper = 1.0 + 0.1 * (double)multiplier / LOG_MULTIPLIER_UNIT * log_factor;
	}
	m->attn_scale =
	    (float)(sharper * sharper) / sqrtf((float)(m->latent.n_nope + m->rope.n_rot));
	return rc;
}

/* Widths as the file has them, brought together. */
static enum rc bind_widths(struct model *m, struct errmsg *why)
{
	struct latent_sizes *s = &m->latent;
	uint32_t n_key = m->head_dim_k, n_rot = 0;
	enum rc rc = bind_u32(m, "attention.kv_lora_rank", MODEL_HEAD_DIM_MAX, &s->n_rank, why);

	if (rc == RC_OK)
		rc = bind_u32_or(m, "attention.q_lora_rank", MODEL_EMBD_MAX, 0, &s->n_q_rank, why);
	if (rc == RC_OK)
		rc = bind_u32(m, "rope.dimension_count", MODEL_HEAD_DIM_MAX, &n_rot, why);
	if (rc == RC_OK)
		rc = bind_u32_or(
		    m, "attention.value_length_mla", MODEL_HEAD_DIM_MAX, 0, &s->n_value, why);
	s->absorbed = s->n_value > 0;
	if (rc == RC_OK && s->absorbed)
		rc = bind_u32(m, "attention.key_length_mla", MODEL_HEAD_DIM_MAX, &n_key, why);
	if (rc != RC_OK)
		return rc;
	if (!s->absorbed)
		s->n_value = m->head_dim_v;
	if (n_key <= n_rot)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.rope.dimension_count: %u of keys of %u", m->arch->name, n_rot,
		    n_key);
	s->n_nope = n_key - n_rot;
	if (s->absorbed && (m->head_dim_k != s->n_rank + n_rot || m->head_dim_v != s->n_rank))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: keys %s.attention.key_length, value_length: %u, %u, expected %u, %u",
		    m->arch->name, m->head_dim_k, m->head_dim_v, s->n_rank + n_rot, s->n_rank);
	return RC_OK;
}

static enum rc bind_heads(struct model *m, uint32_t il, struct errmsg *why)
{
	const struct latent_sizes *s = &m->latent;
	const struct layer *l = &m->layers[il];
	struct latent *lat = l->latent;
	uint32_t n_head_kv = s->absorbed ? 1 : l->n_head;
	enum rc rc;

	if (l->n_head_kv != n_head_kv)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.attention.head_count_kv: %u, expected %u", m->arch->name,
		    l->n_head_kv, n_head_kv);
	if (!s->absorbed)
		return bind_matrix(m, (int)il, "attn_kv_b.weight",
		    (uint64_t)l->n_head * (s->n_nope + s->n_value), s->n_rank, &lat->kv_b, why);
	rc = bind_stack(
	    m, (int)il, "attn_k_b.weight", l->n_head, s->n_rank, s->n_nope, &lat->k_b, why);
	if (rc == RC_OK)
		rc = bind_stack(m, (int)il, "attn_v_b.weight", l->n_head, s->n_value, s->n_rank,
		    &lat->v_b, why);
	return rc;
}

static enum rc bind_queries(struct model *m, uint32_t il, struct errmsg *why)
{
	const struct latent_sizes *s = &m->latent;
	struct latent *lat = m->layers[il].latent;
	const uint64_t nq = (uint64_t)m->layers[il].n_head * (m->rope.n_rot + s->n_nope);
	enum rc rc;

	if (s->n_q_rank == 0)
		return bind_matrix(m, (int)il, "attn_q.weight", nq, m->n_embd, &lat->q_b, why);
	rc = bind_matrix(m, (int)il, "attn_q_a.weight", s->n_q_rank, m->n_embd, &lat->q_a, why);
	if (rc == RC_OK)
		rc =
		    bind_vector(m, (int)il, "attn_q_a_norm.weight", s->n_q_rank, &lat->q_norm, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, (int)il, "attn_q_b.weight", nq, s->n_q_rank, &lat->q_b, why);
	return rc;
}

static enum rc bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	const struct latent_sizes *s = &m->latent;
	struct layer *l = &m->layers[il];
	const int at = (int)il;
	enum rc rc = bind_vector(m, at, "attn_norm.weight", m->n_embd, &l->attn_norm, why);

	l->latent = arena_array(&m->arena, 1, sizeof(*l->latent));
	if (l->latent == NULL)
		return RC_NOMEM;
	if (rc == RC_OK)
		rc = bind_queries(m, il, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_kv_a_mqa.weight", s->n_rank + m->rope.n_rot,
		    m->n_embd, &l->latent->kv_a, why);
	if (rc == RC_OK)
		rc = bind_vector(
		    m, at, "attn_kv_a_norm.weight", s->n_rank, &l->latent->kv_norm, why);
	if (rc == RC_OK)
		rc = bind_heads(m, il, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_output.weight", m->n_embd,
		    (uint64_t)l->n_head * s->n_value, &l->o, why);
	if (rc == RC_OK)
		rc = decoder_bind_feed_forward(m, il, 0, why);
	l->k = l->v = l->latent->kv_a; /* what both come from */
	l->v_in_k = s->absorbed;
	return rc;
}

static enum rc deepseek2_bind(struct model *m, struct errmsg *why)
{
	enum rc rc;

	m->moe.gating = MOE_SOFTMAX;
	m->moe.keyed = true;
	m->moe.shared = MOE_SHARED_COUNTED;
	rc = decoder_bind_shape(m, why);
	if (rc == RC_OK)
		rc = bind_widths(m, why);
	if (rc == RC_OK)
		rc = rope_bind(m, false, &m->rope, why);
	if (rc == RC_OK)
		rc = bind_scale(m, why);
	if (rc == RC_OK)
		rc = bind_embedding(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, why);
	m->n_products = m->n_head;
	return rc;
}

/* Queries as they come, the latent and the key that all heads share. */
static void project(struct worker *w, const struct layer *l)
{
	const struct latent *lat = l->latent;
	struct pass *p = w->pass;
	struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_rot = p->model->rope.n_rot, n_kv = s->n_rank + n_rot;
	const struct product products[] = {
		{ .weight = lat->kv_a, .out = at->kv },
		{ .weight = lat->q_a != NULL ? lat->q_a : lat->q_b,
		    .out = lat->q_a != NULL ? at->q_rank.f32 : at->q },
	};

	block_norm_matmul(w, l->attn_norm, products, 2);
	if (p->device != NULL) {
		device_latent_norms(w, lat);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *kv = at->kv + t * n_kv, *q = at->q_rank.f32 + t * s->n_q_rank;
		float *rank = at->rank.f32 + t * s->n_rank;

		p->kernels->rms_norm(kv, lat->kv_norm, s->n_rank, p->model->norm_eps, rank);
		block_quantize_row(w, &at->rank, t, s->n_rank);
		if (lat->q_a == NULL)
			continue;
		p->kernels->rms_norm(q, lat->q_norm, s->n_q_rank, p->model->norm_eps, q);
		block_quantize_row(w, &at->q_rank, t, s->n_q_rank);
	}
	crew_finish(p->crew);
}

/* Queries, and in older files keys and values, of each head. */
static void spread(struct worker *w, const struct latent *lat)
{
	struct latents *at = &w->pass->latents;
	struct product products[2];
	size_t n = 0;

	if (lat->q_a != NULL)
		products[n++] =
		    (struct product){ .weight = lat->q_b, .in = &at->q_rank, .out = at->q };
	if (lat->kv_b != NULL)
		products[n++] =
		    (struct product){ .weight = lat->kv_b, .in = &at->rank, .out = at->heads_kv };
	if (n > 0)
		block_matmul(w, products, n, NULL);
}

/* For each head the rows of `acts` behind each other, [n_head][n_rows][n]. */
static struct product of_head(struct worker *w, const struct acts *acts, size_t head, size_t n,
    const struct gguf_tensor *weight)
{
	size_t n_rows = w->pass->n_rows, height = (size_t)weight->dims[1];

	w->slices[head] = block_slice(acts, head * n_rows, n_rows, n);
	return (struct product){
		.weight = weight, .first = head * height, .n_rows = height, .in = &w->slices[head]
	};
}

/* q = [rotated ‖ k_b · rest], k = [rotated ‖ latent], v is the latent in k. */
static void absorb(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_rot = p->model->rope.n_rot, n_key = n_rot + s->n_rank;
	const size_t n_q = n_rot + s->n_nope, n_head = l->n_head;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (size_t h = 0; h < n_head; h++) {
			const float *q = at->q + (t * n_head + h) * n_q;
			size_t row = h * p->n_rows + t;

			memcpy(
			    p->q + (t * n_head + h) * n_key, q + s->n_nope, n_rot * sizeof(float));
			memcpy(at->by_head.f32 + row * s->n_nope, q, s->n_nope * sizeof(float));
			block_quantize_row(w, &at->by_head, row, s->n_nope);
		}
		memcpy(p->k + t * n_key, at->kv + t * n_key + s->n_rank, n_rot * sizeof(float));
		memcpy(p->k + t * n_key + n_rot, at->rank.f32 + t * s->n_rank,
		    s->n_rank * sizeof(float));
	}
	crew_finish(p->crew);
	for (size_t h = 0; h < n_head; h++) {
		w->products[h] = of_head(w, &at->by_head, h, s->n_nope, l->latent->k_b);
		w->products[h].out = p->q + h * n_key + n_rot;
		w->products[h].out_stride = n_head * n_key;
	}
	block_matmul(w, w->products, n_head, NULL);
}

/* Each head's values out of the space of the latent, into `values`. */
static void release(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_head = l->n_head, n = n_head * s->n_value;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (size_t h = 0; h < n_head; h++) {
			size_t row = h * p->n_rows + t;

			memcpy(at->by_head.f32 + row * s->n_rank,
			    p->mixed.f32 + (t * n_head + h) * s->n_rank, s->n_rank * sizeof(float));
			block_quantize_row(w, &at->by_head, row, s->n_rank);
		}
	}
	crew_finish(p->crew);
	for (size_t h = 0; h < n_head; h++) {
		w->products[h] = of_head(w, &at->by_head, h, s->n_rank, l->latent->v_b);
		w->products[h].out = at->values.f32 + h * s->n_value;
		w->products[h].out_stride = n;
	}
	block_matmul(w, w->products, n_head, NULL);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		block_quantize_row(w, &at->values, t, n);
	crew_finish(p->crew);
}

/* Older files: q and k = [rotated ‖ rest] of each head, v of each head. */
static void unfold(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	const struct latents *at = &p->latents;
	const struct latent_sizes *s = &p->model->latent;
	const size_t n_rot = p->model->rope.n_rot, n_key = n_rot + s->n_nope;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		const float *rotated = at->kv + t * (s->n_rank + n_rot) + s->n_rank;

		for (size_t i = t * l->n_head; i < (t + 1) * l->n_head; i++) {
			const float *kv = at->heads_kv + i * (s->n_nope + s->n_value);
			const float *q = at->q + i * n_key;

			memcpy(p->q + i * n_key, q + s->n_nope, n_rot * sizeof(float));
			memcpy(p->q + i * n_key + n_rot, q, s->n_nope * sizeof(float));
			memcpy(p->k + i * n_key, rotated, n_rot * sizeof(float));
			memcpy(p->k + i * n_key + n_rot, kv, s->n_nope * sizeof(float));
			memcpy(p->v + i * s->n_value, kv + s->n_nope, s->n_value * sizeof(float));
		}
	}
	crew_finish(p->crew);
}

static void attend(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product out = { .weight = l->o, .out = p->x, .add = true };
	bool absorbed = p->model->latent.absorbed;

	project(w, l);
	spread(w, l->latent);
	if (p->device != NULL) {
		device_latent_attention(w, il);
	} else {
		if (absorbed)
			absorb(w, l);
		else
			unfold(w, l);
		attention_store(w, il);
		attention_attend(w, il);
		if (absorbed)
			release(w, l);
	}
	block_matmul(w, &out, 1, absorbed ? &p->latents.values : &p->mixed);
}

static void deepseek2_forward(struct worker *w)
{
	const struct model *m = block_model(w);

	block_embed(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		attend(w, il);
		decoder_feed_forward(w, il);
	}
	block_logits(w);
}

const struct arch arch_deepseek2 = {
	.name = "deepseek2",
	.bind = deepseek2_bind,
	.forward = deepseek2_forward,
};
