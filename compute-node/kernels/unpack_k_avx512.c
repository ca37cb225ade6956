/* AVX-512: unpacking of the formats with blocks of 256.  Spec: blocks.c. */
#if defined(__x86_64__)
#include "kernels/x86_avx512_unpack.h"

/* a & mask | b */
#define AND_OR(a, mask, b) _mm512_ternarylogic_epi32(a, mask, b, 0xea)

INLINE __m512i bytes_set(int value)
{
	return _mm512_set1_epi8((char)value);
}

/* Thirty-two bytes of each row. */
INLINE void transpose_32(const uint8_t *const *rows, size_t at, __m512i out[8])
{
	transpose(rows, at, out);
	transpose(rows, at + 16, out + 4);
}

/* Moves the bits of each byte; what comes from its neighbour is masked off by
 * the caller. */
INLINE __m512i shift(__m512i v, int left)
{
	return left >= 0 ? _mm512_slli_epi16(v, (uint8_t)left)
			 : _mm512_srli_epi16(v, (uint8_t)-left);
}

/* Scales and offsets of Q4_K and Q5_K: two floats for each of eight groups. */
INLINE void floats_q4_k(const uint8_t *const *rows, size_t at, float *floats)
{
	const __m512i six = bytes_set(63), four = bytes_set(15), two = bytes_set(48);
	__m512i head[4], scales[2], offsets[2];
	__m512 d, d_min;

	transpose(rows, at, head);
	d = f16_low(head[0]);
	d_min = _mm512_xor_ps(f16_high(head[0]), _mm512_set1_ps(-0.0f));
	scales[0] = _mm512_and_si512(head[1], six);
	offsets[0] = _mm512_and_si512(head[2], six);
	scales[1] = AND_OR(shift(head[1], -2), two, _mm512_and_si512(head[3], four));
	offsets[1] = AND_OR(shift(head[2], -2), two, _mm512_and_si512(shift(head[3], -4), four));
	UNROLL for (unsigned g = 0; g < 8; g++)
	{
		store_floats(floats, 2 * g, _mm512_mul_ps(d, byte_of(scales[g / 4], g % 4)));
		store_floats(
		    floats, 2 * g + 1, _mm512_mul_ps(d_min, byte_of(offsets[g / 4], g % 4)));
	}
}

void avx512_unpack_q4_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const __m512i four = bytes_set(15), bias = bytes_set(KERNEL_BIAS);

	(void)n_groups;
	floats_q4_k(rows, at, floats);
	for (size_t pair = 0; pair < 4; pair++) {
		__m512i v[8], low[8], high[8];

		fetch(next + pair * 36 * HALF, 36);
		transpose_32(rows, at + 16 + 32 * pair, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			low[s] = AND_OR(v[s], four, bias);
			high[s] = AND_OR(shift(v[s], -4), four, bias);
		}
		store_steps(quants + 2 * pair * UNPACK_GROUP, low);
		store_steps(quants + (2 * pair + 1) * UNPACK_GROUP, high);
	}
}

void avx512_unpack_q5_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const __m512i four = bytes_set(15), bias = bytes_set(KERNEL_BIAS), fifth = bytes_set(16);
	__m512i high_bits[8];

	(void)n_groups;
	floats_q4_k(rows, at, floats);
	transpose_32(rows, at + 16, high_bits);
	UNROLL for (int pair = 0; pair < 4; pair++)
	{
		__m512i v[8], low[8], high[8];

		fetch(next + (size_t)pair * 44 * HALF, 44);
		transpose_32(rows, at + 48 + 32 * (size_t)pair, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			low[s] = AND_OR(v[s], four, bias);
			high[s] = AND_OR(shift(v[s], -4), four, bias);
			low[s] = AND_OR(shift(high_bits[s], 4 - 2 * pair), fifth, low[s]);
			high[s] = AND_OR(shift(high_bits[s], 3 - 2 * pair), fifth, high[s]);
		}
		store_steps(quants + 2 * (size_t)pair * UNPACK_GROUP, low);
		store_steps(quants + (2 * (size_t)pair + 1) * UNPACK_GROUP, high);
	}
}

