/*
 * qwen3next, qwen35 and qwen35moe: of each few layers one attends, the others
 * are gated delta nets (Yang et al. 2024); heads that attend have norms, a gate
 * on their output and rotate a part of their dimensions; the network is dense
 * or of experts beside a shared one with a gate of its own.
 *
 * They differ in how value heads share key heads (neighbours in qwen3next), and
 * in how the projections are packed.  The norms' "+1" is folded in.
 */
#include <stdio.h>

#include "infer/attention.h"
#include "infer/block.h"
#include "infer/device.h"
#include "infer/recurrent.h"
#include "kernels/exact.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"
#include "model/mixer.h"

#define INTERVAL 4u /* the last of so many layers attends */

/* Which layers do not attend. */
static enum rc bind_kinds(struct model *m, struct errmsg *why)
{
	const char *key = "attention.recurrent_layers";
	char name[GGUF_KEY_BYTES_MAX];
	const struct gguf_pair *kinds;
	int64_t scalar; /* a single number is one that nobody set */
	uint32_t interval = INTERVAL;
	bool listed;
	enum rc rc =
	    bind_u32_or(m, "full_attention_interval", MODEL_LAYERS_MAX, INTERVAL, &interval, why);

	(void)snprintf(name, sizeof(name), "%s.%s", m->arch->name, key);
	kinds = gguf_find(m->gguf, name);
	listed = kinds != NULL && (kinds->type == GGUF_ARRAY || !gguf_item_i64(kinds, 0, &scalar));
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		uint32_t is_recurrent = (il + 1) % interval != 0;

		if (listed)
			rc = bind_u32_layer(m, key, il, 1, 0, &is_recurrent, why);
		if (rc == RC_OK && is_recurrent != 0)
			rc = mixer_add(m, il);
	}
	return rc;
}

/* Queries, keys, values and the gate z: two matrices, or one that has for each
 * key head its query, key, values and gates. */
static enum rc bind_in(struct model *m, int at, struct mixer *mix, struct errmsg *why)
{
	const struct recurrent *r = &m->recurrent;
	const uint64_t inner = (uint64_t)r->n_head * r->head_dim;
	enum rc rc;

	if (!bind_has(m, at, "attn_qkv.weight") && bind_has(m, at, "ssm_in.weight"))
		return bind_matrix(
		    m, at, "ssm_in.weight", r->n_channel + inner, m->n_embd, &mix->in, why);
	rc = bind_matrix(m, at, "attn_qkv.weight", r->n_channel, m->n_embd, &mix->in, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_gate.weight", inner, m->n_embd, &mix->z, why);
	return rc;
}

/* Beta and alpha: two matrices, or one that has both for each key head. */
static enum rc bind_rates(struct model *m, int at, struct mixer *mix, struct errmsg *why)
{
	const uint64_t n = m->recurrent.n_head;
	enum rc rc;

	if (bind_has(m, at, "ssm_ba.weight"))
		return bind_matrix(m, at, "ssm_ba.weight", 2 * n, m->n_embd, &mix->beta, why);
	rc = bind_matrix(m, at, "ssm_beta.weight", n, m->n_embd, &mix->beta, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ssm_alpha.weight", n, m->n_embd, &mix->alpha, why);
	return rc;
}

static enum rc bind_mixer(struct model *m, int at, struct mixer *mix, struct errmsg *why)
{
	const struct recurrent *r = &m->recurrent;
	const uint64_t inner = (uint64_t)r->n_head * r->head_dim;
	enum rc rc = bind_in(m, at, mix, why);

