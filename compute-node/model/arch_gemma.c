/*
 * gemma2 and gemma3: norms before and after each block, a GELU-gated network,
 * embeddings scaled by the root of their width, layers with a sliding window
 * among those that see all (Gemma Team 2024, 2025).
 *
 * gemma2 caps scores and logits and alternates windows; gemma3 norms query and
 * key heads instead, has five windowed layers for each full one, and rotates
 * those by a base of their own.  The norms' "+1" is folded in at conversion.
 */
#include <math.h>

#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"

/* What files written before the keys existed mean. */
#define GEMMA2_WINDOW 4096u
#define GEMMA2_PERIOD 2u
#define GEMMA3_PERIOD 6u
#define GEMMA3_LOCAL_BASE 10000.0f
#define SCORE_CAP 50.0f
#define LOGIT_CAP 30.0f
/* The 27B models, known by their depth, scale by the width a head would have. */
#define GEMMA2_27B_LAYERS 46u
#define GEMMA3_27B_LAYERS 62u

static enum rc bind_scales(struct model *m, uint32_t wide_layers, struct errmsg *why)
{
	float scale = 1.0f / sqrtf((float)m->head_dim_k);
	enum rc rc;

	if (m->n_layer == wide_layers)
		scale = 1.0f / sqrtf((float)(m->n_embd / m->n_head));
	m->embd_scale = sqrtf((float)m->n_embd);
	rc = bind_gelu(m);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "attention.scale", scale, &m->attn_scale, why);
	return rc;
}

static enum rc gemma2_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = decoder_bind(m, DECODER_HALVES | DECODER_SANDWICH, why);

	if (rc == RC_OK)
		rc = bind_scales(m, GEMMA2_27B_LAYERS, why);
	if (rc == RC_OK)
		rc = bind_windows(m, GEMMA2_WINDOW, GEMMA2_PERIOD, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "attn_logit_softcapping", SCORE_CAP, &m->attn_softcap, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "final_logit_softcapping", LOGIT_CAP, &m->logit_softcap, why);
	return rc;
}

static enum rc gemma3_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = decoder_bind(m, DECODER_HALVES | DECODER_SANDWICH | DECODER_HEAD_NORMS, why);

	if (rc == RC_OK)
		rc = bind_scales(m, GEMMA3_27B_LAYERS, why);
	if (rc == RC_OK)
		rc = bind_windows(m, 0, GEMMA3_PERIOD, why);
	if (rc == RC_OK)
		rc = bind_f32_or(m, "final_logit_softcapping", 0, &m->logit_softcap, why);
	if (rc == RC_OK)
		rc =
		    rope_bind_local(m, true, m->head_dim_k, GEMMA3_LOCAL_BASE, &m->rope_local, why);
	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		if (m->layers[il].window > 0)
			m->layers[il].rope = LAYER_ROPE_LOCAL;
	}
	return rc;
}

const struct arch arch_gemma2 = {
	.name = "gemma2",
	.bind = gemma2_bind,
	.forward = decoder_forward,
};

const struct arch arch_gemma3 = {
	.name = "gemma3",
	.bind = gemma3_bind,
	.forward = decoder_forward,
};
