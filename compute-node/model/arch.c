/* The table of architectures: one row each. */
#include "model/arch.h"

static const struct arch *const archs[] = {
	&arch_deepseek2,
	&arch_gemma2,
	&arch_gemma3,
	&arch_gemma4,
	&arch_glm4,
	&arch_glm4moe,
	&arch_gpt_oss,
	&arch_llama,
	&arch_mistral3,
	&arch_nemotron_h,
	&arch_nemotron_h_moe,
	&arch_phi3,
	&arch_qwen2,
	&arch_qwen3,
	&arch_qwen3moe,
	&arch_qwen3next,
	&arch_qwen35,
	&arch_qwen35moe,
	&arch_smollm3,
	&arch_bert,
	&arch_nomic_bert,
};

const struct arch *arch_find(struct gguf_string_view name)
{
	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
		if (gguf_view_is(name, archs[i]->name))
			return archs[i];
	}
	return NULL;
}
