/* The x86 kernels and the scalar ones that they fall back on. */
#ifndef KERNELS_X86_H
#define KERNELS_X86_H

#include "kernels/scalar.h"

#if defined(__x86_64__)
kernel_rows_fn avx2_rows_f32, avx2_rows_f16, avx2_rows_bf16;
kernel_quantize_fn avx2_quantize;
kernel_norm_fn avx2_rms_norm;
kernel_gate_fn avx2_swiglu;
kernel_softmax_fn avx2_softmax;
kernel_scores_fn avx2_scores_f16, avx2_scores_f32, avx2_scores_q8;
kernel_read_fn avx2_read, avx512vnni_read;
kernel_peak_fn avx2_peak, avx512vnni_peak;
kernel_mix_fn avx2_mix_f16, avx2_mix_f32, avx2_mix_q8;

kernel_rows_fn avx512_rows_f32, avx512_rows_f16, avx512_rows_bf16;
#define X(type, name, kind) kernel_strip_fn avx512_strip_##name;
BLOCK_FORMATS(X)
#undef X
kernel_quantize_fn avx512_quantize;
kernel_norm_fn avx512_rms_norm;
kernel_gate_fn avx512_swiglu;
kernel_softmax_fn avx512_softmax;
kernel_scores_fn avx512_scores_f16, avx512_scores_f32, avx512_scores_q8;
kernel_mix_fn avx512_mix_f16, avx512_mix_f32, avx512_mix_q8;

kernel_tile_fn avx512vnni_tile_plain, avx512vnni_tile_halves;
kernel_tile_fn avx512vnni_tile_min, avx512vnni_tile_min_halves;
#define X(type, name, kind)                                                                        \
	kernel_direct_fn avx2_direct_##name, avx2_panels_##name, avx512vnni_direct_##name;
BLOCK_FORMATS(X)
#undef X
#endif

#endif
