/* The kernels of arm64. */
#ifndef KERNELS_ARM_H
#define KERNELS_ARM_H

#include "kernels/scalar.h"

#if defined(__aarch64__)
kernel_rows_fn neon_rows_f32, neon_rows_f16, neon_rows_bf16;
kernel_strip_fn neon_strip_q4_0, neon_strip_q5_0, neon_strip_q8_0;
kernel_strip_fn neon_strip_iq4_nl, neon_strip_mxfp4;
kernel_tile_fn neon_tile_plain, neon_tile_halves, neon_tile_min, neon_tile_min_halves;
kernel_direct_fn neon_direct_q4_0, neon_direct_q5_0, neon_direct_q8_0;
kernel_direct_fn neon_direct_iq4_nl, neon_direct_mxfp4;
kernel_quantize_fn neon_quantize;
kernel_norm_fn neon_rms_norm;
kernel_gate_fn neon_swiglu;
kernel_softmax_fn neon_softmax;
kernel_scores_fn neon_scores_f16, neon_scores_f32;
kernel_mix_fn neon_mix_f16, neon_mix_f32;

kernel_tile_fn neondot_tile_plain, neondot_tile_halves, neondot_tile_min, neondot_tile_min_halves;
kernel_direct_fn neondot_direct_q4_0, neondot_direct_q5_0, neondot_direct_q8_0;
kernel_direct_fn neondot_direct_iq4_nl, neondot_direct_mxfp4;

kernel_tile_fn neoni8mm_tile_plain, neoni8mm_tile_halves, neoni8mm_tile_min,
    neoni8mm_tile_min_halves;
#endif

#endif
