/*
 * AVX-512 VNNI: strips times 8-bit rows.  Spec: scalar_tile.
 *
 * A lane is a weight row, so a block's 32 products end up in one lane without
 * shuffles: eight dpbusd of unsigned weights with four broadcast activations.
 */
#if defined(__x86_64__)
#include "kernels/x86.h"
#include "kernels/x86_avx512vnni.h"

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
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