/* Groups g and g + 2 of a half block: the nibbles of the same bytes. */
INLINE void pair_q6_k(
    const uint8_t *const *rows, size_t at, const __m512i high_bits[8], int g, uint8_t *quants)
{
	const __m512i four = bytes_set(15), two = bytes_set(48), add = bytes_set(KERNEL_BIAS - 32);
	__m512i v[8], out[8];

	transpose_32(rows, at, v);
	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] = AND_OR(shift(high_bits[s], 4 - 2 * g), two, _mm512_and_si512(v[s], four));
		out[s] = _mm512_add_epi8(out[s], add);
	}
	store_steps(quants + (size_t)g * UNPACK_GROUP, out);
	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] = AND_OR(
		    shift(high_bits[s], -2 * g), two, _mm512_and_si512(shift(v[s], -4), four));
		out[s] = _mm512_add_epi8(out[s], add);
	}
	store_steps(quants + (size_t)(g + 2) * UNPACK_GROUP, out);
}

void avx512_unpack_q6_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	__m512 d = f16_high(dword_last(rows, at + 210));
	__m512i scales[4];

	(void)n_groups;
	transpose(rows, at + 192, scales);
	UNROLL for (unsigned i = 0; i < 16; i++)
	    store_floats(floats, i, _mm512_mul_ps(d, signed_byte_of(scales[i / 4], i % 4)));
	for (size_t half = 0; half < 2; half++) {
		uint8_t *out = quants + 4 * half * UNPACK_GROUP;
		__m512i high_bits[8];

		transpose_32(rows, at + 128 + 32 * half, high_bits);
		fetch(next + half * 105 * HALF, 53);
		pair_q6_k(rows, at + 64 * half, high_bits, 0, out);
		fetch(next + (half * 105 + 52) * HALF, 53);
		pair_q6_k(rows, at + 64 * half + 32, high_bits, 1, out);
	}
}

/* Sixteen scales less 32, times d; their twelve bytes and d end the block. */
INLINE void floats_q3_k(const uint8_t *const *rows, size_t end, float *floats)
{
	const __m512i four = bytes_set(15), two = bytes_set(48), zero = bytes_set(32);
	__m512i raw[4], b[3], scales[4];
	__m512 d;

	transpose(rows, end - 16, raw);
	d = f16_high(raw[3]);
	UNROLL for (size_t i = 0; i < 3; i++) b[i] =
	    _mm512_or_si512(_mm512_srli_epi32(raw[i], 16), _mm512_slli_epi32(raw[i + 1], 16));
	UNROLL for (int i = 0; i < 4; i++)
	{
		__m512i low = _mm512_and_si512(shift(b[i % 2], i < 2 ? 0 : -4), four);

		scales[i] = AND_OR(shift(b[2], 4 - 2 * i), two, low);
		scales[i] = _mm512_sub_epi8(scales[i], zero);
	}
	UNROLL for (unsigned i = 0; i < 16; i++)
	    store_floats(floats, i, _mm512_mul_ps(d, signed_byte_of(scales[i / 4], i % 4)));
}

void avx512_unpack_q3_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const __m512i two = bytes_set(3), third = bytes_set(4), add = bytes_set(KERNEL_BIAS - 4);
	__m512i high_bits[8], v[8], out[8];

	(void)n_groups;
	floats_q3_k(rows, at + 110, floats);
	transpose_32(rows, at, high_bits);
	UNROLL for (int g = 0; g < 8; g++)
	{
		fetch(next + (size_t)g * 110 / 8 * HALF, 14);
		if (g % 4 == 0)
			transpose_32(rows, at + 32 + 8 * (size_t)g, v);
		UNROLL for (size_t s = 0; s < 8; s++)
		{
			out[s] = _mm512_and_si512(shift(v[s], -2 * (g % 4)), two);
			out[s] = AND_OR(shift(high_bits[s], 2 - g), third, out[s]);
			out[s] = _mm512_add_epi8(out[s], add);
		}
		store_steps(quants + (size_t)g * UNPACK_GROUP, out);
	}
}

