/*
 * Encoders: layer norms, rotation in place, attention both ways over whole texts.
 *
 * Layer norm (Ba et al. 2016): thread t of a block adds the numbers t, t + threads, …;
 * threads are added as a tree in each warp, warps as another; first the mean, then the
 * squares of what lies off it.
 *
 * Attention: a block takes QUERIES rows of one text and one head, and the text's
 * positions in tiles of TILE from its first on, so that a row's bits do not depend on
 * where in a pass its text lies.  A score adds the numbers of a head in order; a tile's
 * weights are added by lanes as a tree, its values position by position, onto those of
 * the tiles before (Milakov and Gimelshein 2018).
 */
#include "cuda/forms.cuh"
#include "cuda/parts.h"

#define NORM_THREADS 256u
#define ROTATE_THREADS 128u
#define WARPS 4u
#define OWN 4u             /* queries of a warp */
#define QUERIES (WARPS * OWN)
#define TILE 32u           /* positions: one a lane */
#define LOG2E 1.4426950408889634f

/* ---- norms ---- */

DEVICE float sum_at(const backend_layer_norm &a, uint64_t row, uint32_t i)
{
	float v = a.x[row * a.n + i];

	if (a.more != NULL)
		v += a.more[row * a.n + i];
	return a.each != NULL ? v + a.each[i] : v;
}

/* A row a block.  Each thread writes what it alone has read, so `to` may be `x` or `more`. */
__global__ void __launch_bounds__(NORM_THREADS) layer_norm_kernel(
    __grid_constant__ const backend_layer_norm a)
{
	__shared__ float shared[32];
	uint64_t row = blockIdx.x;
	float sum = 0, mean, scale;

	pdl_wait();
	for (uint32_t i = threadIdx.x; i < a.n; i += NORM_THREADS)
		sum += sum_at(a, row, i);
	mean = block_sum(sum, shared) / (float)a.n;
	sum = 0;
	for (uint32_t i = threadIdx.x; i < a.n; i += NORM_THREADS) {
		float off = sum_at(a, row, i) - mean;

		sum = fmaf(off, off, sum);
	}
	scale = 1.0f / sqrtf(block_sum(sum, shared) / (float)a.n + a.eps);
	for (uint32_t i = threadIdx.x; i < a.n; i += NORM_THREADS) {
		float y = (sum_at(a, row, i) - mean) * scale * a.weight[i];

		a.to[row * a.n + i] = a.bias != NULL ? y + a.bias[i] : y;
	}
}

cudaError_t cuda_layer_norm(const struct cuda_pass *p, const struct backend_layer_norm *a)
{
	cudaError_t rc;

	if (p->n_rows == 0 || a->n == 0)
		return cudaSuccess;
	rc = launch(
	    layer_norm_kernel, dim3(p->n_rows), dim3(NORM_THREADS), 0, p->stream, *a);
	return rc == cudaSuccess ? cuda_forms(p, a->to, a->n, p->n_rows, &a->out) : rc;
}

/* ---- attention ---- */

/* Pairs of all heads of q (blockIdx.y 0) and k of a row. */
__global__ void __launch_bounds__(ROTATE_THREADS) rotate_kernel(
    __grid_constant__ const backend_texts a)
{
	uint32_t half = a.n_rot / 2, total = a.n_head * half;
	const float2 *turns = (const float2 *)(a.rope + (uint64_t)blockIdx.x * a.n_rot);
	float *row = (blockIdx.y == 0 ? a.q : a.k) + (uint64_t)blockIdx.x * a.n_head * a.dim;

	pdl_wait();
	for (uint32_t at = threadIdx.x; at < total; at += ROTATE_THREADS) {
		uint32_t i = at % half, first = a.halves ? i : 2 * i;
		uint32_t second = a.halves ? i + half : 2 * i + 1;
		float *head = row + at / half * a.dim, x = head[first], y = head[second];
		float2 turn = turns[i];

		head[first] = fmaf(x, turn.x, -(y * turn.y));
		head[second] = fmaf(x, turn.y, y * turn.x);
	}
}

/* A text of the pass: its rows first … end - 1. */
struct text_rows {
	uint32_t first, end;
};

/* Behind a text's end no row's position is as far from `row`'s as the row itself. */
DEVICE text_rows text_of(const backend_row *rows, uint32_t n_rows, uint32_t row)
{
	uint32_t low = row, high = n_rows, pos = rows[row].pos; /* low: in the text */
	text_rows t;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (rows[middle].pos == pos + (middle - row))
			low = middle;
		else
			high = middle;
	}
	t.first = row - pos;
	t.end = high;
	return t;
}

/* What a block has in shared memory; rows of keys are apart so that lanes hit all banks. */
template <uint32_t N> struct text_shared {
	float q[QUERIES][32 * N];
	float k[TILE][32 * N + 1];
	float v[TILE][32 * N];
	float weights[WARPS][TILE][OWN];
};

/* A warp's softmaxes and sums on their way; values d = lane + 32 i of a head. */
template <uint32_t N> struct text_sums {
	float top[OWN], sum[OWN], values[OWN][N];
};

/* Rows first … first + n - 1 of `from`; zeros behind them and behind the head's end. */
template <uint32_t N>
DEVICE void load_head(const backend_texts &a, const float *from, uint32_t first, uint32_t n,
    uint32_t rows, float *to, uint32_t pitch)
{
	for (uint32_t i = threadIdx.x; i < rows * 32 * N; i += WARPS * 32) {
		uint32_t r = i / (32 * N), d = i % (32 * N);

		to[r * pitch + d] =
		    r < n && d < a.dim
			? from[((uint64_t)(first + r) * a.n_head + blockIdx.y) * a.dim + d]
			: 0.0f;
	}
}

