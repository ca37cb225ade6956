/* The shared decoder: binding, and one layer after the other. */
#include "model/decoder.h"

#include <math.h>

#include "infer/attention.h"
#include "infer/block.h"
#include "model/bind.h"

static enum rc bind_shape(struct model *m, struct errmsg *why)
{
	const struct {
		const char *key;
		uint32_t max;
		uint32_t *out;
	} numbers[] = {
		{ "embedding_length", MODEL_EMBD_MAX, &m->n_embd },
		{ "block_count", MODEL_LAYERS_MAX, &m->n_layer },
		{ "context_length", MODEL_CTX_MAX, &m->n_ctx_train },
	};
	uint32_t n_expert = 0, head_dim;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		rc = bind_u32(m, numbers[i].key, numbers[i].max, numbers[i].out, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "expert_count", UINT32_MAX, 0, &n_expert, why);
	if (rc != RC_OK)
		return rc;
	if (n_expert != 0)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: key %s.expert_count: %u: mixtures of experts are not supported",
		    m->arch->name, n_expert);
	rc = bind_layer_sizes(m, why);
	if (rc != RC_OK)
		return rc;
	head_dim = m->n_embd / m->n_head;
	rc = bind_u32_or(
	    m, "attention.key_length", MODEL_HEAD_DIM_MAX, head_dim, &m->head_dim_k, why);
	if (rc == RC_OK)
		rc = bind_u32_or(
		    m, "attention.value_length", MODEL_HEAD_DIM_MAX, head_dim, &m->head_dim_v, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "attention.layer_norm_rms_epsilon", 1e-5f, &m->norm_eps, why);
	if (rc == RC_OK)
		rc = bind_f32_or(
		    m, "attention.scale", 1.0f / sqrtf((float)m->head_dim_k), &m->attn_scale, why);
	return rc;
}

static enum rc bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const int at = (int)il;
	const uint64_t n = m->n_embd;
	const uint64_t nq = (uint64_t)l->n_head * m->head_dim_k;
	const uint64_t nk = (uint64_t)l->n_head_kv * m->head_dim_k;
	const uint64_t nv = (uint64_t)l->n_head_kv * m->head_dim_v;
	const uint64_t no = (uint64_t)l->n_head * m->head_dim_v;
	const struct {
		const char *name;
		uint64_t n_rows, n;
		const struct gguf_tensor **out;
	} matrices[] = {
		{ "attn_q.weight", nq, n, &l->q },
		{ "attn_k.weight", nk, n, &l->k },
		{ "attn_v.weight", nv, n, &l->v },
		{ "attn_output.weight", n, no, &l->o },
		{ "ffn_gate.weight", l->n_ff, n, &l->gate },
		{ "ffn_up.weight", l->n_ff, n, &l->up },
		{ "ffn_down.weight", n, l->n_ff, &l->down },
	};
	const struct {
		const char *name;
		uint64_t n;
		const float **out;
	} vectors[] = {
		{ "attn_q.bias", nq, &l->q_bias },
		{ "attn_k.bias", nk, &l->k_bias },
		{ "attn_v.bias", nv, &l->v_bias },
		{ "attn_output.bias", n, &l->o_bias },
		{ "attn_q_norm.weight", m->head_dim_k, &l->q_norm },
		{ "attn_k_norm.weight", m->head_dim_k, &l->k_norm },
	};
	enum rc rc = bind_vector(m, at, "attn_norm.weight", n, &l->attn_norm, why);

	if (rc == RC_OK)
		rc = bind_vector(m, at, "ffn_norm.weight", n, &l->ffn_norm, why);
	for (size_t i = 0; rc == RC_OK && i < sizeof(matrices) / sizeof(matrices[0]); i++)
		rc = bind_matrix(m, at, matrices[i].name, matrices[i].n_rows, matrices[i].n,
		    matrices[i].out, why);
	for (size_t i = 0; rc == RC_OK && i < sizeof(vectors) / sizeof(vectors[0]); i++)
		rc = bind_vector_or_null(m, at, vectors[i].name, vectors[i].n, vectors[i].out, why);
	return rc;
}

enum rc decoder_bind(struct model *m, bool halves, struct errmsg *why)
{
	enum rc rc = bind_shape(m, why);

	if (rc == RC_OK)
		rc = bind_embedding(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, why);
	if (rc == RC_OK)
		rc = rope_bind(m, halves, &m->rope, why);
	return rc;
}

static void attention(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product qkv[] = {
		{ .weight = l->q, .bias = l->q_bias, .out = p->q },
		{ .weight = l->k, .bias = l->k_bias, .out = p->k },
		{ .weight = l->v, .bias = l->v_bias, .out = p->v },
	};
	const struct product out = { .weight = l->o, .bias = l->o_bias, .out = p->x, .add = true };

	block_norm(w, l->attn_norm, &p->normed);
	block_matmul(w, qkv, 3, &p->normed);
	attention_store(w, il);
	attention_attend(w, il);
	block_matmul(w, &out, 1, &p->mixed);
}

static void feed_forward(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product gate_up[] = {
		{ .weight = l->gate, .out = p->gate },
		{ .weight = l->up, .out = p->up },
	};
	const struct product down = { .weight = l->down, .out = p->x, .add = true };

	block_norm(w, l->ffn_norm, &p->normed);
	block_matmul(w, gate_up, 2, &p->normed);
	block_swiglu(w, l->n_ff);
	block_matmul(w, &down, 1, &p->hidden);
}

void decoder_forward(struct worker *w)
{
	const struct model *m = block_model(w);

	block_embed(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		attention(w, il);
		feed_forward(w, il);
	}
	block_logits(w);
}
