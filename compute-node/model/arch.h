/* The families, one file each (arch_<family>.c); arch.c lists them. */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "model/model_impl.h"

extern const struct arch arch_gemma2, arch_gemma3, arch_gemma4, arch_glm4, arch_llama,
    arch_mistral3, arch_phi3, arch_qwen2, arch_qwen3, arch_qwen3moe, arch_smollm3;
extern const struct arch arch_deepseek2, arch_glm4moe, arch_gpt_oss, arch_nemotron_h,
    arch_nemotron_h_moe, arch_qwen3next, arch_qwen35, arch_qwen35moe;
extern const struct arch arch_bert, arch_nomic_bert;

#endif
