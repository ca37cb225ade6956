/*
 * What the AVX2 kernels share: sixteen lanes in two registers, their sum and
 * e^x, bit for bit as scalar.
 */
#ifndef KERNELS_X86_AVX2_H
#define KERNELS_X86_AVX2_H

#include <immintrin.h>

#include "kernels/exact.h"

#define INLINE static inline __attribute__((always_inline))

struct lanes {
	__m256 lo, hi; /* lanes 0 … 7, 8 … 15 */
};

/* K1's tree. */
INLINE float lanes_sum(struct lanes v)
{
	__m256 a = _mm256_add_ps(v.lo, v.hi);
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	b = _mm_add_ss(b, _mm_movehdup_ps(b));
	return _mm_cvtss_f32(b);
}

INLINE struct lanes lanes_zero(void)
{
	return (struct lanes){ _mm256_setzero_ps(), _mm256_setzero_ps() };
}

INLINE struct lanes lanes_load(const float *x)
{
	return (struct lanes){ _mm256_loadu_ps(x), _mm256_loadu_ps(x + 8) };
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
	return (struct lanes){ _mm256_fmadd_ps(a.lo, b.lo, sum.lo),
		_mm256_fmadd_ps(a.hi, b.hi, sum.hi) };
}

/* exact_expf of each lane. */
INLINE __m256 lanes_exp(__m256 x)
{
	__m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXACT_LOG2E)),
	    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXACT_LN2_HIGH), x), p, y;
	__m256i e;

	r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXACT_LN2_LOW), r);
	p = _mm256_fmadd_ps(_mm256_set1_ps(EXACT_EXP_C6), r, _mm256_set1_ps(EXACT_EXP_C5));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXACT_EXP_C4));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXACT_EXP_C3));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXACT_EXP_C2));
	y = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
	e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
	y = _mm256_mul_ps(y, _mm256_castsi256_ps(e));
	y = _mm256_blendv_ps(y, _mm256_set1_ps(INFINITY),
	    _mm256_cmp_ps(x, _mm256_set1_ps(EXACT_EXP_MAX), _CMP_GT_OQ));
	y = _mm256_blendv_ps(
	    y, _mm256_setzero_ps(), _mm256_cmp_ps(x, _mm256_set1_ps(EXACT_EXP_MIN), _CMP_LT_OQ));
	return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

INLINE __m256 lanes_from_f16(const uint16_t *bytes)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

INLINE float lanes_max(__m256 v)
{
	__m128 b = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	b = _mm_max_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

#endif
