/* Memory and layout of the KV cache. */
#include "infer/cache.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/wipe.h"
#include "infer/encode.h"
#include "kernels/half.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

size_t cache_bytes(const struct cache *c, size_t n)
{
	if (c->type == CACHE_Q8_0)
		return KERNEL_CACHE_Q8_BYTES(n);
	return n * (c->type == CACHE_F16 ? sizeof(uint16_t) : sizeof(float));
}

/* Blocks of the 8-bit form end with heads. */
static enum rc check_q8(const struct model *m, struct errmsg *why)
{
	for (uint32_t il = 0; il < m->n_layer; il++) {
		const struct layer *l = &m->layers[il];

		if (l->head_dim_k % KERNEL_BLOCK != 0 || l->head_dim_v % KERNEL_BLOCK != 0)
			return errmsg_rc(why, RC_UNSUPPORTED,
			    "cache type q8_0: heads of %u and %u numbers in layer %u are no "
			    "multiples of %d",
			    l->head_dim_k, l->head_dim_v, il, KERNEL_BLOCK);
	}
	return RC_OK;
}

enum rc cache_measure(const struct model *m, const struct engine_config *config, struct cache *out,
    struct errmsg *why)
{
	size_t cells;

	*out = (struct cache){
		.model = m,
		.type = config->cache,
		.n_ctx = (config->n_ctx + KERNEL_CELLS - 1) / KERNEL_CELLS * KERNEL_CELLS,
		.n_seq = config->n_seq,
	};
	if (m->encoder != NULL) { /* all texts of a pass in a row */
		out->n_ctx = encode_cells(config->n_ubatch);
		out->n_seq = 1;
	}
	if (out->type == CACHE_Q8_0 && check_q8(m, why) != RC_OK)
		return RC_UNSUPPORTED;
	/* no number takes more bytes than a float */
	if (__builtin_mul_overflow(
		(size_t)out->n_seq, (size_t)out->n_ctx * sizeof(float), &cells) ||
	    __builtin_mul_overflow(cells, (size_t)m->cache_keys, &out->keys_bytes) ||
	    __builtin_mul_overflow(cells, (size_t)m->cache_values, &out->values_bytes))
		return errmsg_rc(why, RC_LIMIT, "the KV cache is larger than any memory");
	cells /= sizeof(float);
	out->keys_bytes = cache_bytes(out, cells * m->cache_keys);
	out->values_bytes = cache_bytes(out, cells * m->cache_values);
	return RC_OK;
}

static uint8_t *take(size_t len, struct errmsg *why)
{
	/* a model without attention has no KV */
	void *map = mmap(NULL, len > 0 ? len : 1, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED) {
		errmsg_set(why, "no memory for %zu bytes of KV cache", len);
		return NULL;
	}
	(void)madvise(map, len, MADV_DONTDUMP);
	return map;
}

enum rc cache_take(struct cache *c, struct errmsg *why)
{
	c->keys = take(c->keys_bytes, why);
	c->values = c->keys != NULL ? take(c->values_bytes, why) : NULL;
	return c->values != NULL ? RC_OK : RC_NOMEM;
}

void cache_fini(struct cache *c)
{
	if (c->keys != NULL)
		(void)munmap(c->keys, c->keys_bytes > 0 ? c->keys_bytes : 1);
	if (c->values != NULL)
		(void)munmap(c->values, c->values_bytes > 0 ? c->values_bytes : 1);
	c->keys = c->values = NULL;
}

uint8_t *cache_keys(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head)
{
	const struct layer *l = &c->model->layers[layer];
	size_t at = ((size_t)l->keys_at + (size_t)head * l->head_dim_k) * c->n_seq +
		    (size_t)seq * l->head_dim_k;

	return c->keys + cache_bytes(c, at * c->n_ctx);
}

uint8_t *cache_values(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head)
{
	const struct layer *l = &c->model->layers[layer];
	size_t at = ((size_t)l->values_at + (size_t)head * l->head_dim_v) * c->n_seq +
		    (size_t)seq * l->head_dim_v;

	return c->values + cache_bytes(c, at * c->n_ctx);
}

static void put(const struct cache *c, uint8_t *base, size_t i, float value)
{
	if (c->type == CACHE_F16) {
		uint16_t half = half_to_f16(value);

		memcpy(base + i * sizeof(half), &half, sizeof(half));
	} else {
		memcpy(base + i * sizeof(value), &value, sizeof(value));
	}
}

