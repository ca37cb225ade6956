/* AVX2: attention over cache tiles.  Spec: scalar_attention.c. */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_avx2.h"

/* Eight numbers of the cache from index `i` on. */
typedef __m256 cell_fn(const void *base, size_t i);

INLINE __m256 cell_f16(const void *base, size_t i)
{
	return lanes_from_f16((const uint16_t *)base + i);
}

INLINE __m256 cell_f32(const void *base, size_t i)
{
	return _mm256_loadu_ps((const float *)base + i);
}

/* One tile of keys times `nq` queries; constant at every call. */
INLINE void score_tile(cell_fn *cell, size_t nq, const void *keys, size_t tile, size_t head_dim,
    const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	struct lanes sums[4];

	for (size_t q = 0; q < nq; q++)
		sums[q] = lanes_zero();
	for (size_t d = 0; d < head_dim; d++) {
		size_t at = (tile * head_dim + d) * KERNEL_CELLS;
		struct lanes k = { cell(keys, at), cell(keys, at + 8) };

		for (size_t q = 0; q < nq; q++) {
			__m256 a = _mm256_set1_ps(queries[q * q_stride + d]);

			sums[q] = lanes_fma((struct lanes){ a, a }, k, sums[q]);
		}
	}
	for (size_t q = 0; q < nq; q++) {
		_mm256_storeu_ps(out + q * out_stride + tile * KERNEL_CELLS, sums[q].lo);
		_mm256_storeu_ps(out + q * out_stride + tile * KERNEL_CELLS + 8, sums[q].hi);
	}
}

INLINE void score_all(cell_fn *cell, const void *keys, size_t n_tiles, size_t head_dim,
    const float *queries, size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	for (size_t q = 0; q < n_q;) {
		const float *from = queries + q * q_stride;
		float *to = out + q * out_stride;
		bool four = q + 4 <= n_q;

		for (size_t tile = 0; tile < n_tiles; tile++) {
			if (four)
				score_tile(
				    cell, 4, keys, tile, head_dim, from, q_stride, to, out_stride);
			else
				score_tile(
				    cell, 1, keys, tile, head_dim, from, q_stride, to, out_stride);
		}
		q += four ? 4 : 1;
	}
}

/* Eight dimensions from `d` on of `nq` accumulators; constant at every call. */
INLINE void mix_eight(cell_fn *cell, size_t nq, const void *values, size_t n, size_t head_dim,
    size_t d, const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	__m256 sums[4];

	for (size_t q = 0; q < nq; q++)
		sums[q] = _mm256_loadu_ps(acc + q * acc_stride + d);
	for (size_t p = 0; p < n; p++) {
		__m256 v = cell(values, p * head_dim + d);

		for (size_t q = 0; q < nq; q++)
			sums[q] =
			    _mm256_fmadd_ps(_mm256_set1_ps(weights[q * w_stride + p]), v, sums[q]);
	}
	for (size_t q = 0; q < nq; q++)
		_mm256_storeu_ps(acc + q * acc_stride + d, sums[q]);
}

INLINE void mix_all(cell_fn *cell, kernel_mix_fn *spec, const void *values, size_t n,
    size_t head_dim, const float *weights, size_t w_stride, size_t n_q, float *acc,
    size_t acc_stride)
{
	if (head_dim % 8 != 0) {
		spec(values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
		return;
	}
	for (size_t q = 0; q < n_q;) {
		const float *from = weights + q * w_stride;
		float *to = acc + q * acc_stride;
		bool four = q + 4 <= n_q;

		for (size_t d = 0; d < head_dim; d += 8) {
			if (four)
				mix_eight(cell, 4, values, n, head_dim, d, from, w_stride, to,
				    acc_stride);
			else
				mix_eight(cell, 1, values, n, head_dim, d, from, w_stride, to,
				    acc_stride);
		}
		q += four ? 4 : 1;
	}
}

void avx2_scores_f16(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	score_all(cell_f16, keys, n_tiles, head_dim, queries, q_stride, n_q, out, out_stride);
}

void avx2_scores_f32(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	score_all(cell_f32, keys, n_tiles, head_dim, queries, q_stride, n_q, out, out_stride);
}

void avx2_mix_f16(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	mix_all(
	    cell_f16, scalar_mix_f16, values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
}

void avx2_mix_f32(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	mix_all(
	    cell_f32, scalar_mix_f32, values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
