/* Unpacking of the formats with blocks of 256, and of NVFP4 with 64, for the
 * vectors of x86_vec_*.h.  Spec: blocks.c. */
#ifndef KERNELS_X86_UNPACK_K_H
#define KERNELS_X86_UNPACK_K_H

#include "kernels/x86_unpack.h"

INLINE vec bytes_set(int value)
{
	return V(set1_epi8)((char)value);
}

/* Thirty-two bytes of each row. */
INLINE void transpose_32(const uint8_t *const *rows, size_t at, vec out[8])
{
	transpose(rows, at, out);
	transpose(rows, at + 16, out + 4);
}

/* Moves the bits of each byte; what comes from its neighbour is masked off by
 * the caller. */
INLINE vec shift(vec v, int left)
{
	return left >= 0 ? V(slli_epi16)(v, (uint8_t)left) : V(srli_epi16)(v, (uint8_t)-left);
}

/* Scales and offsets of Q4_K and Q5_K: two floats for each of eight groups. */
INLINE void floats_q4_k(const uint8_t *const *rows, size_t at, float *floats)
{
	const vec six = bytes_set(63), four = bytes_set(15), two = bytes_set(48);
	vec head[4], scales[2], offsets[2];
	vecf d, d_min;

	transpose(rows, at, head);
	d = vec_f16(head[0]);
	d_min = V(xor_ps)(vec_f16(V(srli_epi32)(head[0], 16)), V(set1_ps)(-0.0f));
	scales[0] = vec_and(head[1], six);
	offsets[0] = vec_and(head[2], six);
	scales[1] = vec_and_or(shift(head[1], -2), two, vec_and(head[3], four));
	offsets[1] = vec_and_or(shift(head[2], -2), two, vec_and(shift(head[3], -4), four));
	UNROLL for (unsigned g = 0; g < 8; g++)
	{
		store_floats(floats, 2 * g, V(mul_ps)(d, byte_of(scales[g / 4], g % 4)));
		store_floats(floats, 2 * g + 1, V(mul_ps)(d_min, byte_of(offsets[g / 4], g % 4)));
	}
}

INLINE void unpack_q4_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const vec four = bytes_set(15), bias = bytes_set(vec_plus(0));

	(void)n_groups;
	floats_q4_k(rows, at, floats);
	for (size_t pair = 0; pair < 4; pair++) {
		vec v[8], low[8], high[8];

		fetch_at(next, pair * 36 * VEC_ROWS, 36);
		transpose_32(rows, at + 16 + 32 * pair, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			low[s] = vec_and_or(v[s], four, bias);
			high[s] = vec_and_or(shift(v[s], -4), four, bias);
		}
		store_steps(quants + 2 * pair * UNPACK_GROUP, low);
		store_steps(quants + (2 * pair + 1) * UNPACK_GROUP, high);
	}
}

INLINE void unpack_q5_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const vec four = bytes_set(15), bias = bytes_set(vec_plus(0)), fifth = bytes_set(16);
	vec high_bits[8];

	(void)n_groups;
	floats_q4_k(rows, at, floats);
	transpose_32(rows, at + 16, high_bits);
	UNROLL for (int pair = 0; pair < 4; pair++)
	{
		vec v[8], low[8], high[8];

		fetch_at(next, (size_t)pair * 44 * VEC_ROWS, 44);
		transpose_32(rows, at + 48 + 32 * (size_t)pair, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			low[s] = vec_and_or(v[s], four, bias);
			high[s] = vec_and_or(shift(v[s], -4), four, bias);
			low[s] = vec_and_or(shift(high_bits[s], 4 - 2 * pair), fifth, low[s]);
			high[s] = vec_and_or(shift(high_bits[s], 3 - 2 * pair), fifth, high[s]);
		}
		store_steps(quants + 2 * (size_t)pair * UNPACK_GROUP, low);
		store_steps(quants + (2 * (size_t)pair + 1) * UNPACK_GROUP, high);
	}
}

/* Groups g and g + 2 of a half block: the nibbles of the same bytes. */
INLINE void pair_q6_k(
    const uint8_t *const *rows, size_t at, const vec high_bits[8], int g, uint8_t *quants)
{
	const vec four = bytes_set(15), two = bytes_set(48), add = bytes_set(vec_plus(32) - 32);
	vec v[8], out[8];

	transpose_32(rows, at, v);
	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] = vec_and_or(shift(high_bits[s], 4 - 2 * g), two, vec_and(v[s], four));
		out[s] = V(add_epi8)(out[s], add);
	}
	store_steps(quants + (size_t)g * UNPACK_GROUP, out);
	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] =
		    vec_and_or(shift(high_bits[s], -2 * g), two, vec_and(shift(v[s], -4), four));
		out[s] = V(add_epi8)(out[s], add);
	}
	store_steps(quants + (size_t)(g + 2) * UNPACK_GROUP, out);
}

