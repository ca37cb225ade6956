/* The sets of arm64: which functions each has, and which CPUs can run them. */
#include "kernels/arm.h"
#include "kernels/kernels_sets.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

bool kernels_has_neon(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
}

bool kernels_has_neondot(void)
{
	return kernels_has_neon() && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

bool kernels_has_neoni8mm(void)
{
	return kernels_has_neondot() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}

const struct kernels kernels_neon = {
	.name = "neon",
	.rows = { [TYPE_F32] = neon_rows_f32,
	    [TYPE_F16] = neon_rows_f16,
	    [TYPE_BF16] = neon_rows_bf16 },
	.strip = { [TYPE_Q4_0] = neon_strip_q4_0,
	    [TYPE_Q5_0] = neon_strip_q5_0,
	    [TYPE_Q8_0] = neon_strip_q8_0,
	    [TYPE_IQ4_NL] = neon_strip_iq4_nl,
	    [TYPE_MXFP4] = neon_strip_mxfp4 },
	.tile = { [KIND_PLAIN] = neon_tile_plain,
	    [KIND_HALVES] = neon_tile_halves,
	    [KIND_MIN] = neon_tile_min,
	    [KIND_MIN_HALVES] = neon_tile_min_halves },
	.direct = { [TYPE_Q4_0] = neon_direct_q4_0,
	    [TYPE_Q5_0] = neon_direct_q5_0,
	    [TYPE_Q8_0] = neon_direct_q8_0,
	    [TYPE_IQ4_NL] = neon_direct_iq4_nl,
	    [TYPE_MXFP4] = neon_direct_mxfp4 },
	.quantize = neon_quantize,
	.rms_norm = neon_rms_norm,
	.swiglu = neon_swiglu,
	.softmax = neon_softmax,
	.scores_f16 = neon_scores_f16,
	.scores_f32 = neon_scores_f32,
	.mix_f16 = neon_mix_f16,
	.mix_f32 = neon_mix_f32,
};

const struct kernels kernels_neondot = {
	.name = "neondot",
	.tile = { [KIND_PLAIN] = neondot_tile_plain,
	    [KIND_HALVES] = neondot_tile_halves,
	    [KIND_MIN] = neondot_tile_min,
	    [KIND_MIN_HALVES] = neondot_tile_min_halves },
	.direct = { [TYPE_Q4_0] = neondot_direct_q4_0,
	    [TYPE_Q5_0] = neondot_direct_q5_0,
	    [TYPE_Q8_0] = neondot_direct_q8_0,
	    [TYPE_IQ4_NL] = neondot_direct_iq4_nl,
	    [TYPE_MXFP4] = neondot_direct_mxfp4 },
};

const struct kernels kernels_neoni8mm = {
	.name = "neoni8mm",
	.tile = { [KIND_PLAIN] = neoni8mm_tile_plain,
	    [KIND_HALVES] = neoni8mm_tile_halves,
	    [KIND_MIN] = neoni8mm_tile_min,
	    [KIND_MIN_HALVES] = neoni8mm_tile_min_halves },
};
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
