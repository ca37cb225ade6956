/*
 * glm4moe: GLM-4.5 and its kin.  Rotation by halves on part of each head,
 * biases on q, k and v; some leading layers without experts, then experts
 * scored by sigmoid, chosen with a bias, beside shared ones (GLM-4.5 Team 2025).
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc glm4moe_bind(struct model *m, struct errmsg *why)
{
	m->moe.gating = MOE_SIGMOID;
	m->moe.keyed = true;
	m->moe.shared = MOE_SHARED_COUNTED;
	return decoder_bind(m, DECODER_HALVES | DECODER_POST_IS_FFN, why);
}

const struct arch arch_glm4moe = {
	.name = "glm4moe",
	.bind = glm4moe_bind,
	.forward = decoder_forward,
};
