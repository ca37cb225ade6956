/* AVX2: float matrices, norms, gates, softmax.  Spec: scalar_float.c. */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_avx2.h"

#define TILE_ROWS 2
#define TILE_X 2

/* Sixteen weights from element `i` on. */
typedef struct lanes load_fn(const uint8_t *row, size_t i);

INLINE struct lanes load_f32(const uint8_t *row, size_t i)
{
	return lanes_load((const float *)(const void *)row + i);
}

INLINE struct lanes load_f16(const uint8_t *row, size_t i)
{
	const uint16_t *halves = (const uint16_t *)(const void *)row + i;

	return (struct lanes){ lanes_from_f16(halves), lanes_from_f16(halves + 8) };
}

INLINE __m256 widen_bf16(const uint8_t *bytes)
{
	__m128i halves = _mm_loadu_si128((const __m128i *)(const void *)bytes);

	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

INLINE struct lanes load_bf16(const uint8_t *row, size_t i)
{
	return (struct lanes){ widen_bf16(row + i * 2), widen_bf16(row + i * 2 + 16) };
}

/* `nr` weight rows times `nx` rows of x; both constant at every call. */
INLINE void multiply(load_fn *load, size_t bytes, size_t nr, size_t nx, const uint8_t *weights,
    size_t row_bytes, const float *x, size_t x_stride, size_t k, float *out, size_t out_stride)
{
	struct lanes sums[TILE_ROWS * TILE_X], w[TILE_ROWS];
	size_t i = 0;

	for (size_t s = 0; s < nr * nx; s++)
		sums[s] = lanes_zero();
	for (; i + 16 <= k; i += 16) {
		for (size_t r = 0; r < nr; r++)
			w[r] = load(weights + r * row_bytes, i);
		for (size_t t = 0; t < nx; t++) {
			struct lanes a = lanes_load(x + t * x_stride + i);

			for (size_t r = 0; r < nr; r++)
				sums[t * nr + r] = lanes_fma(w[r], a, sums[t * nr + r]);
		}
	}
	if (i < k) {
		uint8_t padded[64] = { 0 };

		for (size_t r = 0; r < nr; r++) {
			memcpy(padded, weights + r * row_bytes + i * bytes, (k - i) * bytes);
			w[r] = load(padded, 0);
		}
		for (size_t t = 0; t < nx; t++) {
			struct lanes a = lanes_load_some(x + t * x_stride + i, k - i);

			for (size_t r = 0; r < nr; r++)
				sums[t * nr + r] = lanes_fma(w[r], a, sums[t * nr + r]);
		}
	}
	for (size_t t = 0; t < nx; t++) {
		for (size_t r = 0; r < nr; r++)
			out[t * out_stride + r] = lanes_sum(sums[t * nr + r]);
	}
}

INLINE void multiply_all(load_fn *load, size_t bytes, const uint8_t *weights, size_t row_bytes,
    size_t n_rows, const float *x, size_t x_stride, size_t n_x, size_t k, float *out,
    size_t out_stride)
{
#define CALL(nr, nx)                                                                               \
	multiply(load, bytes, nr, nx, weights + r * row_bytes, row_bytes, x + t * x_stride,        \
	    x_stride, k, out + t * out_stride + r, out_stride)
	for (size_t r = 0; r < n_rows;) {
		bool pair = r + TILE_ROWS <= n_rows;

		for (size_t t = 0; t < n_x;) {
			bool two = t + TILE_X <= n_x;

			if (pair && two)
				CALL(TILE_ROWS, TILE_X);
			else if (pair)
				CALL(TILE_ROWS, 1);
			else if (two)
				CALL(1, TILE_X);
			else
				CALL(1, 1);
			t += two ? TILE_X : 1;
		}
		r += pair ? TILE_ROWS : 1;
	}
#undef CALL
}

#define ROWS(name, load, bytes)                                                                    \
	void name(const uint8_t *weights, size_t row_bytes, size_t n_rows, const float *x,         \
	    size_t x_stride, size_t n_x, size_t k, float *out, size_t out_stride)                  \
	{                                                                                          \
		multiply_all(load, bytes, weights, row_bytes, n_rows, x, x_stride, n_x, k, out,    \
		    out_stride);                                                                   \
	}

ROWS(avx2_rows_f32, load_f32, 4)
ROWS(avx2_rows_f16, load_f16, 2)
ROWS(avx2_rows_bf16, load_bf16, 2)

void avx2_rms_norm(const float *x, const float *weight, size_t n, float eps, float *y)
{
	struct lanes sum = lanes_zero(), v;
	size_t whole = n / 16 * 16, i;
	float scale;

	for (i = 0; i < whole; i += 16) {
		v = lanes_load(x + i);
		sum = lanes_fma(v, v, sum);
	}
	v = lanes_load_some(x + i, n - i);
	sum = lanes_fma(v, v, sum);
	scale = 1.0f / sqrtf(lanes_sum(sum) / (float)n + eps);
	for (i = 0; i + 8 <= n; i += 8) {
		__m256 y8 = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale));

		if (weight != NULL)
			y8 = _mm256_mul_ps(y8, _mm256_loadu_ps(weight + i));
		_mm256_storeu_ps(y + i, y8);
	}
	for (; i < n; i++)
		y[i] = weight != NULL ? x[i] * scale * weight[i] : x[i] * scale;
}

void avx2_swiglu(const float *gate, const float *up, size_t n, float *y)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 g = _mm256_loadu_ps(gate + i);
		__m256 e = lanes_exp(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
		__m256 v = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(up + i)));
	}
	for (; i < n; i++)
		y[i] = exact_silu(gate[i]) * up[i];
}

float avx2_softmax(float *x, size_t n, float scale, float *max)
{
	__m256 top = _mm256_set1_ps(-INFINITY), factor = _mm256_set1_ps(scale);
	struct lanes sum = lanes_zero();
	float padded[16] = { 0 }, best;
	size_t i = 0, whole = n / 16 * 16;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), factor);

		_mm256_storeu_ps(x + i, v);
		top = _mm256_max_ps(v, top);
	}
	best = lanes_max(top);
	for (; i < n; i++) {
		x[i] *= scale;
		best = x[i] > best ? x[i] : best;
	}
	top = _mm256_set1_ps(best);
	for (i = 0; i < whole; i += 8) {
		__m256 v = lanes_exp(_mm256_sub_ps(_mm256_loadu_ps(x + i), top));

		_mm256_storeu_ps(x + i, v);
		if (i % 16 == 0)
			sum.lo = _mm256_add_ps(sum.lo, v);
		else
			sum.hi = _mm256_add_ps(sum.hi, v);
	}
	for (; i < n; i++)
		padded[i - whole] = x[i] = exact_expf(x[i] - best);
	sum.lo = _mm256_add_ps(sum.lo, _mm256_loadu_ps(padded));
	sum.hi = _mm256_add_ps(sum.hi, _mm256_loadu_ps(padded + 8));
	*max = best;
	return lanes_sum(sum);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
