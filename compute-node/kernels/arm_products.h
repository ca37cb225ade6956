/*
 * 8-bit products of arm64, once for each way to multiply.  The file that
 * includes this has defined
 *     DOT(acc, w, x)             acc[i] += w[4i … 4i+3] · x[4i … 4i+3]
 *     DOT_LANE(acc, w, x, lane)  the same with x[4·lane …] for every i
 * and gets TILE(function, kind) and DIRECT(function, ARM_FORMATS…).  Weights and
 * activations are signed here, so the bias of the strip layout is taken off.
 */
#ifndef KERNELS_ARM_PRODUCTS_H
#define KERNELS_ARM_PRODUCTS_H

#include "kernels/arm_blocks.h"

#define STEP_BYTES (KERNEL_STRIP * 4)
#define TILE_X 4

/* One step (four weights) of four rows. */
INLINE int8x16_t weights_at(const uint8_t *quants, size_t step)
{
	return vreinterpretq_s8_u8(
	    veorq_u8(vld1q_u8(quants + step * STEP_BYTES), vdupq_n_u8(KERNEL_BIAS)));
}

/* Half a block (four steps) of eight rows times `nx` rows of activations. */
INLINE void dot_half(
    size_t nx, const uint8_t *w, const int8_t *const *a, size_t at, int32x4_t *dots)
{
	int8x16_t x[TILE_X], w0, w1;

	UNROLL for (size_t t = 0; t < nx; t++) x[t] = vld1q_s8(a[t] + at);
#define STEP(lane)                                                                                 \
	w0 = weights_at(w, lane);                                                                  \
	w1 = weights_at(w + 16, lane);                                                             \
	UNROLL for (size_t t = 0; t < nx; t++)                                                     \
	{                                                                                          \
		dots[2 * t] = DOT_LANE(dots[2 * t], w0, x[t], lane);                               \
		dots[2 * t + 1] = DOT_LANE(dots[2 * t + 1], w1, x[t], lane);                       \
	}
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
#undef STEP
}

/* Eight rows of a block times `nx` rows of activations; kind and nx constant. */
INLINE void add_block(enum kernel_kind kind, size_t nx, const uint8_t *w, const float *floats,
    const int8_t *const *a, const struct q8_block *const *blocks, size_t b, float32x4_t *sums)
{
	int32x4_t dots[2 * TILE_X];
	float32x4_t both[2 * TILE_X];

	UNROLL for (size_t i = 0; i < 2 * nx; i++) dots[i] = vdupq_n_s32(0);
	for (size_t half = 0; half < 2; half++) {
		dot_half(nx, w + half * 4 * STEP_BYTES, a, b * KERNEL_BLOCK + half * 16, dots);
		if (kind != KIND_HALVES)
			continue;
		UNROLL for (size_t i = 0; i < 2 * nx; i++)
		{
			float32x4_t dot = vcvtq_f32_s32(dots[i]);
			float32x4_t scale = vld1q_f32(floats + half * KERNEL_STRIP + i % 2 * 4);

			both[i] =
			    half == 0 ? vmulq_f32(dot, scale) : vfmaq_f32(both[i], dot, scale);
			dots[i] = vdupq_n_s32(0);
		}
	}
	UNROLL for (size_t i = 0; i < 2 * nx; i++)
	{
		const struct q8_block *x = blocks[i / 2] + b;
		const float *f = floats + i % 2 * 4;

		sums[i] = kind == KIND_HALVES
			      ? vfmaq_n_f32(sums[i], both[i], x->scale)
			      : add_plain(kind, sums[i], dots[i], f, KERNEL_STRIP, x);
	}
}

INLINE void tile_eight(enum kernel_kind kind, size_t nx, const uint8_t *quants, const float *floats,
    const struct q8_rows *x, size_t x_first, size_t n_rows, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;
	const int8_t *a[TILE_X];
	const struct q8_block *blocks[TILE_X];
	float32x4_t sums[2 * TILE_X];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		a[t] = x->quants + (x_first + t) * x->k;
		blocks[t] = x->blocks + (x_first + t) * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = vdupq_n_f32(0);
	}
	for (size_t b = 0; b < n_blocks; b++)
		add_block(kind, nx, quants + b * KERNEL_BLOCK * KERNEL_STRIP,
		    floats + b * kernels_floats(kind) * KERNEL_STRIP, a, blocks, b, sums);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > 4)
			write_rows(out + t * out_stride + 4, sums[2 * t + 1], n_rows - 4);
	}
}

