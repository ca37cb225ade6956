/* AVX2: 8-bit activations.  Spec: scalar_q8.c. */
#if defined(__x86_64__)
#include "kernels/x86_avx2_dot.h"
/* the vectors come first */
#include "kernels/x86.h"

void avx2_quantize(const float *x, size_t k, int8_t *quants, struct q8_block *blocks)
{
	const __m256 sign = _mm256_set1_ps(-0.0f), limit = _mm256_set1_ps(127.0f);

	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		__m256 tops = _mm256_setzero_ps(), inverse;
		__m256i q[4];
		int32_t low, high;
		float top;

		for (size_t i = 0; i < 4; i++)
			tops =
			    _mm256_max_ps(_mm256_andnot_ps(sign, _mm256_loadu_ps(x + i * 8)), tops);
		top = lanes_max(tops);
		inverse = _mm256_set1_ps(top > 0 ? 127.0f / top : 0.0f);
		for (size_t i = 0; i < 4; i++) {
			__m256 scaled =
			    _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i * 8), inverse),
				_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
			__m256 sane =
			    _mm256_cmp_ps(_mm256_andnot_ps(sign, scaled), limit, _CMP_LE_OQ);

			q[i] = _mm256_cvtps_epi32(_mm256_and_ps(scaled, sane));
		}
		/* packs work on 128-bit halves: put the eights back in order */
		q[0] = _mm256_packs_epi16(
		    _mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
		q[0] = _mm256_permutevar8x32_epi32(q[0], _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
		_mm256_storeu_si256((__m256i *)(void *)quants, q[0]);
		/* sums of the first sixteen and of the others, a half each */
		q[1] = _mm256_madd_epi16(
		    _mm256_maddubs_epi16(_mm256_set1_epi8(1), q[0]), _mm256_set1_epi16(1));
		q[1] = _mm256_hadd_epi32(q[1], q[1]);
		q[1] = _mm256_hadd_epi32(q[1], q[1]);
		low = _mm256_extract_epi32(q[1], 0);
		high = _mm256_extract_epi32(q[1], 4);
		blocks[b] = (struct q8_block){ .scale = top / 127.0f,
			.sum = top / 127.0f * (float)(low + high),
			.bias = -KERNEL_BIAS * (low + high),
			.low = -KERNEL_BIAS * low };
	}
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
