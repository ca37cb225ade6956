/*
 * Block formats: what the bytes of a quantised block mean.
 *
 * Every format here is a list of small integers, and for each 32 of them the
 * one to three floats of its kind: weight = integer * scale (+ offset).
 * These functions are the specification of the formats; fast kernels unpack
 * on their own.
 */
#ifndef KERNELS_BLOCKS_H
#define KERNELS_BLOCKS_H

#include <stdint.h>

#include "kernels/kernels.h"

#define BLOCK_WEIGHTS_MAX 256
#define BLOCK_FLOATS_MAX (BLOCK_WEIGHTS_MAX / KERNEL_BLOCK * KERNEL_FLOATS_MAX)

/* X(TYPE, name, kind) */
#define BLOCK_FORMATS(X)                                                                           \
	X(Q4_0, q4_0, KIND_PLAIN)                                                                  \
	X(Q4_1, q4_1, KIND_MIN)                                                                    \
	X(Q5_0, q5_0, KIND_PLAIN)                                                                  \
	X(Q5_1, q5_1, KIND_MIN)                                                                    \
	X(Q8_0, q8_0, KIND_PLAIN)                                                                  \
	X(Q2_K, q2_k, KIND_MIN_HALVES)                                                             \
	X(Q3_K, q3_k, KIND_HALVES)                                                                 \
	X(Q4_K, q4_k, KIND_MIN)                                                                    \
	X(Q5_K, q5_k, KIND_MIN)                                                                    \
	X(Q6_K, q6_k, KIND_HALVES)                                                                 \
	X(IQ4_NL, iq4_nl, KIND_PLAIN)                                                              \
	X(IQ4_XS, iq4_xs, KIND_PLAIN)                                                              \
	X(MXFP4, mxfp4, KIND_PLAIN)                                                                \
	X(NVFP4, nvfp4, KIND_HALVES)

/* `quants` [weights of a block], `floats` [the same / 32][floats of the kind]. */
typedef void block_fn(const uint8_t *block, int8_t *quants, float *floats);

/* NULL for a type that is no such format. */
block_fn *block_of(enum tensor_type type);

/* Non-linear 4-bit codebook of the IQ4 formats. */
extern const int8_t block_iq4_codebook[16];
/* E2M1 numbers, doubled to be whole. */
extern const int8_t block_e2m1[16];
/* Half the value of each UE4M3 byte, as the numbers are doubled; NaN is 0. */
float block_ue4m3_half(uint8_t byte);

#endif
