/*
 * Sorting by counting.  A block per expert goes through all choices and numbers its own
 * in order; then every block adds up the counts for itself and places its choices.
 */
#include "cuda/experts.cuh"

#define THREADS 256u
#define WARPS (THREADS / 32)
#define EXPERTS_MAX 4096u

/* Numbers of the choices that are `expert`, from `rank` on, in first … end - 1, which
 * are a warp's; ranks NULL: count alone.  Returns the next number. */
DEVICE uint32_t number(const uint32_t *chosen, uint32_t expert, uint32_t first, uint32_t end,
    uint32_t rank, uint32_t *ranks)
{
	uint32_t lane = threadIdx.x % 32;

	for (uint32_t at = first; at < end; at += 32) {
		uint32_t i = at + lane;
		bool mine = i < end && chosen[i] == expert;
		uint32_t all = __ballot_sync(~0u, mine);

		if (mine && ranks != NULL)
			ranks[i] = rank + (uint32_t)__popc(all & ((1u << lane) - 1));
		rank += (uint32_t)__popc(all);
	}
	return rank;
}

__global__ void __launch_bounds__(256) rank_kernel(const struct experts_sort s)
{
	__shared__ uint32_t counts[WARPS];
	uint32_t warp = threadIdx.x / 32, each = (s.n_choices + THREADS - 1) / THREADS * 32;
	uint32_t first = min(warp * each, s.n_choices), end = min(first + each, s.n_choices);
	uint32_t count, rank = 0;

	pdl_wait();
	count = number(s.chosen, blockIdx.x, first, end, 0, NULL);
	if (threadIdx.x % 32 == 0)
		counts[warp] = count;
	__syncthreads();
	for (uint32_t i = 0; i < warp; i++)
		rank += counts[i];
	rank = number(s.chosen, blockIdx.x, first, end, rank, s.ranks);
	if (threadIdx.x == THREADS - 1)
		s.counts[blockIdx.x] = rank;
}

/* Each entry becomes the sum of those before it; returns the sum of all. */
DEVICE uint32_t sums_before(uint32_t *entries, uint32_t n, uint32_t *shared)
{
	uint32_t each = (n + THREADS - 1) / THREADS, lane = threadIdx.x % 32;
	uint32_t first = min(threadIdx.x * each, n), end = min(first + each, n);
	uint32_t mine = 0, before, all = 0;

	for (uint32_t i = first; i < end; i++)
		mine += entries[i];
	before = mine;
	for (uint32_t by = 1; by < 32; by *= 2) {
		uint32_t left = __shfl_up_sync(~0u, before, by);

		before += lane >= by ? left : 0;
	}
	__syncthreads();
	if (lane == 31)
		shared[threadIdx.x / 32] = before;
	before -= mine;
	__syncthreads();
	for (uint32_t i = 0; i < WARPS; i++) {
		before += i < threadIdx.x / 32 ? shared[i] : 0;
		all += shared[i];
	}
	for (uint32_t i = first; i < end; i++) {
		uint32_t count = entries[i];

		entries[i] = before;
		before += count;
	}
	__syncthreads();
	return all;
}

/* Tiles of each expert behind those of the one before; `firsts`: its first slot. */
DEVICE void write_tiles(
    const struct experts_sort *s, const uint32_t *firsts, uint32_t *entries, uint32_t *shared)
{
	uint32_t used;

	for (uint32_t e = threadIdx.x; e < s->n_expert; e += THREADS)
		entries[e] = (s->counts[e] + s->tile_rows - 1) / s->tile_rows;
	__syncthreads();
	used = sums_before(entries, s->n_expert, shared);
	for (uint32_t e = threadIdx.x; e < s->n_expert; e += THREADS) {
		uint32_t end = firsts[e] + s->counts[e], at = entries[e];

		for (uint32_t slot = firsts[e]; slot < end; slot += s->tile_rows)
			s->tiles[at++] = { e, slot, min(slot + s->tile_rows, end), 0 };
	}
	for (uint32_t i = used + threadIdx.x; i < s->n_tiles; i += THREADS)
		s->tiles[i] = { GEMM_NO_GROUP, 0, 0, 0 };
}

__global__ void __launch_bounds__(256) place_kernel(const struct experts_sort s)
{
	KERNEL_SHARED(uint32_t, firsts);
	__shared__ uint32_t shared[WARPS];
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;

	pdl_wait();
	for (uint32_t e = threadIdx.x; e < s.n_expert; e += THREADS)
		firsts[e] = s.counts[e];
	__syncthreads();
	(void)sums_before(firsts, s.n_expert, shared);
	if (i < s.n_choices) {
		uint32_t slot = firsts[s.chosen[i]] + s.ranks[i];

		s.slots[i] = slot;
		s.sources[slot] = i / s.n_used;
	}
	if (blockIdx.x == 0)
		write_tiles(&s, firsts, firsts + s.n_expert, shared);
}

cudaError_t cuda_experts_sort(const struct cuda_pass *p, const struct experts_sort *s)
{
	cudaError_t rc;

	if (s->n_expert == 0 || s->n_expert > EXPERTS_MAX)
		return cudaErrorInvalidValue;
	rc = launch(rank_kernel, dim3(s->n_expert), dim3(THREADS), 0, p->stream, *s);
	if (rc != cudaSuccess)
		return rc;
	return launch(place_kernel, dim3((s->n_choices + THREADS - 1) / THREADS), dim3(THREADS),
	    2 * s->n_expert * sizeof(uint32_t), p->stream, *s);
}

/* N neighbours at once, 1 or 4. */
template <int N> DEVICE void get(float to[N], const float *from)
{
	if (N == 4) {
		float4 v = *(const float4 *)from;

		to[0] = v.x;
		to[1 % N] = v.y;
		to[2 % N] = v.z;
		to[3 % N] = v.w;
	} else {
		to[0] = from[0];
	}
}

template <int N> DEVICE void put(float *to, const float from[N])
{
	if (N == 4)
		*(float4 *)to = make_float4(from[0], from[1 % N], from[2 % N], from[3 % N]);
	else
		to[0] = from[0];
}

template <int N>
__global__ void __launch_bounds__(256) add_kernel(const uint32_t *slots, const float *weights,
    uint32_t n_used, const float *out, uint32_t n, float *x)
{
	uint64_t row = blockIdx.x;
	uint32_t d = (blockIdx.y * THREADS + threadIdx.x) * N;
	float sum[N], more[N];

	pdl_wait();
	if (d >= n)
		return;
	x += row * n + d;
	get<N>(sum, x);
#pragma unroll 4
	for (uint64_t i = row * n_used; i < (row + 1) * n_used; i++) {
		get<N>(more, out + (uint64_t)slots[i] * n + d);
		for (int j = 0; j < N; j++)
			sum[j] = fmaf(weights[i], more[j], sum[j]);
	}
	put<N>(x, sum);
}

cudaError_t cuda_experts_add(const struct cuda_pass *p, const uint32_t *slots, const float *weights,
    uint32_t n_used, const float *out, uint32_t n, float *x)
{
	uint32_t wide = n % 4 == 0 ? 4 : 1;
	dim3 grid(p->n_rows, (n + THREADS * wide - 1) / (THREADS * wide));

	return launch(wide == 4 ? add_kernel<4> : add_kernel<1>, grid, dim3(THREADS), 0, p->stream,
	    slots, weights, n_used, out, n, x);
}
