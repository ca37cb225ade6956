/* The families, one file each (arch_<family>.c); arch.c lists them. */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "model/model_impl.h"

extern const struct arch arch_llama, arch_qwen2, arch_qwen3, arch_smollm3;

#endif
