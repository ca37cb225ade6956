/* Scalar kernels on floats: the specification of K1, norms, gates, softmax. */
#include <math.h>

#include "kernels/exact.h"
#include "kernels/scalar.h"

float scalar_tree(float lanes[KERNEL_LANES])
{
	for (size_t step = KERNEL_LANES / 2; step > 0; step /= 2) {
		for (size_t i = 0; i < step; i++)
			lanes[i] += lanes[i + step];
	}
	return lanes[0];
}

/* Rows of `k` weights that `load` reads one by one; short rows end in zeros. */
#define ROWS(name, load)                                                                           \
	void name(const uint8_t *weights, size_t row_bytes, size_t n_rows, const float *x,         \
	    size_t x_stride, size_t n_x, size_t k, float *out, size_t out_stride)                  \
	{                                                                                          \
		for (size_t r = 0; r < n_rows; r++) {                                              \
			const uint8_t *row = weights + r * row_bytes;                              \
			for (size_t t = 0; t < n_x; t++) {                                         \
				float lanes[KERNEL_LANES] = { 0 };                                 \
				for (size_t i = 0; i < k; i++)                                     \
					lanes[i % KERNEL_LANES] = fmaf(load(row, i),               \
					    x[t * x_stride + i], lanes[i % KERNEL_LANES]);         \
				out[t * out_stride + r] = scalar_tree(lanes);                      \
			}                                                                          \
		}                                                                                  \
	}

static float load_f32(const uint8_t *row, size_t i)
{
	float value;

	memcpy(&value, row + i * sizeof(value), sizeof(value));
	return value;
}

static float load_f16(const uint8_t *row, size_t i)
{
	return half_from_f16(half_load(row + 2 * i));
}

static float load_bf16(const uint8_t *row, size_t i)
{
	return half_from_bf16(half_load(row + 2 * i));
}

ROWS(scalar_rows_f32, load_f32)
ROWS(scalar_rows_f16, load_f16)
ROWS(scalar_rows_bf16, load_bf16)

void scalar_rms_norm(const float *x, const float *weight, size_t n, float eps, float *y)
{
	float lanes[KERNEL_LANES] = { 0 }, scale;

	for (size_t i = 0; i < n; i++)
		lanes[i % KERNEL_LANES] = fmaf(x[i], x[i], lanes[i % KERNEL_LANES]);
	scale = 1.0f / sqrtf(scalar_tree(lanes) / (float)n + eps);
	for (size_t i = 0; i < n; i++)
		y[i] = weight != NULL ? x[i] * scale * weight[i] : x[i] * scale;
}

void scalar_swiglu(const float *gate, const float *up, size_t n, float *y)
{
	for (size_t i = 0; i < n; i++)
		y[i] = exact_silu(gate[i]) * up[i];
}

float scalar_softmax(float *x, size_t n, float scale, float *max)
{
	float lanes[KERNEL_LANES] = { 0 }, top = -INFINITY;

	for (size_t i = 0; i < n; i++) {
		x[i] *= scale;
		top = x[i] > top ? x[i] : top;
	}
	for (size_t i = 0; i < n; i++) {
		x[i] = exact_expf(x[i] - top);
		lanes[i % KERNEL_LANES] += x[i];
	}
	*max = top;
	return scalar_tree(lanes);
}
