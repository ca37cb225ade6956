/*
 * AVX-512 VNNI: strips times 8-bit rows.  Spec: scalar_tile.
 *
 * A lane is a weight row, so a block's 32 products end up in one lane without
 * shuffles: eight dpbusd of unsigned weights with four broadcast activations.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512_strip.h"

#define STEPS (KERNEL_BLOCK / 4)
#define STEP_BYTES (KERNEL_STRIP * 4)

INLINE __m512i broadcast4(const int8_t *quants)
{
	int32_t four;

	memcpy(&four, quants, sizeof(four));
	return _mm512_set1_epi32(four);
}

INLINE void write_rows(float *out, __m512 v, size_t n)
{
	if (n >= 16)
		_mm512_storeu_ps(out, v);
	else
		_mm512_mask_storeu_ps(out, lanes_mask(n), v);
}

/* What a row of activations brings to a tile. */
struct operand {
	const int8_t *quants;
	const struct q8_block *blocks;
};

/* Sixteen sums of a block into the rows' floats, as K2 has it; `f` [floats of
 * the kind], `high` for KIND_HALVES only. */
INLINE __m512 add_scaled(enum kernel_kind kind, __m512i dot, __m512i high, const __m512 *f,
    const struct q8_block *x, __m512 sum)
{
	__m512 scale = _mm512_set1_ps(x->scale), whole = _mm512_cvtepi32_ps(dot);

	if (kind == KIND_HALVES) {
		whole = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high), f[1], _mm512_mul_ps(whole, f[0]));
		return _mm512_fmadd_ps(whole, scale, sum);
	}
	sum = _mm512_fmadd_ps(whole, _mm512_mul_ps(f[0], scale), sum);
	if (kind == KIND_MIN)
		sum = _mm512_fmadd_ps(_mm512_set1_ps(x->sum), f[1], sum);
	if (kind == KIND_MIN_HALVES) {
		sum = _mm512_fmadd_ps(_mm512_set1_ps(q8_sum_low(x)), f[1], sum);
		sum = _mm512_fmadd_ps(_mm512_set1_ps(q8_sum_high(x)), f[2], sum);
	}
	return sum;
}

/* One block of the strip times `nx` rows.  With two `chains` the steps of the
 * first half and of the second have sums of their own: for want of other
 * independent work, or because they are scaled apart. */
INLINE void add_block(enum kernel_kind kind, size_t nx, size_t chains, const uint8_t *w,
    const float *floats, const struct operand *x, size_t b, __m512 *sums)
{
	size_t n_floats = kernels_floats(kind);
	__m512i dots[16];
	__m512 f[2][KERNEL_FLOATS_MAX];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512i whole = _mm512_set1_epi32(x[t].blocks[b].bias), low = whole;
		__m512i *d = dots + t * 2 * chains;

		if (chains == 2) {
			low = _mm512_set1_epi32(x[t].blocks[b].low);
			d[2] = d[3] = _mm512_sub_epi32(whole, low);
		}
		d[0] = d[1] = low;
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		__m512i w0 = _mm512_loadu_si512(w + s * STEP_BYTES);
		__m512i w1 = _mm512_loadu_si512(w + s * STEP_BYTES + 64);

		UNROLL for (size_t t = 0; t < nx; t++)
		{
			__m512i v = broadcast4(x[t].quants + b * KERNEL_BLOCK + s * 4);
			__m512i *d = dots + t * 2 * chains + s * chains / STEPS * 2;

			d[0] = _mm512_dpbusd_epi32(d[0], w0, v);
			d[1] = _mm512_dpbusd_epi32(d[1], w1, v);
		}
	}
	UNROLL for (size_t i = 0; i < 2 * n_floats; i++) f[i % 2][i / 2] =
	    _mm512_loadu_ps(floats + i * 16);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		UNROLL for (size_t i = 0; i < 2; i++)
		{
			__m512i dot = dots[t * 2 * chains + i], high = dot;

			if (chains == 2)
				high = dots[t * 2 * chains + 2 + i];
			if (chains == 2 && kind != KIND_HALVES)
				dot = _mm512_add_epi32(dot, high);
			sums[t * 2 + i] =
			    add_scaled(kind, dot, high, f[i], &x[t].blocks[b], sums[t * 2 + i]);
		}
	}
}

INLINE void tile(enum kernel_kind kind, size_t nx, size_t chains, const uint8_t *quants,
    const float *scales, const struct q8_rows *x, size_t x_first, size_t n_rows, float *out,
    size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK, n_floats = kernels_floats(kind) * KERNEL_STRIP;
	struct operand operands[6];
	__m512 sums[12];

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		operands[t].quants = x->quants + (x_first + t) * x->k;
		operands[t].blocks = x->blocks + (x_first + t) * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b++)
		add_block(kind, nx, chains, quants + b * STEPS * STEP_BYTES, scales + b * n_floats,
		    operands, b, sums);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > 16)
			write_rows(out + t * out_stride + 16, sums[2 * t + 1], n_rows - 16);
	}
}

/* `most` rows at once: as many as the registers hold. */
INLINE void tiles(enum kernel_kind kind, size_t most, const uint8_t *quants, const float *scales,
    const struct q8_rows *x, size_t x_first, size_t n_x, size_t n_rows, float *out,
    size_t out_stride)
{
	size_t t = 0, chains = kind == KIND_HALVES ? 2 : 1;

#define CALL(nx, chains)                                                                           \
	tile(kind, nx, chains, quants, scales, x, x_first + t, n_rows, out + t * out_stride,       \
	    out_stride)
	for (; t + most <= n_x; t += most)
		CALL(most, chains);
	if (most > 5 && n_x - t == 5)
		CALL(5, chains);
	else if (most > 4 && n_x - t == 4)
		CALL(4, chains);
	else if (n_x - t == 3)
		CALL(3, chains);
	else if (n_x - t == 2)
		CALL(2, 2);
	else if (n_x - t == 1)
		CALL(1, 2);
#undef CALL
}

