/*
 * gemma4: as gemma3 with unscaled scores, normed values, heads of another size
 * and rotation in windowed layers, and the last layers reading the keys and
 * values of earlier ones.  Small models add to each layer an embedding of the
 * token of its own, mixed with a projection of the common one and gated by the
 * stream; large ones have experts beside the dense network (Gemma Team 2025,
 * Gemma 3n; 2026).
 */
#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "infer/device.h"
#include "infer/experts.h"
#include "kernels/exact.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"
#include "model/factor.h"

#define LOCAL_BASE 10000.0f
#define PER_LAYER_MAX 4096u

/* Head sizes and rotation of layers with a window. */
static enum rc bind_local(struct model *m, struct errmsg *why)
{
	uint32_t dk = m->head_dim_k, dv = m->head_dim_v;
	enum rc rc = bind_windows(m, 0, 0, why);

	if (rc == RC_OK && !bind_has(m, BIND_GLOBAL, "rope_freqs.weight"))
		rc = errmsg_rc(why, RC_INVALID, "GGUF: tensor rope_freqs.weight is missing");
	if (rc == RC_OK)
		rc = rope_bind(m, true, &m->rope, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "attention.key_length_swa", MODEL_HEAD_DIM_MAX, dk, &dk, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "attention.value_length_swa", MODEL_HEAD_DIM_MAX, dv, &dv, why);
	if (rc == RC_OK)
		rc = rope_bind_local(m, true, dk, LOCAL_BASE, &m->rope_local, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		struct layer *l = &m->layers[il];

		l->v_norm = true;
		if (l->window == 0)
			continue;
		l->head_dim_k = dk;
		l->head_dim_v = dv;
		l->rope = LAYER_ROPE_LOCAL;
	}
	m->head_dim_k = dk > m->head_dim_k ? dk : m->head_dim_k;
	m->head_dim_v = dv > m->head_dim_v ? dv : m->head_dim_v;
	return rc;
}

/* The last layers read the KV of the last one before them of their kind. */
static enum rc bind_sharing(struct model *m, struct errmsg *why)
{
	const char *key = "attention.shared_kv_layers";
	uint32_t n_shared = 0;
	enum rc rc = bind_u32_or(m, key, m->n_layer - 1, 0, &n_shared, why);

	if (rc != RC_OK)
		return rc;
	for (uint32_t il = m->n_layer - n_shared; il < m->n_layer; il++) {
		struct layer *l = &m->layers[il];
		uint32_t from = m->n_layer - n_shared;

		while (from > 0 && (m->layers[from - 1].window > 0) != (l->window > 0))
			from--;
		if (from == 0 || m->layers[from - 1].n_head_kv != l->n_head_kv)
			return errmsg_rc(why, RC_INVALID,
			    "GGUF: key %s.%s: %u leaves no KV for layer %u", m->arch->name, key,
			    n_shared, il);
		l->kv_back = il - (from - 1);
	}
	return RC_OK;
}

static enum rc bind_per_layer(struct model *m, struct errmsg *why)
{
	uint64_t n, all;
	enum rc rc = bind_u32_or(
	    m, "embedding_length_per_layer_input", PER_LAYER_MAX, 0, &m->n_per_layer, why);

	if (rc != RC_OK || m->n_per_layer == 0)
		return rc;
	n = m->n_per_layer;
	all = n * m->n_layer;
	m->n_ff = n > m->n_ff ? m->n_per_layer : m->n_ff; /* shares its scratch */
	rc = bind_matrix(m, BIND_GLOBAL, "per_layer_token_embd.weight", m->n_vocab, all,
	    &m->per_layer_embd, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, BIND_GLOBAL, "per_layer_model_proj.weight", all, m->n_embd,
		    &m->per_layer_proj, why);
	if (rc == RC_OK)
		rc = bind_vector(
		    m, BIND_GLOBAL, "per_layer_proj_norm.weight", n, &m->per_layer_norm, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		struct layer *l = &m->layers[il];
		const int at = (int)il;

		rc = bind_matrix(m, at, "inp_gate.weight", n, m->n_embd, &l->token_gate, why);
		if (rc == RC_OK)
			rc = bind_matrix(m, at, "proj.weight", m->n_embd, n, &l->token_proj, why);
		if (rc == RC_OK)
			rc = bind_vector(
			    m, at, "post_norm.weight", m->n_embd, &l->token_post_norm, why);
	}
	return rc;
}

/* Norms around experts and dense network.  The router reads x / rms(x) / √n_embd
 * times a scale of its own. */
static enum rc bind_beside(struct model *m, uint32_t il, struct errmsg *why)
{
	struct experts *e = m->layers[il].experts;
	const int at = (int)il;
	const uint64_t n = m->n_embd;
	const float *scale = NULL;
	float *norm = arena_array(&m->arena, m->n_embd, sizeof(*norm));
	enum rc rc = norm != NULL ? RC_OK : RC_NOMEM;

