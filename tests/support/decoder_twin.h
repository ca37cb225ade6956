/*
 * Twin of the decoders: the same arithmetic in double, one token after the
 * other, straight from the published definitions, on random models that it also
 * writes.  Slow and plain: weights are decoded one at a time, keys and values
 * are kept whole, the latent of deepseek2 is unfolded for every head.
 *
 * llama with experts: Jiang et al. 2024, "Mixtral of Experts".  gemma2: Gemma
 * Team 2024.  deepseek2: DeepSeek-AI 2024, "DeepSeek-V2" (softmax, groups by
 * their best expert) and "DeepSeek-V3" (sigmoid, groups by their two best).
 */
#ifndef SUPPORT_DECODER_TWIN_H
#define SUPPORT_DECODER_TWIN_H

#include <stdbool.h>

#include "gguf_build.h"
#include "model/gguf.h"

#define DECODER_TWIN_VOCAB 70u
#define DECODER_TWIN_EXPERTS_MAX 32u

enum decoder_twin_family { TWIN_LLAMA, TWIN_GEMMA2, TWIN_DEEPSEEK2 };

struct decoder_twin_shape {
	enum decoder_twin_family family;
	enum tensor_type type; /* of matrices: F32, Q8_0 or NVFP4 */
	bool factors;          /* NAME.scale beside each */
	uint32_t n_embd, n_layer, n_ff, n_ctx;
	uint32_t n_next;                   /* blocks that guess further tokens */
	uint32_t n_head, n_head_kv, n_dim; /* n_dim: of a head */
	uint32_t n_rot;
	uint32_t window; /* of gemma2's even layers */
	uint32_t n_expert, n_used, n_ff_expert;
	/* Of deepseek2: */
	uint32_t n_rank, n_q_rank, n_nope; /* n_q_rank 0: queries have no latent */
	uint32_t n_dense, n_shared;        /* leading layers without experts */
	uint32_t n_group, n_group_used;
	bool sigmoid, norm;
	float scale;
};

void decoder_twin_build(struct gguf_build *build, const struct decoder_twin_shape *shape);

/* Number `i` of a tensor, without its factor. */
double decoder_twin_weight(const struct gguf_tensor *tensor, uint64_t i);

/* Logits of every token: [n][DECODER_TWIN_VOCAB]. */
void decoder_twin_logits(const struct gguf *gguf, const struct decoder_twin_shape *shape,
    const int32_t *ids, size_t n, double *logits);

#endif
