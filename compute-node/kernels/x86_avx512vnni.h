/* What the AVX-512 VNNI products share: a block of a strip times some rows. */
#ifndef KERNELS_X86_AVX512VNNI_H
#define KERNELS_X86_AVX512VNNI_H

#include "kernels/kernels.h"
#include "kernels/x86_avx512_strip.h"

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

/* What a row of activations brings to a tile. */
struct operand {
	const int8_t *quants;
	const struct q8_block *blocks;
};

/* Sixteen sums of a block into the rows' floats, as K2 has it; `f` [floats of
 * the kind], `high` for KIND_HALVES only. */
INLINE __m512 add_scaled(enum kernel_kind kind, __m512i dot, __m512i high, const __m512 *f,
    const struct q8_block *x, __m512 sum)
{
	__m512 scale = _mm512_set1_ps(x->scale), whole = _mm512_cvtepi32_ps(dot);

	if (kind == KIND_HALVES) {
		whole = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high), f[1], _mm512_mul_ps(whole, f[0]));
		return _mm512_fmadd_ps(whole, scale, sum);
	}
	sum = _mm512_fmadd_ps(whole, _mm512_mul_ps(f[0], scale), sum);
	if (kind == KIND_MIN)
		sum = _mm512_fmadd_ps(_mm512_set1_ps(x->sum), f[1], sum);
	if (kind == KIND_MIN_HALVES) {
		sum = _mm512_fmadd_ps(_mm512_set1_ps(q8_sum_low(x)), f[1], sum);
		sum = _mm512_fmadd_ps(_mm512_set1_ps(q8_sum_high(x)), f[2], sum);
	}
	return sum;
}

/* One block of the strip times `nx` rows.  With two `chains` the steps of the
 * first half and of the second have sums of their own: for want of other
 * independent work, or because they are scaled apart. */
INLINE void add_block(enum kernel_kind kind, size_t nx, size_t chains, const uint8_t *w,
    const float *floats, const struct operand *x, size_t b, __m512 *sums)
{
	size_t n_floats = kernels_floats(kind);
	__m512i dots[16];
	__m512 f[2][KERNEL_FLOATS_MAX];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512i whole = _mm512_set1_epi32(x[t].blocks[b].bias), low = whole;
		__m512i *d = dots + t * 2 * chains;

		if (chains == 2) {
			low = _mm512_set1_epi32(x[t].blocks[b].low);
			d[2] = d[3] = _mm512_sub_epi32(whole, low);
		}
		d[0] = d[1] = low;
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		__m512i w0 = _mm512_loadu_si512(w + s * STEP_BYTES);
		__m512i w1 = _mm512_loadu_si512(w + s * STEP_BYTES + 64);

		UNROLL for (size_t t = 0; t < nx; t++)
		{
			__m512i v = broadcast4(x[t].quants + b * KERNEL_BLOCK + s * 4);
			__m512i *d = dots + t * 2 * chains + s * chains / STEPS * 2;

			d[0] = _mm512_dpbusd_epi32(d[0], w0, v);
			d[1] = _mm512_dpbusd_epi32(d[1], w1, v);
		}
	}
	UNROLL for (size_t i = 0; i < 2 * n_floats; i++) f[i % 2][i / 2] =
	    _mm512_loadu_ps(floats + i * 16);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t i = 0; i < 2; i++)
		{
			__m512i dot = dots[t * 2 * chains + i], high = dot;

			if (chains == 2)
				high = dots[t * 2 * chains + 2 + i];
			if (chains == 2 && kind != KIND_HALVES)
				dot = _mm512_add_epi32(dot, high);
			sums[t * 2 + i] =
			    add_scaled(kind, dot, high, f[i], &x[t].blocks[b], sums[t * 2 + i]);
		}
	}
}

#endif
