/* Decoders in double. */
#include "decoder_twin.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPS 1e-6
#define BASE 10000.0
#define SCORE_CAP 50.0
#define LOGIT_CAP 30.0

struct twin {
	const struct gguf *gguf;
	const struct decoder_twin_shape *shape;
	size_t n;           /* tokens */
	double *x;          /* [n][n_embd] */
	double *q, *k, *v;  /* [n][heads][n_key or n_dim] */
	size_t n_key, n_kv; /* of a head; heads of k and v */
};

static double *numbers(size_t n)
{
	double *p = calloc(n > 0 ? n : 1, sizeof(*p));

	assert(p != NULL);
	return p;
}

static const struct gguf_tensor *find(
    const struct gguf *g, int il, const char *name, const char *kind)
{
	char full[96];

	if (il < 0)
		(void)snprintf(full, sizeof(full), "%s%s", name, kind);
	else
		(void)snprintf(full, sizeof(full), "blk.%d.%s%s", il, name, kind);
	return gguf_find_tensor(g, full);
}

static double half(const uint8_t *at)
{
	unsigned bits = at[0] | (unsigned)at[1] << 8, e = bits >> 10 & 31;
	double m = bits & 1023;
	double value = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, (int)e - 25);

	return (bits & 0x8000) != 0 ? -value : value;
}

/* FP4 of 1 bit of exponent's sign, 2 of exponent, 1 of mantissa, times a scale of
 * 4 bits of exponent and 3 of mantissa (OCP 2023, NVIDIA 2025). */
static double nvfp4(const uint8_t *block, size_t i)
{
	static const double values[] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 };
	uint8_t scale = block[i / 16], byte = block[4 + i / 16 * 8 + i % 8];
	unsigned code = i % 16 < 8 ? byte & 15 : byte >> 4;
	double s =
	    scale >> 3 == 0 ? ldexp(scale & 7, -9) : ldexp(8 + (scale & 7), (scale >> 3) - 10);

	return (code & 8 ? -1 : 1) * values[code & 7] * s;
}

double decoder_twin_weight(const struct gguf_tensor *t, uint64_t i)
{
	const struct type_info *info = type_info(t->type);
	const uint8_t *block = t->data + i / info->block * info->block_bytes;
	float value;

	switch (t->type) {
	case TYPE_F32:
		memcpy(&value, block, sizeof(value));
		return (double)value;
	case TYPE_Q8_0:
		return half(block) * (int8_t)block[2 + i % 32];
	case TYPE_NVFP4:
		return nvfp4(block, i % 64);
	default:
		assert(false);
		return 0;
	}
}

/* Of matrix `stack` of a tensor. */
static double factor(const struct twin *w, int il, const char *name, size_t stack)
{
	const struct gguf_tensor *t = find(w->gguf, il, name, ".scale");

	return t == NULL ? 1 : decoder_twin_weight(t, t->dims[0] == 1 ? 0 : stack);
}

/* out[r] = factor Σ W[stack][r][i] in[i] */
static void linear(
    const struct twin *w, int il, const char *name, size_t stack, const double *in, double *out)
{
	const struct gguf_tensor *t = find(w->gguf, il, name, ".weight");
	size_t n = (size_t)t->dims[0], rows = (size_t)t->dims[1];
	double f = factor(w, il, name, stack);

	for (size_t r = 0; r < rows; r++) {
		out[r] = 0;
		for (size_t i = 0; i < n; i++)
			out[r] += f * decoder_twin_weight(t, (stack * rows + r) * n + i) * in[i];
	}
}

static void norm(const struct twin *w, int il, const char *name, const double *x, double *out)
{
	const struct gguf_tensor *t = find(w->gguf, il, name, ".weight");
	size_t n = (size_t)t->dims[0];
	double square = 0;

	for (size_t i = 0; i < n; i++)
		square += x[i] * x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		out[i] = x[i] / sqrt(square + EPS) * decoder_twin_weight(t, i);
}