	if (rc == RC_OK)
		rc = bind_rates(m, at, mix, why);
	if (rc == RC_OK)
		rc = bind_vectors(
		    m, at, "ssm_conv1d.weight", r->n_channel, r->n_conv + 1, &mix->conv, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "ssm_a", r->n_head, &mix->a, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "ssm_dt.bias", r->n_head, &mix->dt, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "ssm_norm.weight", r->head_dim, &mix->norm, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ssm_out.weight", m->n_embd, inner, &mix->out, why);
	return rc;
}

/* attn_q has for each head its query, then its gate. */
static enum rc bind_attention(struct model *m, int at, struct layer *l, struct errmsg *why)
{
	const uint64_t n = m->n_embd, nq = (uint64_t)l->n_head * l->head_dim_k;
	const uint64_t no = (uint64_t)l->n_head * l->head_dim_v;
	enum rc rc = bind_matrix(m, at, "attn_q.weight", nq + no, n, &l->q, why);

	if (rc == RC_OK)
		rc = bind_matrix(
		    m, at, "attn_k.weight", (uint64_t)l->n_head_kv * l->head_dim_k, n, &l->k, why);
	if (rc == RC_OK)
		rc = bind_matrix(
		    m, at, "attn_v.weight", (uint64_t)l->n_head_kv * l->head_dim_v, n, &l->v, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_output.weight", n, no, &l->o, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "attn_q_norm.weight", l->head_dim_k, &l->q_norm, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "attn_k_norm.weight", l->head_dim_k, &l->k_norm, why);
	return rc;
}

static enum rc bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	enum rc rc = bind_vector(m, (int)il, "attn_norm.weight", m->n_embd, &l->attn_norm, why);

	if (rc == RC_OK)
		rc = l->mixer != NULL ? bind_mixer(m, (int)il, l->mixer, why)
				      : bind_attention(m, (int)il, l, why);
	if (rc == RC_OK)
		rc = decoder_bind_feed_forward(m, il, DECODER_POST_IS_FFN, why);
	return rc;
}

static enum rc hybrid_bind(struct model *m, bool tiled, struct errmsg *why)
{
	enum rc rc;

