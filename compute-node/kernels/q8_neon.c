/*
 * NEON: 8-bit activations and products.  Spec: scalar_q8.c.
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
#define X(type, name, kind, floats, groups, bytes)                                                 \
	DIRECT(neon_direct_##name, name, floats, kind, groups, bytes)
ARM_FORMATS(X)
#undef X

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
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
