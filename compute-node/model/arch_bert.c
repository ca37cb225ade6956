/*
 * bert and nomic-bert: encoders.  Both norm behind each addition and attend
 * both ways.  bert (Devlin et al. 2019) learns a vector for each position, has
 * biases and GELU; nomic-bert (Nussbaum et al. 2024) rotates queries and keys
 * by halves, takes q, k and v from one matrix and gates with SiLU.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "infer/block.h"
#include "infer/encode.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/encoder.h"
#include "model/factor.h"

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
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		rc = bind_u32(m, numbers[i].key, numbers[i].max, numbers[i].out, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "attention.layer_norm_epsilon", 1e-12f, &m->norm_eps, why);
	if (rc == RC_OK)
		rc = bind_layer_sizes(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		struct layer *l = &m->layers[il];

		l->kv_back = il; /* keys and values are needed within a layer only */
		if (l->n_head != m->n_head || l->n_head_kv != m->n_head || l->n_ff != m->n_ff)
			rc = errmsg_rc(why, RC_UNSUPPORTED,
			    "GGUF: layer %" PRIu32 " of %s has a shape of its own", il,
			    m->arch->name);
	}
	if (rc != RC_OK)
		return rc;
	m->head_dim_k = m->head_dim_v = m->n_embd / m->n_head;
	if (m->n_embd % m->n_head != 0 || m->head_dim_k > MODEL_HEAD_DIM_MAX)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.attention.head_count: %" PRIu32 " for rows of %" PRIu32,
		    m->arch->name, m->n_head, m->n_embd);
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim_k);
	return RC_OK;
}

/* Height of a matrix whose height no key gives. */
static enum rc height(struct model *m, const char *name, uint32_t *out, struct errmsg *why)
{
	const struct gguf_tensor *t = gguf_find_tensor(m->gguf, name);

	if (t == NULL)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor %s is missing", name);
	if (t->dims[1] > MODEL_VOCAB_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: tensor %s: %" PRIu64 " rows (limit %u)",
		    name, t->dims[1], MODEL_VOCAB_MAX);
	*out = (uint32_t)t->dims[1];
	return RC_OK;
}

/* The first row of token_types.weight, which all tokens of one text have. */
static enum rc bind_type(struct model *m, struct encoder *e, struct errmsg *why)
{
	const char *name = "token_types.weight";
	const struct gguf_tensor *types = NULL;
	uint32_t n = 0;
	float *row;
	enum rc rc;

	if (!bind_has(m, BIND_GLOBAL, name))
		return RC_OK;
	rc = height(m, name, &n, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, BIND_GLOBAL, name, n, m->n_embd, &types, why);
	if (rc != RC_OK)
		return rc;
	row = arena_array(&m->arena, m->n_embd, sizeof(*row));
	if (row == NULL)
		return RC_NOMEM;
	factor_row(types, 0, row);
	e->type = row;
	return RC_OK;
}

static enum rc bind_norm(
    struct model *m, int layer, const char *name, struct encoder_norm *out, struct errmsg *why)
{
	char full[GGUF_NAME_BYTES_MAX];
	enum rc rc;

	(void)snprintf(full, sizeof(full), "%s.weight", name);
	rc = bind_vector(m, layer, full, m->n_embd, &out->weight, why);
	(void)snprintf(full, sizeof(full), "%s.bias", name);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, layer, full, m->n_embd, &out->bias, why);
	return rc;
}

static enum rc bind_input(struct model *m, struct errmsg *why)
{
	struct encoder *e = m->encoder;
	enum rc rc = height(m, "token_embd.weight", &m->n_vocab, why);

	if (rc == RC_OK)
		rc = bind_matrix(m, BIND_GLOBAL, "token_embd.weight", m->n_vocab, m->n_embd,
		    &m->token_embd, why);
	if (rc == RC_OK)
		rc = bind_type(m, e, why);
	if (rc == RC_OK)
		rc = bind_norm(m, BIND_GLOBAL, "token_embd_norm", &e->embd_norm, why);
	return rc;
}

/* Rows third·n_embd … of one matrix that holds q, k and v. */
static struct gguf_tensor third_of(const struct gguf_tensor *whole, uint32_t third)
{
	struct gguf_tensor part = *whole;

	part.n_bytes /= 3;
	part.dims[1] /= 3;
	part.data += third * part.n_bytes;
	return part;
}

static enum rc bind_qkv(struct model *m, int at, struct encoder_layer *l, struct errmsg *why)
{
	const uint64_t n = m->n_embd;
	const struct {
		const char *weight, *bias;
		struct gguf_tensor *out;
		const float **bias_out;
	} parts[] = {
		{ "attn_q.weight", "attn_q.bias", &l->q, &l->q_bias },
		{ "attn_k.weight", "attn_k.bias", &l->k, &l->k_bias },
		{ "attn_v.weight", "attn_v.bias", &l->v, &l->v_bias },
	};
	bool fused = bind_has(m, at, "attn_qkv.weight");
	const struct gguf_tensor *t = NULL;
	const float *bias = NULL;
	enum rc rc = RC_OK;

