/*
 * Scalar kernels of quantised weights times 8-bit activations: the
 * specification of K2 and of the strip layout.
 */
#include <math.h>

#include "kernels/blocks.h"
#include "kernels/scalar.h"

static const uint8_t *strip_row(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t r)
{
	return weights + (r < n_rows ? r : n_rows - 1) * row_bytes;
}

/* Any format of kernels/blocks.h, by its own unpacking. */
static void unpack(enum tensor_type type, const uint8_t *weights, size_t row_bytes, size_t n_rows,
    size_t k, uint8_t *quants, float *scales)
{
	const struct type_info *info = type_info(type);
	block_fn *block = block_of(type);
	int8_t values[BLOCK_WEIGHTS_MAX];
	float block_scales[BLOCK_SCALES_MAX];

	for (size_t r = 0; r < KERNEL_STRIP; r++) {
		const uint8_t *at = strip_row(weights, row_bytes, n_rows, r);

		for (size_t i = 0; i < k; i += info->block, at += info->block_bytes) {
			block(at, values, block_scales);
			for (size_t j = 0; j < info->block; j++)
				quants[((i + j) / 4 * KERNEL_STRIP + r) * 4 + j % 4] =
				    (uint8_t)(values[j] + KERNEL_BIAS);
			for (size_t j = 0; j < info->block / KERNEL_BLOCK; j++)
				scales[(i / KERNEL_BLOCK + j) * KERNEL_STRIP + r] = block_scales[j];
		}
	}
}

#define STRIP(name, type)                                                                          \
	void name(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,               \
	    uint8_t *quants, float *scales)                                                        \
	{                                                                                          \
		unpack(type, weights, row_bytes, n_rows, k, quants, scales);                       \
	}

STRIP(scalar_strip_q4_0, TYPE_Q4_0)
STRIP(scalar_strip_q5_0, TYPE_Q5_0)
STRIP(scalar_strip_q8_0, TYPE_Q8_0)
STRIP(scalar_strip_iq4_nl, TYPE_IQ4_NL)
STRIP(scalar_strip_iq4_xs, TYPE_IQ4_XS)
STRIP(scalar_strip_mxfp4, TYPE_MXFP4)

void scalar_tile(const uint8_t *quants, const float *scales, const struct q8_rows *x,
    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;

	for (size_t t = 0; t < n_x; t++) {
		const int8_t *a = x->quants + (x_first + t) * x->k;
		const float *a_scales = x->scales + (x_first + t) * n_blocks;
		const int32_t *bias = x->bias + (x_first + t) * n_blocks;

		for (size_t r = 0; r < n_rows; r++) {
			float sum = 0;

			for (size_t b = 0; b < n_blocks; b++) {
				int32_t dot = bias[b];

				for (size_t i = b * KERNEL_BLOCK; i < (b + 1) * KERNEL_BLOCK; i++)
					dot +=
					    quants[(i / 4 * KERNEL_STRIP + r) * 4 + i % 4] * a[i];
				sum = fmaf(
				    (float)dot, scales[b * KERNEL_STRIP + r] * a_scales[b], sum);
			}
			out[t * out_stride + r] = sum;
		}
	}
}

void scalar_quantize(const float *x, size_t k, int8_t *quants, float *scales, int32_t *bias)
{
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		float top = 0, inverse;
		int32_t sum = 0;

		for (size_t i = 0; i < KERNEL_BLOCK; i++)
			top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
		inverse = top > 0 ? 127.0f / top : 0.0f;
		for (size_t i = 0; i < KERNEL_BLOCK; i++) {
			float scaled = nearbyintf(x[i] * inverse);
			/* false for NaN as well */
			bool sane = scaled >= -127.0f && scaled <= 127.0f;

			quants[i] = sane ? (int8_t)scaled : 0;
			sum += quants[i];
		}
		scales[b] = top / 127.0f;
		bias[b] = -KERNEL_BIAS * sum;
	}
}
