/*
 * Dot: products of one int8 vector with many of half bytes, exact.
 *
 * A half is 0 to 15.  Rows follow each other, `stride` bytes each; a group of
 * DOT_LANES halves stands in DOT_LANES / 2 bytes: the first half of them in the low
 * bits, the second in the high ones.  Pure, any thread.
 */
#ifndef RECALL_DOT_H
#define RECALL_DOT_H

#include <stddef.h>
#include <stdint.h>

#define DOT_LANES 64u
#define DOT_STRIDE_MAX 4096u /* bytes of one row */

/* out[i] = Σ halves of row i · with[j], for i < n and j < 2 · stride; `with` within ±127. */
typedef void dot_fn(const uint8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out);

/* The fastest that this CPU can; the others are there for it and for tests. */
dot_fn dot_halves, dot_halves_plain;
#if defined(__x86_64__)
dot_fn dot_halves_avx2;
#elif defined(__aarch64__)
dot_fn dot_halves_neon;
#endif

/* Half `j` of a row. */
static inline unsigned dot_half(const uint8_t *row, size_t j)
{
	uint8_t byte = row[j / DOT_LANES * (DOT_LANES / 2) + j % (DOT_LANES / 2)];

	return j % DOT_LANES < DOT_LANES / 2 ? byte & 15u : byte >> 4;
}

/* Half `j` of a row that was zero there. */
static inline void dot_half_put(uint8_t *row, size_t j, unsigned half)
{
	row[j / DOT_LANES * (DOT_LANES / 2) + j % (DOT_LANES / 2)] |=
	    (uint8_t)(j % DOT_LANES < DOT_LANES / 2 ? half : half << 4);
}

#endif