	if (fused) {
		rc = bind_matrix(m, at, "attn_qkv.weight", 3 * n, n, &t, why);
		if (rc == RC_OK)
			rc = bind_vector_or_null(m, at, "attn_qkv.bias", 3 * n, &bias, why);
	}
	for (uint32_t i = 0; rc == RC_OK && i < 3; i++) {
		if (fused) {
			*parts[i].out = third_of(t, i);
			*parts[i].bias_out = bias != NULL ? bias + i * n : NULL;
			continue;
		}
		rc = bind_matrix(m, at, parts[i].weight, n, n, &t, why);
		if (rc != RC_OK)
			break;
		*parts[i].out = *t;
		rc = bind_vector_or_null(m, at, parts[i].bias, n, parts[i].bias_out, why);
	}
	return rc;
}

static enum rc bind_layer(struct model *m, uint32_t il, bool gated, struct errmsg *why)
{
	struct encoder_layer *l = &m->encoder->layers[il];
	const int at = (int)il;
	const uint64_t n = m->n_embd, n_ff = m->n_ff;
	enum rc rc = bind_qkv(m, at, l, why);

	if (rc == RC_OK)
		rc = bind_matrix(m, at, "attn_output.weight", n, n, &l->o, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "attn_output.bias", n, &l->o_bias, why);
	if (rc == RC_OK)
		rc = bind_norm(m, at, "attn_output_norm", &l->attn_norm, why);
	if (rc == RC_OK && gated)
		rc = bind_matrix(m, at, "ffn_gate.weight", n_ff, n, &l->gate, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ffn_up.weight", n_ff, n, &l->up, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "ffn_up.bias", n_ff, &l->up_bias, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ffn_down.weight", n, n_ff, &l->down, why);
	if (rc == RC_OK)
		rc = bind_vector_or_null(m, at, "ffn_down.bias", n, &l->down_bias, why);
	if (rc == RC_OK)
		rc = bind_norm(m, at, "layer_output_norm", &l->out_norm, why);
	return rc;
}

static enum rc bind_encoder(struct model *m, bool gated, struct errmsg *why)
{
	enum rc rc = bind_shape(m, why);

	if (rc != RC_OK)
		return rc;
	m->encoder = arena_array(&m->arena, 1, sizeof(*m->encoder));
	if (m->encoder == NULL)
		return RC_NOMEM;
	m->encoder->layers = arena_array(&m->arena, m->n_layer, sizeof(*m->encoder->layers));
	if (m->encoder->layers == NULL)
		return RC_NOMEM;
	rc = bind_input(m, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, gated, why);
	return rc;
}

static enum rc bert_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = bind_encoder(m, false, why);

	if (rc == RC_OK)
		rc = bind_matrix(m, BIND_GLOBAL, "position_embd.weight", m->n_ctx_train, m->n_embd,
		    &m->encoder->positions, why);
	return rc;
}

static enum rc nomic_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = bind_encoder(m, true, why);

	if (rc == RC_OK)
		rc = rope_bind(m, true, &m->rope, why);
	return rc;
}

static void attention(struct worker *w, const struct encoder_layer *l)
{
	struct pass *p = w->pass;
	const struct product qkv[] = {
		{ .weight = &l->q, .bias = l->q_bias, .out = p->q },
		{ .weight = &l->k, .bias = l->k_bias, .out = p->k },
		{ .weight = &l->v, .bias = l->v_bias, .out = p->v },
	};
	const struct product out = { .weight = l->o, .bias = l->o_bias, .out = p->x };

	block_matmul(w, qkv, 3, &p->normed);
	encode_attend(w);
	block_matmul(w, &out, 1, &p->mixed);
	encode_add_norm(w, &l->attn_norm);
}

static void feed_forward(struct worker *w, const struct encoder_layer *l)
{
	struct pass *p = w->pass;
	const struct product up_gate[] = {
		{ .weight = l->up, .bias = l->up_bias, .out = p->up },
		{ .weight = l->gate, .out = p->gate },
	};
	const struct product down = { .weight = l->down, .bias = l->down_bias, .out = p->x };

	block_matmul(w, up_gate, l->gate != NULL ? 2 : 1, &p->normed);
	if (l->gate != NULL)
		block_swiglu(w, block_model(w)->n_ff);
	else
		encode_gelu(w, block_model(w)->n_ff);
	block_matmul(w, &down, 1, &p->hidden);
	encode_add_norm(w, &l->out_norm);
}

static void forward(struct worker *w)
{
	const struct model *m = block_model(w);

	encode_embed(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		attention(w, &m->encoder->layers[il]);
		feed_forward(w, &m->encoder->layers[il]);
	}
	encode_finish(w);
}

const struct arch arch_bert = {
	.name = "bert",
	.bind = bert_bind,
	.forward = forward,
};

const struct arch arch_nomic_bert = {
	.name = "nomic-bert",
	.bind = nomic_bind,
	.forward = forward,
};
