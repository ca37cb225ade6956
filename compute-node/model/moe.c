/* Keys and tensors of experts. */
#include "model/moe.h"

#include "model/bind.h"

static enum rc check(const struct model *m, struct errmsg *why)
{
	const struct moe *moe = &m->moe;
	uint32_t in_group = moe->n_expert / moe->n_group;

	if (moe->n_used == 0)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.expert_used_count is missing", m->arch->name);
	if (moe->n_expert % moe->n_group != 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.expert_group_count: %u does not divide %u experts", m->arch->name,
		    moe->n_group, moe->n_expert);
	if (moe->n_group_used > moe->n_group)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.expert_group_used_count: %u of %u groups", m->arch->name,
		    moe->n_group_used, moe->n_group);
	if (moe->n_used > moe->n_group_used * in_group)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.expert_used_count: %u of %u experts", m->arch->name, moe->n_used,
		    moe->n_group_used * in_group);
	return RC_OK;
}

enum rc moe_bind(struct model *m, struct errmsg *why)
{
	struct moe *moe = &m->moe;
	const uint32_t most = MODEL_EXPERTS_MAX;
	uint32_t gating = moe->gating;
	enum rc rc = bind_u32_or(m, "expert_count", most, 0, &moe->n_expert, why);

	if (rc != RC_OK || moe->n_expert == 0)
		return rc;
	if (moe->gating == 0)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: key %s.expert_count: %u: this family has no experts", m->arch->name,
		    moe->n_expert);
	rc = bind_u32_or(m, "expert_used_count", most, 0, &moe->n_used, why);
	if (rc == RC_OK)
		rc = bind_u32_or(
		    m, "leading_dense_block_count", MODEL_LAYERS_MAX, 0, &moe->n_dense, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "expert_group_count", most, 1, &moe->n_group, why);
	if (rc == RC_OK)
		rc = bind_u32_or(
		    m, "expert_group_used_count", most, moe->n_group, &moe->n_group_used, why);
	if (rc == RC_OK && moe->keyed)
		rc = bind_u32_or(m, "expert_gating_func", MOE_SOFTMAX_CHOSEN, gating, &gating, why);
	if (rc == RC_OK && moe->keyed)
		rc = bind_bool_or(m, "expert_weights_norm", moe->norm, &moe->norm, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "expert_weights_scale", 1.0f, &moe->scale, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "moe_latent_size", MODEL_EMBD_MAX, 0, &moe->n_latent, why);
	if (rc != RC_OK)
		return rc;
	moe->gating = (enum moe_gating)gating;
	return check(m, why);
}

bool moe_in_layer(const struct model *m, uint32_t il)
{
	return m->moe.n_expert > 0 && il >= m->moe.n_dense;
}

static enum rc layer_sizes(struct model *m, uint32_t il, struct experts *e, struct errmsg *why)
{
	uint32_t n_shared = 0;
	enum rc rc = bind_u32_layer(
	    m, "expert_feed_forward_length", il, MODEL_FF_MAX, m->layers[il].n_ff, &e->n_ff, why);

	if (rc == RC_OK && e->n_ff == 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.expert_feed_forward_length is missing", m->arch->name);
	if (rc == RC_OK && m->moe.shared != MOE_SHARED_NONE)
		rc = bind_u32_or(m, "expert_shared_count", MODEL_EXPERTS_MAX,
		    m->moe.shared == MOE_SHARED_SCALED ? 1 : 0, &n_shared, why);
	if (rc != RC_OK || n_shared == 0)
		return rc;
	rc = bind_u32_or(
	    m, "expert_shared_feed_forward_length", MODEL_FF_MAX, 0, &e->n_ff_shared, why);
	if (rc == RC_OK && e->n_ff_shared == 0) {
		if (n_shared > MODEL_FF_MAX / e->n_ff)
			return errmsg_rc(why, RC_LIMIT, "GGUF: key %s.expert_shared_count: %u",
			    m->arch->name, n_shared);
		e->n_ff_shared = n_shared * e->n_ff;
	}
	return rc;
}

static enum rc bind_shared(struct model *m, int at, struct experts *e, struct errmsg *why)
{
	enum rc rc = bind_matrix(
	    m, at, "ffn_up_shexp.weight", e->n_ff_shared, m->n_embd, &e->shared_up, why);

	if (rc == RC_OK && m->moe.activation != ACT_RELU_SQUARED)
		rc = bind_matrix(m, at, "ffn_gate_shexp.weight", e->n_ff_shared, m->n_embd,
		    &e->shared_gate, why);
	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ffn_down_shexp.weight", m->n_embd, e->n_ff_shared,
		    &e->shared_down, why);
	if (rc == RC_OK && m->moe.shared == MOE_SHARED_SCALED)
		rc = bind_matrix(
		    m, at, "ffn_gate_inp_shexp.weight", 1, m->n_embd, &e->shared_scale, why);
	return rc;
}

