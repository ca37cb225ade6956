/*
 * smollm3: the decoder, but every fourth layer does not rotate (NoPE layers,
 * Yang et al. 2025).
 */
#include "model/arch.h"
#include "model/decoder.h"

#define NO_ROPE_PERIOD 4u

static enum rc smollm3_bind(struct model *m, struct errmsg *why)
{
	enum rc rc = decoder_bind(m, 0, why);

	for (uint32_t il = 0; rc == RC_OK && il < m->n_layer; il++) {
		if ((il + 1) % NO_ROPE_PERIOD == 0)
			m->layers[il].rope = LAYER_ROPE_NONE;
	}
	return rc;
}

const struct arch arch_smollm3 = {
	.name = "smollm3",
	.bind = smollm3_bind,
	.forward = decoder_forward,
};
