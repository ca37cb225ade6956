/*
 * Attention over the KV cache.
 *
 * Positions are taken in steps of PASS_STEP from position 0.  Each step gives
 * a softmax of its own; the steps are merged in order (Milakov and Gimelshein
 * 2018; Dao et al. 2022).  A row's result is therefore the same whoever
 * computes the steps, and whether it was prefilled or decoded.  All query
 * heads of a KV head are taken together.
 */
#ifndef INFER_ATTENTION_H
#define INFER_ATTENTION_H

#include "infer/pass.h"

/* Rotate q and k of the pass, put k and v into the cache. */
void attention_store(struct worker *worker, uint32_t layer);

/* mixed = softmax(q·k * scale) · v over each row's own past, in both forms. */
void attention_attend(struct worker *worker, uint32_t layer);

/* Both, as one stage where rows are few. */
void attention_layer(struct worker *worker, uint32_t layer);

#endif
