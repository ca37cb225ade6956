/* The kernels of arm64, and the block formats that they unpack themselves. */
#ifndef KERNELS_ARM_H
#define KERNELS_ARM_H

#include "kernels/scalar.h"

#if defined(__aarch64__)

/* X(TYPE, name, kind, its floats, weights of a block / 32, bytes of a block) */
#define ARM_FORMATS(X)                                                                             \
	X(Q4_0, q4_0, KIND_PLAIN, one_f16, 1, 18)                                                  \
	X(Q4_1, q4_1, KIND_MIN, two_f16, 1, 20)                                                    \
	X(Q5_0, q5_0, KIND_PLAIN, one_f16, 1, 22)                                                  \
	X(Q5_1, q5_1, KIND_MIN, two_f16, 1, 24)                                                    \
	X(Q8_0, q8_0, KIND_PLAIN, one_f16, 1, 34)                                                  \
	X(Q2_K, q2_k, KIND_MIN_HALVES, q2_k, 8, 84)                                                \
	X(Q3_K, q3_k, KIND_HALVES, q3_k, 8, 110)                                                   \
	X(Q4_K, q4_k, KIND_MIN, q4_k, 8, 144)                                                      \
	X(Q5_K, q5_k, KIND_MIN, q4_k, 8, 176)                                                      \
	X(Q6_K, q6_k, KIND_HALVES, q6_k, 8, 210)                                                   \
	X(IQ4_NL, iq4_nl, KIND_PLAIN, one_f16, 1, 18)                                              \
	X(IQ4_XS, iq4_xs, KIND_PLAIN, iq4_xs, 8, 136)                                              \
	X(MXFP4, mxfp4, KIND_PLAIN, mxfp4, 1, 17)                                                  \
	X(NVFP4, nvfp4, KIND_HALVES, nvfp4, 2, 36)

#define X(type, name, kind, floats, groups, bytes)                                                 \
	kernel_strip_fn neon_strip_##name;                                                         \
	kernel_direct_fn neon_direct_##name, neondot_direct_##name;
ARM_FORMATS(X)
#undef X

kernel_rows_fn neon_rows_f32, neon_rows_f16, neon_rows_bf16;
kernel_quantize_fn neon_quantize;
kernel_norm_fn neon_rms_norm;
kernel_gate_fn neon_swiglu;
kernel_softmax_fn neon_softmax;
kernel_scores_fn neon_scores_f16, neon_scores_f32;
kernel_mix_fn neon_mix_f16, neon_mix_f32;

kernel_tile_fn neon_tile_plain, neon_tile_halves, neon_tile_min, neon_tile_min_halves;
kernel_tile_fn neondot_tile_plain, neondot_tile_halves, neondot_tile_min, neondot_tile_min_halves;
kernel_tile_fn neoni8mm_tile_plain, neoni8mm_tile_halves, neoni8mm_tile_min,
    neoni8mm_tile_min_halves;
#endif

#endif