/* The 2-bit weights of a group times the scales of its halves. */
INLINE void group_q2_k(const __m512i v[8], int shift_right, const __m512i scale[2], uint8_t *quants)
{
	const __m512i two = bytes_set(3), bias = bytes_set(KERNEL_BIAS);
	__m512i out[8];

	UNROLL for (size_t s = 0; s < 8; s++)
	{
		out[s] = _mm512_and_si512(shift(v[s], -shift_right), two);
		/* two products of at most 45 in 16 bits: none reaches the other */
		out[s] = _mm512_or_si512(_mm512_mullo_epi16(out[s], scale[s / 4]), bias);
	}
	store_steps(quants, out);
}

void avx512_unpack_q2_k(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats)
{
	const __m512i four = _mm512_set1_epi32(15);
	__m512i tail = dword_last(rows, at + 84), scales[4], v[8];
	__m512 d = f16_low(tail), d_min = _mm512_xor_ps(f16_high(tail), _mm512_set1_ps(-0.0f));

	(void)n_groups;
	transpose(rows, at, scales);
	UNROLL for (int g = 0; g < 8; g++)
	{
		__m512i scale[2];

		fetch(next + (size_t)g * 84 / 8 * HALF, 11);
		if (g % 4 == 0)
			transpose_32(rows, at + 16 + 8 * (size_t)g, v);
		store_floats(floats, 3 * (size_t)g, d);
		UNROLL for (unsigned half = 0; half < 2; half++)
		{
			__m512i byte =
			    _mm512_srli_epi32(scales[g / 2], 8 * (2 * ((unsigned)g % 2) + half));
			__m512i offset = _mm512_and_si512(_mm512_srli_epi32(byte, 4), four);

			scale[half] = _mm512_and_si512(byte, four);
			scale[half] =
			    _mm512_or_si512(scale[half], _mm512_slli_epi32(scale[half], 16));
			store_floats(floats, 3 * (size_t)g + 1 + half,
			    _mm512_mul_ps(d_min, _mm512_cvtepi32_ps(offset)));
		}
		group_q2_k(v, 2 * (g % 4), scale, quants + (size_t)g * UNPACK_GROUP);
	}
}

void avx512_unpack_iq4_xs(const uint8_t *const *rows, size_t at, size_t n_groups,
    const uint8_t *next, uint8_t *quants, float *floats)
{
	const __m512i values = biased_table(block_iq4_codebook);
	__m512i head[4];
	__m512 d;

	(void)n_groups;
	transpose(rows, at, head);
	d = f16_low(head[0]);
	UNROLL for (unsigned g = 0; g < 8; g++)
	{
		__m512i low =
		    _mm512_and_si512(_mm512_srli_epi32(head[1], 4 * g), _mm512_set1_epi32(15));
		__m512i high =
		    _mm512_and_si512(_mm512_srli_epi32(head[0], 16 + 2 * g), _mm512_set1_epi32(3));
		__m512i scale = _mm512_or_si512(low, _mm512_slli_epi32(high, 4));
		__m512i steps[8];

		fetch(next + g * 17 * HALF, 17);
		scale = _mm512_sub_epi32(scale, _mm512_set1_epi32(32));
		store_floats(floats, g, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
		transpose(rows, at + 8 + 16 * g, steps);
		split_nibbles(steps);
		UNROLL for (size_t s = 0; s < 8; s++) steps[s] =
		    _mm512_shuffle_epi8(values, steps[s]);
		store_steps(quants + g * UNPACK_GROUP, steps);
	}
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
