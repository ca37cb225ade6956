/* What the AVX-512 unpacking of block formats shares. */
#ifndef KERNELS_X86_AVX512_UNPACK_H
#define KERNELS_X86_AVX512_UNPACK_H

#include "kernels/unpack_avx512.h"
#include "kernels/x86_avx512_strip.h"

/* The first four bytes at `at` of sixteen rows; reads sixteen of each. */
INLINE __m512i dword_first(const uint8_t *const *rows, size_t at)
{
	__m512i ab = _mm512_unpacklo_epi32(four_rows(rows, 0, at), four_rows(rows, 1, at));
	__m512i cd = _mm512_unpacklo_epi32(four_rows(rows, 2, at), four_rows(rows, 3, at));

	return _mm512_unpacklo_epi64(ab, cd);
}

/* The last four of the sixteen bytes that end at `end`. */
INLINE __m512i dword_last(const uint8_t *const *rows, size_t end)
{
	size_t at = end - 16;
	__m512i ab = _mm512_unpackhi_epi32(four_rows(rows, 0, at), four_rows(rows, 1, at));
	__m512i cd = _mm512_unpackhi_epi32(four_rows(rows, 2, at), four_rows(rows, 3, at));

	return _mm512_unpackhi_epi64(ab, cd);
}

/* F16 in the low or the high half of each lane. */
INLINE __m512 f16_low(__m512i v)
{
	return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

INLINE __m512 f16_high(__m512i v)
{
	return f16_low(_mm512_srli_epi32(v, 16));
}

/* Four steps of bytes to the eight steps of their nibbles, low ones first. */
INLINE void split_nibbles(__m512i v[8])
{
	const __m512i low = _mm512_set1_epi8(15);

	UNROLL for (size_t j = 0; j < 4; j++)
	{
		v[4 + j] = _mm512_and_si512(_mm512_srli_epi16(v[j], 4), low);
		v[j] = _mm512_and_si512(v[j], low);
	}
}

/* Sixteen weights as a strip has them, for lookup by nibble. */
INLINE __m512i biased_table(const int8_t *table)
{
	__m128i values = _mm_loadu_si128((const __m128i *)(const void *)table);

	return _mm512_broadcast_i32x4(_mm_xor_si128(values, _mm_set1_epi8((char)KERNEL_BIAS)));
}

INLINE void store_steps(uint8_t *quants, const __m512i steps[8])
{
	UNROLL for (size_t s = 0; s < 8; s++)
	    _mm512_storeu_si512(quants + s * UNPACK_STEP, steps[s]);
}

/* A share of `next`: what sixteen rows have in `bytes` of each.  It is to happen
 * between the groups: all at once would stop the loads of this strip. */
INLINE void fetch(const uint8_t *next, size_t bytes)
{
	__asm__ volatile("" ::: "memory");
	UNROLL for (size_t i = 0; i < bytes * HALF; i += CACHE_LINE)
	    _mm_prefetch((const char *)next + i, _MM_HINT_T0);
}

INLINE void store_floats(float *floats, size_t i, __m512 v)
{
	_mm512_storeu_ps(floats + i * KERNEL_STRIP, v);
}

/* Byte `i` of each lane, and the same with its sign, as floats. */
INLINE __m512 byte_of(__m512i v, unsigned i)
{
	return _mm512_cvtepi32_ps(
	    _mm512_and_si512(_mm512_srli_epi32(v, 8 * i), _mm512_set1_epi32(255)));
}

INLINE __m512 signed_byte_of(__m512i v, unsigned i)
{
	return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * i), 24));
}

#endif
