/*
 * Attention: units of work are (some rows, KV head); with few rows all of a KV
 * head of one sequence, from rotation to 8-bit form; with fewer units than
 * threads (row, KV head, step), the steps then being merged.  A unit takes one
 * step after the other, and for each its queries in tiles.
 */
#include "infer/attention.h"

#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/model_impl.h"

/* All query heads of one KV head, for some rows of one sequence. */
struct unit {
	uint32_t layer, head_kv;
	size_t row, n_rows;
};

/* The queries of one call: some heads of one KV head, for some rows. */
struct query_tile {
	uint32_t layer, head_kv;
	size_t row, n_rows;   /* rows of the ubatch, one sequence */
	size_t head, n_heads; /* query heads of each row */
	size_t n;             /* n_rows * n_heads */
};

/* Norm and rotate the heads of one row of the ubatch. */
static void turn_heads(const struct worker *w, const struct layer *l, size_t row, float *heads,
    size_t n, const float *norm)
{
	const struct pass *p = w->pass;
	const struct model *m = p->model;
	const struct rope *rope = l->rope == LAYER_ROPE_LOCAL ? &m->rope_local : &m->rope;
	const float *table =
	    (l->rope == LAYER_ROPE_LOCAL ? p->rope_local : p->rope) + row * rope->n_rot;
	size_t dk = l->head_dim_k;

	for (size_t h = 0; h < n; h++, heads += dk) {
		if (norm != NULL)
			p->kernels->rms_norm(heads, norm, dk, m->norm_eps, heads);
		if (l->rope != LAYER_ROPE_NONE)
			kernels_rope(heads, rope->n_rot, table, rope->halves);
	}
}

/* Queries of later positions grow, to stay sharp over long contexts. */
static void warm_queries(const struct model *m, uint32_t pos, float *q, size_t n)
{
	float factor =
	    (float)(1.0 + (double)m->temp_scale * exact_log(1.0 + (double)(pos / m->temp_step)));

	for (size_t i = 0; i < n; i++)
		q[i] *= factor;
}

/* Key and value of one KV head of a row: prepared and put into the cache. */
static void store_head(const struct worker *w, uint32_t il, uint32_t head_kv, size_t row)
{
	const struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t dk = l->head_dim_k, dv = l->head_dim_v, at = row * l->n_head_kv + head_kv;
	float *k = p->k + at * dk, *v = p->v + at * dv;

	if (l->v == NULL)
		memcpy(v, k, dv * sizeof(float));
	turn_heads(w, l, row, k, 1, l->k_norm);
	if (l->v_norm)
		p->kernels->rms_norm(v, NULL, dv, p->model->norm_eps, v);
	cache_store(p->cache, il, p->rows[row].seq, head_kv, p->rows[row].pos, k, v);
}

/* All of a KV head of one row that comes before its scores. */
static void prepare_head(const struct worker *w, uint32_t il, uint32_t head_kv, size_t row)
{
	const struct pass *p = w->pass;
	const struct model *m = p->model;
	const struct layer *l = &m->layers[il];
	size_t group = l->n_head / l->n_head_kv, nq = group * l->head_dim_k;
	float *q = p->q + (row * l->n_head_kv + head_kv) * nq;

	turn_heads(w, l, row, q, group, l->q_norm);
	if (m->temp_scale != 0)
		warm_queries(m, p->rows[row].pos, q, nq);
	if (l->kv_back == 0)
		store_head(w, il, head_kv, row);
}

void attention_store(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	uint32_t n = p->model->layers[il].n_head_kv;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (uint32_t h = 0; h < n; h++)
			prepare_head(w, il, h, t);
	}
	crew_finish(p->crew);
}

/* Query `i` of the tile stands in row i / n_heads. */
static const struct engine_row *row_of(
    const struct pass *p, const struct query_tile *tile, size_t i)
{
	return &p->rows[tile->row + i / tile->n_heads];
}

static void load_queries(struct worker *w, const struct query_tile *tile)
{
	const struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[tile->layer];
	size_t dk = l->head_dim_k, n_head = l->n_head;

	for (size_t i = 0; i < tile->n; i++) {
		size_t row = tile->row + i / tile->n_heads, head = tile->head + i % tile->n_heads;

		memcpy(w->queries + i * dk, p->q + (row * n_head + head) * dk, dk * sizeof(float));
	}
}

