/*
 * AVX-512 VNNI: few rows times weights straight from their blocks, for
 * decoding.  Spec: scalar strip and tile.
 *
 * Some blocks of each row are unpacked to a scratch that stays in the nearest
 * cache and multiplied at once: memory is read once, in order, and only
 * weights pass through it.
 */
#if defined(__x86_64__)
#include "kernels/unpack_avx512.h"
#include "kernels/x86.h"
#include "kernels/x86_avx512vnni.h"

/* `kind` and `nx` are constants at every call. */
INLINE void direct(enum kernel_kind kind, size_t nx, enum tensor_type type, unpack_fn *unpack,
    const uint8_t *weights, size_t row_bytes, size_t n_rows, const struct q8_rows *x, float *out,
    size_t out_stride)
{
	_Alignas(CACHE_LINE) uint8_t quants[UNPACK_GROUPS * UNPACK_GROUP];
	_Alignas(CACHE_LINE) float floats[UNPACK_GROUPS * KERNEL_FLOATS_MAX * KERNEL_STRIP];
	size_t n_blocks = x->k / KERNEL_BLOCK, n_floats = kernels_floats(kind) * KERNEL_STRIP;
	const uint8_t *rows[KERNEL_STRIP];
	struct operand operands[KERNEL_DIRECT_X];
	__m512 sums[2 * KERNEL_DIRECT_X];

	point_at_rows(weights, row_bytes, n_rows, rows);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		operands[t].quants = x->quants + t * x->k;
		operands[t].blocks = x->blocks + t * n_blocks;
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
	for (size_t b = 0; b < n_blocks; b += UNPACK_GROUPS) {
		size_t n = n_blocks - b < UNPACK_GROUPS ? n_blocks - b : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, b * KERNEL_BLOCK);
		const uint8_t *next = unpack_next(weights, row_bytes, n_rows, at);

		unpack(rows, at, n, next, quants, floats);
		unpack(rows + HALF, at, n, next + type_row_bytes(type, n * KERNEL_BLOCK) * HALF,
		    quants + UNPACK_STEP / 2, floats + HALF);
		for (size_t g = 0; g < n; g++)
			add_block(kind, nx, kind == KIND_HALVES || nx <= 2 ? 2 : 1,
			    quants + g * UNPACK_GROUP, floats + g * n_floats, operands, b + g,
			    sums);
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > HALF)
			write_rows(out + t * out_stride + HALF, sums[2 * t + 1], n_rows - HALF);
	}
}

#define DIRECT(name, kind)                                                                         \
	static void name(enum tensor_type type, unpack_fn *unpack, const uint8_t *weights,         \
	    size_t row_bytes, size_t n_rows, const struct q8_rows *x, size_t n_x, float *out,      \
	    size_t out_stride)                                                                     \
	{                                                                                          \
		if (n_x == 1)                                                                      \
			CALL(kind, 1);                                                             \
		else if (n_x == 2)                                                                 \
			CALL(kind, 2);                                                             \
		else if (n_x == 3)                                                                 \
			CALL(kind, 3);                                                             \
		else                                                                               \
			CALL(kind, 4);                                                             \
	}
#define CALL(kind, nx)                                                                             \
	direct(kind, nx, type, unpack, weights, row_bytes, n_rows, x, out, out_stride)

DIRECT(direct_KIND_PLAIN, KIND_PLAIN)
DIRECT(direct_KIND_HALVES, KIND_HALVES)
DIRECT(direct_KIND_MIN, KIND_MIN)
DIRECT(direct_KIND_MIN_HALVES, KIND_MIN_HALVES)

#define X(type, name, kind)                                                                        \
	void avx512vnni_direct_##name(const uint8_t *weights, size_t row_bytes, size_t n_rows,     \
	    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)                    \
	{                                                                                          \
		direct_##kind(TYPE_##type, avx512_unpack_##name, weights, row_bytes, n_rows, x,    \
		    n_x, out, out_stride);                                                         \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
