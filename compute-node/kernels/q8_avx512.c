/* AVX-512: 8-bit activations.  Spec: scalar_quantize. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

void avx512_quantize(const float *x, size_t k, int8_t *quants, struct q8_block *blocks)
{
	const __m512 limit = _mm512_set1_ps(127.0f);

	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		__m512 v[2] = { _mm512_loadu_ps(x), _mm512_loadu_ps(x + 16) };
		__m512 tops = _mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_setzero_ps());
		float top = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(v[1]), tops));
		__m512 inverse = _mm512_set1_ps(top > 0 ? 127.0f / top : 0.0f);
		int32_t sums[2];

		UNROLL for (size_t i = 0; i < 2; i++)
		{
			__m512 scaled = _mm512_roundscale_ps(_mm512_mul_ps(v[i], inverse),
			    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
			__mmask16 sane =
			    _mm512_cmp_ps_mask(_mm512_abs_ps(scaled), limit, _CMP_LE_OQ);
			__m512i q = _mm512_maskz_cvtps_epi32(sane, scaled);

			_mm_storeu_si128(
			    (__m128i *)(void *)(quants + i * 16), _mm512_cvtepi32_epi8(q));
			sums[i] = _mm512_reduce_add_epi32(q);
		}
		blocks[b] = (struct q8_block){ .scale = top / 127.0f,
			.sum = top / 127.0f * (float)(sums[0] + sums[1]),
			.bias = -KERNEL_BIAS * (sums[0] + sums[1]),
			.low = -KERNEL_BIAS * sums[0] };
	}
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