/* Positions first … end - 1 of a step. */
struct span {
	size_t first, end;
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The first position that a row sees. */
static size_t first_seen(const struct layer *l, const struct engine_row *row)
{
	size_t end = (size_t)row->pos + 1;

	return l->window > 0 && end > l->window ? end - l->window : 0;
}

/* What a row sees of a step; empty where it sees nothing. */
static struct span seen(const struct layer *l, const struct engine_row *row, size_t step)
{
	size_t base = step * PASS_STEP, end = (size_t)row->pos + 1;
	struct span s = { .first = min_size(max_size(first_seen(l, row), base) - base, PASS_STEP),
		.end = min_size(max_size(end, base) - base, PASS_STEP) };

	s.first = min_size(s.first, s.end);
	return s;
}

static kernel_scores_fn *scores_of(const struct pass *p)
{
	return p->cache->type == CACHE_F16    ? p->kernels->scores_f16
	       : p->cache->type == CACHE_Q8_0 ? p->kernels->scores_q8
					      : p->kernels->scores_f32;
}

static kernel_mix_fn *mix_of(const struct pass *p)
{
	return p->cache->type == CACHE_F16    ? p->kernels->mix_f16
	       : p->cache->type == CACHE_Q8_0 ? p->kernels->mix_q8
					      : p->kernels->mix_f32;
}

/* values[i] += weights · values of positions of the step, for queries i … i + n - 1. */
static void mix(struct worker *w, const struct query_tile *tile, size_t i, size_t n,
    struct span span, const uint8_t *v, float *values)
{
	const struct pass *p = w->pass;
	size_t dv = p->model->layers[tile->layer].head_dim_v;

