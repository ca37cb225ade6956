/*
 * glm4: GLM-4 0414.  What attention and network add is normed before it is
 * added, gate and up come from one matrix, half of each head is rotated, by
 * adjacent pairs; by halves in files with sections of positions (GLM-4.1V),
 * whose positions are all the same for text.
 */
#include "model/arch.h"
#include "model/bind.h"
#include "model/decoder.h"

static enum rc glm4_bind(struct model *m, struct errmsg *why)
{
	uint32_t section = 0;
	enum rc rc =
	    bind_u32_layer(m, "rope.dimension_sections", 0, MODEL_HEAD_DIM_MAX, 0, &section, why);

	if (rc != RC_OK)
		return rc;
	return decoder_bind(
	    m, DECODER_SANDWICH | DECODER_FUSED_UP | (section != 0 ? DECODER_HALVES : 0), why);
}

const struct arch arch_glm4 = {
	.name = "glm4",
	.bind = glm4_bind,
	.forward = decoder_forward,
};