/* Two scales for each of eight groups. */
INLINE void floats_q6_k(const uint8_t *const *rows, size_t at, float *floats)
{
	vecf d = vec_f16(V(srli_epi32)(dword_last(rows, at + 210), 16));
	vec scales[4];

	transpose(rows, at + 192, scales);
	UNROLL for (unsigned i = 0; i < 16; i++)
	    store_floats(floats, i, V(mul_ps)(d, signed_byte_of(scales[i / 4], i % 4)));
}

INLINE void unpack_q6_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	(void)n_groups;
	floats_q6_k(rows, at, floats);
	for (size_t half = 0; half < 2; half++) {
		uint8_t *out = quants + 4 * half * UNPACK_GROUP;
		vec high_bits[8];

		transpose_32(rows, at + 128 + 32 * half, high_bits);
		fetch_at(next, half * 105 * VEC_ROWS, 53);
		pair_q6_k(rows, at + 64 * half, high_bits, 0, out);
		fetch_at(next, (half * 105 + 52) * VEC_ROWS, 53);
		pair_q6_k(rows, at + 64 * half + 32, high_bits, 1, out);
	}
}

/* Sixteen scales less 32, times d; their twelve bytes and d end the block. */
INLINE void floats_q3_k(const uint8_t *const *rows, size_t end, float *floats)
{
	const vec four = bytes_set(15), two = bytes_set(48), zero = bytes_set(32);
	vec raw[4], b[3], scales[4];
	vecf d;

	transpose(rows, end - 16, raw);
	d = vec_f16(V(srli_epi32)(raw[3], 16));
	UNROLL for (size_t i = 0; i < 3; i++) b[i] =
	    vec_or(V(srli_epi32)(raw[i], 16), V(slli_epi32)(raw[i + 1], 16));
	UNROLL for (int i = 0; i < 4; i++)
	{
		vec low = vec_and(shift(b[i % 2], i < 2 ? 0 : -4), four);

		scales[i] = vec_and_or(shift(b[2], 4 - 2 * i), two, low);
		scales[i] = V(sub_epi8)(scales[i], zero);
	}
	UNROLL for (unsigned i = 0; i < 16; i++)
	    store_floats(floats, i, V(mul_ps)(d, signed_byte_of(scales[i / 4], i % 4)));
}

INLINE void unpack_q3_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const vec two = bytes_set(3), third = bytes_set(4), add = bytes_set(vec_plus(4) - 4);
	vec high_bits[8], v[8], out[8];

	(void)n_groups;
	floats_q3_k(rows, at + 110, floats);
	transpose_32(rows, at, high_bits);
	UNROLL for (int g = 0; g < 8; g++)
	{
		fetch_at(next, (size_t)g * 110 / 8 * VEC_ROWS, 14);
		if (g % 4 == 0)
			transpose_32(rows, at + 32 + 8 * (size_t)g, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			out[s] = vec_and(shift(v[s], -2 * (g % 4)), two);
			out[s] = vec_and_or(shift(high_bits[s], 2 - g), third, out[s]);
			out[s] = V(add_epi8)(out[s], add);
		}
		store_steps(quants + (size_t)g * UNPACK_GROUP, out);
	}
}

/* The 2-bit weights of a group times the scales of its halves. */
INLINE void group_q2_k(const vec v[8], int shift_right, const vec scale[2], uint8_t *quants)
{
	const vec two = bytes_set(3), bias = bytes_set(vec_plus(0));
	vec out[8];

	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] = vec_and(shift(v[s], -shift_right), two);
		/* two products of at most 45 in 16 bits: none reaches the other */
		out[s] = vec_or(V(mullo_epi16)(out[s], scale[s / 4]), bias);
	}
	store_steps(quants, out);
}