	if (span.end > span.first)
		mix_of(p)(v + cache_bytes(p->cache, span.first * dv), span.end - span.first, dv,
		    w->scores + i * PASS_STEP + span.first, PASS_STEP, n, values + i * dv, dv);
}

/* Weighted values of a step.  Each query adds its positions in order: those
 * before what all see, what all see, those behind. */
static void mix_step(struct worker *w, const struct query_tile *tile, const struct span *spans,
    const uint8_t *v, float *values)
{
	size_t dv = w->pass->model->layers[tile->layer].head_dim_v, n = tile->n;
	struct span all = { spans[n - 1].first, spans[0].end }; /* rows go up in position */

	if (all.end < all.first)
		all.end = all.first;
	memset(values, 0, n * dv * sizeof(float));
	for (size_t i = 0; i < n; i++)
		mix(w, tile, i, 1,
		    (struct span){ spans[i].first, min_size(spans[i].end, all.first) }, v, values);
	mix(w, tile, 0, n, all, v, values);
	for (size_t i = 0; i < n; i++)
		mix(w, tile, i, 1, (struct span){ max_size(spans[i].first, all.end), spans[i].end },
		    v, values);
}

/* The values of a step as they lie in the cache, or out of the keys that they
 * stand in: those that rows of the unit see. */
static const uint8_t *values_of(struct worker *w, const struct unit *u, size_t step)
{
	const struct pass *p = w->pass;
	const struct cache *c = p->cache;
	const struct layer *l = &p->model->layers[u->layer];
	const struct engine_row *rows = p->rows + u->row;
	size_t base = step * PASS_STEP % cache_cells(c, u->layer);
	size_t first = seen(l, &rows[0], step).first, end = seen(l, &rows[u->n_rows - 1], step).end;

	if (!l->v_in_k)
		return cache_values(c, u->layer, rows->seq, u->head_kv) +
		       cache_bytes(c, base * l->head_dim_v);
	cache_unpack(c, u->layer, rows->seq, u->head_kv, base, first, end, w->unpacked);
	return w->unpacked;
}

/* One step of every query of the tile, its values being `v`: values
 * [n][head_dim_v], partials [n]. */
static void attend_step(struct worker *w, const struct query_tile *tile, size_t step,
    const uint8_t *v, float *values, struct partial *partials)
{
	const struct pass *p = w->pass;
	const struct cache *c = p->cache;
	const struct model *m = p->model;
	const struct layer *l = &m->layers[tile->layer];
	uint32_t seq = p->rows[tile->row].seq;
	size_t dk = l->head_dim_k, base = step * PASS_STEP % cache_cells(c, tile->layer), first;
	const uint8_t *keys = cache_keys(c, tile->layer, seq, tile->head_kv);
	struct span spans[KERNEL_QUERIES_MAX];

	load_queries(w, tile);
	for (size_t i = 0; i < tile->n; i++)
		spans[i] = seen(l, row_of(p, tile, i), step);
	first = spans[0].first / KERNEL_CELLS * KERNEL_CELLS;
	scores_of(p)(keys + cache_bytes(c, (base + first) * dk),
	    (spans[tile->n - 1].end - first + KERNEL_CELLS - 1) / KERNEL_CELLS, dk, w->queries, dk,
	    tile->n, w->scores + first, PASS_STEP);
	for (size_t i = 0; i < tile->n; i++) {
		float *scores = w->scores + i * PASS_STEP + spans[i].first;
		size_t n = spans[i].end - spans[i].first;

		for (size_t s = 0; m->attn_softcap != 0 && s < n; s++)
			scores[s] = exact_softcap(scores[s] * m->attn_scale, m->attn_softcap);
		partials[i].sum = p->kernels->softmax(
		    scores, n, m->attn_softcap != 0 ? 1.0f : m->attn_scale, &partials[i].max);
	}
	mix_step(w, tile, spans, v, values);
}

/* into = into ⊕ from; a partial without weights has max -inf and sum 0. */
static void merge(struct partial *into, float *into_values, const struct partial *from,
    const float *from_values, size_t n)
{
	float max = from->max > into->max ? from->max : into->max;
	float a = exact_expf(into->max - max), b = exact_expf(from->max - max);

	for (size_t d = 0; d < n; d++)
		into_values[d] = into_values[d] * a + from_values[d] * b;
	into->sum = into->sum * a + from->sum * b;
	into->max = max;
}

/* The steps that a row sees something of: first … end - 1. */
static struct span steps_of(const struct layer *l, const struct engine_row *row)
{
	return (struct span){ first_seen(l, row) / PASS_STEP, (size_t)row->pos / PASS_STEP + 1 };
}

/* mixed[row][head] = values / sum, a sink taking part of the sum. */
static void finish(const struct pass *p, uint32_t layer, size_t row, size_t head,
    const struct partial *partial, const float *values)
{
	const struct layer *l = &p->model->layers[layer];
	size_t dv = l->head_dim_v;
	float *out = p->mixed.f32 + (row * l->n_head + head) * dv, sum = partial->sum, part = 1.0f;

	if (l->sinks != NULL) {
		float max = partial->max > l->sinks[head] ? partial->max : l->sinks[head];

		part = exact_expf(partial->max - max);
		sum = sum * part + exact_expf(l->sinks[head] - max);
	}
	for (size_t d = 0; d < dv; d++)
		out[d] = values[d] * part / sum;
}

/* Query heads that a tile takes of each row, and rows that fit a tile. */
static size_t heads_in_tile(const struct layer *l)
{
	return min_size(l->n_head / l->n_head_kv, KERNEL_QUERIES_MAX);
}

static size_t rows_in_tile(const struct layer *l)
{
	return KERNEL_QUERIES_MAX / heads_in_tile(l);
}

static size_t tiles_of(const struct layer *l, const struct unit *u)
{
	size_t group = l->n_head / l->n_head_kv, n_heads = heads_in_tile(l), n = rows_in_tile(l);

	return (u->n_rows + n - 1) / n * ((group + n_heads - 1) / n_heads);
}

/* Tile `i`: all heads of the first rows, then those of the next. */
static struct query_tile tile_of(const struct layer *l, const struct unit *u, size_t i)
{
	size_t group = l->n_head / l->n_head_kv, most = heads_in_tile(l);
	size_t across = (group + most - 1) / most, head = i % across * most;
	size_t row = i / across * rows_in_tile(l);
	struct query_tile tile = { .layer = u->layer,
		.head_kv = u->head_kv,
		.row = u->row + row,
		.n_rows = min_size(rows_in_tile(l), u->n_rows - row),
		.head = u->head_kv * group + head,
		.n_heads = min_size(most, group - head) };

	tile.n = tile.n_rows * tile.n_heads;
	return tile;
}

/* One step of a tile, merged into what the steps before gave. */
static void add_step(struct worker *w, const struct query_tile *tile, size_t step, const uint8_t *v,
    struct partial *sums, float *sum_values)
{
	const struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[tile->layer];
	size_t dv = l->head_dim_v;
	struct partial one[KERNEL_QUERIES_MAX];

