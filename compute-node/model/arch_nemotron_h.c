/*
 * nemotron_h and nemotron_h_moe: each layer is one thing behind one norm,
 * Mamba-2 (Dao and Gu 2024), attention without rotation, or a network with
 * max(x, 0)² and no gate, dense or of experts; these may work in a narrower
 * space than the stream (NVIDIA 2025).
 *
 * A layer's kind follows from its sizes: no KV heads and no network is Mamba-2,
 * no network is attention.
 */
#include "infer/block.h"
#include "infer/device.h"
#include "infer/experts.h"
#include "infer/recurrent.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"
#include "model/mixer.h"
#include "model/moe.h"

static bool is_mamba(const struct layer *l)
{
	return l->n_head_kv == 0 && l->n_ff == 0;
}

static enum rc bind_mamba(struct model *m, uint32_t il, struct errmsg *why)
{
	const struct recurrent *r = &m->recurrent;
	const uint64_t inner = (uint64_t)r->n_head * r->head_dim;
	const uint64_t n_in = inner + r->n_channel + r->n_head;
	const int at = (int)il;
	struct mixer *mix = m->layers[il].mixer;
	enum rc rc = bind_matrix(m, at, "ssm_in.weight", n_in, m->n_embd, &mix->in, why);

	if (rc == RC_OK)
		rc = bind_vectors(
		    m, at, "ssm_conv1d.weight", r->n_channel, r->n_conv + 1, &mix->conv, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(
		    m, at, "ssm_conv1d.bias", r->n_channel, &mix->conv_bias, why);
	if (rc == RC_OK)
		rc = bind_vectors(m, at, "ssm_a", r->n_head, 1, &mix->a, why);
	if (rc == RC_OK)
		rc = bind_vectors(m, at, "ssm_d", r->n_head, 1, &mix->d, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "ssm_dt.bias", r->n_head, &mix->dt, why);
	if (rc == RC_OK)
		rc = bind_vectors(
		    m, at, "ssm_norm.weight", r->n_group, inner / r->n_group, &mix->norm, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ssm_out.weight", m->n_embd, inner, &mix->out, why);
	return rc;
}

static enum rc bind_network(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	enum rc rc;

	l->n_head = l->n_head_kv = 0; /* no KV */
	if (m->moe.n_expert > 0 && !bind_has(m, (int)il, "ffn_up.weight"))
		return moe_bind_layer(m, il, why);
	rc = bind_matrix(m, (int)il, "ffn_up.weight", l->n_ff, m->n_embd, &l->up, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, (int)il, "ffn_down.weight", m->n_embd, l->n_ff, &l->down, why);
	return rc;
}

static enum rc bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	enum rc rc;

	l->rope = LAYER_ROPE_NONE;
	if (l->n_head_kv > 0 && l->n_ff == 0)
		return decoder_bind_attention(m, il, 0, why);
	rc = bind_vector(m, (int)il, "attn_norm.weight", m->n_embd, &l->attn_norm, why);
	if (rc == RC_OK)
		rc = l->mixer != NULL ? bind_mamba(m, il, why) : bind_network(m, il, why);
	return rc;
}

static enum rc bind_kinds(struct model *m, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		if (is_mamba(&m->layers[il]))
			rc = mixer_add(m, il);
	}
	if (rc == RC_OK && m->recurrent.n_layer > 0)
		rc = mixer_bind_sizes(m, why);
	return rc;
}

static enum rc nemotron_h_bind(struct model *m, struct errmsg *why)
{
	enum rc rc;

	m->moe.gating = MOE_SIGMOID;
	m->moe.keyed = true;
	m->moe.shared = MOE_SHARED_COUNTED;
	m->moe.activation = ACT_RELU_SQUARED;
	m->one_kind = true;
	rc = decoder_bind_shape(m, why);
	if (rc == RC_OK)
		rc = bind_kinds(m, why);
	if (rc == RC_OK)
		rc = bind_embedding(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, why);
	return rc;
}

/* The projection holds z, then what is convolved (x, B, C), then the steps. */
static void mamba(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	const struct recurrent *r = &block_model(w)->recurrent;
	const struct mixer *mix = l->mixer;
	struct pass *p = w->pass;
	const size_t inner = (size_t)r->n_head * r->head_dim;
	const struct product in[] = {
		{ .weight = mix->in, .first = 0, .n_rows = inner, .out = p->recur.z },
		{ .weight = mix->in, .first = inner, .n_rows = r->n_channel, .out = p->recur.in },
		{ .weight = mix->in,
		    .first = inner + r->n_channel,
		    .n_rows = r->n_head,
		    .out = p->recur.alpha },
	};
	const struct product out = { .weight = mix->out, .out = p->x, .add = true };

	block_norm_matmul(w, l->attn_norm, in, 3);
	recurrent_convolve(w, il);
	recurrent_mamba(w, il);
	block_matmul(w, &out, 1, &p->recur.out);
}

static void network(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product up = { .weight = l->up, .out = p->up };
	const struct product down = { .weight = l->down, .out = p->x, .add = true };
	const size_t n = l->n_ff;

	if (l->experts != NULL) {
		block_norm(w, l->attn_norm, &p->normed);
		experts_forward(w, il);
		return;
	}
	block_norm_matmul(w, l->attn_norm, &up, 1);
	if (p->device != NULL) {
		device_activate(w, BACKEND_RELU_SQUARED, NULL, p->up, n, &p->hidden);
		block_matmul(w, &down, 1, &p->hidden);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		block_activate(w, ACT_RELU_SQUARED, NULL, p->up + t * n, n, p->hidden.f32 + t * n);
		block_quantize_row(w, &p->hidden, t, n);
	}
	crew_finish(p->crew);
	block_matmul(w, &down, 1, &p->hidden);
}

static void nemotron_h_forward(struct worker *w)
{
	const struct model *m = block_model(w);

	block_embed(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		if (m->layers[il].mixer != NULL)
			mamba(w, il);
		else if (m->layers[il].n_head_kv > 0)
			decoder_attention(w, il);
		else
			network(w, il);
	}
	block_logits(w);
}

const struct arch arch_nemotron_h = {
	.name = "nemotron_h",
	.bind = nemotron_h_bind,
	.forward = nemotron_h_forward,
};

const struct arch arch_nemotron_h_moe = {
	.name = "nemotron_h_moe",
	.bind = nemotron_h_bind,
	.forward = nemotron_h_forward,
};
