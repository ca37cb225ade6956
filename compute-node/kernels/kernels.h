/*
 * Kernels: the inner loops, one set of functions for each instruction set.
 *
 * The scalar set (kernels_scalar.c and its siblings) is the specification:
 * every other set must give the same bits, and kernels_get() takes a function
 * of a faster set only if the CPU has it and its results equal scalar's on
 * random input at start.  So the bits of an answer do not depend on the CPU.
 * What makes that possible:
 *  K1  a dot product of floats keeps 16 partial sums, the element k going to
 *      sum k mod 16 by fma; they are added as a tree (8, 4, 2, 1 apart).
 *  K2  a dot product with 8-bit activations adds the exact integer sum of each
 *      block of 32, scaled, to one float, block after block, by fma.  Where
 *      halves of a block have scales of their own, the scaled sum of the first
 *      and by fma that of the second make the block's; offsets are added
 *      behind, by fma, as offset times the scaled sum of the activations.
 *  K3  attention scores add head dimensions in order, weighted values add
 *      positions in order, both by fma.
 * Pure, any thread; nothing is allocated.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/type.h"

#define KERNEL_LANES 16
#define KERNEL_BLOCK 32      /* activations that share a scale */
#define KERNEL_STRIP 32      /* weight rows unpacked together */
#define KERNEL_CELLS 16      /* cache positions in one tile of keys */
#define KERNEL_BIAS 128      /* added to unpacked weights to make them unsigned */
#define KERNEL_DIRECT_X 4    /* rows of x that decoding has at most */
#define KERNEL_QUERIES_MAX 8 /* query rows of one attention call */

/* What a weight type wants its activations as. */
enum kernel_form { FORM_NONE, FORM_F32, FORM_Q8 };

/* How the weights of a type are scaled (K2), and so which tile multiplies them:
 * the floats that a row has for each 32 weights. */
enum kernel_kind {
	KIND_PLAIN,      /* scale */
	KIND_HALVES,     /* scale of the first 16, scale of the others */
	KIND_MIN,        /* scale, offset added to each weight */
	KIND_MIN_HALVES, /* scale, offset of the first 16, offset of the others */
	KERNEL_KINDS
};
#define KERNEL_FLOATS_MAX 3

static inline size_t kernels_floats(enum kernel_kind kind)
{
	return kind == KIND_PLAIN ? 1 : kind == KIND_MIN_HALVES ? 3 : 2;
}

/* What 32 activations have in common. */
struct q8_block {
	float scale;
	float sum;    /* scale * sum of the integers */
	int32_t bias; /* -KERNEL_BIAS * sum of the integers */
	int32_t low;  /* the same of the first 16 */
};

/* What `sum` is of, for either half: the division is exact. */
static inline float q8_sum_low(const struct q8_block *b)
{
	return (float)(b->low / -KERNEL_BIAS) * b->scale;
}

static inline float q8_sum_high(const struct q8_block *b)
{
	return (float)((b->bias - b->low) / -KERNEL_BIAS) * b->scale;
}

/* Rows of activations as 8-bit integers; k is a multiple of KERNEL_BLOCK. */
struct q8_rows {
	int8_t *quants;          /* [rows][k] */
	struct q8_block *blocks; /* [rows][k / 32] */
	size_t k;
};

/* Weights of a floating type times F32 rows:
 * out[t * out_stride + r] = dot(weight row r, x + t * x_stride). */
typedef void kernel_rows_fn(const uint8_t *weights, size_t row_bytes, size_t n_rows, const float *x,
    size_t x_stride, size_t n_x, size_t k, float *out, size_t out_stride);

/* Up to KERNEL_STRIP rows of weights in blocks, one behind the other. */
struct weight_rows {
	const uint8_t *at;
	size_t bytes, n; /* of a row; rows */
	/* What this thread multiplies after them, as many bytes, which a kernel may fetch
	 * from memory meanwhile; it does not read them. */
	const uint8_t *next;
};

/* Row `r`; those that are missing repeat the last one. */
static inline const uint8_t *weight_row(const struct weight_rows *w, size_t r)
{
	return w->at + (r < w->n ? r : w->n - 1) * w->bytes;
}

/* Unpack rows of a quantised type.
 * quants: [k / 4][KERNEL_STRIP][4] weight + KERNEL_BIAS;
 * scales: [k / 32][floats of the kind][KERNEL_STRIP].
 * Missing rows repeat the last one. */
typedef void kernel_strip_fn(
    const struct weight_rows *weights, size_t k, uint8_t *quants, float *scales);

/* A strip times rows x_first … x_first + n_x - 1: as kernel_rows_fn.  It may
 * rely on the integers being such as the type has. */
typedef void kernel_tile_fn(const uint8_t *quants, const float *scales, const struct q8_rows *x,
    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride);

/* Rows of x times weight rows, straight from their blocks: what strip and tile give. */
typedef void kernel_direct_fn(const struct weight_rows *weights, const struct q8_rows *x,
    size_t n_x, float *out, size_t out_stride);

