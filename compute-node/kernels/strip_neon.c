/* NEON: strips of every block format.  Spec: scalar_q8.c. */
#if defined(__aarch64__)
#include "kernels/arm.h"
#include "kernels/arm_blocks.h"

#define STEP_BYTES (KERNEL_STRIP * 4)

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

/* Group `g` of the blocks at `at` of four rows. */
INLINE void strip_four(unpack_fn *unpack, floats_fn *floats, size_t n_floats,
    const uint8_t *const *rows, size_t at, size_t g, uint8_t *quants, float *out)
{
	int8x16_t low[4], high[4];

	UNROLL for (size_t r = 0; r < 4; r++)
	{
		float own[KERNEL_FLOATS_MAX];
		int8x16_t w[2];

		unpack(rows[r] + at, g, w);
		low[r] = w[0];
		high[r] = w[1];
		floats(rows[r] + at, g, own);
		UNROLL for (size_t i = 0; i < n_floats; i++) out[i * KERNEL_STRIP + r] = own[i];
	}
	store_steps(low, quants);
	store_steps(high, quants + 4 * STEP_BYTES);
}

INLINE void strip(unpack_fn *unpack, floats_fn *floats, enum kernel_kind kind, size_t n_groups,
    size_t bytes, const struct weight_rows *weights, size_t k, uint8_t *quants, float *out)
{
	const uint8_t *rows[KERNEL_STRIP];
	size_t n_floats = kernels_floats(kind);

	point_at_rows(weights, rows);
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++) {
		for (size_t r = 0; r < KERNEL_STRIP; r += 4)
			strip_four(unpack, floats, n_floats, rows + r, b / n_groups * bytes,
			    b % n_groups, quants + r * 4, out + r);
		quants += KERNEL_BLOCK * KERNEL_STRIP;
		out += n_floats * KERNEL_STRIP;
	}
}

#define X(type, name, kind, floats, groups, bytes)                                                 \
	void neon_strip_##name(                                                                    \
	    const struct weight_rows *weights, size_t k, uint8_t *quants, float *scales)           \
	{                                                                                          \
		strip(unpack_##name, floats_##floats, kind, groups, bytes, weights, k, quants,     \
		    scales);                                                                       \
	}
ARM_FORMATS(X)
#undef X
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