	if (rc == RC_OK)
		rc = bind_vector(m, at, "ffn_gate_inp.scale", n, &scale, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "pre_ffw_norm_2.weight", n, &e->norm, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "post_ffw_norm_1.weight", n, &e->dense_post_norm, why);
	if (rc == RC_OK)
		rc = bind_vector(m, at, "post_ffw_norm_2.weight", n, &e->post_norm, why);
	for (uint64_t i = 0; rc == RC_OK && i < n; i++)
		norm[i] = scale[i] / sqrtf((float)n);
	e->router_norm = norm;
	return rc;
}

static enum rc gemma4_bind(struct model *m, struct errmsg *why)
{
	enum rc rc;

	m->moe = (struct moe){
		.gating = MOE_SOFTMAX, .norm = true, .activation = ACT_GELU_GATED, .beside = true
	};
	rc = decoder_bind_shape(m, why);
	if (rc != RC_OK)
		return rc;
	m->attn_scale = 1.0f;
	m->embd_scale = sqrtf((float)m->n_embd);
	rc = bind_gelu(m);
	if (rc == RC_OK)
		rc = bind_local(m, why);
	if (rc == RC_OK)
		rc = bind_sharing(m, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "final_logit_softcapping", 0, &m->logit_softcap, why);
	if (rc == RC_OK)
		rc = decoder_bind_tensors(m,
		    DECODER_SANDWICH | DECODER_HEAD_NORMS | DECODER_V_IS_K | DECODER_BESIDE, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		rc = bind_vector_or_null(
		    m, (int)il, "layer_output_scale.weight", 1, &m->layers[il].out_scale, why);
		if (rc == RC_OK && m->layers[il].experts != NULL)
			rc = bind_beside(m, il, why);
	}
	return rc == RC_OK ? bind_per_layer(m, why) : rc;
}

/* One row of per-layer inputs: (norm(projection / √n_embd) + embedding·√n) / √2 */
static void mix_inputs(struct worker *w, size_t row)
{
	const struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t n = m->n_per_layer, all = n * m->n_layer;
	float *inputs = p->per_layer + row * all;
	float down = 1.0f / sqrtf((float)m->n_embd), up = sqrtf((float)n), half = sqrtf(0.5f);

	factor_row(m->per_layer_embd, (uint64_t)p->rows[row].token, w->row);
	for (size_t i = 0; i < all; i++)
		inputs[i] *= down;
	for (size_t at = 0; at < all; at += n)
		p->kernels->rms_norm(inputs + at, m->per_layer_norm, n, m->norm_eps, inputs + at);
	for (size_t i = 0; i < all; i++)
		inputs[i] = (inputs[i] + w->row[i] * up) * half;
}

/* The same of all rows on a device, by norm(a·x) with eps = norm(x) with eps / a². */
static void mix_on_device(struct worker *w)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	const uint32_t n = m->n_per_layer, all = n * m->n_layer;
	const float half = sqrtf(0.5f);

	device_rows_of(w, m->per_layer_embd, sqrtf((float)n), p->per_layer_embd);
	device_norms(w,
	    &(struct backend_norms){ .x = p->per_layer,
		.x_row = all,
		.x_item = n,
		.items = m->n_layer,
		.n = n,
		.weight = m->per_layer_norm,
		.weights = 1,
		.eps = m->norm_eps * (float)m->n_embd,
		.to = p->per_layer },
	    NULL);
	device_blend(w, &(struct backend_blend){ .to = p->per_layer,
			    .keep = half,
			    .from = p->per_layer_embd,
			    .times = half,
			    .n = all });
}

static void per_layer_inputs(struct worker *w)
{
	struct pass *p = w->pass;
	const struct product project = { .weight = p->model->per_layer_proj, .out = p->per_layer };

	block_take(w, &p->normed);
	block_matmul(w, &project, 1, &p->normed);
	if (p->device != NULL) {
		mix_on_device(w);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		mix_inputs(w, t);
	crew_barrier(p->crew);
}

/* hidden = gelu(gate) * the layer's input */
static void gate_input(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t n = m->n_per_layer;

	if (p->device != NULL) {
		const size_t first = device_measures(w) ? 0 : il * n;

		device_copy(w,
		    &(struct backend_copy){ .from = p->per_layer + first,
			.from_row = n * m->n_layer,
			.to = p->up,
			.to_row = n,
			.items = 1,
			.n = (uint32_t)n },
		    1);
		device_activate(w, BACKEND_GELU_GATED, p->gate, p->up, n, &p->hidden);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		const float *input = p->per_layer + (t * m->n_layer + il) * n;

		for (size_t i = 0; i < n; i++)
			p->hidden.f32[t * n + i] =
			    exact_gelu_half(m->gelu, p->gate[t * n + i]) * input[i];
		block_quantize_row(w, &p->hidden, t, n);
	}
	crew_barrier(p->crew);
}

/* x += norm(proj · (gelu(gate · x) * the layer's input)) */
static void token_input(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	const struct product gate = { .weight = l->token_gate, .out = p->gate };
	const struct product proj = { .weight = l->token_proj, .out = p->normed.f32 };

	block_take(w, &p->normed);
	block_matmul(w, &gate, 1, &p->normed);
	gate_input(w, il);
	block_matmul(w, &proj, 1, &p->hidden);
	block_norm_add(w, l->token_post_norm, p->normed.f32);
}

static void scale_stream(struct worker *w, float factor)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (p->device != NULL) {
		device_blend(
		    w, &(struct backend_blend){ .to = p->x, .keep = factor, .n = (uint32_t)n });
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (size_t i = 0; i < n; i++)
			p->x[t * n + i] *= factor;
	}
	crew_barrier(p->crew);
}