/* One block to 8 bits, by its scale as it is kept; returns that scale. */
static uint16_t quantize(const float *x, int8_t quants[KERNEL_BLOCK])
{
	float top = 0, scale;
	uint16_t half;

	for (size_t i = 0; i < KERNEL_BLOCK; i++)
		top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
	half = half_to_f16(top / 127.0f);
	scale = half_from_f16(half);
	for (size_t i = 0; i < KERNEL_BLOCK; i++) {
		float q = scale > 0 ? nearbyintf(x[i] / scale) : 0;

		quants[i] = (int8_t)(q > 127.0f ? 127.0f : q >= -127.0f ? q : -127.0f);
	}
	return half;
}

/* A key's place in its tile; NULL: zeros. */
static void put_key(const struct cache *c, size_t dim, uint8_t *tile, size_t cell, const float *key)
{
	uint8_t *scales = tile + dim * KERNEL_CELLS;
	int8_t quants[KERNEL_BLOCK] = { 0 };

	if (c->type != CACHE_Q8_0) {
		for (size_t d = 0; d < dim; d++)
			put(c, tile, d * KERNEL_CELLS + cell, key != NULL ? key[d] : 0);
		return;
	}
	for (size_t b = 0; b < dim / KERNEL_BLOCK; b++) {
		uint16_t scale = key != NULL ? quantize(key + b * KERNEL_BLOCK, quants) : 0;

		for (size_t i = 0; i < KERNEL_BLOCK; i++)
			tile[(b * KERNEL_BLOCK + i) * KERNEL_CELLS + cell] = (uint8_t)quants[i];
		memcpy(scales + (b * KERNEL_CELLS + cell) * sizeof(scale), &scale, sizeof(scale));
	}
}

static void put_value(const struct cache *c, size_t dim, uint8_t *row, const float *value)
{
	if (c->type != CACHE_Q8_0) {
		for (size_t d = 0; d < dim; d++)
			put(c, row, d, value[d]);
		return;
	}
	for (size_t b = 0; b < dim / KERNEL_BLOCK; b++) {
		uint16_t scale =
		    quantize(value + b * KERNEL_BLOCK, (int8_t *)(row + b * KERNEL_BLOCK));

		memcpy(row + dim + b * sizeof(scale), &scale, sizeof(scale));
	}
}

void cache_store(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head, uint32_t pos,
    const float *key, const float *value)
{
	const struct layer *l = &c->model->layers[layer];
	size_t tile_bytes = cache_bytes(c, (size_t)l->head_dim_k * KERNEL_CELLS);

	put_key(c, l->head_dim_k, cache_keys(c, layer, seq, head) + pos / KERNEL_CELLS * tile_bytes,
	    pos % KERNEL_CELLS, key);
	put_value(c, l->head_dim_v,
	    cache_values(c, layer, seq, head) + pos * cache_bytes(c, l->head_dim_v), value);
}

static void wipe_head(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head,
    uint32_t first, uint32_t end)
{
	const struct layer *l = &c->model->layers[layer];
	/* whole tiles of keys, except what lies before `first` in its tile */
	uint32_t tile = (first + KERNEL_CELLS - 1) / KERNEL_CELLS;
	uint32_t tile_end = (end + KERNEL_CELLS - 1) / KERNEL_CELLS;
	size_t tile_bytes = cache_bytes(c, (size_t)l->head_dim_k * KERNEL_CELLS);
	size_t value_bytes = cache_bytes(c, l->head_dim_v);
	uint8_t *keys = cache_keys(c, layer, seq, head);
	uint8_t *values = cache_values(c, layer, seq, head);

	for (uint32_t pos = first; pos < end && pos < tile * KERNEL_CELLS; pos++)
		put_key(c, l->head_dim_k, keys + pos / KERNEL_CELLS * tile_bytes,
		    pos % KERNEL_CELLS, NULL);
	if (tile_end > tile)
		wipe(keys + tile * tile_bytes, (tile_end - tile) * tile_bytes);
	if (end > first)
		wipe(values + first * value_bytes, (end - first) * value_bytes);
}

void cache_wipe(const struct cache *c, uint32_t seq, uint32_t first, uint32_t end)
{
	for (uint32_t il = 0; il < c->model->n_layer; il++) {
		const struct layer *l = &c->model->layers[il];

		for (uint32_t head = 0; l->kv_back == 0 && head < l->n_head_kv; head++)
			wipe_head(c, il, seq, head, first, end);
	}
}
