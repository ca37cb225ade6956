/*
 * qwen2, qwen3 and qwen3moe: the decoder with rotation by halves.  qwen2 has
 * biases on q, k and v; qwen3 has an RMS norm on each query and key head before
 * the rotation instead; qwen3moe has experts, none of them shared (Qwen Team
 * 2024, 2025).
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc qwen2_bind(struct model *m, struct errmsg *why)
{
	return decoder_bind(m, DECODER_HALVES, why);
}

static enum rc qwen3_bind(struct model *m, struct errmsg *why)
{
	return decoder_bind(m, DECODER_HALVES | DECODER_HEAD_NORMS, why);
}

static enum rc qwen3moe_bind(struct model *m, struct errmsg *why)
{
	m->moe.gating = MOE_SOFTMAX;
	m->moe.norm = true;
	return qwen3_bind(m, why);
}

const struct arch arch_qwen2 = {
	.name = "qwen2",
	.bind = qwen2_bind,
	.forward = decoder_forward,
};

const struct arch arch_qwen3 = {
	.name = "qwen3",
	.bind = qwen3_bind,
	.forward = decoder_forward,
};

const struct arch arch_qwen3moe = {
	.name = "qwen3moe",
	.bind = qwen3moe_bind,
	.forward = decoder_forward,
};
