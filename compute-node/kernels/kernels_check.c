/*
 * The check at start: each function of a set against scalar, bit for bit, on
 * seeded random input with odd sizes and edge values.  Takes about 1 ms.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "kernels/half.h"
#include "kernels/kernels_sets.h"

#define K_FLOAT 83  /* not a multiple of any vector */
#define K_BLOCKS 96 /* activations; and weights of a format of short blocks */
#define K_STRIP 512 /* two of the longest blocks */
#define N_ROWS 35
#define N_X 13 /* more than any tile is wide */
#define HEAD 40
#define HEAD_Q8 64
#define CELLS 48
#define QUERIES 7
#define SEED 20261121u

struct bench {
	uint64_t state;
	uint8_t weights[KERNEL_STRIP * K_STRIP * 2];
	float x[N_X * K_STRIP], y[N_X * K_BLOCKS];
	uint8_t quants[2][KERNEL_STRIP * K_STRIP];
	float scales[2][KERNEL_STRIP * K_STRIP / KERNEL_BLOCK * KERNEL_FLOATS_MAX];
	int8_t a_quants[2][N_X * K_STRIP];
	struct q8_block a_blocks[2][N_X * K_STRIP / KERNEL_BLOCK];
	uint16_t cache[CELLS * HEAD * 2];
	float out[2][N_X * (N_ROWS + CELLS + K_BLOCKS)];
};

static float random_float(struct bench *b)
{
	int64_t bits = (int64_t)(random_next(&b->state) >> 40) - (1 << 23);

	return (float)bits * 0x1p-21f; /* -4 … 4 */
}

static void fill_floats(struct bench *b, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = random_float(b);
}

static void fill_f16(struct bench *b, uint16_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = half_to_f16(random_float(b));
}

/* Any bytes are a valid block but for F16 scales, which may stand in the
 * first or the last four bytes: those are given sane bits everywhere. */
static void fill_blocks(struct bench *b, enum tensor_type type, size_t k)
{
	size_t row = type_row_bytes(type, k), step = type_info(type)->block_bytes;

	for (size_t i = 0; i < row * KERNEL_STRIP; i++)
		b->weights[i] = (uint8_t)random_next(&b->state);
	for (size_t i = 0; i < row * KERNEL_STRIP; i += step) {
		const size_t places[] = { i, i + 2, i + step - 4, i + step - 2 };

		for (size_t j = 0; j < 4; j++) {
			uint16_t half = half_to_f16(random_float(b));

			memcpy(b->weights + places[j], &half, sizeof(half));
		}
		if (type == TYPE_MXFP4)
			b->weights[i] = (uint8_t)(120 + i % 9);
	}
}

/* Columns to try: whole blocks, but not always of one kind of remainder. */
static size_t columns_of(enum tensor_type type)
{
	return type_info(type)->block > K_BLOCKS ? K_STRIP
	       : type_info(type)->block == 64    ? 192
						 : K_BLOCKS;
}

static struct weight_rows rows_of(const struct bench *b, enum tensor_type type, size_t n)
{
	return (struct weight_rows){ b->weights, type_row_bytes(type, columns_of(type)), n,
		b->weights };
}

static bool same_out(const struct bench *b)
{
	return memcmp(b->out[0], b->out[1], sizeof(b->out[0])) == 0;
}

static void clear_out(struct bench *b)
{
	memset(b->out, 0, sizeof(b->out));
}

static bool rows_agree(
    struct bench *b, enum tensor_type type, kernel_rows_fn *spec, kernel_rows_fn *fast)
{
	size_t row_bytes = type_row_bytes(type, K_FLOAT);

	for (size_t i = 0; i < N_ROWS * K_FLOAT; i++) {
		float value = random_float(b);
		uint16_t half = type == TYPE_F16 ? half_to_f16(value)
						 : (uint16_t)(half_f32_to_bits(value) >> 16);

		if (type == TYPE_F32)
			memcpy(b->weights + i * 4, &value, 4);
		else
			memcpy(b->weights + i * 2, &half, 2);
	}
	for (size_t n = 1; n <= N_X; n += 3) {
		clear_out(b);
		spec(b->weights, row_bytes, N_ROWS, b->x, K_FLOAT, n, K_FLOAT, b->out[0], N_ROWS);
		fast(b->weights, row_bytes, N_ROWS, b->x, K_FLOAT, n, K_FLOAT, b->out[1], N_ROWS);
		if (!same_out(b))
			return false;
	}
	return true;
}

