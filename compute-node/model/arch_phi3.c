/*
 * phi3: Phi-3, Phi-3.5 and Phi-4.  Queries, keys and values come from one
 * matrix, gate and up from another; long contexts are rotated by factors of
 * their own (Abdin et al. 2024; Ding et al. 2024, LongRoPE).  Its window is not
 * used by any runtime, so it is not used here.
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc phi3_bind(struct model *m, struct errmsg *why)
{
	return decoder_bind(m, DECODER_HALVES | DECODER_FUSED_QKV | DECODER_FUSED_UP, why);
}

const struct arch arch_phi3 = {
	.name = "phi3",
	.bind = phi3_bind,
	.forward = decoder_forward,
};
