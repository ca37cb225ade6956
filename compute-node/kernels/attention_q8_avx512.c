/* AVX-512: attention over an 8-bit cache.  Spec: scalar_attention.c.  A number
 * times its scale is exact, so sums are those of a cache of floats. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

INLINE __m512 sixteen(const uint8_t *quants, __m512 scale)
{
	__m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)quants));

	return _mm512_mul_ps(_mm512_cvtepi32_ps(wide), scale);
}

/* One block of dimensions of `nt` tiles of keys times `nq` queries. */
INLINE void score_block(size_t nt, size_t nq, const uint8_t *keys, size_t head_dim, size_t b,
    const float *queries, size_t q_stride, __m512 *sums)
{
	size_t tile_bytes = KERNEL_CACHE_Q8_BYTES(head_dim * KERNEL_CELLS);
	const uint8_t *halves = keys + head_dim * KERNEL_CELLS + b * KERNEL_CELLS * 2;
	__m512 scales[4], k[4];

	UNROLL for (size_t t = 0; t < nt; t++) scales[t] =
	    lanes_from_f16((const uint16_t *)(const void *)(halves + t * tile_bytes));
	for (size_t d = b * KERNEL_BLOCK; d < (b + 1) * KERNEL_BLOCK; d++) {
		UNROLL for (size_t t = 0; t < nt; t++) k[t] =
		    sixteen(keys + t * tile_bytes + d * KERNEL_CELLS, scales[t]);
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			__m512 a = _mm512_set1_ps(queries[q * q_stride + d]);

			UNROLL for (size_t t = 0; t < nt; t++) sums[q * nt + t] =
			    _mm512_fmadd_ps(a, k[t], sums[q * nt + t]);
		}
	}
}

/* `nt` tiles of keys times `nq` queries; constants at every call. */
INLINE void score_tiles(size_t nt, size_t nq, const uint8_t *keys, size_t head_dim,
    const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	__m512 sums[16];

	UNROLL for (size_t i = 0; i < nt * nq; i++) sums[i] = _mm512_setzero_ps();
	for (size_t b = 0; b < head_dim / KERNEL_BLOCK; b++)
		score_block(nt, nq, keys, head_dim, b, queries, q_stride, sums);
	UNROLL for (size_t q = 0; q < nq; q++)
	{
		UNROLL for (size_t t = 0; t < nt; t++)
		    _mm512_storeu_ps(out + q * out_stride + t * KERNEL_CELLS, sums[q * nt + t]);
	}
}

INLINE void score_queries(size_t most, size_t nq, const uint8_t *keys, size_t n_tiles,
    size_t head_dim, const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	size_t tile_bytes = KERNEL_CACHE_Q8_BYTES(head_dim * KERNEL_CELLS), tile = 0;

	for (; tile + most <= n_tiles; tile += most)
		score_tiles(most, nq, keys + tile * tile_bytes, head_dim, queries, q_stride,
		    out + tile * KERNEL_CELLS, out_stride);
	for (; tile < n_tiles; tile++)
		score_tiles(1, nq, keys + tile * tile_bytes, head_dim, queries, q_stride,
		    out + tile * KERNEL_CELLS, out_stride);
}

void avx512_scores_q8(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
#define CALL(most, nq)                                                                             \
	score_queries(most, nq, keys, n_tiles, head_dim, queries, q_stride, out, out_stride)
	while (n_q > 0) {
		size_t done = n_q >= 8 ? 8 : n_q >= 4 ? 4 : n_q >= 2 ? 2 : 1;

		if (done == 8)
			CALL(2, 8);
		else if (done == 4)
			CALL(4, 4);
		else if (done == 2)
			CALL(4, 2);
		else
			CALL(4, 1);
		queries += done * q_stride;
		out += done * out_stride;
		n_q -= done;
	}
#undef CALL
}

/* `nb` blocks of dimensions from `d` on, `nq` queries; constants. */
INLINE void mix_blocks(size_t nb, size_t nq, const uint8_t *values, size_t n, size_t head_dim,
    size_t d, const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	size_t row_bytes = KERNEL_CACHE_Q8_BYTES(head_dim);
	__m512 sums[16];

	UNROLL for (size_t i = 0; i < nq * 2 * nb; i++) sums[i] =
	    _mm512_loadu_ps(acc + i / (2 * nb) * acc_stride + d + i % (2 * nb) * 16);
	for (size_t p = 0; p < n; p++, values += row_bytes) {
		const uint8_t *scales = values + head_dim + d / KERNEL_BLOCK * 2;
		__m512 v[8];

		UNROLL for (size_t c = 0; c < 2 * nb; c++)
		{
			uint16_t half;

			memcpy(&half, scales + c / 2 * 2, sizeof(half));
			v[c] = sixteen(
			    values + d + c * 16, _mm512_cvtph_ps(_mm256_set1_epi16((int16_t)half)));
		}
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			__m512 w = _mm512_set1_ps(weights[q * w_stride + p]);

			UNROLL for (size_t c = 0; c < 2 * nb; c++) sums[q * 2 * nb + c] =
			    _mm512_fmadd_ps(w, v[c], sums[q * 2 * nb + c]);
		}
	}
	UNROLL for (size_t i = 0; i < nq * 2 * nb; i++)
	    _mm512_storeu_ps(acc + i / (2 * nb) * acc_stride + d + i % (2 * nb) * 16, sums[i]);
}

INLINE void mix_queries(size_t most, size_t nq, const uint8_t *values, size_t n, size_t head_dim,
    const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	size_t d = 0;

	for (; d + most * KERNEL_BLOCK <= head_dim; d += most * KERNEL_BLOCK)
		mix_blocks(most, nq, values, n, head_dim, d, weights, w_stride, acc, acc_stride);
	for (; d < head_dim; d += KERNEL_BLOCK)
		mix_blocks(1, nq, values, n, head_dim, d, weights, w_stride, acc, acc_stride);
}

void avx512_mix_q8(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
#define CALL(most, nq)                                                                             \
	mix_queries(most, nq, values, n, head_dim, weights, w_stride, acc, acc_stride)
	while (n_q > 0) {
		size_t done = n_q >= 8 ? 8 : n_q >= 4 ? 4 : n_q >= 2 ? 2 : 1;

		if (done == 8)
			CALL(1, 8);
		else if (done == 4)
			CALL(2, 4);
		else if (done == 2)
			CALL(4, 2);
		else
			CALL(4, 1);
		weights += done * w_stride;
		acc += done * acc_stride;
		n_q -= done;
	}
#undef CALL
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