	attend_step(w, tile, step, v, w->step_values, one);
	for (size_t i = 0; i < tile->n; i++) {
		struct span span = seen(l, row_of(p, tile, i), step);

		if (span.end > span.first)
			merge(&sums[i], sum_values + i * dv, &one[i], w->step_values + i * dv, dv);
	}
}

/* All steps of a unit. */
static void attend_unit(struct worker *w, const struct unit *u)
{
	const struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[u->layer];
	size_t dv = l->head_dim_v, n_tiles = tiles_of(l, u), at;
	size_t end = steps_of(l, &p->rows[u->row + u->n_rows - 1]).end;
	struct partial sums[MODEL_HEADS_MAX];

	for (at = 0; at < u->n_rows * (l->n_head / l->n_head_kv); at++)
		sums[at] = (struct partial){ -INFINITY, 0 };
	memset(w->sum_values, 0, at * dv * sizeof(float));
	for (size_t step = steps_of(l, &p->rows[u->row]).first; step < end; step++) {
		const uint8_t *v = values_of(w, u, step);

		at = 0;
		for (size_t i = 0; i < n_tiles; i++) {
			struct query_tile tile = tile_of(l, u, i);
			struct span steps = { steps_of(l, row_of(p, &tile, 0)).first,
				steps_of(l, row_of(p, &tile, tile.n - 1)).end };

			if (step >= steps.first && step < steps.end)
				add_step(w, &tile, step, v, sums + at, w->sum_values + at * dv);
			at += tile.n;
		}
	}
	at = 0;
	for (size_t i = 0; i < n_tiles; i++) {
		struct query_tile tile = tile_of(l, u, i);

		for (size_t q = 0; q < tile.n; q++, at++)
			finish(p, u->layer, tile.row + q / tile.n_heads,
			    tile.head + q % tile.n_heads, &sums[at], w->sum_values + at * dv);
	}
}

/* Rows of one sequence from `row` on that a unit takes: a tile of them, or more
 * where the values of a step have to be unpacked for them. */
static size_t rows_in_unit(const struct pass *p, const struct layer *l, size_t row)
{
	size_t n = 1, most = rows_in_tile(l);

	if (l->v_in_k)
		most = max_size(PASS_SHARED_QUERIES / (l->n_head / l->n_head_kv), 1);
	while (n < most && row + n < p->n_rows && p->rows[row + n].seq == p->rows[row].seq)
		n++;
	return n;
}

static void attend_rows(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t unit = 0, mine = crew_take(p->crew);

	for (size_t row = 0, n; row < p->n_rows; row += n) {
		n = rows_in_unit(p, l, row);
		for (uint32_t h = 0; h < l->n_head_kv; h++, unit++) {
			if (unit != mine)
				continue;
			attend_unit(w, &(struct unit){ il, h, row, n });
			mine = crew_take(p->crew);
		}
	}
	crew_finish(p->crew);
}

static size_t partial_index(const struct pass *p, size_t row, size_t head, size_t step)
{
	return (step * (PASS_SPLIT_ROWS - 1) + row) * p->model->n_head + head;
}

/* One step of all query heads of one KV head of one row, kept for merging. */
static void attend_part(struct worker *w, const struct unit *u, size_t step)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[u->layer];
	size_t dv = l->head_dim_v, n_tiles = tiles_of(l, u);
	const uint8_t *v = values_of(w, u, step);
	struct partial one[KERNEL_QUERIES_MAX];

	for (size_t tile_i = 0; tile_i < n_tiles; tile_i++) {
		struct query_tile tile = tile_of(l, u, tile_i);

		attend_step(w, &tile, step, v, w->step_values, one);
		for (size_t i = 0; i < tile.n; i++) {
			size_t at = partial_index(p, u->row, tile.head + i, step);

			p->partials[at] = one[i];
			memcpy(p->partial_values + at * dv, w->step_values + i * dv,
			    dv * sizeof(float));
		}
	}
}

