/* AVX2: attention over an 8-bit cache.  Spec: scalar_attention.c.  A number
 * times its scale is exact, so sums are those of a cache of floats. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx2.h"

INLINE __m256 eight(const uint8_t *quants, __m256 scale)
{
	__m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)quants));

	return _mm256_mul_ps(_mm256_cvtepi32_ps(wide), scale);
}

/* One tile of keys times `nq` queries; constant at every call. */
INLINE void score_tile(size_t nq, const uint8_t *tile, size_t head_dim, const float *queries,
    size_t q_stride, float *out, size_t out_stride)
{
	struct lanes sums[4], scale = lanes_zero();

	for (size_t q = 0; q < nq; q++)
		sums[q] = lanes_zero();
	for (size_t d = 0; d < head_dim; d++) {
		const uint8_t *at = tile + d * KERNEL_CELLS;
		struct lanes k;

		if (d % KERNEL_BLOCK == 0) {
			const uint16_t *halves =
			    (const uint16_t *)(const void *)(tile + head_dim * KERNEL_CELLS) +
			    d / KERNEL_BLOCK * KERNEL_CELLS;

			scale =
			    (struct lanes){ lanes_from_f16(halves), lanes_from_f16(halves + 8) };
		}
		k = (struct lanes){ eight(at, scale.lo), eight(at + 8, scale.hi) };
		for (size_t q = 0; q < nq; q++) {
			__m256 a = _mm256_set1_ps(queries[q * q_stride + d]);

			sums[q] = lanes_fma((struct lanes){ a, a }, k, sums[q]);
		}
	}
	for (size_t q = 0; q < nq; q++) {
		_mm256_storeu_ps(out + q * out_stride, sums[q].lo);
		_mm256_storeu_ps(out + q * out_stride + 8, sums[q].hi);
	}
}

void avx2_scores_q8(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	size_t tile_bytes = KERNEL_CACHE_Q8_BYTES(head_dim * KERNEL_CELLS);

	for (size_t q = 0, done; q < n_q; q += done) {
		const float *from = queries + q * q_stride;

		done = q + 4 <= n_q ? 4 : q + 2 <= n_q ? 2 : 1;
		for (size_t i = 0; i < n_tiles; i++) {
			const uint8_t *tile = (const uint8_t *)keys + i * tile_bytes;
			float *to = out + q * out_stride + i * KERNEL_CELLS;

			if (done == 4)
				score_tile(4, tile, head_dim, from, q_stride, to, out_stride);
			else if (done == 2)
				score_tile(2, tile, head_dim, from, q_stride, to, out_stride);
			else
				score_tile(1, tile, head_dim, from, q_stride, to, out_stride);
		}
	}
}

/* One block of dimensions from `d` on of `nq` accumulators; constant. */
INLINE void mix_block(size_t nq, const uint8_t *values, size_t n, size_t head_dim, size_t d,
    const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	size_t row_bytes = KERNEL_CACHE_Q8_BYTES(head_dim);
	__m256 sums[8];

	for (size_t i = 0; i < nq * 4; i++)
		sums[i] = _mm256_loadu_ps(acc + i / 4 * acc_stride + d + i % 4 * 8);
	for (size_t p = 0; p < n; p++, values += row_bytes) {
		uint16_t half;
		__m256 scale;

		memcpy(&half, values + head_dim + d / KERNEL_BLOCK * 2, sizeof(half));
		scale = _mm256_cvtph_ps(_mm_set1_epi16((int16_t)half));
		for (size_t c = 0; c < 4; c++) {
			__m256 v = eight(values + d + c * 8, scale);

			for (size_t q = 0; q < nq; q++)
				sums[q * 4 + c] = _mm256_fmadd_ps(
				    _mm256_set1_ps(weights[q * w_stride + p]), v, sums[q * 4 + c]);
		}
	}
	for (size_t i = 0; i < nq * 4; i++)
		_mm256_storeu_ps(acc + i / 4 * acc_stride + d + i % 4 * 8, sums[i]);
}

void avx2_mix_q8(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	for (size_t q = 0, done; q < n_q; q += done) {
		const float *from = weights + q * w_stride;
		float *to = acc + q * acc_stride;

		done = q + 2 <= n_q ? 2 : 1;
		for (size_t d = 0; d < head_dim; d += KERNEL_BLOCK) {
			if (done == 2)
				mix_block(
				    2, values, n, head_dim, d, from, w_stride, to, acc_stride);
			else
				mix_block(
				    1, values, n, head_dim, d, from, w_stride, to, acc_stride);
		}
	}
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
