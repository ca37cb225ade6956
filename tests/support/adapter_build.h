/*
 * Builds LoRA adapters of random numbers for tests, and the model that one of them
 * stands for: its matrices plus alpha / rank · B·A, added up in double.
 */
#ifndef SUPPORT_ADAPTER_BUILD_H
#define SUPPORT_ADAPTER_BUILD_H

#include "gguf_build.h"

struct model;

struct adapter_build {
	uint64_t seed;         /* not 0 */
	uint32_t rank;         /* 0: 4 */
	float alpha;           /* 0: 16 */
	enum tensor_type type; /* F32, F16 or BF16 */
	const char *only;      /* matrices whose name holds this; NULL: all that can be */
	bool named;            /* says which base it is of */
};

/* The file's bytes, for any matrix that `model` multiplies; the caller frees. */
uint8_t *adapter_build(const struct model *model, const struct adapter_build *how, size_t *len);

/* Add the adapter to the matrices of a model file with F32 weights, in place. */
void adapter_merge(uint8_t *model, size_t model_len, const uint8_t *adapter, size_t adapter_len);

#endif
