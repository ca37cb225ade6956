/*
 * Twin of the encoders: the same arithmetic in double, one token after the
 * other, straight from the published definitions, on random models in F32 that
 * it also writes.  Slow and plain.
 */
#ifndef SUPPORT_ENCODER_TWIN_H
#define SUPPORT_ENCODER_TWIN_H

#include <stdbool.h>

#include "gguf_build.h"
#include "model/gguf.h"

struct model;

enum encoder_twin_pooling { TWIN_MEAN = 1, TWIN_CLS, TWIN_LAST };

struct encoder_twin_shape {
	bool nomic; /* rotation and gates instead of positions, biases and GELU */
	bool fused; /* q, k and v in one matrix */
	uint32_t n_embd, n_layer, n_head, n_ff, n_ctx;
	uint32_t pooling; /* the key's value; 0: no key */
};

/* The vocabulary: [PAD] [UNK] [CLS] [SEP], 26 letters that begin a word, 26
 * that continue one. */
#define ENCODER_TWIN_VOCAB 56
#define ENCODER_TWIN_CLS 2
#define ENCODER_TWIN_SEP 3

void encoder_twin_build(struct gguf_build *build, const struct encoder_twin_shape *shape);

/* The model of a file so built; ends the test where it cannot be opened. */
struct model *encoder_twin_open(const struct encoder_twin_shape *shape);

/* The vector of a text's ids, [n_embd], of length 1. */
void encoder_twin_embed(const struct gguf *gguf, const struct encoder_twin_shape *shape,
    const int32_t *ids, size_t n, double *out);

#endif
