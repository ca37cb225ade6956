/*
 * AVX-512 VNNI: strips times 8-bit rows.  Spec: scalar_tile.
 *
 * A lane is a weight row, so a block's 32 products end up in one lane without
 * shuffles: eight dpbusd of unsigned weights with four broadcast activations.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

#define STEPS (KERNEL_BLOCK / 4)
#define STEP_BYTES (KERNEL_STRIP * 4)

INLINE __m512i broadcast4(const int8_t *quants)
{
	int32_t four;

	memcpy(&four, quants, sizeof(four));
	return _mm512_set1_epi32(four);
}

INLINE void write_rows(float *out, __m512 v, size_t n)
{
	if (n >= 16)
		_mm512_storeu_ps(out, v);
	else
		_mm512_mask_storeu_ps(out, lanes_mask(n), v);
}

/* One block of the strip times `nx` rows.  With `split` the steps alternate
 * between two sums, for want of other independent work. */
INLINE void add_block(size_t nx, size_t split, const uint8_t *w, const float *w_scales,
    const int8_t *const *a, const float *const *a_scales, const int32_t *const *bias, size_t b,
    __m512 *sums)
{
	__m512i dots[16];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t i = 0; i < 2 * split; i++) dots[t * 2 * split + i] =
		    i < 2 ? _mm512_set1_epi32(bias[t][b]) : _mm512_setzero_si512();
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		__m512i w0 = _mm512_loadu_si512(w + s * STEP_BYTES);
		__m512i w1 = _mm512_loadu_si512(w + s * STEP_BYTES + 64);

		UNROLL for (size_t t = 0; t < nx; t++)
		{
			__m512i v = broadcast4(a[t] + b * KERNEL_BLOCK + s * 4);
			__m512i *d = dots + t * 2 * split + (s % split) * 2;

			d[0] = _mm512_dpbusd_epi32(d[0], w0, v);
			d[1] = _mm512_dpbusd_epi32(d[1], w1, v);
		}
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512 scale = _mm512_set1_ps(a_scales[t][b]);

		UNROLL for (size_t i = 0; i < 2; i++)
		{
			__m512i dot = dots[t * 2 * split + i];

			if (split == 2)
				dot = _mm512_add_epi32(dot, dots[t * 2 * split + 2 + i]);
			sums[t * 2 + i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot),
			    _mm512_mul_ps(_mm512_loadu_ps(w_scales + i * 16), scale),
			    sums[t * 2 + i]);
		}
	}
}

INLINE void tile(size_t nx, size_t split, const uint8_t *quants, const float *scales,
    const struct q8_rows *x, size_t x_first, size_t n_rows, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;
	const int8_t *a[6];
	const float *a_scales[6];
	const int32_t *bias[6];
	__m512 sums[12];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		a[t] = x->quants + (x_first + t) * x->k;
		a_scales[t] = x->scales + (x_first + t) * n_blocks;
		bias[t] = x->bias + (x_first + t) * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b++)
		add_block(nx, split, quants + b * STEPS * STEP_BYTES, scales + b * KERNEL_STRIP, a,
		    a_scales, bias, b, sums);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > 16)
			write_rows(out + t * out_stride + 16, sums[2 * t + 1], n_rows - 16);
	}
}

void avx512vnni_tile(const uint8_t *quants, const float *scales, const struct q8_rows *x,
    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)
{
	size_t t = 0;

#define CALL(nx, split)                                                                            \
	tile(nx, split, quants, scales, x, x_first + t, n_rows, out + t * out_stride, out_stride)
	for (; t + 6 <= n_x; t += 6)
		CALL(6, 1);
	if (n_x - t == 5)
		CALL(5, 1);
	else if (n_x - t == 4)
		CALL(4, 1);
	else if (n_x - t == 3)
		CALL(3, 1);
	else if (n_x - t == 2)
		CALL(2, 2);
	else if (n_x - t == 1)
		CALL(1, 2);
#undef CALL
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
