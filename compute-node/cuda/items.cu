/*
 * Items: parts of rows copied, normed, mixed and gated.
 *
 * A norm's sum: lane l of a warp takes the numbers l, l + 32, … of an item, adds their
 * squares in that order; lanes are added as a tree.  Root mean square norm: Zhang and
 * Sennrich 2019.
 */
#include "cuda/forms.cuh"
#include "cuda/parts.h"

#define THREADS 256u
#define ITEM_WARPS 4u
#define GELU_SLOPE 0.7978845608028654f /* √(2/π) */
#define GELU_CUBE 0.044715f
#define COPY_NUMBERS 2048u /* of a row, a block */

struct copies {
	backend_copy copy[BACKEND_COPIES];
};

/* A row of one copy, or a part of it, a block. */
__global__ void __launch_bounds__(THREADS) copy_kernel(__grid_constant__ const copies all)
{
	const backend_copy &c = all.copy[blockIdx.z];
	uint64_t row = blockIdx.y;
	uint32_t total = c.items * c.n;

	pdl_wait();
	for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < total; i += gridDim.x * THREADS) {
		uint32_t item = i / c.n, at = i % c.n;

		c.to[row * c.to_row + item * c.to_item + at] =
		    c.from[row * c.from_row + item * c.from_item + at];
	}
}

cudaError_t cuda_copy(const struct cuda_pass *p, const struct backend_copy *parts, uint32_t n)
{
	struct copies all = {};
	uint32_t most = 0;

	if (n > BACKEND_COPIES)
		return cudaErrorInvalidValue;
	for (uint32_t i = 0; i < n; i++) {
		all.copy[i] = parts[i];
		most = parts[i].items * parts[i].n > most ? parts[i].items * parts[i].n : most;
	}
	if (most == 0 || p->n_rows == 0)
		return cudaSuccess;
	return launch(copy_kernel, dim3((most + COPY_NUMBERS - 1) / COPY_NUMBERS, p->n_rows, n),
	    dim3(THREADS), 0, p->stream, all);
}

/* A warp an item.  Each lane writes what it alone has read, so `to` may be `x`. */
__global__ void __launch_bounds__(ITEM_WARPS * 32) norms_kernel(
    __grid_constant__ const backend_norms a)
{
	uint32_t item = blockIdx.x * ITEM_WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
	uint64_t row = blockIdx.y, at = (row * a.items + item) * a.n;
	const float *x = a.x + row * a.x_row + item * a.x_item, *weight;
	float sum = 0, scale;

	pdl_wait();
	if (item >= a.items)
		return;
	for (uint32_t i = lane; i < a.n; i += 32)
		sum = fmaf(x[i], x[i], sum);
	scale = 1.0f / sqrtf(warp_sum(sum) / (float)a.n + a.eps);
	weight = a.weight != NULL ? a.weight + (uint64_t)(item % a.weights) * a.n : NULL;
	for (uint32_t i = lane; i < a.n; i += 32) {
		float y = x[i] * scale;

		if (weight != NULL)
			y *= weight[i];
		if (a.gate != NULL)
			y *= a.gate[at + i] / (1.0f + expf(-a.gate[at + i]));
		a.to[at + i] = y;
	}
}

static bool any_form(const struct backend_acts *a)
{
	return a->f32 != NULL || a->q8 != NULL || a->f16 != NULL;
}

cudaError_t cuda_norms(const struct cuda_pass *p, const struct backend_norms *a)
{
	cudaError_t rc;

	if (p->n_rows == 0 || a->items == 0 || a->n == 0)
		return cudaSuccess;
	if (a->weight != NULL && a->weights == 0)
		return cudaErrorInvalidValue;
	rc = launch(norms_kernel, dim3((a->items + ITEM_WARPS - 1) / ITEM_WARPS, p->n_rows),
	    dim3(ITEM_WARPS * 32), 0, p->stream, *a);
	if (rc == cudaSuccess && any_form(&a->out))
		rc = cuda_forms(p, a->to, a->items * a->n, p->n_rows, &a->out);
	return rc;
}

__global__ void __launch_bounds__(THREADS) blend_kernel(
    __grid_constant__ const backend_blend m, uint64_t total)
{
	uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
	float y, times = m.times;

	pdl_wait();
	if (i >= total)
		return;
	if (m.gate != NULL)
		times /= 1.0f + expf(-m.gate[i / m.n]);
	y = m.from != NULL ? times * m.from[i] : 0.0f;
	m.to[i] = m.keep != 0 ? fmaf(m.keep, m.to[i], y) : y;
}

cudaError_t cuda_blend(const struct cuda_pass *p, const struct backend_blend *m)
{
	uint64_t total = (uint64_t)p->n_rows * m->n;

	if (total == 0)
		return cudaSuccess;
	return launch(blend_kernel, dim3((unsigned)((total + THREADS - 1) / THREADS)),
	    dim3(THREADS), 0, p->stream, *m, total);
}

__global__ void __launch_bounds__(THREADS) sigmoid_kernel(
    const float *gate, float *up, uint64_t total)
{
	uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;

	pdl_wait();
	if (i < total)
		up[i] /= 1.0f + expf(-gate[i]);
}

/* By tanh (Hendrycks and Gimpel 2016). */
__global__ void __launch_bounds__(THREADS) gelu_kernel(float *up, uint64_t total)
{
	uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
	float x;

	pdl_wait();
	if (i >= total)
		return;
	x = up[i];
	up[i] = 0.5f * x * (1.0f + tanhf(GELU_SLOPE * x * fmaf(GELU_CUBE * x, x, 1.0f)));
}

cudaError_t cuda_activate_rows(const struct cuda_pass *p, enum backend_activation kind,
    const float *gelu, const float *gate, float *up, uint32_t n, const struct backend_acts *out)
{
	uint64_t total = (uint64_t)p->n_rows * n;
	const dim3 blocks((unsigned)((total + THREADS - 1) / THREADS));
	cudaError_t rc;

	if (total == 0)
		return cudaSuccess;
	if (kind == BACKEND_SIGMOID_GATED)
		rc = launch(sigmoid_kernel, blocks, dim3(THREADS), 0, p->stream, gate, up, total);
	else if (kind == BACKEND_GELU)
		rc = launch(gelu_kernel, blocks, dim3(THREADS), 0, p->stream, up, total);
	else
		return cuda_activate(p, kind, gelu, gate, up, n, n, p->n_rows, out);
	return rc == cudaSuccess ? cuda_forms(p, up, n, p->n_rows, out) : rc;
}
