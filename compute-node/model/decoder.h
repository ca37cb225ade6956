/*
 * Decoder: what most families are, a pre-normed transformer with grouped-query
 * attention and a SiLU-gated feed-forward network (Touvron et al. 2023).
 *
 * A family names its differences in its own arch_<family>.c; tensors that only
 * some have (biases of q, k, v and o; norms of each query and key head) are
 * taken where the file has them.
 */
#ifndef MODEL_DECODER_H
#define MODEL_DECODER_H

#include "model/model_impl.h"

/* All keys and tensors.  `halves`: how dimensions are paired for rotation. */
enum rc decoder_bind(struct model *model, bool halves, struct errmsg *why) RC_CHECK;

void decoder_forward(struct worker *worker);

#endif
