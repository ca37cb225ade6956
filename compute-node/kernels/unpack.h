/*
 * Unpacking of every block format on x86, some rows side by side (8 with AVX2,
 * 16 with AVX-512): what strips, panels and the products straight from blocks are
 * made of.  What is added to the integers is vec_plus() of x86_vec_*.h.
 */
#ifndef KERNELS_UNPACK_H
#define KERNELS_UNPACK_H

#include "kernels/blocks.h"

#define UNPACK_GROUPS 8 /* groups of 32 weights at once: the longest block */
#define UNPACK_STEP (KERNEL_STRIP * 4)
#define UNPACK_GROUP (KERNEL_BLOCK / 4 * UNPACK_STEP)

/* `n_groups` groups of 32 weights (whole blocks) from offset `at` of as many
 * rows as a vector has lanes, to their place in a strip's quants and floats.  As many
 * bytes as it reads are fetched from `next` on, little by little (NULL: nothing). */
typedef void unpack_fn(const uint8_t *const *rows, size_t at, size_t n_groups, const uint8_t *next,
    uint8_t *quants, float *floats);

/* Of what is multiplied next, the part that goes with the offset `at` of each row here. */
static inline const uint8_t *unpack_next(const struct weight_rows *weights, size_t at)
{
	return weights->next + at * KERNEL_STRIP;
}

#define X(type, name, kind) unpack_fn avx2_unpack_##name, avx512_unpack_##name;
BLOCK_FORMATS(X)
#undef X

#endif
