/*
 * What the AVX-512 kernels of quantised weights share: sixteen rows side by
 * side, so that a lane is a row.
 */
#ifndef KERNELS_X86_AVX512_STRIP_H
#define KERNELS_X86_AVX512_STRIP_H

#include "kernels/kernels.h"
#include "kernels/x86_avx512.h"

#define HALF (KERNEL_STRIP / 2)
#define CACHE_LINE 64

/* Sixteen bytes of rows r, r + 4, r + 8, r + 12, one in each quarter. */
INLINE __m512i four_rows(const uint8_t *const *rows, size_t r, size_t at)
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

/* Sixteen bytes at `at` of sixteen rows: out[j] has bytes 4j … 4j + 3 of row
 * 0, 1, …, 15. */
INLINE void transpose(const uint8_t *const *rows, size_t at, __m512i out[4])
{
	__m512i a = four_rows(rows, 0, at), b = four_rows(rows, 1, at);
	__m512i c = four_rows(rows, 2, at), d = four_rows(rows, 3, at);
	__m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);

	out[0] = _mm512_unpacklo_epi64(ab, cd);
	out[1] = _mm512_unpackhi_epi64(ab, cd);
	ab = _mm512_unpackhi_epi32(a, b);
	cd = _mm512_unpackhi_epi32(c, d);
	out[2] = _mm512_unpacklo_epi64(ab, cd);
	out[3] = _mm512_unpackhi_epi64(ab, cd);
}

INLINE void point_at_rows(
    const uint8_t *weights, size_t row_bytes, size_t n_rows, const uint8_t *rows[KERNEL_STRIP])
{
	for (size_t r = 0; r < KERNEL_STRIP; r++)
		rows[r] = weights + (r < n_rows ? r : n_rows - 1) * row_bytes;
}

#endif