/* stream = x, x = 0: what the experts give adds up alone. */
static void set_aside(struct worker *w)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (p->device != NULL) {
		device_blend(
		    w, &(struct backend_blend){
			   .to = p->routed.stream, .from = p->x, .times = 1.0f, .n = (uint32_t)n });
		device_blend(w, &(struct backend_blend){ .to = p->x, .n = (uint32_t)n });
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		memcpy(p->routed.stream + t * n, p->x + t * n, n * sizeof(float));
		memset(p->x + t * n, 0, n * sizeof(float));
	}
	crew_barrier(p->crew);
}

/* What is joined on a device: dense = norm(dense) + norm(x), x = stream + norm(dense). */
static void join_on_device(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	float *const x = p->x, *const dense = p->routed.dense;
	const uint32_t n = p->model->n_embd;
	struct backend_norms norms = { .x = dense,
		.x_row = n,
		.items = 1,
		.n = n,
		.weight = l->experts->dense_post_norm,
		.weights = 1,
		.to = dense };

	device_norms(w, &norms, NULL);
	norms.x = norms.to = x;
	norms.weight = l->experts->post_norm;
	device_norms(w, &norms, NULL);
	device_blend(w,
	    &(struct backend_blend){ .to = x, .keep = 1.0f, .from = dense, .times = 1.0f, .n = n });
	norms.weight = l->ffn_post_norm;
	device_norms(w, &norms, NULL);
	device_blend(
	    w, &(struct backend_blend){
		   .to = x, .keep = 1.0f, .from = p->routed.stream, .times = 1.0f, .n = n });
}

/* x = stream + norm(norm(dense) + norm(x)) */
static void join(struct worker *w, const struct layer *l)
{
	struct pass *p = w->pass;
	kernel_norm_fn *norm = p->kernels->rms_norm;
	size_t n = p->model->n_embd;
	float eps = p->model->norm_eps;

	if (p->device != NULL) {
		join_on_device(w, l);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *x = p->x + t * n, *dense = p->routed.dense + t * n;

		norm(dense, l->experts->dense_post_norm, n, eps, dense);
		norm(x, l->experts->post_norm, n, eps, x);
		for (size_t i = 0; i < n; i++)
			dense[i] += x[i];
		norm(dense, l->ffn_post_norm, n, eps, dense);
		for (size_t i = 0; i < n; i++)
			x[i] = p->routed.stream[t * n + i] + dense[i];
	}
	crew_barrier(p->crew);
}

/* The dense network and the experts, each with norms of its own. */
static void feed_forward_beside(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	const struct product down = { .weight = l->down, .out = p->routed.dense };

	block_norm_gated(w, l->ffn_norm, l->gate, l->up);
	block_matmul(w, &down, 1, &p->hidden);
	block_norm(w, l->experts->router_norm, &p->routed.router_in);
	block_norm(w, l->experts->norm, &p->normed);
	set_aside(w);
	experts_forward(w, il);
	join(w, l);
}

static void gemma4_forward(struct worker *w)
{
	const struct model *m = block_model(w);

	block_embed(w);
	if (m->n_per_layer > 0)
		per_layer_inputs(w);
	for (uint32_t il = 0; il < m->n_layer; il++) {
		decoder_attention(w, il);
		if (m->layers[il].experts != NULL)
			feed_forward_beside(w, il);
		else
			decoder_feed_forward(w, il);
		if (m->n_per_layer > 0)
			token_input(w, il);
		if (m->layers[il].out_scale != NULL)
			scale_stream(w, *m->layers[il].out_scale);
	}
	block_logits(w);
}

const struct arch arch_gemma4 = {
	.name = "gemma4",
	.bind = gemma4_bind,
	.forward = gemma4_forward,
};
