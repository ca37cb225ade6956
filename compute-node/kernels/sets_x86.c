/* The sets of x86-64: which functions each has, and which CPUs can run them. */
#include "kernels/kernels_sets.h"
#include "kernels/x86.h"

#if defined(__x86_64__)
bool kernels_has_avx2(void)
{
	/* every CPU with AVX2 has the F16 conversions */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool kernels_has_avx512(void)
{
	return kernels_has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

bool kernels_has_avx512vnni(void)
{
	return kernels_has_avx512() && __builtin_cpu_supports("avx512vnni");
}

const struct kernels kernels_avx2 = {
	.name = "avx2",
	.rows = { [TYPE_F32] = avx2_rows_f32,
	    [TYPE_F16] = avx2_rows_f16,
	    [TYPE_BF16] = avx2_rows_bf16 },
	.direct = {
#define X(type, name, kind) [TYPE_##type] = avx2_direct_##name,
	    BLOCK_FORMATS(X)
#undef X
	},
	.panels = {
#define X(type, name, kind) [TYPE_##type] = avx2_panels_##name,
	    BLOCK_FORMATS(X)
#undef X
	},
	.quantize = avx2_quantize,
	.rms_norm = avx2_rms_norm,
	.swiglu = avx2_swiglu,
	.softmax = avx2_softmax,
	.scores_f16 = avx2_scores_f16,
	.scores_f32 = avx2_scores_f32,
	.scores_q8 = avx2_scores_q8,
	.mix_f16 = avx2_mix_f16,
	.mix_f32 = avx2_mix_f32,
	.mix_q8 = avx2_mix_q8,
	.peak = avx2_peak,
	.read = avx2_read,
};

const struct kernels kernels_avx512 = {
	.name = "avx512",
	.rows = { [TYPE_F32] = avx512_rows_f32,
	    [TYPE_F16] = avx512_rows_f16,
	    [TYPE_BF16] = avx512_rows_bf16 },
	.strip = {
#define X(type, name, kind) [TYPE_##type] = avx512_strip_##name,
	    BLOCK_FORMATS(X)
#undef X
	},
	.quantize = avx512_quantize,
	.rms_norm = avx512_rms_norm,
	.swiglu = avx512_swiglu,
	.softmax = avx512_softmax,
	.scores_f16 = avx512_scores_f16,
	.scores_f32 = avx512_scores_f32,
	.scores_q8 = avx512_scores_q8,
	.mix_f16 = avx512_mix_f16,
	.mix_f32 = avx512_mix_f32,
	.mix_q8 = avx512_mix_q8,
};

const struct kernels kernels_avx512vnni = {
	.name = "avx512vnni",
	.peak = avx512vnni_peak,
	.read = avx512vnni_read,
	.tile = {
#define X(type, name, kind) [TYPE_##type] = TILE_##kind(avx512vnni),
	    BLOCK_FORMATS(X)
#undef X
	},
	.direct = {
#define X(type, name, kind) [TYPE_##type] = avx512vnni_direct_##name,
	    BLOCK_FORMATS(X)
#undef X
	},
};
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
