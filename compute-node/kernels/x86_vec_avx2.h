/* The vectors of AVX2 as the unpacking of blocks wants them. */
#ifndef KERNELS_X86_VEC_AVX2_H
#define KERNELS_X86_VEC_AVX2_H

#include "kernels/kernels.h"
#include "kernels/x86_avx2.h"

typedef __m256i vec;
typedef __m256 vecf;
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define V(operation) _mm256_##operation
#define VEC_ROWS 8 /* a lane is a row */
/* What is added to unpacked weights that are -zero and more: for want of VNNI
 * they are to be as small as they can (x86_avx2_dot.h). */
#define vec_plus(zero) (zero)
#define vec_and _mm256_and_si256
#define vec_or _mm256_or_si256
#define vec_xor _mm256_xor_si256
#define vec_store(at, v) _mm256_storeu_si256((__m256i *)(void *)(at), v)
#define vec_as_floats _mm256_castsi256_ps
/* a & mask | b */
#define vec_and_or(a, mask, b) vec_or(vec_and(a, mask), b)

/* Sixteen bytes of rows r and r + 4, one in each half. */
INLINE vec vec_rows(const uint8_t *const *rows, size_t r, size_t at)
{
	return _mm256_inserti128_si256(
	    _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(rows[r] + at))),
	    _mm_loadu_si128((const __m128i *)(const void *)(rows[r + 4] + at)), 1);
}

/* The same sixteen bytes in each half. */
INLINE vec vec_repeat(__m128i v)
{
	return _mm256_broadcastsi128_si256(v);
}

/* Bytes `a` where byte `v` has all bits of `bits`, else 0. */
INLINE vec vec_where(vec v, vec bits, int a)
{
	return vec_and(_mm256_cmpeq_epi8(vec_and(v, bits), bits), _mm256_set1_epi8((char)a));
}

/* `a` where lanes of `x` and `y` differ, else `b`. */
INLINE vec vec_differ(vec x, vec y, vec a, vec b)
{
	return _mm256_blendv_epi8(a, b, _mm256_cmpeq_epi32(x, y));
}

/* F16 in the low half of each lane. */
INLINE vecf vec_f16(vec v)
{
	const vec low = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
	__m128i halves =
	    _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));

	return _mm256_cvtph_ps(halves);
}

#endif
