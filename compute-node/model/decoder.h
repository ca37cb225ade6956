/*
 * Decoder: what most families are, a pre-normed transformer with grouped-query
 * attention and a gated feed-forward network (Touvron et al. 2023).
 *
 * A family names its differences in its own arch_<family>.c, as traits here or
 * as sizes of layers between the two steps of binding; tensors that only some
 * files have (biases of q, k, v and o; norms of each query and key head; q, k
 * and v in one) are taken where they are.
 */
#ifndef MODEL_DECODER_H
#define MODEL_DECODER_H

#include "model/model_impl.h"

enum decoder_trait {
	DECODER_HALVES = 1,       /* rotates pairs (i, i + n_rot / 2) */
	DECODER_HEAD_NORMS = 2,   /* query and key heads must have norms */
	DECODER_SANDWICH = 4,     /* what a block adds is normed, too */
	DECODER_FUSED_UP = 8,     /* ffn_up holds the rows of gate, then those of up */
	DECODER_FUSED_QKV = 64,   /* q, k and v are one matrix, unless there is attn_q */
	DECODER_BESIDE = 128,     /* experts work beside a dense network */
	DECODER_V_IS_K = 16,      /* without attn_v the projected keys are the values */
	DECODER_POST_IS_FFN = 32, /* the norm before the network is named post_attention_norm */
};

/* Keys: sizes, heads, norms and scale; allocates the layers. */
enum rc decoder_bind_shape(struct model *model, struct errmsg *why) RC_CHECK;

/* Embedding and layers, by the sizes that each layer has by now. */
enum rc decoder_bind_tensors(struct model *model, unsigned traits, struct errmsg *why) RC_CHECK;

/* The attention of one layer. */
enum rc decoder_bind_attention(
    struct model *model, uint32_t layer, unsigned traits, struct errmsg *why) RC_CHECK;

/* The network of one layer, dense or of experts. */
enum rc decoder_bind_feed_forward(
    struct model *model, uint32_t layer, unsigned traits, struct errmsg *why) RC_CHECK;

/* Both, and the rotation.  `traits`: DECODER_* */
enum rc decoder_bind(struct model *model, unsigned traits, struct errmsg *why) RC_CHECK;

/* One layer's halves: x += attention(x), x += network(x). */
void decoder_attention(struct worker *worker, uint32_t layer);
void decoder_feed_forward(struct worker *worker, uint32_t layer);

/* All of it. */
void decoder_forward(struct worker *worker);

#endif
