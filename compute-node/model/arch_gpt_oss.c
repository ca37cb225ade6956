/*
 * gpt-oss: every other layer sees a window only; each head has a sink, a score
 * that takes part in the softmax and adds nothing (Xiao et al. 2023); biases
 * everywhere; experts chosen by their scores, weighted by a softmax among the
 * chosen, with a clamped gate (OpenAI 2025).
 */
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"
#include "model/moe.h"

#define WINDOW 128u
#define PERIOD 2u

static enum rc bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	struct layer *l = &m->layers[il];
	const struct {
		const char *name;
		const float *bias;
	} needed[] = {
		{ "attn_q", l->q_bias },
		{ "attn_k", l->k_bias },
		{ "attn_v", l->v_bias },
		{ "attn_output", l->o_bias },
		{ "ffn_gate_inp", l->experts->router_bias },
		{ "ffn_gate_exps", l->experts->gate_bias },
		{ "ffn_up_exps", l->experts->up_bias },
		{ "ffn_down_exps", l->experts->down_bias },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (needed[i].bias == NULL)
			return errmsg_rc(why, RC_INVALID, "GGUF: tensor blk.%u.%s.bias is missing",
			    il, needed[i].name);
	}
	return bind_vector(m, (int)il, "attn_sinks.weight", l->n_head, &l->sinks, why);
}

static enum rc gpt_oss_bind(struct model *m, struct errmsg *why)
{
	enum rc rc;

	m->moe.gating = MOE_SOFTMAX_CHOSEN;
	m->moe.activation = ACT_CLAMPED_GATED;
	rc = decoder_bind(m, DECODER_HALVES | DECODER_POST_IS_FFN, why);
	if (rc == RC_OK)
		rc = bind_windows(m, WINDOW, PERIOD, why);
	if (rc == RC_OK && !moe_in_layer(m, 0))
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.expert_count is missing", m->arch->name);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++)
		rc = bind_layer(m, il, why);
	return rc;
}

const struct arch arch_gpt_oss = {
	.name = "gpt-oss",
	.bind = gpt_oss_bind,
	.forward = decoder_forward,
};