static bool strip_agrees(
    struct bench *b, enum tensor_type type, kernel_strip_fn *spec, kernel_strip_fn *fast)
{
	size_t k = columns_of(type);

	fill_blocks(b, type, k);
	memset(b->quants, 0, sizeof(b->quants));
	memset(b->scales, 0, sizeof(b->scales));
	for (size_t n = 1; n <= KERNEL_STRIP; n += 31) {
		const struct weight_rows weights = rows_of(b, type, n);

		spec(&weights, k, b->quants[0], b->scales[0]);
		fast(&weights, k, b->quants[1], b->scales[1]);
		if (memcmp(b->quants[0], b->quants[1], sizeof(b->quants[0])) != 0 ||
		    memcmp(b->scales[0], b->scales[1], sizeof(b->scales[0])) != 0)
			return false;
	}
	return true;
}

static bool quantize_agrees(struct bench *b, kernel_quantize_fn *spec, kernel_quantize_fn *fast)
{
	memset(b->x, 0, KERNEL_BLOCK * sizeof(float)); /* a block of zeros */
	spec(b->x, K_BLOCKS * N_X, b->a_quants[0], b->a_blocks[0]);
	fast(b->x, K_BLOCKS * N_X, b->a_quants[1], b->a_blocks[1]);
	fill_floats(b, b->x, KERNEL_BLOCK);
	return memcmp(b->a_quants[0], b->a_quants[1], K_BLOCKS * N_X) == 0 &&
	       memcmp(b->a_blocks[0], b->a_blocks[1],
		   K_BLOCKS * N_X / KERNEL_BLOCK * sizeof(struct q8_block)) == 0;
}

/* Rows of `k` activations for a product. */
static struct q8_rows quantized(struct bench *b, const struct kernels *scalar, size_t n, size_t k)
{
	for (size_t i = 0; i < n; i++)
		scalar->quantize(
		    b->x + i * k, k, b->a_quants[0] + i * k, b->a_blocks[0] + i * k / KERNEL_BLOCK);
	return (struct q8_rows){ b->a_quants[0], b->a_blocks[0], k };
}

/* The last `n` of the rows that scalar has multiplied; nothing else is written. */
static bool same_rows(const struct bench *b, size_t n, size_t n_rows)
{
	for (size_t i = 0; i < n * N_ROWS; i++) {
		size_t r = i % N_ROWS;
		float zero = 0;
		const float *want = r < n_rows ? &b->out[0][(N_X - n) * N_ROWS + i] : &zero;

		if (memcmp(&b->out[1][i], want, sizeof(zero)) != 0)
			return false;
	}
	return true;
}

/* Strips of the type's own integers. */
static bool tile_agrees(
    struct bench *b, enum tensor_type type, const struct kernels *scalar, kernel_tile_fn *fast)
{
	size_t k = columns_of(type);
	struct q8_rows rows = quantized(b, scalar, N_X, k);
	const struct weight_rows weights = rows_of(b, type, KERNEL_STRIP);

	fill_blocks(b, type, k);
	scalar->strip[type](&weights, k, b->quants[0], b->scales[0]);
	clear_out(b);
	scalar->tile[type](
	    b->quants[0], b->scales[0], &rows, 0, N_X, KERNEL_STRIP, b->out[0], N_ROWS);
	for (size_t n = 1; n <= N_X; n++) {
		size_t n_rows = n % 2 == 0 ? KERNEL_STRIP : 19;

		memset(b->out[1], 0, sizeof(b->out[1]));
		fast(b->quants[0], b->scales[0], &rows, N_X - n, n, n_rows, b->out[1], N_ROWS);
		if (!same_rows(b, n, n_rows))
			return false;
	}
	return true;
}

