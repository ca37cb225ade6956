/* AVX-512 VNNI: what a machine can do at most, for benches. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

#define SUMS 16
#define AHEAD 4096 /* bytes asked for before they are read */

static uint64_t fold(__m512i v)
{
	return (uint64_t)_mm512_reduce_add_epi64(v);
}

uint64_t avx512vnni_peak(size_t n)
{
	__m512i sums[SUMS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);

	UNROLL for (size_t i = 0; i < SUMS; i++) sums[i] = _mm512_set1_epi32((int)i);
	for (size_t round = 0; round < n * KERNEL_PEAK_MACS / (SUMS * 64); round++) {
		UNROLL for (size_t i = 0; i < SUMS; i++) sums[i] =
		    _mm512_dpbusd_epi32(sums[i], a, b);
		__asm__ volatile("" : "+v"(a), "+v"(b)); /* every product is new */
	}
	UNROLL for (size_t i = 1; i < SUMS; i++) sums[0] = _mm512_xor_si512(sums[0], sums[i]);
	return fold(sums[0]);
}

uint64_t avx512vnni_read(const uint8_t *bytes, size_t n)
{
	__m512i sums[8];

	UNROLL for (size_t i = 0; i < 8; i++) sums[i] = _mm512_setzero_si512();
	for (size_t at = 0; at < n; at += sizeof(sums)) {
		UNROLL for (size_t i = 0; i < 8; i++)
		{
			const uint8_t *from = bytes + at + i * 64;

			_mm_prefetch((const char *)from + AHEAD, _MM_HINT_T0);
			sums[i] = _mm512_xor_si512(sums[i], _mm512_loadu_si512(from));
		}
	}
	UNROLL for (size_t i = 1; i < 8; i++) sums[0] = _mm512_xor_si512(sums[0], sums[i]);
	return fold(sums[0]);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
