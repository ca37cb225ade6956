/*
 * What the NEON kernels share: sixteen lanes in four registers, their sum and
 * e^x, bit for bit as scalar.  Memory is read as bytes: rows need not be aligned.
 */
#ifndef KERNELS_ARM_NEON_H
#define KERNELS_ARM_NEON_H

#include <arm_neon.h>

#include "kernels/exact.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

struct lanes {
	float32x4_t v[4]; /* lanes 0 … 3, 4 … 7, 8 … 11, 12 … 15 */
};

/* K1's tree. */
INLINE float lanes_sum(struct lanes x)
{
	float32x4_t four = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
	float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

	return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

INLINE struct lanes lanes_zero(void)
{
	float32x4_t zero = vdupq_n_f32(0);

	return (struct lanes){ { zero, zero, zero, zero } };
}

INLINE struct lanes lanes_load(const float *x)
{
	return (struct lanes){ { vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + 8),
	    vld1q_f32(x + 12) } };
}

/* The first `n` of sixteen, then zeros. */
INLINE struct lanes lanes_load_some(const float *x, size_t n)
{
	float padded[16] = { 0 };

	memcpy(padded, x, n * sizeof(*x));
	return lanes_load(padded);
}

INLINE struct lanes lanes_fma(struct lanes a, struct lanes b, struct lanes sum)
{
	UNROLL for (size_t i = 0; i < 4; i++) sum.v[i] = vfmaq_f32(sum.v[i], a.v[i], b.v[i]);
	return sum;
}

/* Eight halves as two vectors. */
INLINE void lanes_from_f16(const uint8_t *bytes, float32x4_t out[2])
{
	float16x8_t halves = vreinterpretq_f16_u8(vld1q_u8(bytes));

	out[0] = vcvt_f32_f16(vget_low_f16(halves));
	out[1] = vcvt_high_f32_f16(halves);
}

/* a > b ? a : b of each lane, as C compares: a NaN in `a` gives b. */
INLINE float32x4_t lanes_greater(float32x4_t a, float32x4_t b)
{
	return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* exact_expf of each lane. */
INLINE float32x4_t lanes_exp(float32x4_t x)
{
	float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(EXACT_LOG2E)));
	float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-EXACT_LN2_HIGH)), p, y;
	int32x4_t e;

	r = vfmaq_f32(r, n, vdupq_n_f32(-EXACT_LN2_LOW));
	p = vfmaq_f32(vdupq_n_f32(EXACT_EXP_C5), vdupq_n_f32(EXACT_EXP_C6), r);
	p = vfmaq_f32(vdupq_n_f32(EXACT_EXP_C4), p, r);
	p = vfmaq_f32(vdupq_n_f32(EXACT_EXP_C3), p, r);
	p = vfmaq_f32(vdupq_n_f32(EXACT_EXP_C2), p, r);
	y = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
	e = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
	y = vmulq_f32(y, vreinterpretq_f32_s32(e));
	y = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(EXACT_EXP_MAX)), vdupq_n_f32(INFINITY), y);
	y = vbslq_f32(vcltq_f32(x, vdupq_n_f32(EXACT_EXP_MIN)), vdupq_n_f32(0), y);
	return vbslq_f32(vceqq_f32(x, x), y, x);
}

#endif
