/* NEON: float matrices, norms, gates, softmax.  Spec: scalar_float.c. */
#if defined(__aarch64__)
#include "kernels/arm.h"
#include "kernels/arm_neon.h"

#define TILE_ROWS 2
#define TILE_X 2

/* Sixteen weights from element `i` on. */
typedef struct lanes load_fn(const uint8_t *row, size_t i);

INLINE struct lanes load_f32(const uint8_t *row, size_t i)
{
	struct lanes out;

	UNROLL for (size_t j = 0; j < 4; j++) out.v[j] =
	    vreinterpretq_f32_u8(vld1q_u8(row + (i + 4 * j) * 4));
	return out;
}

INLINE struct lanes load_f16(const uint8_t *row, size_t i)
{
	struct lanes out;

	lanes_from_f16(row + i * 2, out.v);
	lanes_from_f16(row + i * 2 + 16, out.v + 2);
	return out;
}

INLINE struct lanes load_bf16(const uint8_t *row, size_t i)
{
	struct lanes out;

	UNROLL for (size_t j = 0; j < 2; j++)
	{
		uint16x8_t halves = vreinterpretq_u16_u8(vld1q_u8(row + i * 2 + 16 * j));

		out.v[2 * j] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16));
		out.v[2 * j + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(halves, 16));
	}
	return out;
}

/* Sixteen columns, whole or the last ones with zeros behind them. */
INLINE void multiply_step(
    size_t nr, size_t nx, const struct lanes *w, const struct lanes *x, struct lanes *sums)
{
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t r = 0; r < nr; r++) sums[t * nr + r] =
		    lanes_fma(w[r], x[t], sums[t * nr + r]);
	}
}

/* `nr` weight rows times `nx` rows of x; both constant at every call. */
INLINE void multiply(load_fn *load, size_t bytes, size_t nr, size_t nx, const uint8_t *weights,
    size_t row_bytes, const float *x, size_t x_stride, size_t k, float *out, size_t out_stride)
{
	struct lanes sums[TILE_ROWS * TILE_X], w[TILE_ROWS], a[TILE_X];
	size_t i = 0;

	UNROLL for (size_t s = 0; s < nr * nx; s++) sums[s] = lanes_zero();
	for (; i + 16 <= k; i += 16) {
		UNROLL for (size_t r = 0; r < nr; r++) w[r] = load(weights + r * row_bytes, i);
		UNROLL for (size_t t = 0; t < nx; t++) a[t] = lanes_load(x + t * x_stride + i);
		multiply_step(nr, nx, w, a, sums);
	}
	if (i < k) {
		uint8_t padded[64] = { 0 };

		UNROLL for (size_t r = 0; r < nr; r++)
		{
			memcpy(padded, weights + r * row_bytes + i * bytes, (k - i) * bytes);
			w[r] = load(padded, 0);
		}
		UNROLL for (size_t t = 0; t < nx; t++) a[t] =
		    lanes_load_some(x + t * x_stride + i, k - i);
		multiply_step(nr, nx, w, a, sums);
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t r = 0; r < nr; r++) out[t * out_stride + r] =
		    lanes_sum(sums[t * nr + r]);
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

ROWS(neon_rows_f32, load_f32, 4)
ROWS(neon_rows_f16, load_f16, 2)
ROWS(neon_rows_bf16, load_bf16, 2)

void neon_rms_norm(const float *x, const float *weight, size_t n, float eps, float *y)
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
	for (i = 0; i + 4 <= n; i += 4) {
		float32x4_t four = vmulq_n_f32(vld1q_f32(x + i), scale);

		if (weight != NULL)
			four = vmulq_f32(four, vld1q_f32(weight + i));
		vst1q_f32(y + i, four);
	}
	for (; i < n; i++)
		y[i] = weight != NULL ? x[i] * scale * weight[i] : x[i] * scale;
}

void neon_swiglu(const float *gate, const float *up, size_t n, float *y)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t g = vld1q_f32(gate + i);
		float32x4_t below = vaddq_f32(vdupq_n_f32(1.0f), lanes_exp(vnegq_f32(g)));

		vst1q_f32(y + i, vmulq_f32(vdivq_f32(g, below), vld1q_f32(up + i)));
	}
	for (; i < n; i++)
		y[i] = exact_silu(gate[i]) * up[i];
}

float neon_softmax(float *x, size_t n, float scale, float *max)
{
	float32x4_t tops = vdupq_n_f32(-INFINITY);
	struct lanes sum = lanes_zero();
	float padded[16] = { 0 }, top;
	size_t i = 0, whole = n / 16 * 16;

	for (; i + 4 <= n; i += 4) {
		float32x4_t v = vmulq_n_f32(vld1q_f32(x + i), scale);

		vst1q_f32(x + i, v);
		tops = lanes_greater(v, tops);
	}
	top = vmaxvq_f32(tops);
	for (; i < n; i++) {
		x[i] *= scale;
		top = x[i] > top ? x[i] : top;
	}
	for (i = 0; i < whole; i += 16) {
		UNROLL for (size_t j = 0; j < 4; j++)
		{
			float32x4_t v = vsubq_f32(vld1q_f32(x + i + 4 * j), vdupq_n_f32(top));

			v = lanes_exp(v);
			vst1q_f32(x + i + 4 * j, v);
			sum.v[j] = vaddq_f32(sum.v[j], v);
		}
	}
	for (; i < n; i++)
		padded[i - whole] = x[i] = exact_expf(x[i] - top);
	UNROLL for (size_t j = 0; j < 4; j++) sum.v[j] =
	    vaddq_f32(sum.v[j], vld1q_f32(padded + 4 * j));
	*max = top;
	return lanes_sum(sum);
}
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
