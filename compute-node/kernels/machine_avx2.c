/* AVX2: what a machine can do at most, for benches. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_vec_avx2.h"

#define SUMS 8
#define AHEAD 4096 /* bytes asked for before they are read */

static uint64_t fold(__m256i v)
{
	uint64_t words[4];

	memcpy(words, &v, sizeof(words));
	return words[0] ^ words[1] ^ words[2] ^ words[3];
}

#define RUN 8 /* products of 4-bit weights that add up in 16 bits */

/* Without VNNI that is the least a product takes: one instruction to multiply, one
 * to add, and an eighth of one to widen the sum. */
uint64_t avx2_peak(size_t n)
{
	__m256i total = _mm256_setzero_si256(), sums[SUMS];
	__m256i a = _mm256_set1_epi8(3);
	const __m256i b = _mm256_set1_epi8(5);
	const __m256i one = _mm256_set1_epi16(1);

	for (size_t round = 0; round < n * KERNEL_PEAK_MACS / (SUMS * RUN * 32); round++) {
		UNROLL for (size_t s = 0; s < RUN; s++)
		{
			UNROLL for (size_t i = 0; i < SUMS; i++)
			{
				__m256i product = _mm256_maddubs_epi16(a, b);

				sums[i] = s == 0 ? product : _mm256_add_epi16(sums[i], product);
				/* every product is new, and its sum in a register */
				__asm__ volatile("" : "+x"(a), "+x"(sums[i]));
			}
		}
		UNROLL for (size_t i = 0; i < SUMS; i++) total =
		    _mm256_add_epi32(total, _mm256_madd_epi16(sums[i], one));
	}
	return fold(total);
}

uint64_t avx2_read(const uint8_t *bytes, size_t n)
{
	__m256i sums[SUMS];

	for (size_t i = 0; i < SUMS; i++)
		sums[i] = _mm256_setzero_si256();
	for (size_t at = 0; at < n; at += SUMS * 32) {
		for (size_t i = 0; i < SUMS; i++) {
			const uint8_t *from = bytes + at + i * 32;

			if (i % 2 == 0)
				_mm_prefetch((const char *)from + AHEAD, _MM_HINT_T0);
			sums[i] = _mm256_xor_si256(
			    sums[i], _mm256_loadu_si256((const __m256i *)(const void *)from));
		}
	}
	for (size_t i = 1; i < SUMS; i++)
		sums[0] = _mm256_xor_si256(sums[0], sums[i]);
	return fold(sums[0]);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
