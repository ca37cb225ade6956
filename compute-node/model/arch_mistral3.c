/*
 * mistral3: Mistral Small 3 and Ministral 3.  The llama decoder; where the file
 * asks for it, queries grow with the logarithm of their position, and YaRN
 * leaves the size of queries and keys alone.
 */
#include "kernels/exact.h"
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"

/* YaRN's magnitude is divided by the same with a multiplier. */
static enum rc bind_magnitude(struct model *m, struct errmsg *why)
{
	float multiplier = 0, factor = 0;
	enum rc rc = bind_f32_or(m, "rope.scaling.yarn_log_multiplier", 0, &multiplier, why);

	if (rc == RC_OK)
		rc = bind_f32_or(m, "rope.scaling.factor", 0, &factor, why);
	if (rc == RC_OK && multiplier > 0 && factor > 1)
		m->rope.magnitude /= 1.0 + 0.1 * (double)multiplier * exact_log((double)factor);
	return rc;
}

static enum rc mistral3_bind(struct model *m, struct errmsg *why)
{
	enum rc rc;

	m->moe.gating = MOE_SOFTMAX;
	m->moe.norm = true;
	rc = decoder_bind(m, 0, why);
	if (rc == RC_OK)
		rc = bind_magnitude(m, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "attention.temperature_scale", 0, &m->temp_scale, why);
	if (rc == RC_OK)
		rc = bind_u32_or(m, "attention.temperature_length", MODEL_CTX_MAX,
		    m->rope.n_ctx_short, &m->temp_step, why);
	return rc;
}

const struct arch arch_mistral3 = {
	.name = "mistral3",
	.bind = mistral3_bind,
	.forward = decoder_forward,
};
