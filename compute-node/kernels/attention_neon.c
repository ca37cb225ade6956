/* NEON: attention over cache tiles.  Spec: scalar_attention.c. */
#if defined(__aarch64__)
#include "kernels/arm.h"
#include "kernels/arm_neon.h"

#define EIGHT 8 /* dimensions that are mixed together */

/* Eight numbers of the cache from index `i` on. */
typedef void cell_fn(const void *base, size_t i, float32x4_t out[2]);

INLINE void cell_f16(const void *base, size_t i, float32x4_t out[2])
{
	lanes_from_f16((const uint8_t *)base + i * 2, out);
}

INLINE void cell_f32(const void *base, size_t i, float32x4_t out[2])
{
	out[0] = vld1q_f32((const float *)base + i);
	out[1] = vld1q_f32((const float *)base + i + 4);
}

/* One tile of keys times `nq` queries; constant at every call. */
INLINE void score_tile(cell_fn *cell, size_t nq, const void *keys, size_t tile, size_t head_dim,
    const float *queries, size_t q_stride, float *out, size_t out_stride)
{
	struct lanes sums[4], k;

	UNROLL for (size_t q = 0; q < nq; q++) sums[q] = lanes_zero();
	for (size_t d = 0; d < head_dim; d++) {
		size_t at = (tile * head_dim + d) * KERNEL_CELLS;

		cell(keys, at, k.v);
		cell(keys, at + 8, k.v + 2);
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			float32x4_t a = vdupq_n_f32(queries[q * q_stride + d]);

			UNROLL for (size_t i = 0; i < 4; i++) sums[q].v[i] =
			    vfmaq_f32(sums[q].v[i], a, k.v[i]);
		}
	}
	UNROLL for (size_t q = 0; q < nq; q++)
	{
		UNROLL for (size_t i = 0; i < 4; i++)
		    vst1q_f32(out + q * out_stride + tile * KERNEL_CELLS + 4 * i, sums[q].v[i]);
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
	float32x4_t sums[8], v[2];

	UNROLL for (size_t q = 0; q < nq; q++)
	{
		sums[2 * q] = vld1q_f32(acc + q * acc_stride + d);
		sums[2 * q + 1] = vld1q_f32(acc + q * acc_stride + d + 4);
	}
	for (size_t p = 0; p < n; p++) {
		cell(values, p * head_dim + d, v);
		UNROLL for (size_t q = 0; q < nq; q++)
		{
			float32x4_t weight = vdupq_n_f32(weights[q * w_stride + p]);

			sums[2 * q] = vfmaq_f32(sums[2 * q], weight, v[0]);
			sums[2 * q + 1] = vfmaq_f32(sums[2 * q + 1], weight, v[1]);
		}
	}
	UNROLL for (size_t q = 0; q < nq; q++)
	{
		vst1q_f32(acc + q * acc_stride + d, sums[2 * q]);
		vst1q_f32(acc + q * acc_stride + d + 4, sums[2 * q + 1]);
	}
}

INLINE void mix_all(cell_fn *cell, kernel_mix_fn *spec, const void *values, size_t n,
    size_t head_dim, const float *weights, size_t w_stride, size_t n_q, float *acc,
    size_t acc_stride)
{
	if (head_dim % EIGHT != 0) {
		spec(values, n, head_dim, weights, w_stride, n_q, acc, acc_stride);
		return;
	}
	for (size_t q = 0; q < n_q;) {
		const float *from = weights + q * w_stride;
		float *to = acc + q * acc_stride;
		bool four = q + 4 <= n_q;

		for (size_t d = 0; d < head_dim; d += EIGHT) {
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

#define SCORES(name, cell)                                                                         \
	void name(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,         \
	    size_t q_stride, size_t n_q, float *out, size_t out_stride)                            \
	{                                                                                          \
		score_all(cell, keys, n_tiles, head_dim, queries, q_stride, n_q, out, out_stride); \
	}

#define MIX(name, cell, spec)                                                                      \
	void name(const void *values, size_t n, size_t head_dim, const float *weights,             \
	    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)                            \
	{                                                                                          \
		mix_all(cell, spec, values, n, head_dim, weights, w_stride, n_q, acc, acc_stride); \
	}

SCORES(neon_scores_f16, cell_f16)
SCORES(neon_scores_f32, cell_f32)
MIX(neon_mix_f16, cell_f16, scalar_mix_f16)
MIX(neon_mix_f32, cell_f32, scalar_mix_f32)
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
