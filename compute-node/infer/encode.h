/*
 * Encode: the blocks of encoders.  Rows of a pass are whole texts, one behind
 * another; each row attends to all rows of its own text, before and behind it.
 *
 * Keys and values of one layer at a time lie in the cache, each text from a
 * whole tile of KERNEL_CELLS positions on: nothing grows from pass to pass.
 * Every thread of the crew calls the same blocks in the same order, as with
 * infer/block.h.
 */
#ifndef INFER_ENCODE_H
#define INFER_ENCODE_H

#include "infer/pass.h"

struct encoder_norm;

/* More texts in one pass would need more padding than the cache has. */
#define ENCODE_TEXTS_MAX 64u

/* Positions that the cache needs for passes of up to `n_rows` rows. */
uint32_t encode_cells(uint32_t n_rows);

/* normed = layer norm of token + type + position, of every row. */
void encode_embed(struct worker *worker);

/* normed = layer norm of (x + normed). */
void encode_add_norm(struct worker *worker, const struct encoder_norm *norm);

/* mixed = softmax(q·k * scale) · v over each row's whole text; q and k are
 * rotated if the model says so. */
void encode_attend(struct worker *worker);

/* hidden = gelu(up), `n` wide (Hendrycks and Gimpel 2016, tanh form). */
void encode_gelu(struct worker *worker, size_t n);

/* The pass's embeddings are the rows of normed. */
void encode_finish(struct worker *worker);

#endif
