/* Norms and gates of a pass, shared out to the crew. */
#include "infer/block.h"

#include <string.h>

#include "infer/device.h"
#include "kernels/exact.h"
#include "model/factor.h"
#include "model/model_impl.h"

/* Of ACT_CLAMPED_GATED. */
#define CLAMP 7.0f
#define CLAMPED_SLOPE 1.702f
#define CLAMPED_UNIT 64u /* numbers at once */

const struct model *block_model(const struct worker *w)
{
	return w->pass->model;
}

void block_quantize_row(const struct worker *w, struct acts *acts, size_t row, size_t n)
{
	const struct q8_rows *q8 = &acts->q8;
	size_t n_blocks = n / KERNEL_BLOCK;

	if (q8->quants == NULL || n % KERNEL_BLOCK != 0)
		return;
	w->pass->kernels->quantize(
	    acts->f32 + row * n, n, q8->quants + row * n, q8->blocks + row * n_blocks);
}

void block_embed(struct worker *w)
{
	struct pass *p = w->pass;
	const struct rope *rope = &p->model->rope, *local = &p->model->rope_local;
	size_t n = p->model->n_embd;
	float scale = p->model->embd_scale;

	if (w->pass->device != NULL) {
		device_embed(w);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *x = p->x + t * n;

		factor_row(p->model->token_embd, (uint64_t)p->rows[t].token, x);
		for (size_t i = 0; scale != 0 && i < n; i++)
			x[i] *= scale;
		rope_table(rope, p->rope_long, p->rows[t].pos, p->rope + t * rope->n_rot);
		rope_table(local, false, p->rows[t].pos, p->rope_local + t * local->n_rot);
	}
	crew_finish(p->crew);
}

void block_norm(struct worker *w, const float *weight, struct acts *out)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (w->pass->device != NULL) {
		device_norm(w, weight, out);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		p->kernels->rms_norm(p->x + t * n, weight, n, p->model->norm_eps, out->f32 + t * n);
		block_quantize_row(w, out, t, n);
	}
	if (w->thread == 0)
		out->n_rows = p->n_rows;
	crew_barrier(p->crew);
}

void block_take(struct worker *w, struct acts *out)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (p->device != NULL) {
		device_take(w, out);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		memcpy(out->f32 + t * n, p->x + t * n, n * sizeof(float));
		block_quantize_row(w, out, t, n);
	}
	if (w->thread == 0)
		out->n_rows = p->n_rows;
	crew_barrier(p->crew);
}

void block_norm_add(struct worker *w, const float *weight, float *from)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (w->pass->device != NULL) {
		device_norm_add(w, weight, from);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *x = p->x + t * n, *row = from + t * n;

		p->kernels->rms_norm(row, weight, n, p->model->norm_eps, row);
		for (size_t i = 0; i < n; i++)
			x[i] += row[i];
	}
	crew_finish(p->crew);
}

struct acts block_slice(const struct acts *acts, size_t first, size_t n_rows, size_t n)
{
	struct acts slice = { .f32 = acts->f32 + first * n, .n_rows = n_rows };
	size_t n_blocks = n / KERNEL_BLOCK;

	if (acts->q8.quants != NULL)
		slice.q8 = (struct q8_rows){ acts->q8.quants + first * n,
			acts->q8.blocks + first * n_blocks, n };
	return slice;
}

void block_gate(const struct pass *p, const float *gate, const float *up, size_t n, float *out)
{
	if (p->model->gelu == NULL) {
		p->kernels->swiglu(gate, up, n, out);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = exact_gelu_half(p->model->gelu, gate[i]) * up[i];
}

/* gate σ(slope gate) (up + 1) = silu(slope gate) / slope (up + 1) */
static void clamped_gates(
    const struct worker *w, const float *gate, const float *up, size_t n, float *out)
{
	float gates[CLAMPED_UNIT], ups[CLAMPED_UNIT];

	for (size_t i = 0; i < n; i++) {
		gates[i] = (gate[i] < CLAMP ? gate[i] : CLAMP) * CLAMPED_SLOPE;
		ups[i] = up[i] < CLAMP ? up[i] : CLAMP;
		ups[i] = (ups[i] > -CLAMP ? ups[i] : -CLAMP) + 1.0f;
		ups[i] /= CLAMPED_SLOPE;
	}
	w->pass->kernels->swiglu(gates, ups, n, out);
}

void block_activate(const struct worker *w, enum activation kind, const float *gate,
    const float *up, size_t n, float *out)
{
	switch (kind) {
	case ACT_SILU_GATED:
		w->pass->kernels->swiglu(gate, up, n, out);
		return;
	case ACT_CLAMPED_GATED:
		for (size_t i = 0; i < n; i += CLAMPED_UNIT)
			clamped_gates(w, gate + i, up + i,
			    n - i < CLAMPED_UNIT ? n - i : CLAMPED_UNIT, out + i);
		return;
	case ACT_RELU_SQUARED:
		for (size_t i = 0; i < n; i++)
			out[i] = up[i] > 0 ? up[i] * up[i] : 0;
		return;
	case ACT_GELU_GATED:
		block_gate(w->pass, gate, up, n, out);
		return;
	}
}

void block_swiglu(struct worker *w, size_t n)
{
	struct pass *p = w->pass;

	if (p->device != NULL) {
		device_activate(w, p->model->gelu != NULL ? BACKEND_GELU_GATED : BACKEND_SILU_GATED,
		    p->gate, p->up, n, &p->hidden);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		block_gate(p, p->gate + t * n, p->up + t * n, n, p->hidden.f32 + t * n);
		block_quantize_row(w, &p->hidden, t, n);
	}
	crew_finish(p->crew);
}
