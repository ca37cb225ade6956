/*
 * llama: Llama 1 to 3, Mistral and their kin.  Q and K are permuted at
 * conversion, so the dimensions rotated together are adjacent.
 */
#include "model/arch.h"
#include "model/decoder.h"

static enum rc llama_bind(struct model *m, struct errmsg *why)
{
	return decoder_bind(m, 0, why);
}

const struct arch arch_llama = {
	.name = "llama",
	.bind = llama_bind,
	.forward = decoder_forward,
};
