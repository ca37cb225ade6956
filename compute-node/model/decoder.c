/* The shared decoder: binding, and one layer after the other. */
#include "model/decoder.h"

#include <math.h>

#include "infer/attention.h"
#include "infer/block.h"
#include "infer/experts.h"
#include "model/bind.h"
#include "model/moe.h"

enum rc decoder_bind_shape(struct model *m, struct errmsg *why)
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
	uint32_t head_dim, n_next = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		rc = bind_u32(m, numbers[i].key, numbers[i].max, numbers[i].out, why);
	if (rc == RC_OK) /* blocks that guess further tokens: counted, not run */
		rc = bind_u32_or(m, "nextn_predict_layers", m->n_layer - 1, 0, &n_next, why);
	m->n_layer -= n_next;
	if (rc == RC_OK)
		rc = moe_bind(m, why);
	if (rc == RC_OK)
		rc = bind_layer_sizes(m, why);
	if (rc != RC_OK)
		return rc;
	if (m->n_head == 0)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: key %s.attention.head_count: a model without attention", m->arch->name);
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
	if (rc == RC_OK && (m->head_dim_k == 0 || m->head_dim_v == 0))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.attention.head_count: %u heads of an embedding of %u",
		    m->arch->name, m->n_head, m->n_embd);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		m->layers[il].head_dim_k = m->head_dim_k;
		m->layers[il].head_dim_v = m->head_dim_v;
	}
	return rc;
}

/* Rows of q, k and v of one layer. */
struct qkv_rows {
	uint64_t q, k, v;
};

static struct qkv_rows qkv_rows(const struct layer *l)
{
	return (struct qkv_rows){ .q = (uint64_t)l->n_head * l->head_dim_k,
		.k = (uint64_t)l->n_head_kv * l->head_dim_k,
		.v = (uint64_t)l->n_head_kv * l->head_dim_v };
}

/* q, k and v as one matrix: the rows of one after those of the other. */
static enum rc bind_fused_qkv(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const struct qkv_rows n = qkv_rows(l);
	const struct gguf_tensor *qkv = NULL;
	const float *bias = NULL;
	enum rc rc =
	    bind_matrix(m, (int)il, "attn_qkv.weight", n.q + n.k + n.v, m->n_embd, &qkv, why);

	if (rc == RC_OK)
		rc = bind_slice(m, qkv, 0, n.q, &l->q, why);
	if (rc == RC_OK)
		rc = bind_slice(m, qkv, n.q, n.k, &l->k, why);
	if (rc == RC_OK)
		rc = bind_slice(m, qkv, n.q + n.k, n.v, &l->v, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, (int)il, "attn_qkv.bias", n.q + n.k + n.v, &bias, why);
	if (rc == RC_OK && bias != NULL) {
		l->q_bias = bias;
		l->k_bias = bias + n.q;
		l->v_bias = bias + n.q + n.k;
	}
	return rc;
}

static enum rc bind_qkv(struct model *m, uint32_t il, unsigned traits, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const int at = (int)il;
	const struct qkv_rows n = qkv_rows(l);
	enum rc rc = bind_matrix(m, at, "attn_q.weight", n.q, m->n_embd, &l->q, why);

	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "attn_q.bias", n.q, &l->q_bias, why);
	if (rc != RC_OK || l->kv_back > 0)
		return rc;
	rc = bind_matrix(m, at, "attn_k.weight", n.k, m->n_embd, &l->k, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "attn_k.bias", n.k, &l->k_bias, why);
	if (rc != RC_OK || ((traits & DECODER_V_IS_K) != 0 && l->head_dim_v == l->head_dim_k &&
			       !bind_has(m, at, "attn_v.weight")))
		return rc;
	rc = bind_matrix(m, at, "attn_v.weight", n.v, m->n_embd, &l->v, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "attn_v.bias", n.v, &l->v_bias, why);
	return rc;
}

static enum rc bind_head_norms(struct model *m, uint32_t il, unsigned traits, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	enum rc (*take)(
	    struct model *, int, const char *, uint64_t, const float **, struct errmsg *) =
	    (traits & DECODER_HEAD_NORMS) != 0 ? bind_vector : bind_vector_or_null;
	enum rc rc = take(m, (int)il, "attn_q_norm.weight", l->head_dim_k, &l->q_norm, why);

	if (rc == RC_OK && l->kv_back == 0)
		rc = take(m, (int)il, "attn_k_norm.weight", l->head_dim_k, &l->k_norm, why);
	return rc;
}

