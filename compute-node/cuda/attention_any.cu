/*
 * Attention for heads of any size and every type of cache: one step of up to
 * PIECE_HEADS query heads of one KV head of one row, in plain floats.
 *
 * Order of additions: a score adds the numbers of a head in order, values add
 * positions in order; the sum of weights adds lanes as a tree, then warps in order.
 */
#include "cuda/attention.cuh"

#define ANY_THREADS CUDA_STEP /* one for each position of a step */
#define ANY_WARPS (ANY_THREADS / 32u)
#define PIECE_HEADS 8u

struct any_shared {
	float weights[CUDA_STEP][PIECE_HEADS];
	float tops[ANY_WARPS][PIECE_HEADS], sums[ANY_WARPS][PIECE_HEADS];
};

/* Number `d` of a position that lies at `at`. */
template <enum backend_cache TYPE> DEVICE float number_at(const uint8_t *at, uint32_t n, uint32_t d)
{
	if (TYPE == BACKEND_F16)
		return half_to_float(((const uint16_t *)at)[d]);
	if (TYPE == BACKEND_F32)
		return ((const float *)at)[d];
	return (float)(int8_t)at[d] *
	       half_to_float(*(const uint16_t *)(at + n + d / ATTENTION_BLOCK * 2));
}

/* Eight numbers of a position of halves, which lies at 16 bytes, into the scores. */
DEVICE void score_eight(const float *q, const uint8_t *at, float s[PIECE_HEADS])
{
	const uint4 words = *(const uint4 *)at;
	const uint32_t pairs[4] = { words.x, words.y, words.z, words.w };

#pragma unroll
	for (uint32_t i = 0; i < 8; i++) {
		float2 two = half2_to_float2(pairs[i / 2]);
		float k = i % 2 == 0 ? two.x : two.y;

#pragma unroll
		for (uint32_t h = 0; h < PIECE_HEADS; h++)
			s[h] = fmaf(q[i * PIECE_HEADS + h], k, s[h]);
	}
}

/* Scores of this thread's position, -inf where it is not seen. */
template <enum backend_cache TYPE>
DEVICE void score_position(
    const backend_attention &a, const float *q, const uint8_t *key, bool seen, float s[PIECE_HEADS])
{
	uint32_t d = 0;

	for (uint32_t h = 0; h < PIECE_HEADS; h++)
		s[h] = seen ? 0.0f : -INFINITY;
	if (!seen)
		return;
	for (; TYPE == BACKEND_F16 && a.dk % 8 == 0 && d < a.dk; d += 8)
		score_eight(q + d * PIECE_HEADS, key + 2 * d, s);
#pragma unroll 4
	for (; d < a.dk; d++) {
		float k = number_at<TYPE>(key, a.dk, d);

#pragma unroll
		for (uint32_t h = 0; h < PIECE_HEADS; h++)
			s[h] = fmaf(q[d * PIECE_HEADS + h], k, s[h]);
	}
	for (uint32_t h = 0; h < PIECE_HEADS && a.softcap != 0; h++)
		s[h] = soften(s[h], a.softcap);
}

/* Weights of the step; tops and sums of its heads stand in shared memory. */
DEVICE void weigh_step(any_shared *shared, float s[PIECE_HEADS])
{
	uint32_t warp = threadIdx.x / 32;

#pragma unroll
	for (uint32_t h = 0; h < PIECE_HEADS; h++) {
		float top = warp_max(s[h]);

		if (threadIdx.x % 32 == 0)
			shared->tops[warp][h] = top;
	}
	__syncthreads();
#pragma unroll
	for (uint32_t h = 0; h < PIECE_HEADS; h++) {
		float top = shared->tops[0][h], sum;

		for (uint32_t w = 1; w < ANY_WARPS; w++)
			top = fmaxf(top, shared->tops[w][h]);
		s[h] = exp2_fast(s[h] - finite_or_0(top));
		shared->weights[threadIdx.x][h] = s[h];
		sum = warp_sum(s[h]);
		if (threadIdx.x % 32 == 0)
			shared->sums[warp][h] = sum;
	}
	__syncthreads();
}

