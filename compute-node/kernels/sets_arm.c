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

#define STRIP(type, name, kind, floats, groups, bytes) [TYPE_##type] = neon_strip_##name,
#define DIRECT(type, name, kind, floats, groups, bytes) [TYPE_##type] = neon_direct_##name,
#define DIRECT_DOT(type, name, kind, floats, groups, bytes) [TYPE_##type] = neondot_direct_##name,

const struct kernels kernels_neon = {
	.name = "neon",
	.rows = { [TYPE_F32] = neon_rows_f32,
	    [TYPE_F16] = neon_rows_f16,
	    [TYPE_BF16] = neon_rows_bf16 },
	.strip = { ARM_FORMATS(STRIP) },
	.tile = {
#define X(type, name, kind) [TYPE_##type] = TILE_##kind(neon),
	    BLOCK_FORMATS(X)
#undef X
	},
	.direct = { ARM_FORMATS(DIRECT) },
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
	.tile = {
#define X(type, name, kind) [TYPE_##type] = TILE_##kind(neondot),
	    BLOCK_FORMATS(X)
#undef X
	},
	.direct = { ARM_FORMATS(DIRECT_DOT) },
};

const struct kernels kernels_neoni8mm = {
	.name = "neoni8mm",
	.tile = {
#define X(type, name, kind) [TYPE_##type] = TILE_##kind(neoni8mm),
	    BLOCK_FORMATS(X)
#undef X
	},
};
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