/* Neighbours, or number i with number i + n / 2. */
static void rotate(double *x, size_t n, size_t pos, bool halves)
{
	for (size_t i = 0; i < n / 2; i++) {
		double angle = (double)pos * pow(BASE, -2.0 * (double)i / (double)n);
		double *a = &x[halves ? i : 2 * i], *b = &x[halves ? i + n / 2 : 2 * i + 1];
		double turned = *a * cos(angle) - *b * sin(angle);

		*b = *a * sin(angle) + *b * cos(angle);
		*a = turned;
	}
}

/* q, k and v of a token as llama and gemma2 have them. */
static void project(struct twin *w, int il, size_t t, const double *h)
{
	const struct decoder_twin_shape *s = w->shape;
	bool halves = s->family == TWIN_GEMMA2;
	double *q = w->q + t * s->n_head * w->n_key, *k = w->k + t * w->n_kv * w->n_key;

	linear(w, il, "attn_q", 0, h, q);
	linear(w, il, "attn_k", 0, h, k);
	linear(w, il, "attn_v", 0, h, w->v + t * w->n_kv * s->n_dim);
	for (size_t i = 0; i < s->n_head; i++)
		rotate(q + i * w->n_key, s->n_rot, t, halves);
	for (size_t i = 0; i < w->n_kv; i++)
		rotate(k + i * w->n_key, s->n_rot, t, halves);
}

/* deepseek2's: keys [n_nope ‖ n_rot] and values of each head out of the latent. */
static void unfold(struct twin *w, int il, size_t t, const double *h)
{
	const struct decoder_twin_shape *s = w->shape;
	const struct gguf_tensor *k_b = find(w->gguf, il, "attn_k_b", ".weight");
	double *latent = numbers(s->n_rank + s->n_rot), *low = numbers(s->n_q_rank);
	double *q = w->q + t * s->n_head * w->n_key;

	if (s->n_q_rank > 0) {
		linear(w, il, "attn_q_a", 0, h, low);
		norm(w, il, "attn_q_a_norm", low, low);
		linear(w, il, "attn_q_b", 0, low, q);
	} else {
		linear(w, il, "attn_q", 0, h, q);
	}
	linear(w, il, "attn_kv_a_mqa", 0, h, latent);
	norm(w, il, "attn_kv_a_norm", latent, latent);
	rotate(latent + s->n_rank, s->n_rot, t, false);
	for (size_t i = 0; i < s->n_head; i++) {
		double *k = w->k + (t * s->n_head + i) * w->n_key, f = factor(w, il, "attn_k_b", i);

		for (size_t j = 0; j < s->n_nope; j++) {
			k[j] = 0;
			for (size_t r = 0; r < s->n_rank; r++)
				k[j] +=
				    f *
				    decoder_twin_weight(k_b, (i * s->n_rank + r) * s->n_nope + j) *
				    latent[r];
		}
		memcpy(k + s->n_nope, latent + s->n_rank, s->n_rot * sizeof(*k));
		rotate(q + i * w->n_key + s->n_nope, s->n_rot, t, false);
		linear(w, il, "attn_v_b", i, latent, w->v + (t * s->n_head + i) * s->n_dim);
	}
	free(latent);
	free(low);
}

/* One head of token `t` over what it sees; out [n_dim]. */
static void attend(const struct twin *w, int il, size_t t, size_t head, double *out)
{
	const struct decoder_twin_shape *s = w->shape;
	size_t kv = head / (s->n_head / w->n_kv), first = 0;
	const double *q = w->q + (t * s->n_head + head) * w->n_key;
	double sum = 0;

	if (s->window > 0 && il % 2 == 0 && t + 1 > s->window)
		first = t + 1 - s->window;
	memset(out, 0, s->n_dim * sizeof(*out));
	for (size_t i = first; i <= t; i++) {
		const double *k = w->k + (i * w->n_kv + kv) * w->n_key;
		const double *v = w->v + (i * w->n_kv + kv) * s->n_dim;
		double score = 0;

		for (size_t d = 0; d < w->n_key; d++)
			score += q[d] * k[d] / sqrt((double)w->n_key);
		if (s->family == TWIN_GEMMA2)
			score = SCORE_CAP * tanh(score / SCORE_CAP);
		score = exp(score);
		sum += score;
		for (size_t d = 0; d < s->n_dim; d++)
			out[d] += score * v[d];
	}
	for (size_t d = 0; d < s->n_dim; d++)
		out[d] /= sum;
}

