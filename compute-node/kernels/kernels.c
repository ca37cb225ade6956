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
	.strip = {
#define X(type, name, kind) [TYPE_##type] = scalar_strip_##name,
	    BLOCK_FORMATS(X)
#undef X
	},
	.tile = {
#define X(type, name, kind) [TYPE_##type] = TILE_##kind(scalar),
	    BLOCK_FORMATS(X)
#undef X
	},
	.quantize = scalar_quantize,
	.rms_norm = scalar_rms_norm,
	.swiglu = scalar_swiglu,
	.softmax = scalar_softmax,
	.scores_f16 = scalar_scores_f16,
	.scores_f32 = scalar_scores_f32,
	.scores_q8 = scalar_scores_q8,
	.mix_f16 = scalar_mix_f16,
	.mix_f32 = scalar_mix_f32,
	.mix_q8 = scalar_mix_q8,
	.peak = scalar_peak,
	.read = scalar_read,
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
#elif defined(__aarch64__)
	{ kernels_has_neoni8mm, &kernels_neoni8mm },
	{ kernels_has_neondot, &kernels_neondot },
	{ kernels_has_neon, &kernels_neon },
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

void kernels_multiply(const struct kernels *kernels, enum tensor_type type,
    const struct weight_rows *weights, const struct q8_rows *x, size_t n_x,
    const struct kernel_scratch *scratch, float *out, size_t out_stride)
{
	kernel_direct_fn *direct =
	    n_x <= KERNEL_DIRECT_X ? kernels->direct[type] : kernels->panels[type];

	if (direct != NULL) {
		direct(weights, x, n_x, out, out_stride);
		return;
	}
	kernels->strip[type](weights, x->k, scratch->quants, scratch->scales);
	kernels->tile[type](
	    scratch->quants, scratch->scales, x, 0, n_x, weights->n, out, out_stride);
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

enum kernel_kind kernels_kind(enum tensor_type type)
{
	static const enum kernel_kind kinds[TYPE_NUMBER_MAX + 1] = {
#define X(type, name, kind) [TYPE_##type] = (kind),
		BLOCK_FORMATS(X)
#undef X
	};

	return kinds[type];
}

/* A block's weights from its integers and the floats of each 32. */
static void widen_kind(enum kernel_kind kind, const int8_t *quants, const float *floats, float *out)
{
	for (size_t i = 0; i < KERNEL_BLOCK; i++) {
		size_t half = i / (KERNEL_BLOCK / 2);
		float q = (float)quants[i];

		if (kind == KIND_PLAIN)
			out[i] = q * floats[0];
		else if (kind == KIND_HALVES)
			out[i] = q * floats[half];
		else
			out[i] = q * floats[0] + floats[kind == KIND_MIN ? 1 : 1 + half];
	}
}

static void widen_blocks(enum tensor_type type, const uint8_t *row, size_t n, float *out)
{
	const struct type_info *info = type_info(type);
	block_fn *block = block_of(type);
	enum kernel_kind kind = kernels_kind(type);
	size_t floats = kernels_floats(kind);
	int8_t quants[BLOCK_WEIGHTS_MAX];
	float block_floats[BLOCK_FLOATS_MAX];

	for (size_t i = 0; i < n; i += info->block, row += info->block_bytes) {
		block(row, quants, block_floats);
		for (size_t j = 0; j < info->block / KERNEL_BLOCK; j++)
			widen_kind(kind, quants + j * KERNEL_BLOCK, block_floats + j * floats,
			    out + i + j * KERNEL_BLOCK);
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
