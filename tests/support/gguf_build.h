/*
 * Builds GGUF bytes in memory for tests: any keys, any tensors of random
 * weights, and the shapes of a llama with every matrix of one type.
 */
#ifndef SUPPORT_GGUF_BUILD_H
#define SUPPORT_GGUF_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "model/type.h"

struct gguf_build {
	struct buf pairs, infos, data;
	uint64_t n_pairs, n_tensors;
	uint32_t version, alignment;
	uint64_t state; /* of the random weights */
	bool plain;     /* no random ones */
	/* Of gguf_build_stream(): the data goes to a file, out of a pool of random blocks. */
	bool streams, measures;
	FILE *file;
	uint64_t data_bytes;
	struct buf pool;
};

/* Version 3, alignment 32.  Seed 0: plain weights, made in no time, for models
 * that are refused before a weight is looked at. */
void gguf_build_init(struct gguf_build *build, uint64_t seed);
void gguf_build_fini(struct gguf_build *build);

void gguf_build_u32(struct gguf_build *build, const char *key, uint32_t value);
void gguf_build_f32(struct gguf_build *build, const char *key, float value);
void gguf_build_bool(struct gguf_build *build, const char *key, bool value);
void gguf_build_string(struct gguf_build *build, const char *key, const char *value);
void gguf_build_strings(
    struct gguf_build *build, const char *key, const char *const *values, size_t n);
void gguf_build_f32s(struct gguf_build *build, const char *key, const float *values, size_t n);
void gguf_build_i32s(struct gguf_build *build, const char *key, const int32_t *values, size_t n);

/* A tensor of random weights around 0 (norms: around 1), n_rows 0: a vector. */
void gguf_build_tensor(struct gguf_build *build, const char *name, enum tensor_type type,
    uint64_t n, uint64_t n_rows, float spread, float center);

/* `n_stack` of them in one tensor. */
void gguf_build_stack(struct gguf_build *build, const char *name, enum tensor_type type, uint64_t n,
    uint64_t n_rows, uint64_t n_stack, float spread, float center);

/* All of it; the caller frees. */
uint8_t *gguf_build_finish(struct gguf_build *build, size_t *len);

/* The same to a file; false if it cannot be written. */
bool gguf_build_write(struct gguf_build *build, const char *path);

struct gguf_build_llama {
	const char *arch; /* NULL: llama */
	uint32_t n_vocab, n_ctx, n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff;
	enum tensor_type type;
	bool tied, bias, freqs;
	bool qk_norm;              /* as qwen3 and qwen3moe have them */
	uint32_t n_expert, n_used; /* experts of n_ff each in place of a dense network */
};

/* Keys and tensors of such a model, without a vocabulary. */
void gguf_build_llama(struct gguf_build *build, const struct gguf_build_llama *shape);

/* The same of any size straight to a file, out of a pool of random blocks: weights
 * repeat.  False if it cannot be written. */
bool gguf_build_stream(const struct gguf_build_llama *shape, const char *path);

#endif