	m->moe.gating = MOE_SOFTMAX;
	m->moe.norm = true;
	m->moe.shared = MOE_SHARED_SCALED;
	m->recurrent.tiled = tiled;
	rc = decoder_bind_shape(m, why);
	if (rc == RC_OK)
		rc = mixer_bind_sizes(m, why);
	if (rc == RC_OK)
		rc = bind_kinds(m, why);
	if (rc == RC_OK)
		rc = bind_embedding(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, why);
	if (rc == RC_OK)
		rc = rope_bind(m, true, &m->rope, why);
	m->n_products = 2 * m->n_head + 2;
	if (m->n_products < 6 * m->recurrent.n_group)
		m->n_products = 6 * m->recurrent.n_group;
	return rc;
}

static enum rc qwen3next_bind(struct model *m, struct errmsg *why)
{
	return hybrid_bind(m, false, why);
}

static enum rc qwen35_bind(struct model *m, struct errmsg *why)
{
	return hybrid_bind(m, true, why);
}

/* Rows first … of `from` go to `out`, which has rows of `stride`. */
static struct product part(
    const struct gguf_tensor *from, size_t first, size_t n_rows, float *out, size_t stride)
{
	return (struct product){
		.weight = from, .first = first, .n_rows = n_rows, .out = out, .out_stride = stride
	};
}

/* What is packed in rows of one matrix is multiplied at once on a device: `items` of
 * `step` numbers each, of which the `n` from `first` on go to `to`, behind each other. */
static struct backend_copy unpack(
    const float *packed, size_t items, size_t step, size_t first, size_t n, float *to)
{
	return (struct backend_copy){ .from = packed + first,
		.from_row = items * step,
		.from_item = step,
		.to = to,
		.to_row = items * n,
		.to_item = n,
		.items = (uint32_t)items,
		.n = (uint32_t)n };
}

static void attend_on_device(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const size_t dk = l->head_dim_k, dv = l->head_dim_v, n = l->n_head;
	const struct product in[] = {
		{ .weight = l->q, .out = p->recur.packed },
		{ .weight = l->k, .out = p->k },
		{ .weight = l->v, .out = p->v },
	};
	const struct product out = { .weight = l->o, .out = p->x, .add = true };

	block_norm_matmul(w, l->attn_norm, in, 3);
	if (!device_measures(w)) {
		const struct backend_copy parts[] = {
			unpack(p->recur.packed, n, dk + dv, 0, dk, p->q),
			unpack(p->recur.packed, n, dk + dv, dk, dv, p->recur.z),
		};

		device_copy(w, parts, 2);
	}
	device_attend(w, il);
	device_activate(w, BACKEND_SIGMOID_GATED, p->recur.z, p->mixed.f32, n * dv, &p->mixed);
	block_matmul(w, &out, 1, &p->mixed);
}

static void attend(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const size_t dk = l->head_dim_k, dv = l->head_dim_v, nq = l->n_head * dk;
	const size_t no = l->n_head * dv;
	const struct product out = { .weight = l->o, .out = p->x, .add = true };
	size_t n = 0;

	if (p->device != NULL) {
		attend_on_device(w, il);
		return;
	}
	for (size_t h = 0; h < l->n_head; h++) {
		w->products[n++] = part(l->q, h * (dk + dv), dk, p->q + h * dk, nq);
		w->products[n++] = part(l->q, h * (dk + dv) + dk, dv, p->recur.z + h * dv, no);
	}
	w->products[n++] = (struct product){ .weight = l->k, .out = p->k };
	w->products[n++] = (struct product){ .weight = l->v, .out = p->v };
	block_norm_matmul(w, l->attn_norm, w->products, n);
	attention_store(w, il);
	attention_attend(w, il);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (size_t i = t * no; i < (t + 1) * no; i++)
			p->mixed.f32[i] /= 1.0f + exact_expf(-p->recur.z[i]);
		block_quantize_row(w, &p->mixed, t, no);
	}
	crew_barrier(p->crew);
	block_matmul(w, &out, 1, &p->mixed);
}

/* What one matrix has for each key head, each to its place. */
static size_t split_in(struct worker *w, const struct mixer *mix, struct product *to)
{
	const struct recurrent *r = &block_model(w)->recurrent;
	struct recur *at = &w->pass->recur;
	const size_t dk = r->n_state, dv = r->head_dim * (r->n_head / r->n_group);
	const size_t height = 2 * (dk + dv), inner = (size_t)r->n_head * r->head_dim;
	float *k = at->in + r->n_group * dk, *v = k + r->n_group * dk;
	size_t n = 0;

	for (size_t g = 0; g < r->n_group; g++) {
		size_t row = g * height;

		to[n++] = part(mix->in, row, dk, at->in + g * dk, r->n_channel);
		to[n++] = part(mix->in, row + dk, dk, k + g * dk, r->n_channel);
		to[n++] = part(mix->in, row + 2 * dk, dv, v + g * dv, r->n_channel);
		to[n++] = part(mix->in, row + 2 * dk + dv, dv, at->z + g * dv, inner);
	}
	return n;
}

static size_t split_rates(struct worker *w, const struct mixer *mix, struct product *to)
{
	const struct recurrent *r = &block_model(w)->recurrent;
	struct recur *at = &w->pass->recur;
	const size_t heads = r->n_head / r->n_group;
	size_t n = 0;

	for (size_t g = 0; g < r->n_group; g++) {
		size_t row = g * 2 * heads;

		to[n++] = part(mix->beta, row, heads, at->beta + g * heads, r->n_head);
		to[n++] = part(mix->beta, row + heads, heads, at->alpha + g * heads, r->n_head);
	}
	return n;
}

/* Key heads' parts of both packed matrices to their places; what is not packed is there. */
static void unpack_heads(struct worker *w, const struct mixer *mix, const float *rates)
{
	const struct recurrent *r = &block_model(w)->recurrent;
	const struct recur *at = &w->pass->recur;
	const size_t n = r->n_group, heads = r->n_head / n, dk = r->n_state;
	const size_t dv = r->head_dim * heads, step = 2 * (dk + dv);
	struct backend_copy parts[] = {
		unpack(at->packed, n, step, 0, dk, at->in),
		unpack(at->packed, n, step, dk, dk, at->in + n * dk),
		unpack(at->packed, n, step, 2 * dk, dv, at->in + 2 * n * dk),
		unpack(at->packed, n, step, 2 * dk + dv, dv, at->z),
	};
	const struct backend_copy two[] = {
		unpack(rates, n, 2 * heads, 0, heads, at->beta),
		unpack(rates, n, 2 * heads, heads, heads, at->alpha),
	};

	for (size_t i = 0; i < 3; i++)
		parts[i].to_row = r->n_channel;
	if (mix->z == NULL)
		device_copy(w, parts, 4);
	if (mix->alpha == NULL)
		device_copy(w, two, 2);
}

static void project_on_device(struct worker *w, const struct layer *l)
{
	const struct recurrent *r = &block_model(w)->recurrent;
	const struct mixer *mix = l->mixer;
	struct recur *at = &w->pass->recur;
	size_t width = r->n_channel + (size_t)r->n_head * r->head_dim, n = 0;
	float *rates = device_measures(w) ? NULL : at->packed + w->pass->n_rows * width;
	struct product to[4];

	to[n++] =
	    (struct product){ .weight = mix->in, .out = mix->z != NULL ? at->in : at->packed };
	if (mix->z != NULL)
		to[n++] = (struct product){ .weight = mix->z, .out = at->z };
	to[n++] =
	    (struct product){ .weight = mix->beta, .out = mix->alpha != NULL ? at->beta : rates };
	if (mix->alpha != NULL)
		to[n++] = (struct product){ .weight = mix->alpha, .out = at->alpha };
	block_norm_matmul(w, l->attn_norm, to, n);
	if (!device_measures(w))
		unpack_heads(w, mix, rates);
}

static void project(struct worker *w, const struct layer *l)
{
	const struct mixer *mix = l->mixer;
	struct pass *p = w->pass;
	struct product *to = w->products;
	size_t n = 0;

	if (p->device != NULL) {
		project_on_device(w, l);
		return;
	}
	if (mix->z != NULL) {
		to[n++] = (struct product){ .weight = mix->in, .out = p->recur.in };
		to[n++] = (struct product){ .weight = mix->z, .out = p->recur.z };
	} else {
		n = split_in(w, mix, to);
	}
	if (mix->alpha != NULL) {
		to[n++] = (struct product){ .weight = mix->beta, .out = p->recur.beta };
		to[n++] = (struct product){ .weight = mix->alpha, .out = p->recur.alpha };
	} else {
		n += split_rates(w, mix, to + n);
	}
	block_norm_matmul(w, l->attn_norm, to, n);
}

static void delta_net(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product out = { .weight = l->mixer->out, .out = p->x, .add = true };

	project(w, l);
	recurrent_convolve(w, il);
	recurrent_delta(w, il);
	block_matmul(w, &out, 1, &p->recur.out);
}

static void hybrid_forward(struct worker *w)
{
	const struct model *m = block_model(w);

	block_embed(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		if (m->layers[il].mixer != NULL)
			delta_net(w, il);
		else
			attend(w, il);
		decoder_feed_forward(w, il);
	}
	block_logits(w);
}

const struct arch arch_qwen3next = {
	.name = "qwen3next",
	.bind = qwen3next_bind,
	.forward = hybrid_forward,
};

const struct arch arch_qwen35 = {
	.name = "qwen35",
	.bind = qwen35_bind,
	.forward = hybrid_forward,
};

const struct arch arch_qwen35moe = {
	.name = "qwen35moe",
	.bind = qwen35_bind,
	.forward = hybrid_forward,
};