static void gated(const struct twin *w, int il, const char *kind, size_t stack, size_t n,
    const double *h, double *out)
{
	double *gate = numbers(n), *up = numbers(n);
	char name[3][32];
	static const char *const parts[] = { "ffn_gate", "ffn_up", "ffn_down" };

	for (int i = 0; i < 3; i++)
		(void)snprintf(name[i], sizeof(name[i]), "%s%s", parts[i], kind);
	linear(w, il, name[0], stack, h, gate);
	linear(w, il, name[1], stack, h, up);
	for (size_t i = 0; i < n; i++) {
		double g = gate[i];

		up[i] *= w->shape->family != TWIN_GEMMA2
			     ? g / (1 + exp(-g))
			     : 0.5 * g *
				   (1 + tanh(sqrt(2 / 3.14159265358979323846) *
					     (g + 0.044715 * g * g * g)));
	}
	linear(w, il, name[2], stack, up, out);
	free(gate);
	free(up);
}

/* The best of keys[first … end - 1] that are not out (-inf). */
static size_t best(const double *keys, size_t first, size_t end)
{
	size_t at = first;

	for (size_t i = first; i < end; i++)
		at = keys[i] > keys[at] ? i : at;
	return at;
}

static double group_score(const struct decoder_twin_shape *s, const double *keys, size_t n)
{
	size_t top = best(keys, 0, n);
	double second = -INFINITY;

	for (size_t i = 0; i < n; i++)
		second = i != top && keys[i] > second ? keys[i] : second;
	return s->sigmoid && n > 1 ? keys[top] + second : keys[top];
}

static void drop_groups(const struct decoder_twin_shape *s, double *keys)
{
	size_t n = s->n_expert / s->n_group;
	double scores[DECODER_TWIN_EXPERTS_MAX];
	bool kept[DECODER_TWIN_EXPERTS_MAX] = { false };

	for (size_t g = 0; g < s->n_group; g++)
		scores[g] = group_score(s, keys + g * n, n);
	for (size_t i = 0; i < s->n_group_used; i++) {
		size_t g = best(scores, 0, s->n_group);

		kept[g] = true;
		scores[g] = -INFINITY;
	}
	for (size_t i = 0; i < s->n_expert; i++)
		keys[i] = kept[i / n] ? keys[i] : -INFINITY;
}

/* Weight of each expert, 0 for those not chosen. */
static void route(const struct twin *w, int il, const double *h, double *weights)
{
	const struct decoder_twin_shape *s = w->shape;
	const struct gguf_tensor *bias = find(w->gguf, il, "exp_probs_b", ".bias");
	double scores[DECODER_TWIN_EXPERTS_MAX], keys[DECODER_TWIN_EXPERTS_MAX], sum = 0;

	linear(w, il, "ffn_gate_inp", 0, h, scores);
	for (size_t i = 0; i < s->n_expert; i++) {
		scores[i] = s->sigmoid ? 1 / (1 + exp(-scores[i])) : exp(scores[i]);
		sum += scores[i];
	}
	for (size_t i = 0; i < s->n_expert; i++) {
		scores[i] /= s->sigmoid ? 1 : sum;
		keys[i] = scores[i] + (bias != NULL ? decoder_twin_weight(bias, i) : 0);
		weights[i] = 0;
	}
	if (s->n_group > 1)
		drop_groups(s, keys);
	sum = 0;
	for (size_t i = 0; i < s->n_used; i++) {
		size_t at = best(keys, 0, s->n_expert);

		weights[at] = scores[at];
		sum += scores[at];
		keys[at] = -INFINITY;
	}
	for (size_t i = 0; i < s->n_expert; i++) {
		if (s->family == TWIN_LLAMA || s->norm)
			weights[i] /= sum;
		weights[i] *= s->family == TWIN_LLAMA ? 1 : (double)s->scale;
	}
}

