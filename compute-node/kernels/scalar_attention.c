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
