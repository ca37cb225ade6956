/* What the AVX-512 kernels share: lane sums and e^x, bit for bit as scalar. */
#ifndef KERNELS_X86_AVX512_H
#define KERNELS_X86_AVX512_H

#include <immintrin.h>

#include "kernels/exact.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define INLINE static inline __attribute__((always_inline))

/* K1's tree. */
INLINE float lanes_sum(__m512 v)
{
	__m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	b = _mm_add_ss(b, _mm_movehdup_ps(b));
	return _mm_cvtss_f32(b);
}

/* The first `n` lanes, n ≤ 16. */
INLINE __mmask16 lanes_mask(size_t n)
{
	return (__mmask16)((1u << n) - 1u);
}

/* exact_expf of each lane. */
INLINE __m512 lanes_exp(__m512 x)
{
	__m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(EXACT_LOG2E)),
	    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXACT_LN2_HIGH), x), p, y;
	__m512i e;

	r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXACT_LN2_LOW), r);
	p = _mm512_fmadd_ps(_mm512_set1_ps(EXACT_EXP_C6), r, _mm512_set1_ps(EXACT_EXP_C5));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXACT_EXP_C4));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXACT_EXP_C3));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXACT_EXP_C2));
	y = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
	e = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23);
	y = _mm512_mul_ps(y, _mm512_castsi512_ps(e));
	y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXACT_EXP_MAX), _CMP_GT_OQ),
	    _mm512_set1_ps(INFINITY));
	y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXACT_EXP_MIN), _CMP_LT_OQ),
	    _mm512_setzero_ps());
	return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
}

INLINE __m512 lanes_from_f16(const uint16_t *bytes)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
}

#endif
