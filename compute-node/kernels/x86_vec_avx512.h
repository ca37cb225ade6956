/* The vectors of AVX-512 as the unpacking of blocks wants them. */
#ifndef KERNELS_X86_VEC_AVX512_H
#define KERNELS_X86_VEC_AVX512_H

#include "kernels/kernels.h"
#include "kernels/x86_avx512.h"

typedef __m512i vec;
typedef __m512 vecf;
#define V(operation) _mm512_##operation
#define VEC_ROWS 16 /* a lane is a row */
/* What is added to unpacked weights that are -zero and more. */
#define vec_plus(zero) KERNEL_BIAS
#define vec_and _mm512_and_si512
#define vec_or _mm512_or_si512
#define vec_xor _mm512_xor_si512
#define vec_store _mm512_storeu_si512
#define vec_as_floats _mm512_castsi512_ps
/* a & mask | b */
#define vec_and_or(a, mask, b) _mm512_ternarylogic_epi32(a, mask, b, 0xea)

/* Sixteen bytes of rows r, r + 4, r + 8, r + 12, one in each quarter. */
INLINE __m512i vec_rows(const uint8_t *const *rows, size_t r, size_t at)
{
	__m512i v =
	    _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(rows[r] + at)));

	v = _mm512_inserti32x4(
	    v, _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 4] + at)), 1);
	v = _mm512_inserti32x4(
	    v, _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 8] + at)), 2);
	return _mm512_inserti32x4(
	    v, _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 12] + at)), 3);
}

/* The same sixteen bytes in each quarter. */
INLINE vec vec_repeat(__m128i v)
{
	return _mm512_broadcast_i32x4(v);
}

/* Bytes `a` where byte `v` has all bits of `bits`, else 0. */
INLINE vec vec_where(vec v, vec bits, int a)
{
	return _mm512_maskz_set1_epi8(_mm512_test_epi8_mask(v, bits), (char)a);
}

/* `a` where lanes of `x` and `y` differ, else `b`. */
INLINE vec vec_differ(vec x, vec y, vec a, vec b)
{
	return _mm512_mask_mov_epi32(b, _mm512_cmpneq_epi32_mask(x, y), a);
}

/* F16 in the low half of each lane. */
INLINE vecf vec_f16(vec v)
{
	return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

#endif
