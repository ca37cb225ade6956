/*
 * KV cache: keys and values of every layer, sequence and KV head.
 *
 * Keys lie in tiles of KERNEL_CELLS positions, transposed, so that scores of
 * 16 positions are one vector: [n_ctx / 16][head_dim_k][16].  Values lie by
 * position: [n_ctx][head_dim_v].  Each layer has its own sizes; one that reads
 * the KV of another has none.  Layers with a window keep all positions, so that
 * a sequence can be cut anywhere.  Pages are taken from the kernel as positions
 * are first written.  The serve loop's thread owns it between passes.
 */
#ifndef INFER_CACHE_H
#define INFER_CACHE_H

#include "infer/engine.h"

struct model;

struct cache {
	const struct model *model;
	enum cache_type type;
	uint32_t n_ctx; /* a multiple of KERNEL_CELLS */
	uint32_t n_seq;
	uint8_t *keys, *values;
	size_t keys_bytes, values_bytes;
};

/* Sizes alone, nothing is taken.  RC_UNSUPPORTED (type), RC_LIMIT (overflow). */
enum rc cache_measure(const struct model *model, const struct engine_config *config,
    struct cache *out, struct errmsg *why) RC_CHECK;

/* Bytes of `n` numbers: of whole tiles of keys, or of whole positions of values. */
size_t cache_bytes(const struct cache *cache, size_t n);

/* Take the memory of a measured cache. */
enum rc cache_take(struct cache *cache, struct errmsg *why) RC_CHECK;
void cache_fini(struct cache *cache);

/* The tiles or values of one head, from position 0. */
uint8_t *cache_keys(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head);
uint8_t *cache_values(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head);

/* Write one position: key [head_dim_k], value [head_dim_v]. */
void cache_store(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head,
    uint32_t pos, const float *key, const float *value);

/* Zero positions first … end - 1 of a sequence. */
void cache_wipe(const struct cache *cache, uint32_t seq, uint32_t first, uint32_t end);

#endif
