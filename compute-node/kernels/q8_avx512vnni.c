/*
 * AVX-512 VNNI: strips times 8-bit rows.  Spec: scalar_tile.
 *
 * A lane is a weight row, so a block's 32 products end up in one lane without
 * shuffles: eight dpbusd of unsigned weights with four broadcast activations.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
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

/* The F16 at `at` of sixteen rows. */
INLINE __m512 scales_of(const uint8_t *const *rows, size_t at)
{
	__m128i low = _mm_setzero_si128(), high = _mm_setzero_si128();

#define ROW(i)                                                                                     \
	low = _mm_insert_epi16(low, half_load(rows[i] + at), i);                                   \
	high = _mm_insert_epi16(high, half_load(rows[8 + i] + at), i)
	ROW(0);
	ROW(1);
	ROW(2);
	ROW(3);
	ROW(4);
	ROW(5);
	ROW(6);
	ROW(7);
#undef ROW
	return _mm512_cvtph_ps(_mm256_set_m128i(high, low));
}

/* The eight steps of a block of sixteen rows as unsigned bytes: weight plus
 * 128 (Q8_0) or plus 8 (Q4_0). */
INLINE void steps_of(bool nibbles, const uint8_t *const *rows, size_t at, __m512i out[STEPS])
{
	if (nibbles) {
		const __m512i low = _mm512_set1_epi8(15);

		transpose(rows, at + 2, out);
		UNROLL for (size_t j = 0; j < 4; j++)
		{
			out[4 + j] = _mm512_and_si512(_mm512_srli_epi16(out[j], 4), low);
			out[j] = _mm512_and_si512(out[j], low);
		}
		return;
	}
	transpose(rows, at + 2, out);
	transpose(rows, at + 18, out + 4);
	UNROLL for (size_t j = 0; j < STEPS; j++) out[j] =
	    _mm512_xor_si512(out[j], _mm512_set1_epi8((char)KERNEL_BIAS));
}

/* Half a strip, straight from its blocks; `nibbles` and `nx` are constants. */
INLINE void direct_block(bool nibbles, size_t nx, const uint8_t *const *rows, size_t at, size_t b,
    const int8_t *const *a, const float *const *a_scales, const int32_t *const *bias, __m512 *sums)
{
	__m512i steps[STEPS], dots[8];
	__m512 scale = scales_of(rows, at);

	steps_of(nibbles, rows, at, steps);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		/* bias is -128 times the sum of the block: -8 times it is exact */
		dots[2 * t] = _mm512_set1_epi32(nibbles ? bias[t][b] / 16 : bias[t][b]);
		dots[2 * t + 1] = _mm512_setzero_si512();
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		UNROLL for (size_t t = 0; t < nx; t++) dots[2 * t + s % 2] = _mm512_dpbusd_epi32(
		    dots[2 * t + s % 2], steps[s], broadcast4(a[t] + b * KERNEL_BLOCK + s * 4));
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dots[2 * t], dots[2 * t + 1]));

		sums[2 * t] = _mm512_fmadd_ps(
		    dot, _mm512_mul_ps(scale, _mm512_set1_ps(a_scales[t][b])), sums[2 * t]);
	}
}

INLINE void direct(bool nibbles, size_t nx, const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t x_first, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK, bytes = nibbles ? Q4_0_BYTES : Q8_0_BYTES;
	const uint8_t *rows[KERNEL_STRIP];
	const int8_t *a[4];
	const float *a_scales[4];
	const int32_t *bias[4];
	__m512 sums[8];

	point_at_rows(weights, row_bytes, n_rows, rows);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		a[t] = x->quants + (x_first + t) * x->k;
		a_scales[t] = x->scales + (x_first + t) * n_blocks;
		bias[t] = x->bias + (x_first + t) * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b++) {
		prefetch_next(weights, row_bytes, n_rows, bytes, b);
		direct_block(nibbles, nx, rows, b * bytes, b, a, a_scales, bias, sums);
		direct_block(nibbles, nx, rows + HALF, b * bytes, b, a, a_scales, bias, sums + 1);
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > 16)
			write_rows(out + t * out_stride + 16, sums[2 * t + 1], n_rows - 16);
	}
}

INLINE void direct_all(bool nibbles, const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
#define CALL(nx) direct(nibbles, nx, weights, row_bytes, n_rows, x, 0, out, out_stride)
	if (n_x == 1)
		CALL(1);
	else if (n_x == 2)
		CALL(2);
	else if (n_x == 3)
		CALL(3);
	else
		CALL(4);
#undef CALL
}

void avx512vnni_direct_q4_0(const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
	direct_all(true, weights, row_bytes, n_rows, x, n_x, out, out_stride);
}

void avx512vnni_direct_q8_0(const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
	direct_all(false, weights, row_bytes, n_rows, x, n_x, out, out_stride);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
