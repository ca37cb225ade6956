/*
 * Dot: products of one int8 vector with many, exact.
 *
 * Rows follow each other, DOT_LANES bytes or a multiple of that each.  Values lie
 * within ±127, so all instruction sets give the same sums.  Pure, any thread.
 */
#ifndef RECALL_DOT_H
#define RECALL_DOT_H

#include <stddef.h>
#include <stdint.h>

#define DOT_LANES 32u
#define DOT_LENGTH_MAX 8192u /* values of one row: the sum stays below 2^31 */

/* out[i] = Σ rows[i · stride + j] · with[j], for i < n and j < stride. */
typedef void dot_fn(const int8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out);

/* The fastest that this CPU can; the others are there for it and for tests. */
dot_fn dot_rows, dot_rows_plain;
#if defined(__x86_64__)
dot_fn dot_rows_avx2;
#elif defined(__aarch64__)
dot_fn dot_rows_neon;
#endif

#endif
