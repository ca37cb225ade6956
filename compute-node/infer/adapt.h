/*
 * Adapters in a pass: each row is changed by its own sequence's adapter and by no
 * other, so y += scale · B·(A·x) is added row by row to what a matrix gives.
 *
 * A·x of all products of a stage is computed first, shared out to the crew, and then
 * added to each strip by whoever computes it.  Both are dot products of K1
 * (kernels/kernels.h), so a row's bits depend on nothing but the row and its adapter.
 */
#ifndef INFER_ADAPT_H
#define INFER_ADAPT_H

#include "infer/pass.h"

struct gguf_tensor;

/* Numbers of pass.low for each row of an ubatch. */
size_t adapt_low_numbers(const struct model *model);

/* Rows that a product multiplies, where `in` is what the others do. */
size_t adapt_rows(const struct product *product, const struct acts *in);

/* pass.low = A·x of every row of the products that an adapter changes, product after
 * product.  A stage of its own. */
void adapt_lower(
    struct worker *worker, const struct product *products, size_t n, const struct acts *in);

/*
 * tile [rows of in][KERNEL_STRIP] += what adapters change rows first … first +
 * n_rows - 1 of `weight` by; `low_at`: rows of the products before this one.
 */
void adapt_add(struct worker *worker, const struct gguf_tensor *weight, const struct acts *in,
    size_t first, size_t n_rows, size_t low_at, float *tile);

#endif