/* Scores of this lane's position, in powers of two. */
template <uint32_t N>
DEVICE void score(const text_shared<N> *s, uint32_t warp, uint32_t lane, bool seen, float out[OWN])
{
	float sums[OWN] = {};

#pragma unroll 4
	for (uint32_t d = 0; d < 32 * N; d++) {
		float k = s->k[lane][d];

#pragma unroll
		for (uint32_t i = 0; i < OWN; i++)
			sums[i] = fmaf(s->q[warp * OWN + i][d], k, sums[i]);
	}
#pragma unroll
	for (uint32_t i = 0; i < OWN; i++)
		out[i] = seen ? sums[i] : -INFINITY;
}

/* A tile of `n` positions, at least one. */
template <uint32_t N> DEVICE void add_tile(text_shared<N> *s, uint32_t n, text_sums<N> *sums)
{
	uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	float scores[OWN];

	score<N>(s, warp, lane, lane < n, scores);
#pragma unroll
	for (uint32_t i = 0; i < OWN; i++) {
		float top = fmaxf(sums->top[i], warp_max(scores[i]));
		float kept = exp2f(sums->top[i] - top), weight = exp2f(scores[i] - top);

		s->weights[warp][lane][i] = weight;
		sums->sum[i] = fmaf(sums->sum[i], kept, warp_sum(weight));
		sums->top[i] = top;
#pragma unroll
		for (uint32_t j = 0; j < N; j++)
			sums->values[i][j] *= kept;
	}
	__syncwarp();
	for (uint32_t p = 0; p < n; p++) {
		float4 w = *(const float4 *)s->weights[warp][p];

#pragma unroll
		for (uint32_t j = 0; j < N; j++) {
			float v = s->v[p][lane + 32 * j];

			sums->values[0][j] = fmaf(w.x, v, sums->values[0][j]);
			sums->values[1][j] = fmaf(w.y, v, sums->values[1][j]);
			sums->values[2][j] = fmaf(w.z, v, sums->values[2][j]);
			sums->values[3][j] = fmaf(w.w, v, sums->values[3][j]);
		}
	}
}

/* Grid: rows, of which every QUERIES-th of a text acts for those behind it; heads. */
template <uint32_t N>
__global__ void __launch_bounds__(WARPS * 32) texts_kernel(
    __grid_constant__ const backend_texts a, const backend_row *rows, uint32_t n_rows)
{
	KERNEL_SHARED(text_shared<N>, s);
	uint32_t row = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, n;
	text_sums<N> sums = {};
	text_rows text;

	pdl_wait();
	if (rows[row].pos % QUERIES != 0)
		return;
	text = text_of(rows, n_rows, row);
	n = min(text.end - row, QUERIES);
	load_head<N>(a, a.q, row, n, QUERIES, &s->q[0][0], 32 * N);
	for (uint32_t i = 0; i < OWN; i++)
		sums.top[i] = -INFINITY;
	__syncthreads();
	for (uint32_t i = threadIdx.x; i < QUERIES * 32 * N; i += WARPS * 32)
		(&s->q[0][0])[i] *= a.scale * LOG2E;
	for (uint32_t at = text.first; at < text.end; at += TILE) {
		uint32_t here = min(text.end - at, TILE);

		__syncthreads(); /* all have read the tile before */
		load_head<N>(a, a.k, at, here, TILE, &s->k[0][0], 32 * N + 1);
		load_head<N>(a, a.v, at, here, TILE, &s->v[0][0], 32 * N);
		__syncthreads();
		add_tile<N>(s, here, &sums);
	}
#pragma unroll
	for (uint32_t i = 0; i < OWN; i++) {
		uint32_t t = warp * OWN + i;

#pragma unroll
		for (uint32_t j = 0; j < N; j++) {
			uint32_t d = lane + 32 * j;

			if (t < n && d < a.dim)
				a.to[((uint64_t)(row + t) * a.n_head + blockIdx.y) * a.dim + d] =
				    sums.values[i][j] / sums.sum[i];
		}
	}
}

template <uint32_t N>
static cudaError_t launch_texts(const struct cuda_pass *p, const struct backend_texts *a)
{
	return launch(texts_kernel<N>, dim3(p->n_rows, a->n_head), dim3(WARPS * 32),
	    sizeof(struct text_shared<N>), p->stream, *a, p->rows, p->n_rows);
}

cudaError_t cuda_texts(const struct cuda_pass *p, const struct backend_texts *a)
{
	cudaError_t rc = cudaSuccess;

	if (p->n_rows == 0)
		return cudaSuccess;
	if (a->dim == 0 || a->dim > 256 || a->n_rot > a->dim)
		return cudaErrorInvalidValue;
	if (a->n_rot > 0)
		rc = launch(rotate_kernel, dim3(p->n_rows, 2), dim3(ROTATE_THREADS), 0, p->stream,
		    *a);
	if (rc != cudaSuccess)
		return rc;
	rc = a->dim <= 32    ? launch_texts<1>(p, a)
	     : a->dim <= 64  ? launch_texts<2>(p, a)
	     : a->dim <= 128 ? launch_texts<4>(p, a)
			     : launch_texts<8>(p, a);
	return rc == cudaSuccess ? cuda_forms(p, a->to, a->n_head * a->dim, p->n_rows, &a->out)
				 : rc;
}
