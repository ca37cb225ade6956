/* Memory and layout of the KV cache. */
#include "infer/cache.h"

#include <math.h>
#include <string.h>

#include "base/wipe.h"
#include "infer/device.h"
#include "infer/encode.h"
#include "infer/pass.h"
#include "kernels/half.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"
#include "os/pages.h"

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

static uint32_t round_up(uint64_t n, uint32_t to)
{
	return (uint32_t)((n + to - 1) / to * to);
}

/* Bytes of both kinds of layers; false: more than any memory. */
static bool measure(
    const struct cache *c, uint64_t full, uint64_t window, size_t *split, size_t *out)
{
	size_t n_full, n_window, all;

	/* no number takes more bytes than a float */
	if (__builtin_mul_overflow((size_t)c->n_seq * c->n_full, (size_t)full, &n_full) ||
	    __builtin_mul_overflow((size_t)c->n_seq * c->n_window, (size_t)window, &n_window) ||
	    __builtin_add_overflow(n_full, n_window, &all) || all > SIZE_MAX / sizeof(float))
		return false;
	*split = cache_bytes(c, n_full);
	*out = cache_bytes(c, all);
	return true;
}

/* Numbers a position of layers first … end - 1 that see as far, from where on. */
static void count_numbers(
    const struct cache *c, bool windowed, uint64_t from[2], uint64_t numbers[2])
{
	bool any = false;

	numbers[0] = numbers[1] = 0;
	for (uint32_t il = c->first; il < c->end; il++) {
		const struct layer *l = &c->model->layers[il];

		if (l->kv_back > 0 || (l->window > 0) != windowed)
			continue;
		if (!any) {
			from[0] = l->keys_at;
			from[1] = l->values_at;
		}
		any = true;
		numbers[0] += (uint64_t)l->n_head_kv * l->head_dim_k;
		numbers[1] += l->v_in_k ? 0 : (uint64_t)l->n_head_kv * l->head_dim_v;
	}
}

enum rc cache_measure(const struct model *m, const struct engine_config *config, struct cache *out,
    struct errmsg *why)
{
	struct pass_layers layers = pass_layers_of(m, config);
	uint64_t full[2], window[2];

	*out = (struct cache){
		.model = m,
		.first = layers.first,
		.end = layers.end,
		.type = config->cache,
		.n_full = round_up(config->n_ctx, KERNEL_CELLS),
		.n_seq = config->n_seq,
	};
	if (m->encoder != NULL) { /* all texts of a pass in a row */
		out->n_full = config->backend == NULL ? encode_cells(config->n_ubatch) : 0;
		out->n_seq = 1; /* a device needs no more than the pass itself has */
	}
	out->n_window = round_up((uint64_t)m->window + config->n_ubatch, PASS_STEP);
	if (out->n_window > out->n_full)
		out->n_window = out->n_full;
	if (out->type == CACHE_Q8_0 && check_q8(m, why) != RC_OK)
		return RC_UNSUPPORTED;
	count_numbers(out, false, out->full_from, full);
	count_numbers(out, true, out->window_from, window);
	if (!measure(out, full[0], window[0], &out->window_keys, &out->keys_bytes) ||
	    !measure(out, full[1], window[1], &out->window_values, &out->values_bytes))
		return errmsg_rc(why, RC_LIMIT, "the KV cache is larger than any memory");
	return RC_OK;
}

static uint8_t *take(size_t len, struct errmsg *why)
{
	uint8_t *pages = pages_take(len); /* a model without attention has no KV: 0 */

	if (pages == NULL)
		errmsg_set(why, "no memory for %zu bytes of KV cache", len);
	return pages;
}

enum rc cache_take(struct cache *c, struct errmsg *why)
{
	c->keys = take(c->keys_bytes, why);
	c->values = c->keys != NULL ? take(c->values_bytes, why) : NULL;
	return c->values != NULL ? RC_OK : RC_NOMEM;
}

void cache_fini(struct cache *c)
{
	pages_give(c->keys, c->keys_bytes);
	pages_give(c->values, c->values_bytes);
	c->keys = c->values = NULL;
}

uint32_t cache_cells(const struct cache *c, uint32_t layer)
{
	return c->model->layers[layer].window > 0 ? c->n_window : c->n_full;
}

bool cache_reaches(const struct cache *c, uint32_t n_touched, uint32_t n_keep)
{
	uint32_t window = c->model->window;
	uint32_t first = n_keep >= window ? n_keep + 1 - window : 0;

	return window == 0 || (uint64_t)first + c->n_window >= n_touched;
}

uint8_t *cache_keys(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head)
{
	const struct layer *l = &c->model->layers[layer];
	const uint64_t *from = l->window > 0 ? c->window_from : c->full_from;
	size_t at = ((size_t)(l->keys_at - from[0]) + (size_t)head * l->head_dim_k) * c->n_seq +
		    (size_t)seq * l->head_dim_k;

	return c->keys + (l->window > 0 ? c->window_keys : 0) +
	       cache_bytes(c, at * cache_cells(c, layer));
}

