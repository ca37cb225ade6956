/* Dot with AVX2: pairs of half · value added in 16 bits, which four groups fit:
 * 4 · 2 · 2 · 15 · 127 < 2^15. */
#include "recall/dot.h"

#if defined(__AVX2__)
#include <immintrin.h>

#define GROUP_BYTES ((size_t)DOT_LANES / 2)
#define GROUPS_16 ((size_t)4)

static __m256i group(const uint8_t *row, const __m256i_u *with)
{
	const __m256i mask = _mm256_set1_epi8(15);
	__m256i bytes = _mm256_loadu_si256((const __m256i_u *)(const void *)row);
	__m256i low = _mm256_and_si256(bytes, mask);
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);

	return _mm256_add_epi16(_mm256_maddubs_epi16(low, _mm256_loadu_si256(with)),
	    _mm256_maddubs_epi16(high, _mm256_loadu_si256(with + 1)));
}

static int32_t total(__m256i sum)
{
	__m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
	return _mm_cvtsi128_si32(half);
}

static int32_t one(const uint8_t *row, size_t stride, const int8_t *with)
{
	__m256i sum = _mm256_setzero_si256();

	for (size_t at = 0; at < stride;) {
		size_t end = at + GROUPS_16 * GROUP_BYTES;
		__m256i pairs = _mm256_setzero_si256();
		for (end = end < stride ? end : stride; at < end; at += GROUP_BYTES) {
			const __m256i_u *part = (const __m256i_u *)(const void *)(with + 2 * at);
			pairs = _mm256_add_epi16(pairs, group(row + at, part));
		}
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
	}
	return total(sum);
}

void dot_halves_avx2(const uint8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = one(rows + i * stride, stride, with);
}
#endif