static void network(const struct twin *w, int il, const double *h, double *out)
{
	const struct decoder_twin_shape *s = w->shape;
	double weights[DECODER_TWIN_EXPERTS_MAX], *one = numbers(s->n_embd);

	if (s->n_expert == 0 || (uint32_t)il < s->n_dense) {
		gated(w, il, "", 0, s->n_ff, h, out);
		free(one);
		return;
	}
	memset(out, 0, s->n_embd * sizeof(*out));
	if (s->n_shared > 0)
		gated(w, il, "_shexp", 0, (size_t)s->n_shared * s->n_ff_expert, h, out);
	route(w, il, h, weights);
	for (size_t e = 0; e < s->n_expert; e++) {
		if (weights[e] == 0)
			continue;
		gated(w, il, "_exps", e, s->n_ff_expert, h, one);
		for (size_t i = 0; i < s->n_embd; i++)
			out[i] += weights[e] * one[i];
	}
	free(one);
}

/* All tokens through one layer. */
static void layer(struct twin *w, int il)
{
	const struct decoder_twin_shape *s = w->shape;
	bool gemma = s->family == TWIN_GEMMA2;
	double *h = numbers(s->n_embd), *mixed = numbers((size_t)s->n_head * s->n_dim);

	for (size_t t = 0; t < w->n; t++) {
		double *x = w->x + t * s->n_embd;

		norm(w, il, "attn_norm", x, h);
		if (s->family == TWIN_DEEPSEEK2)
			unfold(w, il, t, h);
		else
			project(w, il, t, h);
		for (size_t i = 0; i < s->n_head; i++)
			attend(w, il, t, i, mixed + i * s->n_dim);
		linear(w, il, "attn_output", 0, mixed, h);
		if (gemma)
			norm(w, il, "post_attention_norm", h, h);
		for (size_t i = 0; i < s->n_embd; i++)
			x[i] += h[i];
		norm(w, il, "ffn_norm", x, h);
		double *out = numbers(s->n_embd);

		network(w, il, h, out);
		if (gemma)
			norm(w, il, "post_ffw_norm", out, out);
		for (size_t i = 0; i < s->n_embd; i++)
			x[i] += out[i];
		free(out);
	}
	free(h);
	free(mixed);
}

static void embed(struct twin *w, const int32_t *ids)
{
	const struct decoder_twin_shape *s = w->shape;
	const struct gguf_tensor *embd = find(w->gguf, -1, "token_embd", ".weight");
	double f = factor(w, -1, "token_embd", 0);

	if (s->family == TWIN_GEMMA2)
		f *= sqrt((double)s->n_embd);
	for (size_t t = 0; t < w->n; t++) {
		for (size_t i = 0; i < s->n_embd; i++)
			w->x[t * s->n_embd + i] =
			    f * decoder_twin_weight(embd, (size_t)ids[t] * s->n_embd + i);
	}
}

void decoder_twin_logits(const struct gguf *g, const struct decoder_twin_shape *s,
    const int32_t *ids, size_t n, double *logits)
{
	bool latent = s->family == TWIN_DEEPSEEK2, gemma = s->family == TWIN_GEMMA2;
	struct twin w = { .gguf = g,
		.shape = s,
		.n = n,
		.n_key = latent ? s->n_nope + s->n_rot : s->n_dim,
		.n_kv = latent ? s->n_head : s->n_head_kv };

	w.x = numbers(n * s->n_embd);
	w.q = numbers(n * s->n_head * w.n_key);
	w.k = numbers(n * w.n_kv * w.n_key);
	w.v = numbers(n * w.n_kv * s->n_dim);
	embed(&w, ids);
	for (uint32_t il = 0; il < s->n_layer; il++)
		layer(&w, (int)il);
	for (size_t t = 0; t < n; t++) {
		double *x = w.x + t * s->n_embd, *out = logits + t * DECODER_TWIN_VOCAB;

		norm(&w, -1, "output_norm", x, x);
		linear(&w, -1, gemma ? "token_embd" : "output", 0, x, out);
		for (size_t i = 0; gemma && i < DECODER_TWIN_VOCAB; i++)
			out[i] = LOGIT_CAP * tanh(out[i] / LOGIT_CAP);
	}
	free(w.x);
	free(w.q);
	free(w.k);
	free(w.v);
}
