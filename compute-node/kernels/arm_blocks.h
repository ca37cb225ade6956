/*
 * What strips and direct products of arm64 share: groups of 32 weights as
 * signed bytes in registers, and K2's sums.  Spec: blocks.c.
 */
#ifndef KERNELS_ARM_BLOCKS_H
#define KERNELS_ARM_BLOCKS_H

#include "kernels/arm_neon.h"
#include "kernels/blocks.h"

/* Weights 0 … 15 and 16 … 31 of group `g` of a block. */
typedef void unpack_fn(const uint8_t *block, size_t g, int8x16_t out[2]);

/* The floats of the kind of group `g`. */
typedef void floats_fn(const uint8_t *block, size_t g, float *out);

INLINE float f16_at(const uint8_t *bytes)
{
	float16x4_t half = vreinterpret_f16_u16(vdup_n_u16(half_load(bytes)));

	return vgetq_lane_f32(vcvt_f32_f16(half), 0);
}

INLINE void floats_one_f16(const uint8_t *block, size_t g, float *out)
{
	(void)g;
	out[0] = f16_at(block);
}

INLINE void floats_two_f16(const uint8_t *block, size_t g, float *out)
{
	(void)g;
	out[0] = f16_at(block);
	out[1] = f16_at(block + 2);
}

INLINE void floats_q2_k(const uint8_t *block, size_t g, float *out)
{
	float d_min = f16_at(block + 82);

	out[0] = f16_at(block + 80);
	out[1] = -d_min * (float)(block[2 * g] >> 4);
	out[2] = -d_min * (float)(block[2 * g + 1] >> 4);
}

INLINE void floats_q3_k(const uint8_t *block, size_t g, float *out)
{
	const uint8_t *b = block + 96;
	float d = f16_at(block + 108);

	UNROLL for (size_t i = 0; i < 2; i++)
	{
		size_t k = 2 * g + i;
		int low = b[k % 8] >> k / 8 * 4 & 15, high = b[8 + k % 4] >> k / 4 * 2 & 3;

		out[i] = d * (float)((low | high << 4) - 32);
	}
}

INLINE void floats_q4_k(const uint8_t *block, size_t g, float *out)
{
	const uint8_t *b = block + 4;
	int scale = g < 4 ? b[g] & 63 : (b[g + 4] & 15) | b[g - 4] >> 6 << 4;
	int offset = g < 4 ? b[g + 4] & 63 : b[g + 4] >> 4 | b[g] >> 6 << 4;

	out[0] = f16_at(block) * (float)scale;
	out[1] = -f16_at(block + 2) * (float)offset;
}

INLINE void floats_q6_k(const uint8_t *block, size_t g, float *out)
{
	float d = f16_at(block + 208);

	out[0] = d * (float)(int8_t)block[192 + 2 * g];
	out[1] = d * (float)(int8_t)block[193 + 2 * g];
}

INLINE void floats_iq4_xs(const uint8_t *block, size_t g, float *out)
{
	int low = block[4 + g / 2] >> 4 * (g % 2) & 15, high = half_load(block + 2) >> 2 * g & 3;

	out[0] = f16_at(block) * (float)((low | high << 4) - 32);
}

INLINE void floats_mxfp4(const uint8_t *block, size_t g, float *out)
{
	uint32_t e = block[0];

	(void)g;
	out[0] = half_bits_to_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

INLINE void floats_nvfp4(const uint8_t *block, size_t g, float *out)
{
	out[0] = block_ue4m3_half(block[2 * g]);
	out[1] = block_ue4m3_half(block[2 * g + 1]);
}

/* `mask` of each byte `shift` bits up. */
INLINE uint8x16_t bits_at(uint8x16_t v, size_t shift, uint8_t mask)
{
	return vandq_u8(vshlq_u8(v, vdupq_n_s8((int8_t)(0 - (int)shift))), vdupq_n_u8(mask));
}

INLINE int8x16_t minus(uint8x16_t v, int8_t n)
{
	return vsubq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(n));
}

/* Low and high halves of sixteen bytes. */
INLINE void nibbles(const uint8_t *bytes, uint8x16_t out[2])
{
	uint8x16_t v = vld1q_u8(bytes);

	out[0] = vandq_u8(v, vdupq_n_u8(15));
	out[1] = vshrq_n_u8(v, 4);
}

INLINE void unpack_q4_0(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2];

	(void)g;
	nibbles(block + 2, v);
	out[0] = minus(v[0], 8);
	out[1] = minus(v[1], 8);
}

INLINE void unpack_q4_1(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2];

	(void)g;
	nibbles(block + 4, v);
	out[0] = minus(v[0], 0);
	out[1] = minus(v[1], 0);
}

/* Nibbles and, in four bytes of their own, a fifth bit each. */
INLINE void five_bits(const uint8_t *low, const uint8_t *high, int8_t less, int8x16_t out[2])
{
	static const uint8_t bits[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64,
		128 };
	uint8x16_t v[2], bit = vld1q_u8(bits);

	nibbles(low, v);
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t fifth = vcombine_u8(vdup_n_u8(high[2 * i]), vdup_n_u8(high[2 * i + 1]));

		fifth = vandq_u8(vtstq_u8(fifth, bit), vdupq_n_u8(16));
		out[i] = minus(vorrq_u8(v[i], fifth), less);
	}
}

