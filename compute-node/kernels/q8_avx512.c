/* AVX-512: 8-bit activations and the unpacking of strips.  Spec: scalar_q8.c. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512_strip.h"

#define STEP_BYTES (KERNEL_STRIP * 4) /* four weights of every row */
#define SCALE_BLOCKS 8                /* blocks whose scales are collected together */

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

/* The F16 in front of each block: collected as they are, then converted, so
 * that no wide load waits for narrow stores. */
static void unpack_scales(
    const uint8_t *const rows[KERNEL_STRIP], size_t block_bytes, size_t n_blocks, float *scales)
{
	uint16_t raw[SCALE_BLOCKS][KERNEL_STRIP];

	for (size_t b = 0; b < n_blocks; b += SCALE_BLOCKS) {
		size_t n = n_blocks - b < SCALE_BLOCKS ? n_blocks - b : SCALE_BLOCKS;

		for (size_t r = 0; r < KERNEL_STRIP; r++) {
			for (size_t i = 0; i < n; i++)
				raw[i][r] = half_load(rows[r] + (b + i) * block_bytes);
		}
		for (size_t i = 0; i < n; i++) {
			float *out = scales + (b + i) * KERNEL_STRIP;

			_mm512_storeu_ps(out, lanes_from_f16(raw[i]));
			_mm512_storeu_ps(out + HALF, lanes_from_f16(raw[i] + HALF));
		}
	}
}

INLINE void store_step(uint8_t *out, size_t step, size_t half, __m512i v)
{
	_mm512_storeu_si512(out + step * STEP_BYTES + half * HALF * 4, v);
}

void avx512_strip_q8_0(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,
    uint8_t *quants, float *scales)
{
	const __m512i bias = _mm512_set1_epi8((char)KERNEL_BIAS);
	const uint8_t *rows[KERNEL_STRIP];

	point_at_rows(weights, row_bytes, n_rows, rows);
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, quants += 8 * STEP_BYTES) {
		prefetch_next(weights, row_bytes, n_rows, Q8_0_BYTES, b);
		UNROLL for (size_t part = 0; part < 4; part++)
		{
			size_t half = part / 2, first = part % 2 * 4;
			__m512i v[4];

			transpose(rows + half * HALF, b * Q8_0_BYTES + 2 + first * 4, v);
			UNROLL for (size_t j = 0; j < 4; j++)
			    store_step(quants, first + j, half, _mm512_xor_si512(v[j], bias));
		}
	}
	unpack_scales(rows, Q8_0_BYTES, k / KERNEL_BLOCK, scales);
}

void avx512_strip_q4_0(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,
    uint8_t *quants, float *scales)
{
	const __m512i bias = _mm512_set1_epi8(KERNEL_BIAS - 8), low = _mm512_set1_epi8(15);
	const uint8_t *rows[KERNEL_STRIP];

	point_at_rows(weights, row_bytes, n_rows, rows);
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, quants += 8 * STEP_BYTES) {
		prefetch_next(weights, row_bytes, n_rows, Q4_0_BYTES, b);
		UNROLL for (size_t half = 0; half < 2; half++)
		{
			__m512i v[4];

			transpose(rows + half * HALF, b * Q4_0_BYTES + 2, v);
			UNROLL for (size_t j = 0; j < 4; j++)
			{
				__m512i lo = _mm512_and_si512(v[j], low);
				__m512i hi = _mm512_and_si512(_mm512_srli_epi16(v[j], 4), low);

				store_step(quants, j, half, _mm512_add_epi8(lo, bias));
				store_step(quants, 4 + j, half, _mm512_add_epi8(hi, bias));
			}
		}
	}
	unpack_scales(rows, Q4_0_BYTES, k / KERNEL_BLOCK, scales);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
