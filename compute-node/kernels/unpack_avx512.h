/*
 * AVX-512 unpacking of every block format, sixteen rows side by side: what
 * strips and the products straight from blocks are made of.
 */
#ifndef KERNELS_UNPACK_AVX512_H
#define KERNELS_UNPACK_AVX512_H

#include "kernels/blocks.h"

#define UNPACK_GROUPS 8 /* groups of 32 weights at once: the longest block */
#define UNPACK_STEP (KERNEL_STRIP * 4)
#define UNPACK_GROUP (KERNEL_BLOCK / 4 * UNPACK_STEP)

/* `n_groups` groups of 32 weights (whole blocks) from offset `at` of sixteen
 * rows, to the left or right half of a strip's quants and floats.  As many
 * bytes as it reads are fetched from `next` on, little by little. */
typedef void unpack_fn(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats);

/* The strip behind the one at `weights` will be wanted next: where the part of
 * it is that goes with the offset `at` of each row here. */
static inline const uint8_t *unpack_next(
    const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t at)
{
	return weights + n_rows * row_bytes + at * KERNEL_STRIP;
}

#define X(type, name, kind) unpack_fn avx512_unpack_##name;
BLOCK_FORMATS(X)
#undef X

#endif
