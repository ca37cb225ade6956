/*
 * Encoder: what a bidirectional, post-normed transformer has besides the
 * shared parts of a model (Devlin et al. 2019).  For model/ and infer/ only.
 */
#ifndef MODEL_ENCODER_H
#define MODEL_ENCODER_H

#include "model/model_impl.h"

/* A layer norm's scale and shift, [n_embd] each. */
struct encoder_norm {
	const float *weight, *bias;
};

/* One layer; biases may be NULL. */
struct encoder_layer {
	struct gguf_tensor q, k, v; /* [n_embd][n_embd], or thirds of one matrix */
	const float *q_bias, *k_bias, *v_bias;
	const struct gguf_tensor *o; /* [n_embd][n_embd] */
	const float *o_bias;
	struct encoder_norm attn_norm;
	const struct gguf_tensor *gate; /* [n_ff][n_embd]; NULL: GELU without a gate */
	const struct gguf_tensor *up;   /* [n_ff][n_embd] */
	const struct gguf_tensor *down; /* [n_embd][n_ff] */
	const float *up_bias, *down_bias;
	struct encoder_norm out_norm;
};

struct encoder {
	const struct gguf_tensor *positions; /* [n_ctx_train][n_embd], or NULL: rotation */
	const float *type;                   /* [n_embd] of token type 0, or NULL */
	struct encoder_norm embd_norm;
	struct encoder_layer *layers; /* [n_layer] */
};

#endif