uint8_t *cache_values(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head)
{
	const struct layer *l = &c->model->layers[layer];
	const uint64_t *from = l->window > 0 ? c->window_from : c->full_from;
	size_t at = ((size_t)(l->values_at - from[1]) + (size_t)head * l->head_dim_v) * c->n_seq +
		    (size_t)seq * l->head_dim_v;

	return c->values + (l->window > 0 ? c->window_values : 0) +
	       cache_bytes(c, at * cache_cells(c, layer));
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

/* A key's place in its tile. */
static void put_key(const struct cache *c, size_t dim, uint8_t *tile, size_t cell, const float *key)
{
	uint8_t *scales = tile + dim * KERNEL_CELLS;
	int8_t quants[KERNEL_BLOCK];

	if (c->type != CACHE_Q8_0) {
		for (size_t d = 0; d < dim; d++)
			put(c, tile, d * KERNEL_CELLS + cell, key[d]);
		return;
	}
	for (size_t b = 0; b < dim / KERNEL_BLOCK; b++) {
		uint16_t scale = quantize(key + b * KERNEL_BLOCK, quants);

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

/* `n` rows of a tile, KERNEL_CELLS items of `size` bytes each, turned: item j of
 * row i to out + j * stride + i * size. */
static inline void turn_items(
    const uint8_t *rows, size_t n, size_t size, uint8_t *out, size_t stride)
{
	for (size_t j = 0; j < KERNEL_CELLS; j++, rows += size, out += stride) {
		for (size_t i = 0; i < n; i++)
			memcpy(out + i * size, rows + i * KERNEL_CELLS * size, size);
	}
}

static void turn(const uint8_t *rows, size_t n, size_t size, uint8_t *out, size_t stride)
{
	if (size == 1)
		turn_items(rows, n, 1, out, stride);
	else if (size == sizeof(uint16_t))
		turn_items(rows, n, sizeof(uint16_t), out, stride);
	else
		turn_items(rows, n, sizeof(float), out, stride);
}

void cache_unpack(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head, size_t base,
    size_t first, size_t end, uint8_t *out)
{
	const struct layer *l = &c->model->layers[layer];
	size_t dk = l->head_dim_k, dv = l->head_dim_v, skip = dk - dv;
	size_t tile_bytes = cache_bytes(c, dk * KERNEL_CELLS), row_bytes = cache_bytes(c, dv);
	const uint8_t *keys = cache_keys(c, layer, seq, head);

	for (size_t at = first / KERNEL_CELLS * KERNEL_CELLS; at < end; at += KERNEL_CELLS) {
		const uint8_t *tile = keys + (base + at) / KERNEL_CELLS * tile_bytes;
		uint8_t *to = out + at * row_bytes;

		if (c->type != CACHE_Q8_0) {
			size_t size = cache_bytes(c, 1);

			turn(tile + skip * KERNEL_CELLS * size, dv, size, to, row_bytes);
			continue;
		}
		turn(tile + skip * KERNEL_CELLS, dv, 1, to, row_bytes);
		turn(tile + (dk + skip / KERNEL_BLOCK * sizeof(uint16_t)) * KERNEL_CELLS,
		    dv / KERNEL_BLOCK, sizeof(uint16_t), to + dv, row_bytes);
	}
}

void cache_store(const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head, uint32_t pos,
    const float *key, const float *value)
{
	const struct layer *l = &c->model->layers[layer];
	size_t tile_bytes = cache_bytes(c, (size_t)l->head_dim_k * KERNEL_CELLS);
	size_t cell = pos % cache_cells(c, layer);

	put_key(c, l->head_dim_k,
	    cache_keys(c, layer, seq, head) + cell / KERNEL_CELLS * tile_bytes, cell % KERNEL_CELLS,
	    key);
	if (!l->v_in_k)
		put_value(c, l->head_dim_v,
		    cache_values(c, layer, seq, head) + cell * cache_bytes(c, l->head_dim_v),
		    value);
}

static void zero(const struct cache *c, uint8_t *at, size_t bytes)
{
	if (c->device != NULL)
		device_wipe(c->device, at, bytes);
	else
		wipe(at, bytes);
}

static void wipe_head(
    const struct cache *c, uint32_t layer, uint32_t seq, uint32_t head, uint32_t n)
{
	const struct layer *l = &c->model->layers[layer];
	uint32_t cells = cache_cells(c, layer);

	n = n < cells ? n : cells;
	zero(c, cache_keys(c, layer, seq, head),
	    cache_bytes(c, (size_t)round_up(n, KERNEL_CELLS) * l->head_dim_k));
	if (!l->v_in_k)
		zero(c, cache_values(c, layer, seq, head),
		    cache_bytes(c, (size_t)n * l->head_dim_v));
}

void cache_wipe(const struct cache *c, uint32_t seq, uint32_t n)
{
	for (uint32_t il = c->first; il < c->end; il++) {
		const struct layer *l = &c->model->layers[il];

		for (uint32_t head = 0; l->kv_back == 0 && head < l->n_head_kv; head++)
			wipe_head(c, il, seq, head, n);
	}
}