/* One row to 8 bits: scale = max |x| / 127 for each block of 32, ties to even. */
typedef void kernel_quantize_fn(const float *x, size_t k, int8_t *quants, struct q8_block *blocks);

/* y = x / sqrt(mean(x²) + eps) * weight (weight may be NULL, y may be x). */
typedef void kernel_norm_fn(const float *x, const float *weight, size_t n, float eps, float *y);

/* y = act(gate) * up. */
typedef void kernel_gate_fn(const float *gate, const float *up, size_t n, float *y);

/* In place: x = e^(x * scale - max); returns the sum (16 lanes as K1), and the
 * maximum of x * scale through `max`. */
typedef float kernel_softmax_fn(float *x, size_t n, float scale, float *max);

/* Bytes of `n` numbers of an 8-bit cache. */
#define KERNEL_CACHE_Q8_BYTES(n) ((n) / KERNEL_BLOCK * (KERNEL_BLOCK + sizeof(uint16_t)))

/* out[q * out_stride + p] = dot(query q, key p) for whole tiles of keys:
 * keys: [n_tiles][head_dim][KERNEL_CELLS]; queries: [n_q][head_dim].
 * 8-bit keys: each tile's numbers are followed by their F16 scales,
 * [head_dim / 32][KERNEL_CELLS]; head_dim is then a multiple of 32. */
typedef void kernel_scores_fn(const void *keys, size_t n_tiles, size_t head_dim,
    const float *queries, size_t q_stride, size_t n_q, float *out, size_t out_stride);

/* acc[q] += Σ_p weights[q * w_stride + p] * values[p]; values: [n][head_dim].
 * 8-bit values: each position's are followed by their F16 scales, [head_dim / 32]. */
typedef void kernel_mix_fn(const void *values, size_t n, size_t head_dim, const float *weights,
    size_t w_stride, size_t n_q, float *acc, size_t acc_stride);

/* What a machine can do, for benches: `n` rounds of KERNEL_PEAK_MACS products
 * of 8-bit integers, added up, out of registers alone, and of the weights that a
 * set multiplies fastest.  `n` is a multiple of 2. */
#define KERNEL_PEAK_MACS 1024
typedef uint64_t kernel_peak_fn(size_t n);

/* Read `n` bytes, a multiple of 512, as fast as may be; some sum of them. */
typedef uint64_t kernel_read_fn(const uint8_t *bytes, size_t n);

struct kernels {
	const char *name; /* "avx512vnni": the best set that is used */
	kernel_rows_fn *rows[TYPE_NUMBER_MAX + 1];
	kernel_strip_fn *strip[TYPE_NUMBER_MAX + 1];
	kernel_tile_fn *tile[TYPE_NUMBER_MAX + 1];     /* of strips of that type */
	kernel_direct_fn *direct[TYPE_NUMBER_MAX + 1]; /* ≤ KERNEL_DIRECT_X rows of x, or NULL */
	kernel_direct_fn *panels[TYPE_NUMBER_MAX + 1]; /* any; NULL where strip and tile do */
	kernel_quantize_fn *quantize;
	kernel_norm_fn *rms_norm;
	kernel_gate_fn *swiglu;
	kernel_softmax_fn *softmax;
	kernel_scores_fn *scores_f16, *scores_f32, *scores_q8;
	kernel_mix_fn *mix_f16, *mix_f32, *mix_q8;
	kernel_peak_fn *peak;
	kernel_read_fn *read;
};

/* Scratch of kernels_multiply() for rows of k weights. */
struct kernel_scratch {
	uint8_t *quants; /* [KERNEL_STRIP * k] */
	float *scales;   /* [KERNEL_STRIP * k / KERNEL_BLOCK * KERNEL_FLOATS_MAX] */
};

/* Weight rows of a type whose form is FORM_Q8 times `n_x` rows, by what this set has for
 * so many: as kernel_rows_fn. */
void kernels_multiply(const struct kernels *kernels, enum tensor_type type,
    const struct weight_rows *weights, const struct q8_rows *x, size_t n_x,
    const struct kernel_scratch *scratch, float *out, size_t out_stride);

/* Chosen and checked once; lives as long as the process. */
const struct kernels *kernels_get(void);

/* The specification. */
const struct kernels *kernels_scalar(void);

/* Every set this CPU can run, best first, whole (holes filled from the next);
 * for tests and benches.  Returns how many. */
#define KERNEL_SETS_MAX 8
size_t kernels_sets(const struct kernels *out[KERNEL_SETS_MAX]);

/* What a type's matrix wants; FORM_NONE if it cannot be computed here. */
enum kernel_form kernels_form(enum tensor_type type);

/* Of a type whose form is FORM_Q8. */
enum kernel_kind kernels_kind(enum tensor_type type);

/* One row of any computable type as F32. */
void kernels_widen(enum tensor_type type, const uint8_t *row, size_t n, float *out);

/* Rotate pairs of `x` [n_rot] by the table [n_rot / 2][cos, sin]:
 * (2i, 2i+1), or with `halves` (i, i + n_rot / 2). */
void kernels_rope(float *x, size_t n_rot, const float *table, bool halves);

#endif
