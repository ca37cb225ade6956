/* AVX-512: attention over cache tiles.  Spec: scalar_attention.c. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

/* Sixteen numbers of the cache from index `i` on. */
typedef __m512 cell_fn(const void *base, size_t i);

INLINE __m512 cell_f16(const void *base, size_t i)
{
	return lanes_from_f16((const uint16_t *)base + i);
}

INLINE __m512 cell_f32(const void *base, size_t i)
{
	return _mm512_loadu_ps((const float *)base + i);
}

/* `nt` tiles of keys times `nq` queries; constants at every call. */
INLINE void score_tiles(cell_fn *cell, size_t nt, size_t nq, const void *keys, size_t first,
    size_t head_dim, const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	__m512 sums[16];

	UNROLL for (size_t i = 0; i < nt * nq; i++) sums[i] = _mm512_setzero_ps();
	for (size_t d = 0; d < head_dim; d++) {
		__m512 k[4];

		UNROLL for (size_t t = 0; t < nt; t++) k[t] =
		    cell(keys, ((first + t) * head_dim + d) * KERNEL_CELLS);
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			__m512 a = _mm512_set1_ps(queries[q * q_stride + d]);

			UNROLL for (size_t t = 0; t < nt; t++) sums[q * nt + t] =
			    _mm512_fmadd_ps(a, k[t], sums[q * nt + t]);
		}
	}
	UNROLL for (size_t q = 0; q < nq; q++)
	{
		UNROLL for (size_t t = 0; t < nt; t++) _mm512_storeu_ps(
		    out + q * out_stride + (first + t) * KERNEL_CELLS, sums[q * nt + t]);
	}
}

INLINE void score_queries(cell_fn *cell, size_t most, size_t nq, const void *keys, size_t n_tiles,
    size_t head_dim, const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	size_t tile = 0;

	for (; tile + most <= n_tiles; tile += most)
		score_tiles(
		    cell, most, nq, keys, tile, head_dim, queries, q_stride, out, out_stride);
	for (; tile < n_tiles; tile++)
		score_tiles(cell, 1, nq, keys, tile, head_dim, queries, q_stride, out, out_stride);
}

INLINE void score_all(cell_fn *cell, const void *keys, size_t n_tiles, size_t head_dim,
    const float *queries, size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
#define CALL(most, nq)                                                                             \
	score_queries(cell, most, nq, keys, n_tiles, head_dim, queries, q_stride, out, out_stride)
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

/* `nc` groups of 16 dimensions from `d` on, `nq` queries; constants. */
INLINE void mix_group(cell_fn *cell, size_t nc, size_t nq, const void *values, size_t n,
    size_t head_dim, size_t d, const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	__m512 sums[16];

	UNROLL for (size_t q = 0; q < nq; q++)
	{
		UNROLL for (size_t c = 0; c < nc; c++) sums[q * nc + c] =
		    _mm512_loadu_ps(acc + q * acc_stride + d + c * 16);
	}
	for (size_t p = 0; p < n; p++) {
		__m512 v[8];

		UNROLL for (size_t c = 0; c < nc; c++) v[c] =
		    cell(values, p * head_dim + d + c * 16);
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			__m512 w = _mm512_set1_ps(weights[q * w_stride + p]);

			UNROLL for (size_t c = 0; c < nc; c++) sums[q * nc + c] =
			    _mm512_fmadd_ps(w, v[c], sums[q * nc + c]);
		}
	}
	UNROLL for (size_t q = 0; q < nq; q++)
	{
		UNROLL for (size_t c = 0; c < nc; c++)
		    _mm512_storeu_ps(acc + q * acc_stride + d + c * 16, sums[q * nc + c]);
	}
}

INLINE void mix_queries(cell_fn *cell, size_t most, size_t nq, const void *values, size_t n,
    size_t head_dim, const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	size_t d = 0;

	for (; d + most * 16 <= head_dim; d += most * 16)
		mix_group(
		    cell, most, nq, values, n, head_dim, d, weights, w_stride, acc, acc_stride);
	for (; d < head_dim; d += 16)
		mix_group(cell, 1, nq, values, n, head_dim, d, weights, w_stride, acc, acc_stride);
}

INLINE void mix_all(cell_fn *cell, kernel_mix_fn *spec, const void *values, size_t n,
    size_t head_dim, const float *weights, size_t w_stride, size_t n_q, float *acc,
    size_t acc_stride)
{
	if (head_dim % 16 != 0) {
		spec(values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
		return;
	}
#define CALL(most, nq)                                                                             \
	mix_queries(cell, most, nq, values, n, head_dim, weights, w_stride, acc, acc_stride)
	while (n_q > 0) {
		size_t done = n_q >= 8 ? 8 : n_q >= 4 ? 4 : n_q >= 2 ? 2 : 1;

		if (done == 8)
			CALL(2, 8);
		else if (done == 4)
			CALL(4, 4);
		else if (done == 2)
			CALL(4, 2);
		else
			CALL(8, 1);
		weights += done * w_stride;
		acc += done * acc_stride;
		n_q -= done;
	}
#undef CALL
}

void avx512_scores_f16(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	score_all(cell_f16, keys, n_tiles, head_dim, queries, q_stride, n_q, out, out_stride);
}

void avx512_scores_f32(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	score_all(cell_f32, keys, n_tiles, head_dim, queries, q_stride, n_q, out, out_stride);
}

void avx512_mix_f16(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	mix_all(
	    cell_f16, scalar_mix_f16, values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
}

void avx512_mix_f32(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	mix_all(
	    cell_f32, scalar_mix_f32, values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
