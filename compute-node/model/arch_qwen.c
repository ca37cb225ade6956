/*
 * qwen2 and qwen3: the decoder with rotation by halves.  qwen2 has biases on
 * q, k and v; qwen3 has an RMS norm on each query and key head before the
 * rotation instead (Qwen Team 2024, 2025).
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc qwen2_bind(struct model *m, struct errmsg *why)
{
	return decoder_bind(m, true, why);
}

static enum rc qwen3_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = decoder_bind(m, true, why);

	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		if (m->layers[il].q_norm == NULL || m->layers[il].k_norm == NULL)
			rc = errmsg_rc(why, RC_INVALID,
			    "GGUF: tensor blk.%u.attn_%c_norm.weight is missing", il,
			    m->layers[il].q_norm == NULL ? 'q' : 'k');
	}
	return rc;
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
