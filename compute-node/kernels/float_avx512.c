/* AVX-512: float matrices, norms, gates, softmax.  Spec: scalar_float.c. */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_avx512.h"

/* Sixteen weights from element `i` on; `mask` at the end of a row. */
typedef __m512 load_fn(const uint8_t *row, size_t i, __mmask16 mask);

INLINE __m512 load_f32(const uint8_t *row, size_t i, __mmask16 mask)
{
	return _mm512_maskz_loadu_ps(mask, row + i * 4);
}

INLINE __m512 load_f16(const uint8_t *row, size_t i, __mmask16 mask)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + i * 2));
}

INLINE __m512 load_bf16(const uint8_t *row, size_t i, __mmask16 mask)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(
	    _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + i * 2)), 16));
}

/* The rows behind these will be wanted next: their part for 16 weights each. */
INLINE void fetch_next(const uint8_t *next, size_t bytes)
{
	__asm__ volatile("" ::: "memory"); /* in this order, not all at once */
	UNROLL for (size_t i = 0; i < bytes; i += 64)
	    _mm_prefetch((const char *)next + i, _MM_HINT_T0);
}

/* `nr` weight rows of `width` bytes each number times `nx` rows of x; all
 * constant at every call. */
INLINE void multiply(load_fn *load, size_t width, size_t nr, size_t nx, const uint8_t *weights,
    size_t row_bytes, const float *x, size_t x_stride, size_t k, float *out, size_t out_stride)
{
	__m512 sums[24];

	UNROLL for (size_t i = 0; i < nr * nx; i++) sums[i] = _mm512_setzero_ps();
	for (size_t i = 0; i < k; i += 16) {
		__mmask16 mask = k - i >= 16 ? 0xffff : lanes_mask(k - i);
		__m512 w[8];

		if (nx <= 2)
			fetch_next(weights + nr * (row_bytes + i * width), nr * 16 * width);
		UNROLL for (size_t r = 0; r < nr; r++) w[r] =
		    load(weights + r * row_bytes, i, mask);
		UNROLL for (size_t t = 0; t < nx; t++)
		{
			__m512 a = _mm512_maskz_loadu_ps(mask, x + t * x_stride + i);

			UNROLL for (size_t r = 0; r < nr; r++) sums[t * nr + r] =
			    _mm512_fmadd_ps(w[r], a, sums[t * nr + r]);
		}
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t r = 0; r < nr; r++) out[t * out_stride + r] =
		    lanes_sum(sums[t * nr + r]);
	}
}

/* Rows in groups of four, x in groups of six. */
INLINE void multiply_all(load_fn *load, size_t width, const uint8_t *weights, size_t row_bytes,
    size_t n_rows, const float *x, size_t x_stride, size_t n_x, size_t k, float *out,
    size_t out_stride)
{
	size_t r = 0;

#define CALL(nr, nx, t)                                                                            \
	multiply(load, width, nr, nx, weights + r * row_bytes, row_bytes, x + (t)*x_stride,        \
	    x_stride, k, out + (t)*out_stride + r, out_stride)
	for (; n_x == 1 && r + 8 <= n_rows; r += 8)
		CALL(8, 1, 0);
	for (; r + 4 <= n_rows; r += 4) {
		size_t t = 0;

		for (; t + 6 <= n_x; t += 6)
			CALL(4, 6, t);
		for (; t + 2 <= n_x; t += 2)
			CALL(4, 2, t);
		if (t < n_x)
			CALL(4, 1, t);
	}
	for (; r < n_rows; r++) {
		size_t t = 0;

		for (; t + 6 <= n_x; t += 6)
			CALL(1, 6, t);
		for (; t < n_x; t++)
			CALL(1, 1, t);
	}
#undef CALL
}

#define ROWS(name, load, width)                                                                    \
	void name(const uint8_t *weights, size_t row_bytes, size_t n_rows, const float *x,         \
	    size_t x_stride, size_t n_x, size_t k, float *out, size_t out_stride)                  \
	{                                                                                          \
		multiply_all(load, width, weights, row_bytes, n_rows, x, x_stride, n_x, k, out,    \
		    out_stride);                                                                   \
	}

ROWS(avx512_rows_f32, load_f32, 4)
ROWS(avx512_rows_f16, load_f16, 2)
ROWS(avx512_rows_bf16, load_bf16, 2)

void avx512_rms_norm(const float *x, const float *weight, size_t n, float eps, float *y)
{
	__m512 sum = _mm512_setzero_ps(), scale;

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 mask = n - i >= 16 ? 0xffff : lanes_mask(n - i);
		__m512 v = _mm512_maskz_loadu_ps(mask, x + i);

		sum = _mm512_fmadd_ps(v, v, sum);
	}
	scale = _mm512_set1_ps(1.0f / sqrtf(lanes_sum(sum) / (float)n + eps));
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 mask = n - i >= 16 ? 0xffff : lanes_mask(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), scale);

		if (weight != NULL)
			v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, weight + i));
		_mm512_mask_storeu_ps(y + i, mask, v);
	}
}

void avx512_swiglu(const float *gate, const float *up, size_t n, float *y)
{
	const __m512 one = _mm512_set1_ps(1.0f);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 mask = n - i >= 16 ? 0xffff : lanes_mask(n - i);
		__m512 g = _mm512_maskz_loadu_ps(mask, gate + i);
		__m512 e = lanes_exp(_mm512_xor_ps(g, _mm512_set1_ps(-0.0f)));
		__m512 v = _mm512_div_ps(g, _mm512_add_ps(one, e));

		v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, up + i));
		_mm512_mask_storeu_ps(y + i, mask, v);
	}
}

float avx512_softmax(float *x, size_t n, float scale, float *max)
{
	const __m512 lowest = _mm512_set1_ps(-INFINITY), factor = _mm512_set1_ps(scale);
	__m512 top = lowest, sum = _mm512_setzero_ps();

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 mask = n - i >= 16 ? 0xffff : lanes_mask(n - i);
		__m512 v = _mm512_mask_loadu_ps(lowest, mask, x + i);

		v = _mm512_mask_mul_ps(lowest, mask, v, factor);
		_mm512_mask_storeu_ps(x + i, mask, v);
		top = _mm512_max_ps(v, top);
	}
	*max = _mm512_reduce_max_ps(top);
	top = _mm512_set1_ps(*max);
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 mask = n - i >= 16 ? 0xffff : lanes_mask(n - i);
		__m512 v = lanes_exp(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), top));

		_mm512_mask_storeu_ps(x + i, mask, v);
		sum = _mm512_mask_add_ps(sum, mask, sum, v);
	}
	return lanes_sum(sum);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
