/*
 * AVX2: attention over cache tiles, of 16-bit, 32-bit and 8-bit numbers.
 * Spec: scalar_attention.c.
 *
 * Each sum is one chain of fma (K3), so as many sums go on at once as the
 * registers hold: with fewer queries, more tiles or dimensions together.  An
 * 8-bit number times its scale is exact, so its sums are those of floats.
 */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_vec_avx2.h"

#define SUMS 8 /* chains at once: the latency of fma times two a cycle */

/* ---- numbers of the cache ----------------------------------------------------- */

/* Sixteen keys' dimension `d`; `scale` is kept from one d to the next. */
typedef struct lanes keys_fn(const uint8_t *tile, size_t head_dim, size_t d, struct lanes *scale);
/* Scale of a position's values from dimension `d` on, and eight values. */
typedef __m256 scale_fn(const uint8_t *row, size_t head_dim, size_t d);
typedef __m256 values_fn(const uint8_t *row, size_t d, __m256 scale);

INLINE struct lanes keys_f16(const uint8_t *tile, size_t head_dim, size_t d, struct lanes *scale)
{
	const uint16_t *at = (const uint16_t *)(const void *)tile + d * KERNEL_CELLS;

	(void)head_dim;
	(void)scale;
	return (struct lanes){ lanes_from_f16(at), lanes_from_f16(at + 8) };
}

INLINE struct lanes keys_f32(const uint8_t *tile, size_t head_dim, size_t d, struct lanes *scale)
{
	(void)head_dim;
	(void)scale;
	return lanes_load((const float *)(const void *)tile + d * KERNEL_CELLS);
}

INLINE __m256 eight_q8(const uint8_t *quants, __m256 scale)
{
	__m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)quants));

	return _mm256_mul_ps(_mm256_cvtepi32_ps(wide), scale);
}

INLINE struct lanes keys_q8(const uint8_t *tile, size_t head_dim, size_t d, struct lanes *scale)
{
	const uint8_t *at = tile + d * KERNEL_CELLS;

	if (d % KERNEL_BLOCK == 0) {
		const uint8_t *halves = tile + head_dim * KERNEL_CELLS +
					d / KERNEL_BLOCK * KERNEL_CELLS * sizeof(uint16_t);

		*scale = keys_f16(halves, 0, 0, NULL);
	}
	return (struct lanes){ eight_q8(at, scale->lo), eight_q8(at + 8, scale->hi) };
}

INLINE __m256 scale_none(const uint8_t *row, size_t head_dim, size_t d)
{
	(void)row;
	(void)head_dim;
	(void)d;
	return _mm256_setzero_ps();
}

INLINE __m256 scale_q8(const uint8_t *row, size_t head_dim, size_t d)
{
	int16_t half;

	memcpy(&half, row + head_dim + d / KERNEL_BLOCK * sizeof(half), sizeof(half));
	return _mm256_cvtph_ps(_mm_set1_epi16(half));
}

INLINE __m256 values_f16(const uint8_t *row, size_t d, __m256 scale)
{
	(void)scale;
	return lanes_from_f16((const uint16_t *)(const void *)row + d);
}

INLINE __m256 values_f32(const uint8_t *row, size_t d, __m256 scale)
{
	(void)scale;
	return _mm256_loadu_ps((const float *)(const void *)row + d);
}

INLINE __m256 values_q8(const uint8_t *row, size_t d, __m256 scale)
{
	return eight_q8(row + d, scale);
}

/* ---- scores ----------------------------------------------------------------------- */

/* `nt` tiles of keys times `nq` queries; both are constants. */
INLINE void score_tiles(keys_fn *keys_of, size_t nt, size_t nq, const uint8_t *tiles,
    size_t tile_bytes, size_t head_dim, const float *queries, size_t q_stride, float *out,
    size_t out_stride)
{
	struct lanes sums[SUMS / 2], scales[SUMS / 2];

	UNROLL for (size_t i = 0; i < nt * nq; i++) sums[i] = scales[i] = lanes_zero();
	for (size_t d = 0; d < head_dim; d++) {
		UNROLL for (size_t i = 0; i < nt; i++)
		{
			struct lanes k = keys_of(tiles + i * tile_bytes, head_dim, d, &scales[i]);

			UNROLL for (size_t q = 0; q < nq; q++)
			{
				__m256 a = _mm256_set1_ps(queries[q * q_stride + d]);

				sums[i * nq + q] =
				    lanes_fma((struct lanes){ a, a }, k, sums[i * nq + q]);
			}
		}
	}
	UNROLL for (size_t i = 0; i < nt * nq; i++)
	{
		float *to = out + i % nq * out_stride + i / nq * KERNEL_CELLS;

		_mm256_storeu_ps(to, sums[i].lo);
		_mm256_storeu_ps(to + 8, sums[i].hi);
	}
}

/* All tiles times `nq` queries, `most` tiles together. */
INLINE void score_queries(keys_fn *keys_of, size_t most, size_t nq, const uint8_t *tiles,
    size_t tile_bytes, size_t n_tiles, size_t head_dim, const float *queries, size_t q_stride,
    float *out, size_t out_stride)
{
	size_t i = 0;

	for (; i + most <= n_tiles; i += most)
		score_tiles(keys_of, most, nq, tiles + i * tile_bytes, tile_bytes, head_dim,
		    queries, q_stride, out + i * KERNEL_CELLS, out_stride);
	for (; i < n_tiles; i++)
		score_tiles(keys_of, 1, nq, tiles + i * tile_bytes, tile_bytes, head_dim, queries,
		    q_stride, out + i * KERNEL_CELLS, out_stride);
}