/* Scalar's strip and tile are what a product of up to `n_x` rows must equal. */
static bool direct_agrees(struct bench *b, enum tensor_type type, const struct kernels *scalar,
    kernel_direct_fn *fast, size_t n_x)
{
	size_t k = columns_of(type);
	struct q8_rows rows = quantized(b, scalar, n_x, k);

	fill_blocks(b, type, k);
	for (size_t n = 1; n <= n_x; n++) {
		size_t n_rows = n % 2 == 0 ? KERNEL_STRIP : 1 + 9 * n % KERNEL_STRIP;

		const struct weight_rows weights = rows_of(b, type, n_rows);

		clear_out(b);
		scalar->strip[type](&weights, k, b->quants[0], b->scales[0]);
		scalar->tile[type](
		    b->quants[0], b->scales[0], &rows, 0, n, n_rows, b->out[0], N_ROWS);
		fast(&weights, &rows, n, b->out[1], N_ROWS);
		if (!same_out(b))
			return false;
	}
	return true;
}

static bool norm_agrees(struct bench *b, kernel_norm_fn *spec, kernel_norm_fn *fast)
{
	clear_out(b);
	spec(b->x, b->y, K_FLOAT, 1e-5f, b->out[0]);
	fast(b->x, b->y, K_FLOAT, 1e-5f, b->out[1]);
	spec(b->x, NULL, K_BLOCKS, 1e-5f, b->out[0] + K_FLOAT);
	fast(b->x, NULL, K_BLOCKS, 1e-5f, b->out[1] + K_FLOAT);
	return same_out(b);
}

static bool gate_agrees(struct bench *b, kernel_gate_fn *spec, kernel_gate_fn *fast)
{
	float kept = b->x[0];

	clear_out(b);
	b->x[0] = 1000.0f;
	b->x[1] = -1000.0f;
	spec(b->x, b->y, K_FLOAT, b->out[0]);
	fast(b->x, b->y, K_FLOAT, b->out[1]);
	b->x[0] = b->x[1] = kept;
	return same_out(b);
}

static bool softmax_agrees(struct bench *b, kernel_softmax_fn *spec, kernel_softmax_fn *fast)
{
	float max[2] = { 0 }, sum[2];

	for (size_t n = 1; n <= K_BLOCKS; n += 19) {
		clear_out(b);
		memcpy(b->out[0], b->x, n * sizeof(float));
		memcpy(b->out[1], b->x, n * sizeof(float));
		sum[0] = spec(b->out[0], n, 11.25f, &max[0]);
		sum[1] = fast(b->out[1], n, 11.25f, &max[1]);
		if (!same_out(b) || memcmp(&sum[0], &sum[1], sizeof(float)) != 0 ||
		    memcmp(&max[0], &max[1], sizeof(float)) != 0)
			return false;
	}
	return true;
}

static void fill_cache(struct bench *b, bool f16)
{
	if (f16)
		fill_f16(b, b->cache, CELLS * HEAD);
	else
		fill_floats(b, (float *)(void *)b->cache, CELLS * HEAD);
}

static bool scores_agree(struct bench *b, bool f16, kernel_scores_fn *spec, kernel_scores_fn *fast)
{
	fill_cache(b, f16);
	for (size_t n = 1; n <= QUERIES; n += 2) {
		clear_out(b);
		spec(b->cache, CELLS / KERNEL_CELLS, HEAD, b->x, HEAD, n, b->out[0], CELLS);
		fast(b->cache, CELLS / KERNEL_CELLS, HEAD, b->x, HEAD, n, b->out[1], CELLS);
		if (!same_out(b))
			return false;
	}
	return true;
}

static bool scores_q8_agree(struct bench *b, kernel_scores_fn *spec, kernel_scores_fn *fast)
{
	fill_f16(b, b->cache, KERNEL_CACHE_Q8_BYTES(CELLS * HEAD_Q8) / sizeof(uint16_t));
	for (size_t n = 1; n <= QUERIES + 1; n++) {
		clear_out(b);
		spec(b->cache, CELLS / KERNEL_CELLS, HEAD_Q8, b->x, HEAD_Q8, n, b->out[0], CELLS);
		fast(b->cache, CELLS / KERNEL_CELLS, HEAD_Q8, b->x, HEAD_Q8, n, b->out[1], CELLS);
		if (!same_out(b))
			return false;
	}
	return true;
}