#define TILE(name, kind, most)                                                                     \
	void name(const uint8_t *quants, const float *scales, const struct q8_rows *x,             \
	    size_t x_first, size_t n_x, size_t n_rows, float *out, size_t out_stride)              \
	{                                                                                          \
		tiles(kind, most, quants, scales, x, x_first, n_x, n_rows, out, out_stride);       \
	}

TILE(avx512vnni_tile_plain, KIND_PLAIN, 6)
TILE(avx512vnni_tile_halves, KIND_HALVES, 4)
TILE(avx512vnni_tile_min, KIND_MIN, 6)
TILE(avx512vnni_tile_min_halves, KIND_MIN_HALVES, 6)

/* The F16 at `at` of sixteen rows. */
INLINE __m512 scales_of(const uint8_t *const *rows, size_t at)
{
	__m128i low = _mm_setzero_si128(), high = _mm_setzero_si128();

#define ROW(i)                                                                                     \
	low = _mm_insert_epi16(low, half_load(rows[i] + at), i);                                   \
	high = _mm_insert_epi16(high, half_load(rows[8 + i] + at), i)
	ROW(0);
	ROW(1);
	ROW(2);
	ROW(3);
	ROW(4);
	ROW(5);
	ROW(6);
	ROW(7);
#undef ROW
	return _mm512_cvtph_ps(_mm256_set_m128i(high, low));
}

/* The eight steps of a block of sixteen rows as unsigned bytes: weight plus
 * 128 (Q8_0) or plus 8 (Q4_0). */
INLINE void steps_of(bool nibbles, const uint8_t *const *rows, size_t at, __m512i out[STEPS])
{
	if (nibbles) {
		const __m512i low = _mm512_set1_epi8(15);

		transpose(rows, at + 2, out);
		UNROLL for (size_t j = 0; j < 4; j++)
		{
			out[4 + j] = _mm512_and_si512(_mm512_srli_epi16(out[j], 4), low);
			out[j] = _mm512_and_si512(out[j], low);
		}
		return;
	}
	transpose(rows, at + 2, out);
	transpose(rows, at + 18, out + 4);
	UNROLL for (size_t j = 0; j < STEPS; j++) out[j] =
	    _mm512_xor_si512(out[j], _mm512_set1_epi8((char)KERNEL_BIAS));
}

/* Half a strip, straight from its blocks; `nibbles` and `nx` are constants. */
INLINE void direct_block(bool nibbles, size_t nx, const uint8_t *const *rows, size_t at, size_t b,
    const struct operand *x, __m512 *sums)
{
	__m512i steps[STEPS], dots[8];
	__m512 scale = scales_of(rows, at);

	steps_of(nibbles, rows, at, steps);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		/* bias is -128 times the sum of the block: -8 times it is exact */
		dots[2 * t] =
		    _mm512_set1_epi32(nibbles ? x[t].blocks[b].bias / 16 : x[t].blocks[b].bias);
		dots[2 * t + 1] = _mm512_setzero_si512();
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		UNROLL for (size_t t = 0; t < nx; t++) dots[2 * t + s % 2] =
		    _mm512_dpbusd_epi32(dots[2 * t + s % 2], steps[s],
			broadcast4(x[t].quants + b * KERNEL_BLOCK + s * 4));
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dots[2 * t], dots[2 * t + 1]));

		sums[2 * t] = _mm512_fmadd_ps(
		    dot, _mm512_mul_ps(scale, _mm512_set1_ps(x[t].blocks[b].scale)), sums[2 * t]);
	}
}

INLINE void direct(bool nibbles, size_t nx, const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t x_first, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK, bytes = nibbles ? Q4_0_BYTES : Q8_0_BYTES;
	const uint8_t *rows[KERNEL_STRIP];
	struct operand operands[KERNEL_DIRECT_X];
	__m512 sums[8];

	point_at_rows(weights, row_bytes, n_rows, rows);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		operands[t].quants = x->quants + (x_first + t) * x->k;
		operands[t].blocks = x->blocks + (x_first + t) * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b++) {
		prefetch_next(weights, row_bytes, n_rows, bytes, b);
		direct_block(nibbles, nx, rows, b * bytes, b, operands, sums);
		direct_block(nibbles, nx, rows + HALF, b * bytes, b, operands, sums + 1);
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > 16)
			write_rows(out + t * out_stride + 16, sums[2 * t + 1], n_rows - 16);
	}
}

INLINE void direct_all(bool nibbles, const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
#define CALL(nx) direct(nibbles, nx, weights, row_bytes, n_rows, x, 0, out, out_stride)
	if (n_x == 1)
		CALL(1);
	else if (n_x == 2)
		CALL(2);
	else if (n_x == 3)
		CALL(3);
	else
		CALL(4);
#undef CALL
}

void avx512vnni_direct_q4_0(const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
	direct_all(true, weights, row_bytes, n_rows, x, n_x, out, out_stride);
}

void avx512vnni_direct_q8_0(const uint8_t *weights, size_t row_bytes, size_t n_rows,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
	direct_all(false, weights, row_bytes, n_rows, x, n_x, out, out_stride);
}
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
