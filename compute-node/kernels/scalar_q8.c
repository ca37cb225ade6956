/*
 * Scalar kernels of quantised weights times 8-bit activations: the
 * specification of K2 and of the strip layout.
 */
#include <math.h>

#include "kernels/blocks.h"
#include "kernels/scalar.h"

/* Any format of kernels/blocks.h, by its own unpacking. */
static void unpack(enum tensor_type type, const struct weight_rows *weights, size_t k,
    uint8_t *quants, float *scales)
{
	const struct type_info *info = type_info(type);
	block_fn *block = block_of(type);
	size_t floats = kernels_floats(kernels_kind(type)), n = info->block / KERNEL_BLOCK * floats;
	int8_t values[BLOCK_WEIGHTS_MAX];
	float block_floats[BLOCK_FLOATS_MAX];

	for (size_t r = 0; r < KERNEL_STRIP; r++) {
		const uint8_t *at = weight_row(weights, r);

		for (size_t i = 0; i < k; i += info->block, at += info->block_bytes) {
			block(at, values, block_floats);
			for (size_t j = 0; j < info->block; j++)
				quants[((i + j) / 4 * KERNEL_STRIP + r) * 4 + j % 4] =
				    (uint8_t)(values[j] + KERNEL_BIAS);
			for (size_t j = 0; j < n; j++)
				scales[(i / KERNEL_BLOCK * floats + j) * KERNEL_STRIP + r] =
				    block_floats[j];
		}
	}
}

#define X(type, name, kind)                                                                        \
	void scalar_strip_##name(                                                                  \
	    const struct weight_rows *weights, size_t k, uint8_t *quants, float *scales)           \
	{                                                                                          \
		unpack(TYPE_##type, weights, k, quants, scales);                                   \
	}
BLOCK_FORMATS(X)
#undef X

/* Weights first … end - 1 of row `r` times activations, from `bias` on. */
static int32_t dot(
    const uint8_t *quants, size_t r, const int8_t *a, size_t first, size_t end, int32_t bias)
{
	for (size_t i = first; i < end; i++)
		bias += quants[(i / 4 * KERNEL_STRIP + r) * 4 + i % 4] * a[i];
	return bias;
}

/* One block of one weight row times one row: the specification of K2. */
static float add_block(enum kernel_kind kind, const uint8_t *quants, const float *scales, size_t r,
    const int8_t *a, const struct q8_block *x, size_t b, float sum)
{
	const float *floats = scales + b * kernels_floats(kind) * KERNEL_STRIP + r;
	size_t first = b * KERNEL_BLOCK, middle = first + KERNEL_BLOCK / 2;
	int32_t low, high;
	float both;

	if (kind != KIND_HALVES) {
		int32_t whole = dot(quants, r, a, first, first + KERNEL_BLOCK, x->bias);

		sum = fmaf((float)whole, floats[0] * x->scale, sum);
		if (kind == KIND_MIN)
			sum = fmaf(x->sum, floats[KERNEL_STRIP], sum);
		if (kind == KIND_MIN_HALVES) {
			sum = fmaf(q8_sum_low(x), floats[KERNEL_STRIP], sum);
			sum = fmaf(q8_sum_high(x), floats[2 * KERNEL_STRIP], sum);
		}
		return sum;
	}
	low = dot(quants, r, a, first, middle, x->low);
	high = dot(quants, r, a, middle, first + KERNEL_BLOCK, x->bias - x->low);
	both = fmaf((float)high, floats[KERNEL_STRIP], (float)low * floats[0]);
	return fmaf(both, x->scale, sum);
}

static void tile(enum kernel_kind kind, const uint8_t *quants, const float *scales,
    const struct q8_rows *x, size_t x_first, size_t n_x, size_t n_rows, float *out,
    size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;

	for (size_t t = 0; t < n_x; t++) {
		const int8_t *a = x->quants + (x_first + t) * x->k;
		const struct q8_block *blocks = x->blocks + (x_first + t) * n_blocks;

		for (size_t r = 0; r < n_rows; r++) {
			float sum = 0;

			for (size_t b = 0; b < n_blocks; b++)
				sum = add_block(kind, quants, scales, r, a, blocks + b, b, sum);
			out[t * out_stride + r] = sum;
		}
	}
}

#define TILE(name, kind)                                                                           \
	void name(const uint8_t *quants, const float *scales, const struct q8_rows *x,             \
	    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)              \
	{                                                                                          \
		tile(kind, quants, scales, x, x_first, n_x, n_rows, out, out_stride);              \
	}

TILE(scalar_tile_plain, KIND_PLAIN)
TILE(scalar_tile_halves, KIND_HALVES)
TILE(scalar_tile_min, KIND_MIN)
TILE(scalar_tile_min_halves, KIND_MIN_HALVES)

void scalar_quantize(const float *x, size_t k, int8_t *quants, struct q8_block *blocks)
{
	for (size_t b = 0; b < k / KERNEL_BLOCK; b++, x += KERNEL_BLOCK, quants += KERNEL_BLOCK) {
		float top = 0, inverse;
		int32_t sum = 0, low = 0;

		for (size_t i = 0; i < KERNEL_BLOCK; i++)
			top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
		inverse = top > 0 ? 127.0f / top : 0.0f;
		for (size_t i = 0; i < KERNEL_BLOCK; i++) {
			float scaled = nearbyintf(x[i] * inverse);
			/* false for NaN as well */
			bool sane = scaled >= -127.0f && scaled <= 127.0f;

			quants[i] = sane ? (int8_t)scaled : 0;
			sum += quants[i];
			low += i < KERNEL_BLOCK / 2 ? quants[i] : 0;
		}
		blocks[b] = (struct q8_block){ .scale = top / 127.0f,
			.sum = top / 127.0f * (float)sum,
			.bias = -KERNEL_BIAS * sum,
			.low = -KERNEL_BIAS * low };
	}
}