INLINE void unpack_q5_0(const uint8_t *block, size_t g, int8x16_t out[2])
{
	(void)g;
	five_bits(block + 6, block + 2, 16, out);
}

INLINE void unpack_q5_1(const uint8_t *block, size_t g, int8x16_t out[2])
{
	(void)g;
	five_bits(block + 8, block + 4, 0, out);
}

INLINE void unpack_q8_0(const uint8_t *block, size_t g, int8x16_t out[2])
{
	(void)g;
	out[0] = vreinterpretq_s8_u8(vld1q_u8(block + 2));
	out[1] = vreinterpretq_s8_u8(vld1q_u8(block + 18));
}

INLINE void unpack_q2_k(const uint8_t *block, size_t g, int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t v = vld1q_u8(block + 16 + g / 4 * 32 + 16 * i);

		v = vmulq_u8(bits_at(v, 2 * (g % 4), 3), vdupq_n_u8(block[2 * g + i] & 15));
		out[i] = vreinterpretq_s8_u8(v);
	}
}

INLINE void unpack_q3_k(const uint8_t *block, size_t g, int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t low = vld1q_u8(block + 32 + g / 4 * 32 + 16 * i);
		uint8x16_t high = bits_at(vld1q_u8(block + 16 * i), g, 1);

		low = bits_at(low, 2 * (g % 4), 3);
		out[i] = minus(vorrq_u8(low, vshlq_n_u8(high, 2)), 4);
	}
}

INLINE void unpack_q4_k(const uint8_t *block, size_t g, int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++) out[i] = vreinterpretq_s8_u8(
	    bits_at(vld1q_u8(block + 16 + g / 2 * 32 + 16 * i), 4 * (g % 2), 15));
}

INLINE void unpack_q5_k(const uint8_t *block, size_t g, int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t low = vld1q_u8(block + 48 + g / 2 * 32 + 16 * i);
		uint8x16_t high = bits_at(vld1q_u8(block + 16 + 16 * i), g, 1);

		low = bits_at(low, 4 * (g % 2), 15);
		out[i] = vreinterpretq_s8_u8(vorrq_u8(low, vshlq_n_u8(high, 4)));
	}
}

INLINE void unpack_q6_k(const uint8_t *block, size_t g, int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++)
	{
		uint8x16_t low = vld1q_u8(block + g / 4 * 64 + g % 2 * 32 + 16 * i);
		uint8x16_t high = vld1q_u8(block + 128 + g / 4 * 32 + 16 * i);

		low = bits_at(low, g % 4 / 2 * 4, 15);
		high = bits_at(high, 2 * (g % 4), 3);
		out[i] = minus(vorrq_u8(low, vshlq_n_u8(high, 4)), 32);
	}
}

INLINE void look_up(const int8_t *table, const uint8x16_t v[2], int8x16_t out[2])
{
	UNROLL for (size_t i = 0; i < 2; i++) out[i] = vqtbl1q_s8(vld1q_s8(table), v[i]);
}

INLINE void unpack_iq4_nl(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2];

	(void)g;
	nibbles(block + 2, v);
	look_up(block_iq4_codebook, v, out);
}

INLINE void unpack_iq4_xs(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2];

	nibbles(block + 8 + 16 * g, v);
	look_up(block_iq4_codebook, v, out);
}

INLINE void unpack_mxfp4(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2];

	(void)g;
	nibbles(block + 1, v);
	look_up(block_e2m1, v, out);
}

/* Eight low nibbles, then their eight high ones. */
INLINE void unpack_nvfp4(const uint8_t *block, size_t g, int8x16_t out[2])
{
	uint8x16_t v[2], eights[2];

	nibbles(block + 4 + 16 * g, v);
	eights[0] = vcombine_u8(vget_low_u8(v[0]), vget_low_u8(v[1]));
	eights[1] = vcombine_u8(vget_high_u8(v[0]), vget_high_u8(v[1]));
	look_up(block_e2m1, eights, out);
}

/* The weight rows of a strip; missing ones repeat the last. */
INLINE void point_at_rows(const struct weight_rows *weights, const uint8_t *rows[KERNEL_STRIP])
{
	for (size_t r = 0; r < KERNEL_STRIP; r++)
		rows[r] = weight_row(weights, r);
}

/* K2 without halves that have scales: four rows' sums of a block times one row;
 * the floats of the kind stand `stride` apart. */
INLINE float32x4_t add_plain(enum kernel_kind kind, float32x4_t sum, int32x4_t dot,
    const float *floats, size_t stride, const struct q8_block *x)
{
	sum = vfmaq_f32(sum, vcvtq_f32_s32(dot), vmulq_n_f32(vld1q_f32(floats), x->scale));
	if (kind == KIND_MIN)
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + stride), x->sum);
	if (kind == KIND_MIN_HALVES) {
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + stride), q8_sum_low(x));
		sum = vfmaq_n_f32(sum, vld1q_f32(floats + 2 * stride), q8_sum_high(x));
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
