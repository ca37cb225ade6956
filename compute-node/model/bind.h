/*
 * Binding: keys and tensors of a model, each checked before it is taken.
 *
 * Keys are given without the architecture's prefix ("embedding_length"), names
 * of tensors without "blk.N." where a layer is given.  All errors name the key
 * or the tensor.  Writers leave 0, -1 or 2^32-1 in keys they do not use: those
 * count as absent.
 */
#ifndef MODEL_BIND_H
#define MODEL_BIND_H

#include "model/model_impl.h"

#define BIND_GLOBAL (-1) /* instead of a layer's number */

/* A number in 1 … max.  RC_INVALID if it is needed (no `fallback`) and absent,
 * or larger than `max`. */
enum rc bind_u32(
    struct model *model, const char *key, uint32_t max, uint32_t *out, struct errmsg *why) RC_CHECK;
enum rc bind_u32_or(struct model *model, const char *key, uint32_t max, uint32_t fallback,
    uint32_t *out, struct errmsg *why) RC_CHECK;

/* The same of one layer: the key holds one number for all, or an array. */
enum rc bind_u32_layer(struct model *model, const char *key, uint32_t layer, uint32_t max,
    uint32_t fallback, uint32_t *out, struct errmsg *why) RC_CHECK;

/* A finite number; 0 counts as absent. */
enum rc bind_f32_or(
    struct model *model, const char *key, float fallback, float *out, struct errmsg *why) RC_CHECK;

enum rc bind_bool_or(
    struct model *model, const char *key, bool fallback, bool *out, struct errmsg *why) RC_CHECK;

/* A matrix of `n_rows` rows of `n` weights of a type that can be multiplied, with
 * its factors.  RC_INVALID (missing, shape), RC_UNSUPPORTED (type). */
enum rc bind_matrix(struct model *model, int layer, const char *name, uint64_t n_rows, uint64_t n,
    const struct gguf_tensor **out, struct errmsg *why) RC_CHECK;

/* Rows first … first + n_rows - 1 of a bound matrix, as a matrix of its own. */
enum rc bind_slice(struct model *model, const struct gguf_tensor *matrix, uint64_t first,
    uint64_t n_rows, const struct gguf_tensor **out, struct errmsg *why) RC_CHECK;
/* `n_stack` such matrices in one tensor of three dimensions. */
enum rc bind_stack(struct model *model, int layer, const char *name, uint64_t n_stack,
    uint64_t n_rows, uint64_t n, const struct gguf_tensor **out, struct errmsg *why) RC_CHECK;

/* Factors of a bound matrix that stand under another name than its own (see
 * factor_bind()). */
enum rc bind_factors(struct model *model, int layer, const char *name,
    const struct gguf_tensor **matrix, struct errmsg *why) RC_CHECK;

/* `n_rows` vectors of `n` F32, one after the other. */
enum rc bind_vectors(struct model *model, int layer, const char *name, uint64_t n_rows, uint64_t n,
    const float **out, struct errmsg *why) RC_CHECK;

/* A vector of `n` F32. */
enum rc bind_vector(struct model *model, int layer, const char *name, uint64_t n, const float **out,
    struct errmsg *why) RC_CHECK;

/* The same, or NULL where the file has none. */
enum rc bind_vector_or_null(struct model *model, int layer, const char *name, uint64_t n,
    const float **out, struct errmsg *why) RC_CHECK;

/* head_count, head_count_kv and feed_forward_length of every layer; makes
 * model->layers.  n_layer is known. */
enum rc bind_layer_sizes(struct model *model, struct errmsg *why) RC_CHECK;

/* Gates are GELU: makes model->gelu. */
enum rc bind_gelu(struct model *model) RC_CHECK;

/* Windows of layers: attention.sliding_window (or `window`; 0: none) in all but
 * each last of `period` layers, or as attention.sliding_window_pattern says, a
 * period or one flag a layer.  `period` 0: it must say so. */
enum rc bind_windows(
    struct model *model, uint32_t window, uint32_t period, struct errmsg *why) RC_CHECK;

/* After all layers are bound: the model's head dimensions where a layer has
 * none of its own, and where each layer's KV lies.  model_open() calls it. */
enum rc bind_cache(struct model *model, struct errmsg *why) RC_CHECK;

/* token_embd, output_norm and output (tied if absent); n_embd is known. */
enum rc bind_embedding(struct model *model, struct errmsg *why) RC_CHECK;

bool bind_has(const struct model *model, int layer, const char *name);

#endif