INLINE void unpack_q2_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const vec four = V(set1_epi32)(15);
	vec tail = dword_last(rows, at + 84), scales[4], v[8];
	vecf d = vec_f16(tail),
	     d_min = V(xor_ps)(vec_f16(V(srli_epi32)(tail, 16)), V(set1_ps)(-0.0f));

	(void)n_groups;
	transpose(rows, at, scales);
	UNROLL for (int g = 0; g < 8; g++)
	{
		vec scale[2];

		fetch_at(next, (size_t)g * 84 / 8 * VEC_ROWS, 11);
		if (g % 4 == 0)
			transpose_32(rows, at + 16 + 8 * (size_t)g, v);
		store_floats(floats, 3 * (size_t)g, d);
		UNROLL for (unsigned half = 0; half < 2; half++)
		{
			vec byte = V(srli_epi32)(
			    scales[g / 2], (uint8_t)(8 * (2 * ((unsigned)g % 2) + half)));
			vec offset = vec_and(V(srli_epi32)(byte, 4), four);

			scale[half] = vec_and(byte, four);
			scale[half] = vec_or(scale[half], V(slli_epi32)(scale[half], 16));
			store_floats(floats, 3 * (size_t)g + 1 + half,
			    V(mul_ps)(d_min, V(cvtepi32_ps)(offset)));
		}
		group_q2_k(v, 2 * (g % 4), scale, quants + (size_t)g * UNPACK_GROUP);
	}
}

INLINE void floats_iq4_xs(const uint8_t *const *rows, size_t at, float *floats)
{
	vec head[4];
	vecf d;

	transpose(rows, at, head);
	d = vec_f16(head[0]);
	UNROLL for (unsigned g = 0; g < 8; g++)
	{
		vec low = vec_and(V(srli_epi32)(head[1], (uint8_t)(4 * g)), V(set1_epi32)(15));
		vec high = vec_and(V(srli_epi32)(head[0], (uint8_t)(16 + 2 * g)), V(set1_epi32)(3));
		vec scale = vec_or(low, V(slli_epi32)(high, 4));

		scale = V(sub_epi32)(scale, V(set1_epi32)(32));
		store_floats(floats, g, V(mul_ps)(d, V(cvtepi32_ps)(scale)));
	}
}

INLINE void unpack_iq4_xs(const uint8_t *const *rows, size_t at, size_t n_groups,
    const uint8_t *next, uint8_t *quants, float *floats)
{
	const vec values = table_plus(block_iq4_codebook, vec_plus(0));

	(void)n_groups;
	floats_iq4_xs(rows, at, floats);
	for (size_t g = 0; g < 8; g++) {
		vec steps[8];

		fetch_at(next, g * 17 * VEC_ROWS, 17);
		transpose(rows, at + 8 + 16 * g, steps);
		split_nibbles(steps);
		UNROLL for (size_t s = 0; s < 8; s++) steps[s] = V(shuffle_epi8)(values, steps[s]);
		store_steps(quants + g * UNPACK_GROUP, steps);
	}
}

/* Scale bytes to halved floats: as F16 the bits are 2^-8 of the number. */
INLINE vecf ue4m3_half(vec bytes)
{
	const vec number = V(set1_epi32)(0x7f);
	vec bits = vec_and(bytes, number);

	bits = vec_differ(bits, number, bits, V(set1_epi32)(0));
	return V(mul_ps)(vec_f16(V(slli_epi32)(bits, 7)), V(set1_ps)(0x1p+7f));
}

/* Blocks of 64: four scales, then eight bytes for each 16. */
INLINE void unpack_nvfp4(const uint8_t *const *rows, size_t at, size_t n_groups,
    const uint8_t *next, uint8_t *quants, float *floats)
{
	const vec values = table_plus(block_e2m1, vec_plus(12)), low = V(set1_epi8)(15);

	for (size_t g = 0; g < n_groups; g++) {
		vec scales = dword_first(rows, at + g / 2 * 36), v[4], steps[8];

		fetch_at(next, g * 18 * VEC_ROWS, 18);
		scales = V(srl_epi32)(scales, _mm_cvtsi32_si128((int)(g % 2 * 16)));
		transpose(rows, at + g / 2 * 36 + 4 + g % 2 * 16, v);
		UNROLL for (size_t j = 0; j < 4; j++)
		{
			size_t s = j / 2 * 4 + j % 2;

			steps[s] = vec_and(v[j], low);
			steps[s + 2] = vec_and(V(srli_epi16)(v[j], 4), low);
		}
		UNROLL for (size_t s = 0; s < 8; s++) steps[s] = V(shuffle_epi8)(values, steps[s]);
		store_steps(quants + g * UNPACK_GROUP, steps);
		store_floats(floats, 2 * g, ue4m3_half(scales));
		store_floats(floats, 2 * g + 1, ue4m3_half(V(srli_epi32)(scales, 8)));
	}
}

#endif