INLINE void scores(keys_fn *keys_of, size_t tile_bytes, const void *keys, size_t n_tiles,
    size_t head_dim, const float *queries, size_t q_stride, size_t n_q, float *out,
    size_t out_stride)
{
#define CALL(most, nq)                                                                             \
	score_queries(keys_of, most, nq, keys, tile_bytes, n_tiles, head_dim,                      \
	    queries + q * q_stride, q_stride, out + q * out_stride, out_stride)
	size_t q = 0;

	for (; q + 4 <= n_q; q += 4)
		CALL(1, 4);
	if (n_q - q == 3)
		CALL(1, 3);
	else if (n_q - q == 2)
		CALL(2, 2);
	else if (n_q - q == 1)
		CALL(4, 1);
#undef CALL
}

#define SCORES(name, bytes)                                                                        \
	void avx2_scores_##name(const void *keys, size_t n_tiles, size_t head_dim,                 \
	    const float *queries, size_t q_stride, size_t n_q, float *out, size_t out_stride)      \
	{                                                                                          \
		scores(keys_##name, bytes, keys, n_tiles, head_dim, queries, q_stride, n_q, out,   \
		    out_stride);                                                                   \
	}
SCORES(f16, head_dim *KERNEL_CELLS * sizeof(uint16_t))
SCORES(f32, head_dim *KERNEL_CELLS * sizeof(float))
SCORES(q8, KERNEL_CACHE_Q8_BYTES(head_dim *KERNEL_CELLS))

/* ---- weighted values ----------------------------------------------------------------- */

/* Eight times `nv` dimensions from `d` on of `nq` sums; both are constants, and
 * the dimensions have one scale. */
INLINE void mix_part(scale_fn *scale_of, values_fn *values_of, size_t nv, size_t nq,
    const uint8_t *values, size_t row_bytes, size_t n, size_t head_dim, size_t d,
    const float *weights, size_t w_stride, float *acc, size_t acc_stride)
{
	__m256 sums[SUMS];

	UNROLL for (size_t i = 0; i < nq * nv; i++) sums[i] =
	    _mm256_loadu_ps(acc + i / nv * acc_stride + d + i % nv * 8);
	for (size_t p = 0; p < n; p++, values += row_bytes) {
		__m256 scale = scale_of(values, head_dim, d), v[SUMS];

		UNROLL for (size_t c = 0; c < nv; c++) v[c] = values_of(values, d + c * 8, scale);
		UNROLL for (size_t i = 0; i < nq * nv; i++) sums[i] = _mm256_fmadd_ps(
		    _mm256_set1_ps(weights[i / nv * w_stride + p]), v[i % nv], sums[i]);
	}
	UNROLL for (size_t i = 0; i < nq * nv; i++)
	    _mm256_storeu_ps(acc + i / nv * acc_stride + d + i % nv * 8, sums[i]);
}

/* All dimensions, 8 · `most` together. */
INLINE void mix_queries(scale_fn *scale_of, values_fn *values_of, size_t most, size_t nq,
    const uint8_t *values, size_t row_bytes, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, float *acc, size_t acc_stride)
{
	size_t d = 0;

	for (; d + 8 * most <= head_dim; d += 8 * most)
		mix_part(scale_of, values_of, most, nq, values, row_bytes, n, head_dim, d, weights,
		    w_stride, acc, acc_stride);
	for (; d < head_dim; d += 8)
		mix_part(scale_of, values_of, 1, nq, values, row_bytes, n, head_dim, d, weights,
		    w_stride, acc, acc_stride);
}

INLINE void mix(scale_fn *scale_of, values_fn *values_of, size_t row_bytes, const void *values,
    size_t n, size_t head_dim, const float *weights, size_t w_stride, size_t n_q, float *acc,
    size_t acc_stride)
{
#define CALL(most, nq)                                                                             \
	mix_queries(scale_of, values_of, most, nq, values, row_bytes, n, head_dim,                 \
	    weights + q * w_stride, w_stride, acc + q * acc_stride, acc_stride)
	size_t q = 0;

	for (; q + 4 <= n_q; q += 4)
		CALL(2, 4);
	if (n_q - q == 3)
		CALL(2, 3);
	else if (n_q - q == 2)
		CALL(4, 2);
	else if (n_q - q == 1)
		CALL(4, 1);
#undef CALL
}

void avx2_mix_q8(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	mix(scale_q8, values_q8, KERNEL_CACHE_Q8_BYTES(head_dim), values, n, head_dim, weights,
	    w_stride, n_q, acc, acc_stride);
}

#define MIX(name, size)                                                                            \
	void avx2_mix_##name(const void *values, size_t n, size_t head_dim, const float *weights,  \
	    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)                            \
	{                                                                                          \
		if (head_dim % 8 != 0)                                                             \
			scalar_mix_##name(                                                         \
			    values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);         \
		else                                                                               \
			mix(scale_none, values_##name, head_dim *size, values, n, head_dim,        \
			    weights, w_stride, n_q, acc, acc_stride);                              \
	}
MIX(f16, sizeof(uint16_t))
MIX(f32, sizeof(float))
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
