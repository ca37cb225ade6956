/* Memory and layout of the KV cache. */
#include "infer/cache.h"

#include <string.h>
#include <sys/mman.h>

#include "base/wipe.h"
#include "infer/encode.h"
#include "kernels/half.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

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
	if (config->cache == CACHE_Q8_0)
		return errmsg_rc(why, RC_UNSUPPORTED, "cache type q8_0 is not supported");
	out->cell_bytes = config->cache == CACHE_F16 ? sizeof(uint16_t) : sizeof(float);
	if (__builtin_mul_overflow(
		(size_t)out->n_seq, (size_t)out->n_ctx * out->cell_bytes, &cells) ||
	    __builtin_mul_overflow(cells, (size_t)m->cache_keys, &out->keys_bytes) ||
	    __builtin_mul_overflow(cells, (size_t)m->cache_values, &out->values_bytes))
		return errmsg_rc(why, RC_LIMIT, "the KV cache is larger than any memory");
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

	return c->keys + at * c->n_ctx * c->cell_bytes;
}

uint8_t *cache_values(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head)
{
	const struct layer *l = &c->model->layers[layer];
	size_t at = ((size_t)l->values_at + (size_t)head * l->head_dim_v) * c->n_seq +
		    (size_t)seq * l->head_dim_v;

	return c->values + at * c->n_ctx * c->cell_bytes;
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

void cache_store(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head, uint32_t pos,
    const float *key, const float *value)
{
	const struct layer *l = &c->model->layers[layer];
	uint8_t *keys = cache_keys(c, layer, seq, head),
		*values = cache_values(c, layer, seq, head);
	size_t tile = (size_t)(pos / KERNEL_CELLS) * l->head_dim_k * KERNEL_CELLS;

	for (size_t d = 0; d < l->head_dim_k; d++)
		put(c, keys, tile + d * KERNEL_CELLS + pos % KERNEL_CELLS, key[d]);
	for (size_t d = 0; d < l->head_dim_v; d++)
		put(c, values, (size_t)pos * l->head_dim_v + d, value[d]);
}

static void wipe_head(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head,
    uint32_t first, uint32_t end)
{
	const struct layer *l = &c->model->layers[layer];
	/* whole tiles of keys, except what lies before `first` in its tile */
	uint32_t tile = (first + KERNEL_CELLS - 1) / KERNEL_CELLS;
	uint32_t tile_end = (end + KERNEL_CELLS - 1) / KERNEL_CELLS;
	size_t tile_bytes = (size_t)l->head_dim_k * KERNEL_CELLS * c->cell_bytes;
	size_t value_bytes = (size_t)l->head_dim_v * c->cell_bytes;
	uint8_t *keys = cache_keys(c, layer, seq, head);
	uint8_t *values = cache_values(c, layer, seq, head);

	for (uint32_t pos = first; pos < end && pos < tile * KERNEL_CELLS; pos++) {
		for (size_t d = 0; d < l->head_dim_k; d++)
			put(c, keys + pos / KERNEL_CELLS * tile_bytes,
			    d * KERNEL_CELLS + pos % KERNEL_CELLS, 0);
	}
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
