/*
 * The steps of a row's head merged and finished, and written in the forms that end
 * with heads.
 *
 * Warp c adds the steps s with s % ATTENTION_CLASSES == c in rising order, by their
 * absolute number, so that a longer past of another row changes nothing; then the
 * warps are added in order.
 */
#include "cuda/attention.cuh"

#define MERGE_WARPS ATTENTION_CLASSES
#define MERGE_THREADS (MERGE_WARPS * 32u)
#define MERGE_BATCH 4u
#define MERGE_NUMBERS 128u /* of a head at a time: four a lane */

struct merge_shared {
	float4 values[MERGE_WARPS][32];
	float sums[MERGE_WARPS];
	float tops[32];
};

/* One head of one row. */
struct merge_head {
	const float2 *sums; /* of the first step that the row sees */
	const float *values;
	uint32_t first, n; /* that step's number, steps */
	uint32_t warp, lane;
};

DEVICE float top_of(const merge_head &h, float *tops)
{
	float top = -INFINITY;

	for (uint32_t i = threadIdx.x; i < h.n; i += MERGE_THREADS)
		top = fmaxf(top, h.sums[i].x);
	top = warp_max(top);
	if (h.lane == 0)
		tops[h.warp] = top;
	__syncthreads();
	for (uint32_t w = 0; w < MERGE_WARPS; w++)
		top = fmaxf(top, tops[w]);
	return top;
}

/* The warp's steps: values of four numbers a lane from `d` on, and the sum.  Some
 * steps are read before the first is added, to have them on the way together. */
DEVICE float4 add_steps(const merge_head &h, float top, uint32_t dv, uint32_t d, float *sum)
{
	float4 all = make_float4(0, 0, 0, 0);
	uint32_t i = (h.warp + MERGE_WARPS - h.first % MERGE_WARPS) % MERGE_WARPS;

	*sum = 0;
	for (; i < h.n; i += MERGE_BATCH * MERGE_WARPS) {
		float2 s[MERGE_BATCH];
		float4 v[MERGE_BATCH];

#pragma unroll
		for (uint32_t b = 0; b < MERGE_BATCH; b++) {
			uint32_t at = i + b * MERGE_WARPS;

			s[b] = at < h.n ? h.sums[at] : make_float2(-INFINITY, 0);
			v[b] = at < h.n && d < dv
				   ? *(const float4 *)(h.values + (uint64_t)at * dv + d)
				   : make_float4(0, 0, 0, 0);
		}
#pragma unroll
		for (uint32_t b = 0; b < MERGE_BATCH; b++) {
			float factor = exp2_fast(s[b].x - top);

			*sum = fmaf(s[b].y, factor, *sum);
			all.x = fmaf(v[b].x, factor, all.x);
			all.y = fmaf(v[b].y, factor, all.y);
			all.z = fmaf(v[b].z, factor, all.z);
			all.w = fmaf(v[b].w, factor, all.w);
		}
	}
	return all;
}

/* Over warps, in order; finished. */
DEVICE float4 add_warps(
    const merge_shared *shared, const merge_head &h, const float *sinks, uint32_t head, float top)
{
	float4 all = shared->values[0][h.lane];
	float sum = shared->sums[0], factor;

	for (uint32_t w = 1; w < MERGE_WARPS; w++) {
		float4 v = shared->values[w][h.lane];

		sum += shared->sums[w];
		all = make_float4(all.x + v.x, all.y + v.y, all.z + v.z, all.w + v.w);
	}
	factor = finish_factor(sinks, head, top, sum);
	return make_float4(all.x * factor, all.y * factor, all.z * factor, all.w * factor);
}

/* Grid: query heads, rows of the group. */
__global__ void __launch_bounds__(MERGE_THREADS, 4)
    merge_kernel(__grid_constant__ const backend_attention a,
	__grid_constant__ const attention_group g, __grid_constant__ const backend_acts out)
{
	__shared__ merge_shared shared;
	uint32_t head = blockIdx.x, row = g.row + blockIdx.y, n = a.n_head * a.dv, pos;
	uint64_t at = ((uint64_t)blockIdx.y * a.n_head + head) * g.partials.n_steps;
	row_forms forms = forms_of_row(out, row, n);
	merge_head h;
	float top;

	pdl_wait();
	pos = g.rows[row].pos;
	h.sums = g.partials.sums + at;
	h.values = g.partials.values + at * a.dv;
	h.first = first_seen(pos, a.window) / CUDA_STEP;
	h.n = pos / CUDA_STEP + 1 - h.first;
	h.warp = threadIdx.x / 32;
	h.lane = threadIdx.x % 32;
	top = top_of(h, shared.tops);
	for (uint32_t d = 0; d < a.dv; d += MERGE_NUMBERS) {
		float sum;
		float4 v = add_steps(h, top, a.dv, d + 4 * h.lane, &sum);

		shared.values[h.warp][h.lane] = v;
		if (h.lane == 0)
			shared.sums[h.warp] = sum;
		__syncthreads();
		if (h.warp == 0)
			write_forms(forms, (head + 1) * a.dv, head * a.dv + d + 4 * h.lane,
			    add_warps(&shared, h, a.sinks, head, top), 1.0f);
		__syncthreads();
	}
}

cudaError_t attention_merge(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows, const struct backend_acts *out)
{
	struct backend_acts forms = *out;

	forms.f16 = NULL;
	return launch(
	    merge_kernel, dim3(a->n_head, n_rows), MERGE_THREADS, 0, p->stream, *a, *g, forms);
}
