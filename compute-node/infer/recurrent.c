/* Convolution and heads of recurrent layers. */
#include "infer/recurrent.h"

#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/model_impl.h"

#define CHANNELS 64u       /* convolved together */
#define COLUMNS 16u        /* of a head's matrix */
#define SOFTPLUS_MAX 20.0f /* beyond it softplus(x) is x */

/* Sixteen columns; their order of operations is that of one. */
typedef float columns __attribute__((vector_size(COLUMNS * sizeof(float)), aligned(4), may_alias));

/* Is `row` the first of its sequence in the ubatch? */
static bool is_first(const struct pass *p, size_t row)
{
	for (size_t t = row; t-- > 0;) {
		if (p->rows[t].seq == p->rows[row].seq)
			return false;
	}
	return true;
}

/* The next row of the same sequence, or n_rows. */
static size_t next_row(const struct pass *p, size_t row)
{
	size_t t = row + 1;

	while (t < p->n_rows && p->rows[t].seq != p->rows[row].seq)
		t++;
	return t;
}

typedef void part_fn(struct worker *w, uint32_t il, size_t row, size_t part);

/* fn for each sequence of the ubatch (by its first row) and each of n parts. */
static void share_out(struct worker *w, uint32_t il, size_t n, part_fn *fn)
{
	struct pass *p = w->pass;
	size_t unit = 0, mine = crew_take(p->crew);

	for (size_t row = 0; row < p->n_rows; row++) {
		if (!is_first(p, row))
			continue;
		for (size_t part = 0; part < n; part++, unit++) {
			if (unit != mine)
				continue;
			fn(w, il, row, part);
			mine = crew_take(p->crew);
		}
	}
	crew_barrier(p->crew);
}

/* One row of `n` channels: x becomes silu(convolution), past moves on by x. */
static void convolve_row(const struct worker *w, const struct mixer *mix, size_t first, size_t n,
    float past[][CHANNELS], uint32_t n_past, float *x)
{
	const float *kernel = mix->conv + first * (n_past + 1);
	float sums[CHANNELS], ones[CHANNELS];

	for (size_t c = 0; c < n; c++) {
		float sum = 0;

		for (uint32_t i = 0; i < n_past; i++)
			sum += past[i][c] * kernel[c * (n_past + 1) + i];
		sum += x[c] * kernel[c * (n_past + 1) + n_past];
		ones[c] = 1.0f;
		sums[c] = mix->conv_bias != NULL ? sum + mix->conv_bias[first + c] : sum;
	}
	memmove(past[0], past[1], (n_past - 1) * sizeof(past[0]));
	memcpy(past[n_past - 1], x, n * sizeof(*x));
	w->pass->kernels->swiglu(sums, ones, n, x);
}

static void convolve_part(struct worker *w, uint32_t il, size_t row, size_t part)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	size_t first = part * CHANNELS;
	size_t n = r->n_channel - first < CHANNELS ? r->n_channel - first : CHANNELS;
	float *kept = state_conv(p->state, mix->index, p->rows[row].seq) + first;
	float past[RECURRENT_CONV_MAX][CHANNELS];

	for (uint32_t i = 0; i < r->n_conv; i++)
		memcpy(past[i], kept + (size_t)i * r->n_channel, n * sizeof(float));
	for (size_t t = row; t < p->n_rows; t = next_row(p, t))
		convolve_row(
		    w, mix, first, n, past, r->n_conv, p->recur.in + t * r->n_channel + first);
	for (uint32_t i = 0; i < r->n_conv; i++)
		memcpy(kept + (size_t)i * r->n_channel, past[i], n * sizeof(float));
}

void recurrent_convolve(struct worker *w, uint32_t il)
{
	const struct recurrent *r = &w->pass->model->recurrent;

	if (w->pass->device != NULL) {
		device_convolve(w, il);
		return;
	}
	share_out(w, il, (r->n_channel + CHANNELS - 1) / CHANNELS, convolve_part);
}

/* What one token does to one head's matrix S [n_state][head_dim]. */
struct update {
	uint32_t n_state, head_dim;
	float decay;    /* of all of S */
	bool delta;     /* S moves from what it has for k to v; else v is added */
	float rate;     /* how far it moves */
	const float *k; /* [n_state] */
	const float *v; /* [head_dim] */
	const float *q; /* [n_state] */
	float scale;    /* of the result */
};

/* S = decay S + k ⊗ e with e = rate (v - decay Sᵀk), or v; out = scale Sᵀq. */
#define UPDATE(name, type)                                                                         \
	static void name(const struct update *u, float *s, size_t at, float *out)                  \
	{                                                                                          \
		const size_t stride = u->head_dim;                                                 \
		type e = *(const type *)(const void *)(u->v + at), held = { 0 }, sum = { 0 };      \
		for (size_t i = 0; u->delta && i < u->n_state; i++)                                \
			held += *(const type *)(const void *)(s + i * stride + at) * u->k[i];      \
		if (u->delta)                                                                      \
			e = (e - held * u->decay) * u->rate;                                       \
		for (size_t i = 0; i < u->n_state; i++) {                                          \
			type *cell = (type *)(void *)(s + i * stride + at);                        \
			*cell = *cell * u->decay + e * u->k[i];                                    \
			sum += *cell * u->q[i];                                                    \
		}                                                                                  \
		*(type *)(void *)(out + at) = sum * u->scale;                                      \
	}

UPDATE(update_columns, columns)
UPDATE(update_column, float)

