/* Dot with AVX2: |a| · (b with the sign of a), pairs added in 16 bits, which 2 · 127² fits. */
#include "recall/dot.h"

#if defined(__AVX2__)
#include <immintrin.h>

static __m256i step(__m256i sum, const int8_t *row, __m256i with, __m256i size)
{
	__m256i values = _mm256_loadu_si256((const __m256i_u *)(const void *)row);
	__m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(values, with));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static int32_t total(__m256i sum)
{
	__m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
	return _mm_cvtsi128_si32(half);
}

void dot_rows_avx2(const int8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		const int8_t *row = rows + i * stride;
		__m256i sums[4] = { _mm256_setzero_si256(), _mm256_setzero_si256(),
			_mm256_setzero_si256(), _mm256_setzero_si256() };
		for (size_t j = 0; j < stride; j += DOT_LANES) {
			__m256i part =
			    _mm256_loadu_si256((const __m256i_u *)(const void *)(with + j));
			__m256i size = _mm256_abs_epi8(part);
			for (size_t k = 0; k < 4; k++)
				sums[k] = step(sums[k], row + k * stride + j, part, size);
		}
		for (size_t k = 0; k < 4; k++)
			out[i + k] = total(sums[k]);
	}
	for (; i < n; i++) {
		__m256i sum = _mm256_setzero_si256();
		for (size_t j = 0; j < stride; j += DOT_LANES) {
			__m256i part =
			    _mm256_loadu_si256((const __m256i_u *)(const void *)(with + j));
			sum = step(sum, rows + i * stride + j, part, _mm256_abs_epi8(part));
		}
		out[i] = total(sum);
	}
}
#endif
