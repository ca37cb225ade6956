/*
 * NEON: 8-bit activations, strips and products.  Spec: scalar_q8.c.
 *
 * Two products of a weight (-128 … 127) and an activation (-127 … 127) fit in
 * 16 bits: pairs are added there, then pairs of pairs in 32.
 */
#if defined(__aarch64__)
#include "kernels/arm.h"
#include "kernels/arm_neon.h"

INLINE int32x4_t dot4(int32x4_t acc, int8x16_t w, int8x16_t x)
{
	int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));

	return vpadalq_s16(acc, vpaddq_s16(low, vmull_high_s8(w, x)));
}

#define DOT(acc, w, x) dot4(acc, w, x)
#define DOT_LANE(acc, w, x, lane)                                                                  \
	dot4(acc, w, vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x), lane)))
#include "kernels/arm_products.h"

TILE(neon_tile_plain, KIND_PLAIN)
TILE(neon_tile_halves, KIND_HALVES)
TILE(neon_tile_min, KIND_MIN)
TILE(neon_tile_min_halves, KIND_MIN_HALVES)
DIRECT(neon_direct_q4_0, unpack_q4_0, scale_f16, Q4_0_BYTES)
DIRECT(neon_direct_q5_0, unpack_q5_0, scale_f16, Q5_0_BYTES)
DIRECT(neon_direct_q8_0, unpack_q8_0, scale_f16, Q8_0_BYTES)
DIRECT(neon_direct_iq4_nl, unpack_iq4_nl, scale_f16, IQ4_NL_BYTES)
DIRECT(neon_direct_mxfp4, unpack_mxfp4, scale_mxfp4, MXFP4_BYTES)

void neon_quantize(const float *x, size_t k, int8_t *quants, struct q8_block *blocks)
{
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		float32x4_t tops = vdupq_n_f32(0);
		int16x4_t parts[8];
		float top, inverse;
		int sums[2];

		UNROLL for (size_t i = 0; i < 8; i++) tops =
		    lanes_greater(vabsq_f32(vld1q_f32(x + 4 * i)), tops);
		top = vmaxvq_f32(tops);
		inverse = top > 0 ? 127.0f / top : 0.0f;
		UNROLL for (size_t i = 0; i < 8; i++)
		{
			float32x4_t v = vrndnq_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inverse));
			uint32x4_t sane = vcleq_f32(vabsq_f32(v), vdupq_n_f32(127.0f));

			/* what is out of range, NaN included, becomes 0 */
			parts[i] =
			    vmovn_s32(vandq_s32(vcvtq_s32_f32(v), vreinterpretq_s32_u32(sane)));
		}
		UNROLL for (size_t i = 0; i < 8; i += 4)
		{
			int8x8_t low = vmovn_s16(vcombine_s16(parts[i], parts[i + 1]));
			int8x8_t high = vmovn_s16(vcombine_s16(parts[i + 2], parts[i + 3]));

			vst1q_s8(quants + 4 * i, vcombine_s8(low, high));
			sums[i / 4] = vaddlvq_s8(vcombine_s8(low, high));
		}
		blocks[b] = (struct q8_block){ .scale = top / 127.0f,
			.sum = top / 127.0f * (float)(sums[0] + sums[1]),
			.bias = -KERNEL_BIAS * (sums[0] + sums[1]),
			.low = -KERNEL_BIAS * sums[0] };
	}
}

/* Sixteen weights of four rows to four steps of the strip. */
INLINE void store_steps(const int8x16_t rows[4], uint8_t *out)
{
	int32x4_t a = vreinterpretq_s32_s8(rows[0]), b = vreinterpretq_s32_s8(rows[1]);
	int32x4_t c = vreinterpretq_s32_s8(rows[2]), d = vreinterpretq_s32_s8(rows[3]);
	int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
	int64x2_t ab1 = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
	int64x2_t cd0 = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
	int64x2_t cd1 = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
	int64x2_t steps[4] = { vtrn1q_s64(ab0, cd0), vtrn1q_s64(ab1, cd1), vtrn2q_s64(ab0, cd0),
		vtrn2q_s64(ab1, cd1) };

	UNROLL for (size_t j = 0; j < 4; j++) vst1q_u8(out + j * STEP_BYTES,
	    veorq_u8(vreinterpretq_u8_s64(steps[j]), vdupq_n_u8(KERNEL_BIAS)));
}

INLINE void strip(unpack_fn *unpack, scale_fn *scale, size_t bytes, const uint8_t *weights,
    size_t row_bytes, size_t n_rows, size_t k, uint8_t *quants, float *scales)
{
	const uint8_t *rows[KERNEL_STRIP];

	point_at_rows(weights, row_bytes, n_rows, rows);
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++) {
		for (size_t r = 0; r < KERNEL_STRIP; r += 4) {
			int8x16_t low[4], high[4], w[2];

			UNROLL for (size_t i = 0; i < 4; i++)
			{
				unpack(rows[r + i] + b * bytes, w);
				low[i] = w[0];
				high[i] = w[1];
				scales[r + i] = scale(rows[r + i] + b * bytes);
			}
			store_steps(low, quants + r * 4);
			store_steps(high, quants + 4 * STEP_BYTES + r * 4);
		}
		quants += KERNEL_BLOCK * KERNEL_STRIP;
		scales += KERNEL_STRIP;
	}
}

#define STRIP(name, unpack, scale, bytes)                                                          \
	void name(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,               \
	    uint8_t *quants, float *scales)                                                        \
	{                                                                                          \
		strip(unpack, scale, bytes, weights, row_bytes, n_rows, k, quants, scales);        \
	}

STRIP(neon_strip_q4_0, unpack_q4_0, scale_f16, Q4_0_BYTES)
STRIP(neon_strip_q5_0, unpack_q5_0, scale_f16, Q5_0_BYTES)
STRIP(neon_strip_q8_0, unpack_q8_0, scale_f16, Q8_0_BYTES)
STRIP(neon_strip_iq4_nl, unpack_iq4_nl, scale_f16, IQ4_NL_BYTES)
STRIP(neon_strip_mxfp4, unpack_mxfp4, scale_mxfp4, MXFP4_BYTES)
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