static void update_head(const struct update *u, float *s, float *out)
{
	size_t at = 0;

	for (; at + COLUMNS <= u->head_dim; at += COLUMNS)
		update_columns(u, s, at, out);
	for (; at < u->head_dim; at++)
		update_column(u, s, at, out);
}

static float softplus(float x)
{
	if (x > SOFTPLUS_MAX)
		return x;
	return (float)exact_log(1.0 + exact_exp((double)x));
}

/* x / max(|x|, eps) */
static void unit_length(const float *x, size_t n, float eps, float *out)
{
	float lanes[COLUMNS] = { 0 }, length;

	for (size_t i = 0; i < n; i++)
		lanes[i % COLUMNS] += x[i] * x[i];
	for (size_t step = COLUMNS / 2; step > 0; step /= 2) {
		for (size_t i = 0; i < step; i++)
			lanes[i] += lanes[i + step];
	}
	length = sqrtf(lanes[0]);
	length = length > eps ? length : eps;
	for (size_t i = 0; i < n; i++)
		out[i] = x[i] / length;
}

/* One head of one row. */
static void delta_row(
    const struct worker *w, const struct mixer *mix, size_t head, size_t row, float *s)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const size_t dk = r->n_state, dv = r->head_dim, at = row * r->n_head + head;
	size_t key = r->tiled ? head % r->n_group : head / (r->n_head / r->n_group);
	const float *in = p->recur.in + row * r->n_channel;
	float *out = p->recur.out.f32 + at * dv, *q = w->heads, *k = w->heads + dk;
	struct update u = {
		.n_state = r->n_state, .head_dim = r->head_dim, .delta = true, .k = k, .q = q
	};

	unit_length(in + key * dk, dk, p->model->norm_eps, q);
	unit_length(in + (r->n_group + key) * dk, dk, p->model->norm_eps, k);
	u.v = in + 2 * r->n_group * dk + head * dv;
	u.decay = exact_expf(mix->a[head] * softplus(p->recur.alpha[at] + mix->dt[head]));
	u.rate = 1.0f / (1.0f + exact_expf(-p->recur.beta[at]));
	u.scale = 1.0f / sqrtf((float)dk);
	update_head(&u, s, out);
	p->kernels->rms_norm(out, mix->norm, dv, p->model->norm_eps, out);
	p->kernels->swiglu(p->recur.z + at * dv, out, dv, out);
}

static void delta_part(struct worker *w, uint32_t il, size_t row, size_t head)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	float *s =
	    state_heads(p->state, mix->index, p->rows[row].seq) + head * r->n_state * r->head_dim;

	for (size_t t = row; t < p->n_rows; t = next_row(p, t))
		delta_row(w, mix, head, t, s);
}

static void finish_rows(struct worker *w)
{
	struct pass *p = w->pass;
	size_t n = (size_t)p->model->recurrent.n_head * p->model->recurrent.head_dim;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		block_quantize_row(w, &p->recur.out, t, n);
	crew_finish(p->crew);
}

/* One head of one row: S = S e^(step a) + B ⊗ (step x), y = Sᵀ C + d x. */
static void mamba_row(
    const struct worker *w, const struct mixer *mix, size_t head, size_t row, float *s)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const size_t n = r->head_dim, at = row * r->n_head + head, inner = (size_t)r->n_head * n;
	const float *in = p->recur.in + row * r->n_channel, *x = in + head * n;
	const float *b = in + inner + head / (r->n_head / r->n_group) * r->n_state;
	float step = softplus(p->recur.alpha[at] + mix->dt[head]);
	float *out = p->recur.out.f32 + at * n, *v = w->heads;
	const struct update u = { .n_state = r->n_state,
		.head_dim = r->head_dim,
		.decay = exact_expf(step * mix->a[head]),
		.k = b,
		.v = v,
		.q = b + r->n_group * r->n_state,
		.scale = 1.0f };

	for (size_t i = 0; i < n; i++)
		v[i] = step * x[i];
	update_head(&u, s, out);
	for (size_t i = 0; i < n; i++)
		out[i] += mix->d[head] * x[i];
	p->kernels->swiglu(p->recur.z + at * n, out, n, out);
}

static void mamba_part(struct worker *w, uint32_t il, size_t row, size_t head)
{
	const struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	float *s =
	    state_heads(p->state, mix->index, p->rows[row].seq) + head * r->n_state * r->head_dim;

	for (size_t t = row; t < p->n_rows; t = next_row(p, t))
		mamba_row(w, mix, head, t, s);
}

void recurrent_mamba(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct recurrent *r = &p->model->recurrent;
	const struct mixer *mix = p->model->layers[il].mixer;
	const size_t inner = (size_t)r->n_head * r->head_dim, n = inner / r->n_group;

	if (p->device != NULL) {
		device_recur(w, il);
		return;
	}
	share_out(w, il, r->n_head, mamba_part);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *out = p->recur.out.f32 + t * inner;

		for (size_t g = 0; g < inner; g += n)
			p->kernels->rms_norm(
			    out + g, mix->norm + g, n, p->model->norm_eps, out + g);
		block_quantize_row(w, &p->recur.out, t, inner);
	}
	crew_finish(p->crew);
}

void recurrent_delta(struct worker *w, uint32_t il)
{
	if (w->pass->device != NULL) {
		device_recur(w, il);
		return;
	}
	share_out(w, il, w->pass->model->recurrent.n_head, delta_part);
	finish_rows(w);
}