/* Values of the step, a number of the head a thread. */
template <enum backend_cache TYPE>
DEVICE void mix_step(const backend_attention &a, const any_shared *shared, const uint8_t *base,
    uint32_t cell, attention_span seen, uint32_t n_heads, float *out, uint64_t out_stride)
{
	uint32_t width = a.v_in_k ? a.dk : a.dv, skip = width - a.dv;
	uint32_t bytes = position_bytes(TYPE, width);

	for (uint32_t d = threadIdx.x; d < a.dv; d += ANY_THREADS) {
		float sums[PIECE_HEADS] = {};

#pragma unroll 2
		for (uint32_t i = seen.first; i < seen.end; i++) {
			uint64_t at = cell_after(cell, i, a.cells);
			float v = number_at<TYPE>(base + at * bytes, width, skip + d);

#pragma unroll
			for (uint32_t h = 0; h < PIECE_HEADS; h++)
				sums[h] = fmaf(shared->weights[i][h], v, sums[h]);
		}
#pragma unroll
		for (uint32_t h = 0; h < PIECE_HEADS; h++) {
			if (h < n_heads)
				out[h * out_stride + d] = sums[h];
		}
	}
}

DEVICE void put_sums(const any_shared *shared, float2 *out, uint32_t stride, uint32_t n_heads)
{
	uint32_t h = threadIdx.x;
	float top, sum;

	if (h >= n_heads)
		return;
	top = shared->tops[0][h];
	sum = shared->sums[0][h];
	for (uint32_t w = 1; w < ANY_WARPS; w++) {
		top = fmaxf(top, shared->tops[w][h]);
		sum += shared->sums[w][h];
	}
	out[(uint64_t)h * stride] = make_float2(top, sum);
}

/* Grid as that of step_kernel. */
template <enum backend_cache TYPE>
__global__ void __launch_bounds__(ANY_THREADS) any_kernel(
    __grid_constant__ const backend_attention a, __grid_constant__ const attention_group g)
{
	KERNEL_SHARED(any_shared, shared);
	float *q = (float *)(shared + 1), s[PIECE_HEADS]; /* q [dk][PIECE_HEADS] */
	uint32_t group = a.n_head / a.n_head_kv;
	uint32_t pieces = (group + PIECE_HEADS - 1) / PIECE_HEADS;
	uint32_t head_kv = blockIdx.y / pieces, first = blockIdx.y % pieces * PIECE_HEADS;
	uint32_t n_heads = min(group - first, PIECE_HEADS), step, cell;
	uint64_t head = head_kv * group + first, at;
	backend_row row;
	attention_span seen;

	pdl_wait();
	row = g.rows[g.row + blockIdx.z];
	step = first_seen(row.pos, a.window) / CUDA_STEP + blockIdx.x;
	if (step * CUDA_STEP > row.pos)
		return;
	cell = step * CUDA_STEP % a.cells;
	seen = seen_of(row.pos, a.window, step * CUDA_STEP, CUDA_STEP);
	for (uint32_t i = threadIdx.x; i < a.dk * PIECE_HEADS; i += ANY_THREADS) {
		uint32_t h = i / a.dk, d = i % a.dk;

		q[d * PIECE_HEADS + h] =
		    h < n_heads
			? a.q[((g.row + blockIdx.z) * (uint64_t)a.n_head + head) * a.dk + i] *
			      query_factor(a)
			: 0.0f;
	}
	__syncthreads();
	at = cell_after(cell, threadIdx.x, a.cells);
	score_position<TYPE>(a, q, keys_of(a, row.seq, head_kv) + at * position_bytes(TYPE, a.dk),
	    threadIdx.x >= seen.first && threadIdx.x < seen.end, s);
	weigh_step(shared, s);
	at = ((uint64_t)blockIdx.z * a.n_head + head) * g.partials.n_steps + blockIdx.x;
	put_sums(shared, g.partials.sums + at, g.partials.n_steps, n_heads);
	mix_step<TYPE>(a, shared,
	    a.v_in_k ? keys_of(a, row.seq, head_kv) : values_of(a, row.seq, head_kv), cell, seen,
	    n_heads,
	    g.partials.values + at * a.dv, (uint64_t)g.partials.n_steps * a.dv);
}

template <enum backend_cache TYPE>
static cudaError_t launch_any(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows)
{
	uint32_t pieces = (a->n_head / a->n_head_kv + PIECE_HEADS - 1) / PIECE_HEADS;

	return launch(any_kernel<TYPE>, dim3(g->partials.n_steps, a->n_head_kv * pieces, n_rows),
	    ANY_THREADS, sizeof(struct any_shared) + sizeof(float) * a->dk * PIECE_HEADS, p->stream,
	    *a, *g);
}

cudaError_t attention_steps_any(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows)
{
	switch (a->type) {
	case BACKEND_F16:
		return launch_any<BACKEND_F16>(p, a, g, n_rows);
	case BACKEND_F32:
		return launch_any<BACKEND_F32>(p, a, g, n_rows);
	case BACKEND_Q8_0:
		return launch_any<BACKEND_Q8_0>(p, a, g, n_rows);
	}
	return cudaErrorInvalidValue;
}
