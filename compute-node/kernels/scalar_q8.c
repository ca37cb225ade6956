/*
 * Scalar kernels of quantised weights times 8-bit activations: the
 * specification of K2, of the strip layout and of each block format.
 */
#include <math.h>

#include "kernels/half.h"
#include "kernels/scalar.h"

#define Q4_0_BYTES 18
#define Q8_0_BYTES 34

/* Put weight `i` (0 to 31) of block `b`, row `r` of the strip. */
static void put(uint8_t *quants, size_t b, size_t r, size_t i, int value)
{
	size_t step = b * (KERNEL_BLOCK / 4) + i / 4;

	quants[(step * KERNEL_STRIP + r) * 4 + i % 4] = (uint8_t)(value + KERNEL_BIAS);
}

static const uint8_t *strip_row(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t r)
{
	return weights + (r < n_rows ? r : n_rows - 1) * row_bytes;
}

void scalar_strip_q8_0(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,
    uint8_t *quants, float *scales)
{
	for (size_t r = 0; r < KERNEL_STRIP; r++) {
		const uint8_t *block = strip_row(weights, row_bytes, n_rows, r);

		for (size_t b = 0; b < k / KERNEL_BLOCK; b++, block += Q8_0_BYTES) {
			scales[b * KERNEL_STRIP + r] = half_from_f16(half_load(block));
			for (size_t i = 0; i < KERNEL_BLOCK; i++)
				put(quants, b, r, i, (int8_t)block[2 + i]);
		}
	}
}

void scalar_strip_q4_0(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,
    uint8_t *quants, float *scales)
{
	for (size_t r = 0; r < KERNEL_STRIP; r++) {
		const uint8_t *block = strip_row(weights, row_bytes, n_rows, r);

		for (size_t b = 0; b < k / KERNEL_BLOCK; b++, block += Q4_0_BYTES) {
			scales[b * KERNEL_STRIP + r] = half_from_f16(half_load(block));
			for (size_t i = 0; i < KERNEL_BLOCK / 2; i++) {
				put(quants, b, r, i, (block[2 + i] & 15) - 8);
				put(quants, b, r, i + 16, (block[2 + i] >> 4) - 8);
			}
		}
	}
}

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