static bool mix_q8_agrees(struct bench *b, kernel_mix_fn *spec, kernel_mix_fn *fast)
{
	fill_f16(b, b->cache, KERNEL_CACHE_Q8_BYTES(CELLS * HEAD_Q8) / sizeof(uint16_t));
	for (size_t n = 1; n <= QUERIES + 1; n++) {
		clear_out(b);
		memcpy(b->out[0], b->y, n * HEAD_Q8 * sizeof(float));
		memcpy(b->out[1], b->y, n * HEAD_Q8 * sizeof(float));
		spec(b->cache, CELLS - 5, HEAD_Q8, b->x, CELLS, n, b->out[0], HEAD_Q8);
		fast(b->cache, CELLS - 5, HEAD_Q8, b->x, CELLS, n, b->out[1], HEAD_Q8);
		if (!same_out(b))
			return false;
	}
	return true;
}

static bool mix_agrees(struct bench *b, bool f16, kernel_mix_fn *spec, kernel_mix_fn *fast)
{
	fill_cache(b, f16);
	for (size_t n = 1; n <= QUERIES; n += 2) {
		clear_out(b);
		memcpy(b->out[0], b->y, n * HEAD * sizeof(float));
		memcpy(b->out[1], b->y, n * HEAD * sizeof(float));
		spec(b->cache, CELLS - 5, HEAD, b->x, CELLS, n, b->out[0], HEAD);
		fast(b->cache, CELLS - 5, HEAD, b->x, CELLS, n, b->out[1], HEAD);
		if (!same_out(b))
			return false;
	}
	return true;
}

/* set->slot = candidate->slot, if there is one and `agrees`. */
#define ADOPT(slot, agrees)                                                                        \
	do {                                                                                       \
		if (candidate->slot != NULL && (agrees)) {                                         \
			set->slot = candidate->slot;                                               \
			any = true;                                                                \
		}                                                                                  \
	} while (0)

bool kernels_adopt(
    struct kernels *set, const struct kernels *candidate, const struct kernels *scalar)
{
	static struct bench bench; /* once, at start, under kernels_get()'s lock */
	struct bench *b = &bench;
	bool any = false;

	b->state = SEED;
	fill_floats(b, b->x, N_X * K_STRIP);
	fill_floats(b, b->y, N_X * K_BLOCKS);
	for (size_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		enum tensor_type type = (enum tensor_type)t;

		ADOPT(rows[t], rows_agree(b, type, scalar->rows[t], candidate->rows[t]));
		ADOPT(direct[t],
		    direct_agrees(b, type, scalar, candidate->direct[t], KERNEL_DIRECT_X));
		ADOPT(tile[t], tile_agrees(b, type, scalar, candidate->tile[t]));
		if (candidate->tile[t] != NULL && set->tile[t] == candidate->tile[t])
			set->panels[t] = NULL; /* a lesser set's */
		ADOPT(panels[t], direct_agrees(b, type, scalar, candidate->panels[t], N_X));
		ADOPT(strip[t], strip_agrees(b, type, scalar->strip[t], candidate->strip[t]));
	}
	ADOPT(quantize, quantize_agrees(b, scalar->quantize, candidate->quantize));
	ADOPT(rms_norm, norm_agrees(b, scalar->rms_norm, candidate->rms_norm));
	ADOPT(swiglu, gate_agrees(b, scalar->swiglu, candidate->swiglu));
	ADOPT(softmax, softmax_agrees(b, scalar->softmax, candidate->softmax));
	ADOPT(scores_f16, scores_agree(b, true, scalar->scores_f16, candidate->scores_f16));
	ADOPT(scores_f32, scores_agree(b, false, scalar->scores_f32, candidate->scores_f32));
	ADOPT(scores_q8, scores_q8_agree(b, scalar->scores_q8, candidate->scores_q8));
	ADOPT(mix_q8, mix_q8_agrees(b, scalar->mix_q8, candidate->mix_q8));
	ADOPT(mix_f16, mix_agrees(b, true, scalar->mix_f16, candidate->mix_f16));
	ADOPT(mix_f32, mix_agrees(b, false, scalar->mix_f32, candidate->mix_f32));
	set->peak = candidate->peak != NULL ? candidate->peak : set->peak; /* for benches */
	set->read = candidate->read != NULL ? candidate->read : set->read;
	if (any)
		set->name = candidate->name;
	return any;
}