enum rc decoder_bind_attention(struct model *m, uint32_t il, unsigned traits, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const int at = (int)il;
	const uint64_t n = m->n_embd;
	bool fused = !bind_has(m, at, "attn_q.weight") &&
		     ((traits & DECODER_FUSED_QKV) != 0 || bind_has(m, at, "attn_qkv.weight"));
	enum rc rc = bind_vector(m, at, "attn_norm.weight", n, &l->attn_norm, why);

	if (rc == RC_OK)
		rc = fused ? bind_fused_qkv(m, il, why) : bind_qkv(m, il, traits, why);
	if (rc == RC_OK)
		rc = bind_head_norms(m, il, traits, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_output.weight", n,
		    (uint64_t)l->n_head * l->head_dim_v, &l->o, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "attn_output.bias", n, &l->o_bias, why);
	if (rc == RC_OK && (traits & DECODER_SANDWICH) != 0)
		rc = bind_vector(m, at, "post_attention_norm.weight", n, &l->attn_post_norm, why);
	return rc;
}

enum rc decoder_bind_feed_forward(struct model *m, uint32_t il, unsigned traits, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const int at = (int)il;
	const uint64_t n = m->n_embd, n_ff = l->n_ff;
	const struct gguf_tensor *both = NULL;
	enum rc rc = bind_vector(m, at,
	    (traits & DECODER_POST_IS_FFN) != 0 ? "post_attention_norm.weight" : "ffn_norm.weight",
	    n, &l->ffn_norm, why);

	if (rc == RC_OK && moe_in_layer(m, il))
		rc = moe_bind_layer(m, il, why);
	if (rc != RC_OK || (l->experts != NULL && (traits & DECODER_BESIDE) == 0))
		return rc;
	if (rc == RC_OK && (traits & DECODER_FUSED_UP) != 0) {
		rc = bind_matrix(m, at, "ffn_up.weight", 2 * n_ff, n, &both, why);
		if (rc == RC_OK)
			rc = bind_slice(m, both, 0, n_ff, &l->gate, why);
		if (rc == RC_OK)
			rc = bind_slice(m, both, n_ff, n_ff, &l->up, why);
	} else if (rc == RC_OK) {
		rc = bind_matrix(m, at, "ffn_gate.weight", n_ff, n, &l->gate, why);
		if (rc == RC_OK)
			rc = bind_matrix(m, at, "ffn_up.weight", n_ff, n, &l->up, why);
	}
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ffn_down.weight", n, n_ff, &l->down, why);
	if (rc == RC_OK && (traits & DECODER_SANDWICH) != 0)
		rc = bind_vector(m, at, "post_ffw_norm.weight", n, &l->ffn_post_norm, why);
	return rc;
}

enum rc decoder_bind_tensors(struct model *m, unsigned traits, struct errmsg *why)
{
	enum rc rc = bind_embedding(m, why);

	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		rc = decoder_bind_attention(m, il, traits, why);
		if (rc == RC_OK)
			rc = decoder_bind_feed_forward(m, il, traits, why);
	}
	return rc;
}

enum rc decoder_bind(struct model *m, unsigned traits, struct errmsg *why)
{
	enum rc rc = decoder_bind_shape(m, why);

	if (rc == RC_OK)
		rc = decoder_bind_tensors(m, traits, why);
	if (rc == RC_OK)
		rc = rope_bind(m, (traits & DECODER_HALVES) != 0, &m->rope, why);
	return rc;
}

/* x += out · in, or x += norm(out · in); `scratch` [n_ubatch][n_embd]. */
static void add(struct worker *w, struct product *out, const struct acts *in,
    const float *post_norm, float *scratch)
{
	struct pass *p = w->pass;

	out->out = post_norm != NULL ? scratch : p->x;
	out->add = post_norm == NULL;
	block_matmul(w, out, 1, in);
	if (post_norm != NULL)
		block_norm_add(w, post_norm, scratch);
}

void decoder_attention(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	const struct product qkv[] = {
		{ .weight = l->q, .bias = l->q_bias, .out = p->q },
		{ .weight = l->k, .bias = l->k_bias, .out = p->k },
		{ .weight = l->v, .bias = l->v_bias, .out = p->v },
	};
	struct product out = { .weight = l->o, .bias = l->o_bias };

	block_norm_matmul(w, l->attn_norm, qkv, l->k == NULL ? 1 : l->v == NULL ? 2 : 3);
	attention_layer(w, il);
	add(w, &out, &p->mixed, l->attn_post_norm, p->normed.f32);
}

void decoder_feed_forward(struct worker *w, uint32_t il)
{
	const struct layer *l = &block_model(w)->layers[il];
	struct pass *p = w->pass;
	struct product down = { .weight = l->down };

	if (l->experts != NULL) {
		block_norm(w, l->ffn_norm, &p->normed);
		experts_forward(w, il);
		return;
	}
	block_norm_gated(w, l->ffn_norm, l->gate, l->up);
	add(w, &down, &p->hidden, l->ffn_post_norm, p->normed.f32);
}

void decoder_forward(struct worker *w)
{
	const struct model *m = block_model(w);
	const struct pass_layers layers = w->pass->layers;

	block_embed(w);
	for (uint32_t il = layers.first; il < layers.end; il++) {
		decoder_attention(w, il);
		decoder_feed_forward(w, il);
	}
	if (layers.end == m->n_layer)
		block_logits(w);
}
