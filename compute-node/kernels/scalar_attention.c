/* Scalar kernels of attention: the specification of K3. */
#include <math.h>

#include "kernels/half.h"
#include "kernels/scalar.h"

static float at_f16(const void *base, size_t i)
{
	return half_from_f16(((const uint16_t *)base)[i]);
}

static float at_f32(const void *base, size_t i)
{
	return ((const float *)base)[i];
}

/* Of one tile of keys, or of one position's values. */
static float at_q8(const void *base, size_t i, size_t n_quants, size_t scale)
{
	const uint8_t *bytes = base;

	return (float)(int8_t)bytes[i] * half_from_f16(half_load(bytes + n_quants + 2 * scale));
}

void scalar_scores_q8(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,
    size_t q_stride, size_t n_q, float *out, size_t out_stride)
{
	size_t tile_bytes = KERNEL_CACHE_Q8_BYTES(head_dim * KERNEL_CELLS);

	for (size_t q = 0; q < n_q; q++) {
		for (size_t p = 0; p < n_tiles * KERNEL_CELLS; p++) {
			const uint8_t *tile = (const uint8_t *)keys + p / KERNEL_CELLS * tile_bytes;
			size_t cell = p % KERNEL_CELLS;
			float sum = 0;

			for (size_t d = 0; d < head_dim; d++)
				sum = fmaf(queries[q * q_stride + d],
				    at_q8(tile, d * KERNEL_CELLS + cell, head_dim * KERNEL_CELLS,
					d / KERNEL_BLOCK * KERNEL_CELLS + cell),
				    sum);
			out[q * out_stride + p] = sum;
		}
	}
}

void scalar_mix_q8(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)
{
	size_t row_bytes = KERNEL_CACHE_Q8_BYTES(head_dim);

	for (size_t q = 0; q < n_q; q++) {
		for (size_t p = 0; p < n; p++) {
			const uint8_t *row = (const uint8_t *)values + p * row_bytes;

			for (size_t d = 0; d < head_dim; d++)
				acc[q * acc_stride + d] = fmaf(weights[q * w_stride + p],
				    at_q8(row, d, head_dim, d / KERNEL_BLOCK),
				    acc[q * acc_stride + d]);
		}
	}
}

#define SCORES(name, at)                                                                           \
	void name(const void *keys, size_t n_tiles, size_t head_dim, const float *queries,         \
	    size_t q_stride, size_t n_q, float *out, size_t out_stride)                            \
	{                                                                                          \
		for (size_t q = 0; q < n_q; q++) {                                                 \
			for (size_t p = 0; p < n_tiles * KERNEL_CELLS; p++) {                      \
				size_t tile = p / KERNEL_CELLS * head_dim * KERNEL_CELLS;          \
				float sum = 0;                                                     \
				for (size_t d = 0; d < head_dim; d++)                              \
					sum = fmaf(queries[q * q_stride + d],                      \
					    at(keys, tile + d * KERNEL_CELLS + p % KERNEL_CELLS),  \
					    sum);                                                  \
				out[q * out_stride + p] = sum;                                     \
			}                                                                          \
		}                                                                                  \
	}

#define MIX(name, at)                                                                              \
	void name(const void *values, size_t n, size_t head_dim, const float *weights,             \
	    size_t w_stride, size_t n_q, float *acc, size_t acc_stride)                            \
	{                                                                                          \
		for (size_t q = 0; q < n_q; q++) {                                                 \
			for (size_t p = 0; p < n; p++) {                                           \
				float weight = weights[q * w_stride + p];                          \
				for (size_t d = 0; d < head_dim; d++)                              \
					acc[q * acc_stride + d] =                                  \
					    fmaf(weight, at(values, p * head_dim + d),             \
						acc[q * acc_stride + d]);                          \
			}                                                                          \
		}                                                                                  \
	}

SCORES(scalar_scores_f16, at_f16)
SCORES(scalar_scores_f32, at_f32)
MIX(scalar_mix_f16, at_f16)
MIX(scalar_mix_f32, at_f32)
