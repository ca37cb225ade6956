/*
 * llama: Llama 1 to 3, Mistral, Mixtral and their kin.  Q and K are permuted at
 * conversion, so the dimensions rotated together are adjacent.  Mixtral's
 * experts are weighted by a softmax among the chosen (Jiang et al. 2024), which
 * equals one over all, brought to the sum 1.
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc llama_bind(struct model *m, struct errmsg *why)
{
	m->moe.gating = MOE_SOFTMAX;
	m->moe.norm = true;
	return decoder_bind(m, 0, why);
}

const struct arch arch_llama = {
	.name = "llama",
	.bind = llama_bind,
	.forward = decoder_forward,
};