static uint32_t width(const struct model *m)
{
	return m->moe.n_latent > 0 ? m->moe.n_latent : m->n_embd;
}

static enum rc bind_latent(struct model *m, int at, struct experts *e, struct errmsg *why)
{
	const uint32_t n = m->moe.n_latent;
	enum rc rc =
	    bind_matrix(m, at, "ffn_latent_down.weight", n, m->n_embd, &e->latent_down, why);

	if (rc == RC_OK)
		rc = bind_matrix(m, at, "ffn_latent_up.weight", m->n_embd, n, &e->latent_up, why);
	return rc;
}

static enum rc bind_gate_up(struct model *m, int at, struct experts *e, struct errmsg *why)
{
	const uint64_t n_expert = m->moe.n_expert, n_ff = e->n_ff, n = width(m);
	enum rc rc;

	if (m->moe.activation == ACT_RELU_SQUARED)
		return bind_stack(m, at, "ffn_up_exps.weight", n_expert, n_ff, n, &e->up, why);
	if (bind_has(m, at, "ffn_gate_up_exps.weight")) {
		rc = bind_stack(
		    m, at, "ffn_gate_up_exps.weight", n_expert, 2 * n_ff, n, &e->up, why);
		/* factors keep the names that they have beside two tensors */
		if (rc == RC_OK && e->up->factors == NULL)
			rc = bind_factors(m, at, "ffn_up_exps.scale", &e->up, why);
		e->gate = e->up;
		if (rc == RC_OK)
			rc = bind_factors(m, at, "ffn_gate_exps.scale", &e->gate, why);
		return rc;
	}
	rc = bind_stack(m, at, "ffn_gate_exps.weight", n_expert, n_ff, n, &e->gate, why);
	if (rc == RC_OK)
		rc = bind_stack(m, at, "ffn_up_exps.weight", n_expert, n_ff, n, &e->up, why);
	return rc;
}

static enum rc bind_biases(struct model *m, int at, struct experts *e, struct errmsg *why)
{
	const struct {
		const char *name;
		uint64_t n_rows, n;
		const float **out;
	} biases[] = {
		{ "ffn_gate_inp.bias", 1, m->moe.n_expert, &e->router_bias },
		{ "exp_probs_b.bias", 1, m->moe.n_expert, &e->choice_bias },
		{ "ffn_gate_exps.bias", m->moe.n_expert, e->n_ff, &e->gate_bias },
		{ "ffn_up_exps.bias", m->moe.n_expert, e->n_ff, &e->up_bias },
		{ "ffn_down_exps.bias", m->moe.n_expert, width(m), &e->down_bias },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(biases) / sizeof(biases[0]); i++) {
		if (bind_has(m, at, biases[i].name))
			rc = bind_vectors(m, at, biases[i].name, biases[i].n_rows, biases[i].n,
			    biases[i].out, why);
	}
	return rc;
}

enum rc moe_bind_layer(struct model *m, uint32_t il, struct errmsg *why)
{
	const int at = (int)il;
	struct experts *e = arena_array(&m->arena, 1, sizeof(*e));
	enum rc rc;

	if (e == NULL)
		return RC_NOMEM;
	m->layers[il].experts = e;
	rc = layer_sizes(m, il, e, why);
	if (rc == RC_OK)
		rc = bind_matrix(
		    m, at, "ffn_gate_inp.weight", m->moe.n_expert, m->n_embd, &e->router, why);
	if (rc == RC_OK)
		rc = bind_gate_up(m, at, e, why);
	if (rc == RC_OK)
		rc = bind_stack(m, at, "ffn_down_exps.weight", m->moe.n_expert, width(m), e->n_ff,
		    &e->down, why);
	if (rc == RC_OK)
		rc = bind_biases(m, at, e, why);
	if (rc == RC_OK && e->n_ff_shared > 0)
		rc = bind_shared(m, at, e, why);
	if (rc == RC_OK && m->moe.n_latent > 0)
		rc = bind_latent(m, at, e, why);
	if (rc != RC_OK)
		return rc;
	m->moe.n_ff = e->n_ff > m->moe.n_ff ? e->n_ff : m->moe.n_ff;
	if (m->moe.n_ff_shared < e->n_ff_shared)
		m->moe.n_ff_shared = e->n_ff_shared;
	return RC_OK;
}
