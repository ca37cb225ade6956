/*
 * Blocks of 32 weights as signed bytes in NEON registers: what strips and
 * direct products unpack.  Spec: blocks.c.
 */
#ifndef KERNELS_ARM_BLOCKS_H
#define KERNELS_ARM_BLOCKS_H

#include "kernels/arm_neon.h"
#include "kernels/blocks.h"

#define Q4_0_BYTES 18
#define Q5_0_BYTES 22
#define Q8_0_BYTES 34
#define IQ4_NL_BYTES 18
#define MXFP4_BYTES 17

/* Weights 0 … 15 and 16 … 31 of a block. */
typedef void unpack_fn(const uint8_t *block, int8x16_t out[2]);

/* The scale of a block. */
typedef float scale_fn(const uint8_t *block);

INLINE float scale_f16(const uint8_t *block)
{
	float16x4_t half = vreinterpret_f16_u16(vdup_n_u16(half_load(block)));

	return vgetq_lane_f32(vcvt_f32_f16(half), 0);
}

INLINE float scale_mxfp4(const uint8_t *block)
{
	uint32_t e = block[0];

	return half_bits_to_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

/* Low and high halves of sixteen bytes. */
INLINE void nibbles(const uint8_t *bytes, uint8x16_t out[2])
{
	uint8x16_t v = vld1q_u8(bytes);

	out[0] = vandq_u8(v, vdupq_n_u8(15));
	out[1] = vshrq_n_u8(v, 4);
}

INLINE void unpack_q4_0(const uint8_t *block, int8x16_t out[2])
{
	uint8x16_t v[2];

	nibbles(block + 2, v);
	UNROLL for (size_t i = 0; i < 2; i++) out[i] =
	    vsubq_s8(vreinterpretq_s8_u8(v[i]), vdupq_n_s8(8));
}

INLINE void unpack_q5_0(const uint8_t *block, int8x16_t out[2])
{
	static const uint8_t bits[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64,
		128 };
	uint8x16_t v[2], bit = vld1q_u8(bits);

	nibbles(block + 6, v);
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t high =
		    vcombine_u8(vdup_n_u8(block[2 + 2 * i]), vdup_n_u8(block[3 + 2 * i]));

		high = vandq_u8(vtstq_u8(high, bit), vdupq_n_u8(16));
		out[i] = vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(v[i], high)), vdupq_n_s8(16));
	}
}

INLINE void unpack_q8_0(const uint8_t *block, int8x16_t out[2])
{
	out[0] = vreinterpretq_s8_u8(vld1q_u8(block + 2));
	out[1] = vreinterpretq_s8_u8(vld1q_u8(block + 18));
}

INLINE void look_up(const int8_t *table, const uint8_t *bytes, int8x16_t out[2])
{
	int8x16_t values = vld1q_s8(table);
	uint8x16_t v[2];

	nibbles(bytes, v);
	UNROLL for (size_t i = 0; i < 2; i++) out[i] = vqtbl1q_s8(values, v[i]);
}

INLINE void unpack_iq4_nl(const uint8_t *block, int8x16_t out[2])
{
	look_up(block_iq4_codebook, block + 2, out);
}

INLINE void unpack_mxfp4(const uint8_t *block, int8x16_t out[2])
{
	look_up(block_e2m1, block + 1, out);
}

/* The weight rows of a strip; missing ones repeat the last. */
INLINE void point_at_rows(
    const uint8_t *weights, size_t row_bytes, size_t n_rows, const uint8_t *rows[KERNEL_STRIP])
{
	for (size_t r = 0; r < KERNEL_STRIP; r++)
		rows[r] = weights + (r < n_rows ? r : n_rows - 1) * row_bytes;
}

/* K2 without halves that have scales: four rows' sums of a block times one row,
 * `floats` being those of the first of the rows. */
INLINE float32x4_t add_plain(enum kernel_kind kind, float32x4_t sum, int32x4_t dot,
    const float *floats, const struct q8_block *x)
{
	sum = vfmaq_f32(sum, vcvtq_f32_s32(dot), vmulq_n_f32(vld1q_f32(floats), x->scale));
	if (kind == KIND_MIN)
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + KERNEL_STRIP), x->sum);
	if (kind == KIND_MIN_HALVES) {
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + KERNEL_STRIP), q8_sum_low(x));
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + 2 * KERNEL_STRIP), q8_sum_high(x));
	}
	return sum;
}

/* At most four results of four rows. */
INLINE void write_rows(float *out, float32x4_t v, size_t n)
{
	float four[4];

	if (n >= 4) {
		vst1q_f32(out, v);
		return;
	}
	vst1q_f32(four, v);
	memcpy(out, four, n * sizeof(*out));
}

#endif