static void merge_parts(struct worker *w, uint32_t il, size_t row, size_t head)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t dv = l->head_dim_v;
	struct span steps = steps_of(l, &p->rows[row]);
	struct partial sum = { -INFINITY, 0 };

	memset(w->sum_values, 0, dv * sizeof(float));
	for (size_t step = steps.first; step < steps.end; step++) {
		size_t at = partial_index(p, row, head, step);

		merge(&sum, w->sum_values, &p->partials[at], p->partial_values + at * dv, dv);
	}
	finish(p, il, row, head, &sum, w->sum_values);
}

static void attend_split(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t unit = 0, mine = crew_take(p->crew);

	for (size_t row = 0; row < p->n_rows; row++) {
		struct span steps = steps_of(l, &p->rows[row]);

		for (size_t step = steps.first; step < steps.end; step++) {
			for (uint32_t h = 0; h < l->n_head_kv; h++, unit++) {
				if (unit != mine)
					continue;
				attend_part(w, &(struct unit){ il, h, row, 1 }, step);
				mine = crew_take(p->crew);
			}
		}
	}
	crew_finish(p->crew);
	for (size_t at; (at = crew_take(p->crew)) < p->n_rows * l->n_head;)
		merge_parts(w, il, at / l->n_head, at % l->n_head);
	crew_finish(p->crew);
}

/* Rows of one sequence from `row` on. */
static size_t rows_of_sequence(const struct pass *p, size_t row)
{
	size_t n = 1;

	while (row + n < p->n_rows && p->rows[row + n].seq == p->rows[row].seq)
		n++;
	return n;
}

/* 8-bit form of what the query heads of one KV head gave for a row. */
static void quantize_heads(
    const struct worker *w, const struct layer *l, size_t head_kv, size_t row)
{
	const struct pass *p = w->pass;
	const struct q8_rows *q8 = &p->mixed.q8;
	size_t n = (size_t)l->n_head / l->n_head_kv * l->head_dim_v;
	size_t at = (row * l->n_head_kv + head_kv) * n;

	if (q8->quants != NULL)
		p->kernels->quantize(
		    p->mixed.f32 + at, n, q8->quants + at, q8->blocks + at / KERNEL_BLOCK);
}

/* Whether attend_few() may be used: nothing that one unit writes to the cache
 * is read by another, blocks of the 8-bit form end with KV heads, and there is
 * a unit for every thread. */
static bool few(const struct pass *p, const struct layer *l)
{
	size_t n_runs = 0;

	if (p->n_rows > PASS_OWN_ROWS ||
	    l->n_head / l->n_head_kv * l->head_dim_v % KERNEL_BLOCK != 0)
		return false;
	for (size_t row = 0; row < p->n_rows; row += rows_of_sequence(p, row), n_runs++) {
		for (size_t before = 0; before < row; before++) {
			if (p->rows[before].seq == p->rows[row].seq)
				return false;
		}
	}
	return n_runs * l->n_head_kv >= crew_size(p->crew);
}

/* Everything between the matrices, by KV head and sequence, as one stage. */
static void attend_few(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t unit = 0, mine = crew_take(p->crew);

	for (size_t row = 0, n; row < p->n_rows; row += n) {
		n = rows_of_sequence(p, row);
		for (uint32_t h = 0; h < l->n_head_kv; h++, unit++) {
			if (unit != mine)
				continue;
			for (size_t t = row; t < row + n; t++)
				prepare_head(w, il, h, t);
			for (size_t t = row, n_unit; t < row + n; t += n_unit) {
				n_unit = rows_in_unit(p, l, t);
				attend_unit(w, &(struct unit){ il, h, t, n_unit });
			}
			for (size_t t = row; t < row + n; t++)
				quantize_heads(w, l, h, t);
			mine = crew_take(p->crew);
		}
	}
	crew_finish(p->crew);
}

void attention_attend(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];

	if (p->n_rows < PASS_SPLIT_ROWS && crew_size(p->crew) > 1)
		attend_split(w, il);
	else
		attend_rows(w, il);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		block_quantize_row(w, &p->mixed, t, (size_t)l->n_head * l->head_dim_v);
	crew_finish(p->crew);
}

void attention_layer(struct worker *w, uint32_t il)
{
	if (w->pass->device != NULL) {
		device_attention(w, il);
		return;
	}
	if (few(w->pass, &w->pass->model->layers[il])) {
		attend_few(w, il);
		return;
	}
	attention_store(w, il);
	attention_attend(w, il);
}