#define TILE(name, kind)                                                                           \
	void name(const uint8_t *quants, const float *scales, const struct q8_rows *x,             \
	    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)              \
	{                                                                                          \
		for (size_t r = 0; r < n_rows; r += 8) {                                           \
			size_t t = 0;                                                              \
                                                                                                   \
			for (; t + TILE_X <= n_x; t += TILE_X)                                     \
				tile_eight(kind, TILE_X, quants + r * 4, scales + r, x,            \
				    x_first + t, n_rows - r, out + t * out_stride + r,             \
				    out_stride);                                                   \
			for (; t < n_x; t++)                                                       \
				tile_eight(kind, 1, quants + r * 4, scales + r, x, x_first + t,    \
				    n_rows - r, out + t * out_stride + r, out_stride);             \
		}                                                                                  \
	}

/* Four rows of group `g` of a block times `nx` rows of activations, of which it
 * is block `b`; all but the numbers are constant. */
INLINE void direct_group(unpack_fn *unpack, floats_fn *floats, enum kernel_kind kind, size_t nx,
    const uint8_t *const *rows, size_t at, size_t g, const struct q8_rows *x, size_t b,
    float32x4_t *sums)
{
	int32x4_t dots[KERNEL_DIRECT_X * 4], zero = vdupq_n_s32(0);
	float columns[KERNEL_FLOATS_MAX * 4];

	UNROLL for (size_t r = 0; r < 4; r++)
	{
		float own[KERNEL_FLOATS_MAX];
		int8x16_t w[2];

		unpack(rows[r] + at, g, w);
		floats(rows[r] + at, g, own);
		UNROLL for (size_t i = 0; i < kernels_floats(kind); i++) columns[i * 4 + r] =
		    own[i];
		UNROLL for (size_t t = 0; t < nx; t++)
		{
			const int8_t *a = x->quants + t * x->k + b * KERNEL_BLOCK;
			int32x4_t first = DOT(zero, w[0], vld1q_s8(a));

			dots[t * 4 + r] = kind == KIND_HALVES
					      ? vpaddq_s32(first, DOT(zero, w[1], vld1q_s8(a + 16)))
					      : DOT(first, w[1], vld1q_s8(a + 16));
		}
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		const struct q8_block *block = x->blocks + t * (x->k / KERNEL_BLOCK) + b;
		int32x4_t ab = vpaddq_s32(dots[t * 4], dots[t * 4 + 1]);
		int32x4_t cd = vpaddq_s32(dots[t * 4 + 2], dots[t * 4 + 3]);

		if (kind == KIND_HALVES) { /* the halves of each row alternate */
			float32x4_t low = vcvtq_f32_s32(vuzp1q_s32(ab, cd));
			float32x4_t high = vcvtq_f32_s32(vuzp2q_s32(ab, cd));

			low = vmulq_f32(low, vld1q_f32(columns));
			sums[t] = vfmaq_n_f32(
			    sums[t], vfmaq_f32(low, high, vld1q_f32(columns + 4)), block->scale);
		} else {
			sums[t] = add_plain(kind, sums[t], vpaddq_s32(ab, cd), columns, 4, block);
		}
	}
}

INLINE void direct_four(unpack_fn *unpack, floats_fn *floats, enum kernel_kind kind,
    size_t n_groups, size_t bytes, size_t nx, const uint8_t *const *rows, const struct q8_rows *x,
    size_t n_rows, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;
	float32x4_t sums[KERNEL_DIRECT_X];

	UNROLL for (size_t t = 0; t < nx; t++) sums[t] = vdupq_n_f32(0);
	for (size_t b = 0; b < n_blocks; b++)
		direct_group(
		    unpack, floats, kind, nx, rows, b / n_groups * bytes, b % n_groups, x, b, sums);
	UNROLL for (size_t t = 0; t < nx; t++) write_rows(out + t * out_stride, sums[t], n_rows);
}

INLINE void direct_all(unpack_fn *unpack, floats_fn *floats, enum kernel_kind kind, size_t n_groups,
    size_t bytes, const struct weight_rows *weights, const struct q8_rows *x, size_t n_x,
    float *out, size_t out_stride)
{
	const uint8_t *rows[KERNEL_STRIP];

	point_at_rows(weights, rows);
#define CALL(nx)                                                                                   \
	direct_four(unpack, floats, kind, n_groups, bytes, nx, rows + r, x, weights->n - r,        \
	    out + r, out_stride)
	for (size_t r = 0; r < weights->n; r += 4) {
		if (n_x == 1)
			CALL(1);
		else if (n_x == 2)
			CALL(2);
		else if (n_x == 3)
			CALL(3);
		else
			CALL(4);
	}
#undef CALL
}

#define DIRECT(function, name, floats, kind, n_groups, bytes)                                      \
	void function(const struct weight_rows *weights, const struct q8_rows *x, size_t n_x,      \
	    float *out, size_t out_stride)                                                         \
	{                                                                                          \
		direct_all(unpack_##name, floats_##floats, kind, n_groups, bytes, weights, x, n_x, \
		    out, out_stride);                                                              \
	}

#endif
