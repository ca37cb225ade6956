/*
 * KV cache: keys and values of every layer, sequence and KV head.
 *
 * Keys lie in tiles of KERNEL_CELLS positions, transposed, so that scores of
 * 16 positions are one vector: [cells / 16][head_dim_k][16].  Values lie by
 * position: [cells][head_dim_v].  Each layer has its own sizes; one that reads
 * the KV of another has none, and one whose values stand in its keys has no values.  Pages are
 * taken from the kernel as positions are first written.  The serve loop's thread owns it between
 * passes.
 *
 * A layer has a cell for every position of the context.  One with a window has
 * fewer where that suffices: position p lies in cell p mod cells, and a pass reads
 * less than window + n_ubatch positions back from the last that it wrote.  There
 * are whole steps of attention of them, so each step is in one piece as it would
 * be in a full cache, and its arithmetic is the same.
 */
#ifndef INFER_CACHE_H
#define INFER_CACHE_H

#include "infer/engine.h"

struct device; /* infer/device.h */
struct model;

/*
 * On a device the same numbers stand in the same places, but keys by position as
 * values do; only the functions that say where, and cache_wipe(), are for it then.
 */
struct cache {
	const struct model *model;
	struct device *device; /* whose memory it is; NULL: the host's */
	enum cache_type type;
	uint32_t n_full;   /* cells of a layer that sees all, a multiple of KERNEL_CELLS */
	uint32_t n_window; /* of one with a window: as many, or a multiple of PASS_STEP */
	uint32_t n_seq;
	uint8_t *keys, *values;
	size_t keys_bytes, values_bytes;
	size_t window_keys, window_values; /* where layers with a window begin */
	uint32_t first, end;               /* layers whose KV it is */
	/* Numbers a position that layers before those would keep: keys and values of layers
	 * that see all, of those with a window. */
	uint64_t full_from[2], window_from[2];
};

/* Sizes alone, nothing is taken.  RC_UNSUPPORTED (type), RC_LIMIT (overflow). */
enum rc cache_measure(const struct model *model, const struct engine_config *config,
    struct cache *out, struct errmsg *why) RC_CHECK;

/* Bytes of `n` numbers: of whole tiles of keys, or of whole positions of values. */
size_t cache_bytes(const struct cache *cache, size_t n);

/* Take the memory of a measured cache. */
enum rc cache_take(struct cache *cache, struct errmsg *why) RC_CHECK;
void cache_fini(struct cache *cache);

/* Cells of a layer. */
uint32_t cache_cells(const struct cache *cache, uint32_t layer);

/* Whether the cells of a sequence whose positions up to `n_touched` were written
 * still hold all that position `n_keep` and those behind it see. */
bool cache_reaches(const struct cache *cache, uint32_t n_touched, uint32_t n_keep);

/* The tiles or values of one head, from cell 0. */
uint8_t *cache_keys(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head);
uint8_t *cache_values(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head);

/* Values that stand in keys, of cells base + first … base + end - 1 of one step, as
 * cache_values() has them: base + i goes to place i of `out`. */
void cache_unpack(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head,
    size_t base, size_t first, size_t end, uint8_t *out);

/* Write one position: key [head_dim_k], value [head_dim_v]. */
void cache_store(const struct cache *cache, uint32_t layer, uint32_t seq, uint32_t head,
    uint32_t pos, const float *key, const float *value);

/* Zero what the first `n` positions of a sequence were written to. */
void cache_wipe(const struct cache *cache, uint32_t seq, uint32_t n);

#endif
