/*
 * The last block to finish of a row's KV head merges the head's steps, instead of a
 * kernel of its own (attention_merge.cu), with the same additions in the same order:
 * steps s with s % ATTENTION_CLASSES == c in rising order, then the classes in order.
 * Which block is the last changes nothing.
 *
 * Counting: CUDA C++ Programming Guide, "Memory Fence Functions": what a block wrote
 * is seen by whoever finds it counted.
 */
#ifndef CUDA_ATTENTION_FINISH_CUH
#define CUDA_ATTENTION_FINISH_CUH

#include "cuda/attention.cuh"

/* Numbers that one block may merge; more are left to a kernel of many blocks. */
#define FINISH_NUMBERS 32768u

/* Query heads that stand one after the other, in a row with `n` steps. */
struct finish_job {
	uint8_t *shared; /* free to use */
	const float2 *sums;
	const float *values;
	uint32_t stride;   /* steps from a head to the next */
	uint32_t first, n; /* number of the first step, steps */
	uint32_t head, n_heads;
	uint32_t warp, lane;
};

/* Whether this block is the last of n; all threads ask, and all have put their part.
 * The counter is zero again behind the last. */
DEVICE bool is_last(uint32_t *counter, uint32_t n)
{
	__shared__ uint32_t before;

	__syncthreads();
	if (n == 1)
		return true;
	if (threadIdx.x == 0) {
		__threadfence();
		before = atomicAdd(counter, 1u);
		if (before + 1 == n)
			*counter = 0;
		__threadfence();
	}
	__syncthreads();
	return before + 1 == n;
}

/* Weights of the steps of each head as [heads][n], then the factor of each head. */
DEVICE void weigh_steps(const finish_job &j, const float *sinks, uint32_t n_warps)
{
	float *factors = (float *)j.shared, *ends = factors + j.n_heads * j.n;

	for (uint32_t h = j.warp; h < j.n_heads; h += n_warps) {
		const float2 *sums = j.sums + h * j.stride;
		uint32_t i =
		    (j.lane + ATTENTION_CLASSES - j.first % ATTENTION_CLASSES) % ATTENTION_CLASSES;
		float top = -INFINITY, sum = 0, all;

		for (uint32_t s = j.lane; s < j.n; s += 32)
			top = fmaxf(top, sums[s].x);
		top = warp_max(top);
		for (uint32_t s = j.lane; s < j.n; s += 32)
			factors[h * j.n + s] = exp2_fast(sums[s].x - top);
		for (; i < j.n; i += ATTENTION_CLASSES) /* lane c's class is c % 8 */
			sum = fmaf(sums[i].y, exp2_fast(sums[i].x - top), sum);
		all = __shfl_sync(~0u, sum, 0);
		for (int c = 1; c < (int)ATTENTION_CLASSES; c++)
			all += __shfl_sync(~0u, sum, c);
		if (j.lane == 0)
			ends[h] = finish_factor(sinks, j.head + h, top, all);
	}
}

/* A step of each class, from the `round`-th on: four numbers each, zero where none is. */
DEVICE void load_round(
    const finish_job &j, const float *from, uint32_t d, uint32_t round, float4 v[ATTENTION_CLASSES])
{
	uint32_t i = round * ATTENTION_CLASSES - j.first % ATTENTION_CLASSES;

#pragma unroll
	for (uint32_t c = 0; c < ATTENTION_CLASSES; c++)
		v[c] = i + c < j.n ? *(const float4 *)(from + (uint64_t)(i + c) * d)
				   : make_float4(0, 0, 0, 0);
}

DEVICE void add_round(const finish_job &j, const float *factors, uint32_t round,
    const float4 v[ATTENTION_CLASSES], float4 all[ATTENTION_CLASSES])
{
	uint32_t i = round * ATTENTION_CLASSES - j.first % ATTENTION_CLASSES;

#pragma unroll
	for (uint32_t c = 0; c < ATTENTION_CLASSES; c++) {
		float factor = i + c < j.n ? factors[i + c] : 0.0f;

		all[c].x = fmaf(v[c].x, factor, all[c].x);
		all[c].y = fmaf(v[c].y, factor, all[c].y);
		all[c].z = fmaf(v[c].z, factor, all[c].z);
		all[c].w = fmaf(v[c].w, factor, all[c].w);
	}
}

/* All heads of the job, THREADS / (D / 4) of them at a time: a thread has four numbers
 * of one.  Values are on their way while steps are weighed. */
template <uint32_t D, uint32_t THREADS>
DEVICE void finish_heads(const finish_job &j, const float *sinks, const row_forms &forms)
{
	const uint32_t skip = j.first % ATTENTION_CLASSES;
	const uint32_t rounds = (skip + j.n + ATTENTION_CLASSES - 1) / ATTENTION_CLASSES;

#pragma unroll 1
	for (uint32_t base = 0; base < j.n_heads * (D / 4); base += THREADS) {
		uint32_t at = base + threadIdx.x, h = min(at / (D / 4), j.n_heads - 1);
		const float *from = j.values + (uint64_t)h * j.stride * D + at % (D / 4) * 4;
		const float *factors = (const float *)j.shared + h * j.n;
		float4 v[ATTENTION_CLASSES], all[ATTENTION_CLASSES] = {};
		float end;

		load_round(j, from, D, 0, v);
		if (base == 0) {
			weigh_steps(j, sinks, THREADS / 32);
			__syncthreads();
		}
#pragma unroll 1
		for (uint32_t round = 0; round < rounds; round++) {
			add_round(j, factors, round, v, all);
			load_round(j, from, D, round + 1, v);
		}
#pragma unroll
		for (uint32_t c = 1; c < ATTENTION_CLASSES; c++)
			all[0] = make_float4(all[0].x + all[c].x, all[0].y + all[c].y,
			    all[0].z + all[c].z, all[0].w + all[c].w);
		end = ((const float *)j.shared)[j.n_heads * j.n + h];
		write_forms(forms, (j.head + j.n_heads) * D, j.head * D + at * 4,
		    make_float4(all[0].x * end, all[0].y * end, all[0].z * end, all[0].w * end),
		    1.0f);
	}
}

#endif
