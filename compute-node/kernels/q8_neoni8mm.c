/*
 * NEON with matrix products (i8mm): strips times 8-bit rows.  Spec: scalar_tile.
 *
 * smmla multiplies 2×8 by 8×2: two steps of a pair of weight rows with two rows
 * of activations.  A lone last row of activations stands in for its partner.
 */
#if defined(__aarch64__)
#include "kernels/arm.h"
#include "kernels/arm_blocks.h"

#define STEP_BYTES (KERNEL_STRIP * 4)
#define PAIRS_MAX 3

/* Two steps of four rows: [0] is rows 0 and 1, [1] is rows 2 and 3. */
INLINE void weight_pairs(const uint8_t *w, int8x16_t out[2])
{
	uint32x4_t a = vreinterpretq_u32_u8(veorq_u8(vld1q_u8(w), vdupq_n_u8(KERNEL_BIAS)));
	uint32x4_t b =
	    vreinterpretq_u32_u8(veorq_u8(vld1q_u8(w + STEP_BYTES), vdupq_n_u8(KERNEL_BIAS)));

	out[0] = vreinterpretq_s8_u32(vzip1q_u32(a, b));
	out[1] = vreinterpretq_s8_u32(vzip2q_u32(a, b));
}

/* Half a block of four rows times `np` pairs of activation rows. */
INLINE void dot_half(
    size_t np, const uint8_t *w, const int8_t *const *a, size_t at, int32x4_t *dots)
{
	UNROLL for (size_t s = 0; s < 4; s += 2)
	{
		int8x16_t v[2];

		weight_pairs(w + s * STEP_BYTES, v);
		UNROLL for (size_t p = 0; p < np; p++)
		{
			int8x16_t x = vcombine_s8(
			    vld1_s8(a[2 * p] + at + s * 4), vld1_s8(a[2 * p + 1] + at + s * 4));

			dots[2 * p] = vmmlaq_s32(dots[2 * p], v[0], x);
			dots[2 * p + 1] = vmmlaq_s32(dots[2 * p + 1], v[1], x);
		}
	}
}

/* The four rows' products with activation row `t`. */
INLINE int32x4_t dots_of(const int32x4_t *dots, size_t t)
{
	int32x4_t low = dots[t / 2 * 2], high = dots[t / 2 * 2 + 1];

	return t % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high);
}

/* Four rows of a block times `np` pairs of activation rows; kind, np constant. */
INLINE void add_block(enum kernel_kind kind, size_t np, const uint8_t *w, const float *floats,
    const int8_t *const *a, const struct q8_block *const *blocks, size_t b, float32x4_t *sums)
{
	int32x4_t dots[PAIRS_MAX * 2];
	float32x4_t both[PAIRS_MAX * 2];

	UNROLL for (size_t i = 0; i < 2 * np; i++) dots[i] = vdupq_n_s32(0);
	UNROLL for (size_t half = 0; half < 2; half++)
	{
		float32x4_t scale;

		dot_half(np, w + half * 4 * STEP_BYTES, a, b * KERNEL_BLOCK + half * 16, dots);
		if (kind != KIND_HALVES)
			continue;
		scale = vld1q_f32(floats + half * KERNEL_STRIP);
		UNROLL for (size_t t = 0; t < 2 * np; t++)
		{
			float32x4_t dot = vcvtq_f32_s32(dots_of(dots, t));

			both[t] =
			    half == 0 ? vmulq_f32(dot, scale) : vfmaq_f32(both[t], dot, scale);
		}
		UNROLL for (size_t i = 0; i < 2 * np; i++) dots[i] = vdupq_n_s32(0);
	}
	UNROLL for (size_t t = 0; t < 2 * np; t++)
	{
		const struct q8_block *x = blocks[t] + b;

		sums[t] = kind == KIND_HALVES
			      ? vfmaq_n_f32(sums[t], both[t], x->scale)
			      : add_plain(kind, sums[t], dots_of(dots, t), floats, KERNEL_STRIP, x);
	}
}

INLINE void tile_four(enum kernel_kind kind, size_t np, const uint8_t *quants, const float *floats,
    const struct q8_rows *x, size_t x_first, size_t n_x, size_t n_rows, float *out,
    size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;
	const int8_t *a[PAIRS_MAX * 2];
	const struct q8_block *blocks[PAIRS_MAX * 2];
	float32x4_t sums[PAIRS_MAX * 2];

	UNROLL for (size_t t = 0; t < 2 * np; t++)
	{
		size_t row = x_first + (t < n_x ? t : n_x - 1);

		a[t] = x->quants + row * x->k;
		blocks[t] = x->blocks + row * n_blocks;
		sums[t] = vdupq_n_f32(0);
	}
	for (size_t b = 0; b < n_blocks; b++)
		add_block(kind, np, quants + b * KERNEL_BLOCK * KERNEL_STRIP,
		    floats + b * kernels_floats(kind) * KERNEL_STRIP, a, blocks, b, sums);
	UNROLL for (size_t t = 0; t < 2 * np; t++)
	{
		if (t < n_x)
			write_rows(out + t * out_stride, sums[t], n_rows);
	}
}

INLINE void tile(enum kernel_kind kind, const uint8_t *quants, const float *scales,
    const struct q8_rows *x, size_t x_first, size_t n_x, size_t n_rows, float *out,
    size_t out_stride)
{
#define CALL(np)                                                                                   \
	tile_four(kind, np, quants + r * 4, scales + r, x, x_first + t, n_x - t, n_rows - r,       \
	    out + t * out_stride + r, out_stride)
	for (size_t r = 0; r < n_rows; r += 4) {
		size_t t = 0;

		for (; t + 4 < n_x; t += 6)
			CALL(3);
		if (n_x > t + 2)
			CALL(2);
		else if (n_x > t)
			CALL(1);
	}
#undef CALL
}

#define TILE(name, kind)                                                                           \
	void name(const uint8_t *quants, const float *scales, const struct q8_rows *x,             \
	    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)              \
	{                                                                                          \
		tile(kind, quants, scales, x, x_first, n_x, n_rows, out, out_stride);              \
	}

TILE(neoni8mm_tile_plain, KIND_PLAIN)
TILE(neoni8mm_tile_halves, KIND_HALVES)
TILE(neoni8mm_tile_min, KIND_MIN)
TILE(neoni8mm_tile_min_halves, KIND_MIN_HALVES)
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
