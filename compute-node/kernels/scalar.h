/*
 * The scalar functions, shared by the files that specify and test kernels.
 * One file for each family: scalar_float.c, scalar_q8.c, scalar_attention.c.
 */
#ifndef KERNELS_SCALAR_H
#define KERNELS_SCALAR_H

#include "kernels/blocks.h"
#include "kernels/kernels.h"

kernel_rows_fn scalar_rows_f32, scalar_rows_f16, scalar_rows_bf16;
#define X(type, name, kind) kernel_strip_fn scalar_strip_##name;
BLOCK_FORMATS(X)
#undef X
kernel_tile_fn scalar_tile_plain, scalar_tile_halves, scalar_tile_min, scalar_tile_min_halves;
kernel_quantize_fn scalar_quantize;
kernel_norm_fn scalar_rms_norm;
kernel_gate_fn scalar_swiglu;
kernel_softmax_fn scalar_softmax;
kernel_scores_fn scalar_scores_f16, scalar_scores_f32, scalar_scores_q8;
kernel_peak_fn scalar_peak;
kernel_read_fn scalar_read;
kernel_mix_fn scalar_mix_f16, scalar_mix_f32, scalar_mix_q8;

/* K1's tree over the 16 partial sums (destroyed). */
float scalar_tree(float lanes[KERNEL_LANES]);

#endif
