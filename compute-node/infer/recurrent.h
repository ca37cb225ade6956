/*
 * Recurrent layers: a short causal convolution, then for each head a matrix
 * that every token updates.
 *
 * Tokens are taken one after the other, in prefill as in decoding, so that a
 * row's bits do not depend on how the prompt was cut; heads and channels are
 * shared out to the threads, and a head's matrix is worked through in columns
 * that stay in the nearest cache.
 *
 * Gated delta rule: Yang et al. 2024 (Gated Delta Networks).  Mamba-2: Dao and
 * Gu 2024.
 */
#ifndef INFER_RECURRENT_H
#define INFER_RECURRENT_H

#include "infer/pass.h"

/* recur.in = silu(causal convolution of recur.in). */
void recurrent_convolve(struct worker *worker, uint32_t layer);

/* recur.out = RMS norm of what the heads give for the q, k and v in recur.in,
 * times silu(recur.z). */
void recurrent_delta(struct worker *worker, uint32_t layer);

/* recur.out = RMS norm, in groups of heads, of what the heads give for the x, B
 * and C in recur.in and the steps in recur.alpha, times silu(recur.z). */
void recurrent_mamba(struct worker *worker, uint32_t layer);

#endif
