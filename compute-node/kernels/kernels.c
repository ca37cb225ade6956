/*
 * The table of kernel sets and the choice among them: a function is taken if
 * the CPU has its instructions and it equals scalar on random input.
 */
#include "kernels/kernels.h"

#include <pthread.h>

#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/kernels_sets.h"
#include "kernels/scalar.h"

static const struct kernels scalar_set = {
	.name = "scalar",
	.rows = { [TYPE_F32] = scalar_rows_f32,
	    [TYPE_F16] = scalar_rows_f16,
	    [TYPE_BF16] = scalar_rows_bf16 },
	.strip = { [TYPE_Q4_0] = scalar_strip_q4_0,
	    [TYPE_Q5_0] = scalar_strip_q5_0,
	    [TYPE_Q8_0] = scalar_strip_q8_0,
	    [TYPE_IQ4_NL] = scalar_strip_iq4_nl,
	    [TYPE_IQ4_XS] = scalar_strip_iq4_xs,
	    [TYPE_MXFP4] = scalar_strip_mxfp4 },
	.tile = scalar_tile,
	.quantize = scalar_quantize,
	.rms_norm = scalar_rms_norm,
	.swiglu = scalar_swiglu,
	.softmax = scalar_softmax,
	.scores_f16 = scalar_scores_f16,
	.scores_f32 = scalar_scores_f32,
	.mix_f16 = scalar_mix_f16,
	.mix_f32 = scalar_mix_f32,
};

const struct kernels *kernels_scalar(void)
{
	return &scalar_set;
}

/* Best first; scalar is added behind them. */
static const struct kernels_row {
	bool (*has)(void);
	const struct kernels *set; /* holes are NULL */
} rows[] = {
#if defined(__x86_64__)
	{ kernels_has_avx512vnni, &kernels_avx512vnni },
	{ kernels_has_avx512, &kernels_avx512 },
	{ kernels_has_avx2, &kernels_avx2 },
#endif
	{ NULL, NULL },
};

#define ROWS_LEN (sizeof(rows) / sizeof(rows[0]) - 1)
_Static_assert(ROWS_LEN < KERNEL_SETS_MAX, "room for scalar as well");

static struct kernels sets[KERNEL_SETS_MAX]; /* scalar first, the best last */
static size_t sets_len;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* From the least to the best, each filled up by the one before. */
static void choose(void)
{
	sets[0] = scalar_set;
	sets_len = 1;
	for (size_t i = ROWS_LEN; i-- > 0;) {
		sets[sets_len] = sets[sets_len - 1];
		if (rows[i].has() && kernels_adopt(&sets[sets_len], rows[i].set, &scalar_set))
			sets_len++;
	}
}

const struct kernels *kernels_get(void)
{
	(void)pthread_once(&once, choose);
	return &sets[sets_len - 1];
}

size_t kernels_sets(const struct kernels *out[KERNEL_SETS_MAX])
{
	(void)pthread_once(&once, choose);
	for (size_t i = 0; i < sets_len; i++)
		out[i] = &sets[sets_len - 1 - i];
	return sets_len;
}

enum kernel_form kernels_form(enum tensor_type type)
{
	if (scalar_set.rows[type] != NULL)
		return FORM_F32;
	return scalar_set.strip[type] != NULL ? FORM_Q8 : FORM_NONE;
}

size_t kernels_strip_bytes(size_t k)
{
	return k * KERNEL_STRIP + k / KERNEL_BLOCK * KERNEL_STRIP * sizeof(float);
}

static void widen_blocks(enum tensor_type type, const uint8_t *row, size_t n, float *out)
{
	const struct type_info *info = type_info(type);
	block_fn *block = block_of(type);
	int8_t quants[BLOCK_WEIGHTS_MAX];
	float scales[BLOCK_SCALES_MAX];

	for (size_t i = 0; i < n; i += info->block, row += info->block_bytes) {
		block(row, quants, scales);
		for (size_t j = 0; j < info->block; j++)
			out[i + j] = (float)quants[j] * scales[j / KERNEL_BLOCK];
	}
}

void kernels_widen(enum tensor_type type, const uint8_t *row, size_t n, float *out)
{
	if (type == TYPE_F32)
		memcpy(out, row, n * sizeof(*out));
	else if (type == TYPE_F16)
		for (size_t i = 0; i < n; i++)
			out[i] = half_from_f16(half_load(row + 2 * i));
	else if (type == TYPE_BF16)
		for (size_t i = 0; i < n; i++)
			out[i] = half_from_bf16(half_load(row + 2 * i));
	else
		widen_blocks(type, row, n, out);
}

void kernels_rope(float *x, size_t n_rot, const float *table, bool halves)
{
	size_t step = halves ? n_rot / 2 : 1;

	for (size_t i = 0; i < n_rot / 2; i++) {
		float *a = halves ? x + i : x + 2 * i, *b = a + step;
		float c = table[2 * i], s = table[2 * i + 1];
		float rotated = *a * c - *b * s;

		*b = *a * s + *b * c;
		*a = rotated;
	}
}
