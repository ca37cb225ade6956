/*
 * Attention: units of work are (row tile, KV head), or with few rows (row,
 * KV head, step), the steps then being merged by whoever finishes the row.
 */
#include "infer/attention.h"

#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "kernels/exact.h"
#include "model/model_impl.h"

/* The queries of one call: some heads of one KV head, for some rows. */
struct query_tile {
	uint32_t layer, head_kv;
	size_t row, n_rows;   /* rows of the ubatch, one sequence */
	size_t head, n_heads; /* query heads of each row */
	size_t n;             /* n_rows * n_heads */
};

/* Norm and rotate the heads of one row. */
static void turn_heads(const struct worker *w, const struct layer *l, float *heads, size_t n,
    const float *norm, const float *table)
{
	const struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t dk = m->head_dim_k;

	for (size_t h = 0; h < n; h++, heads += dk) {
		if (norm != NULL)
			p->kernels->rms_norm(heads, norm, dk, m->norm_eps, heads);
		if (!l->no_rope)
			kernels_rope(heads, m->rope.n_rot, table, m->rope.halves);
	}
}

void attention_store(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	const struct layer *l = &m->layers[il];
	size_t dk = m->head_dim_k, dv = m->head_dim_v;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		const struct engine_row *row = &p->rows[t];
		const float *table = p->rope + t * m->rope.n_rot;
		float *q = p->q + t * l->n_head * dk, *k = p->k + t * l->n_head_kv * dk;
		const float *v = p->v + t * l->n_head_kv * dv;

		turn_heads(w, l, q, l->n_head, l->q_norm, table);
		turn_heads(w, l, k, l->n_head_kv, l->k_norm, table);
		for (uint32_t h = 0; h < l->n_head_kv; h++)
			cache_store(p->cache, il, row->seq, h, row->pos, k + h * dk, v + h * dv);
	}
	crew_barrier(p->crew);
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
	size_t dk = p->model->head_dim_k, n_head = p->model->layers[tile->layer].n_head;

	for (size_t i = 0; i < tile->n; i++) {
		size_t row = tile->row + i / tile->n_heads, head = tile->head + i % tile->n_heads;

		memcpy(w->queries + i * dk, p->q + (row * n_head + head) * dk, dk * sizeof(float));
	}
}

/* How many positions of a step a query sees. */
static size_t seen(const struct engine_row *row, size_t step)
{
	size_t first = step * PASS_STEP, end = (size_t)row->pos + 1;

	return end <= first ? 0 : end - first < PASS_STEP ? end - first : PASS_STEP;
}

/* One step of every query of the tile: values [n][head_dim_v], partials [n]. */
static void attend_step(struct worker *w, const struct query_tile *tile, size_t step, float *values,
    struct partial *partials)
{
	const struct pass *p = w->pass;
	const struct cache *c = p->cache;
	const struct model *m = p->model;
	bool f16 = c->type == CACHE_F16;
	uint32_t seq = p->rows[tile->row].seq;
	size_t dk = m->head_dim_k, dv = m->head_dim_v, first = step * PASS_STEP;
	const uint8_t *keys =
	    cache_keys(c, tile->layer, seq, tile->head_kv) + first * dk * c->cell_bytes;
	const uint8_t *v =
	    cache_values(c, tile->layer, seq, tile->head_kv) + first * dv * c->cell_bytes;
	size_t most = seen(row_of(p, tile, tile->n - 1), step);
	size_t common = seen(row_of(p, tile, 0), step); /* rows go up in position */

	(f16 ? p->kernels->scores_f16 : p->kernels->scores_f32)(keys,
	    (most + KERNEL_CELLS - 1) / KERNEL_CELLS, dk, w->queries, dk, tile->n, w->scores,
	    PASS_STEP);
	for (size_t i = 0; i < tile->n; i++)
		partials[i].sum = p->kernels->softmax(w->scores + i * PASS_STEP,
		    seen(row_of(p, tile, i), step), m->attn_scale, &partials[i].max);
	memset(values, 0, tile->n * dv * sizeof(float));
	(f16 ? p->kernels->mix_f16 : p->kernels->mix_f32)(
	    v, common, dv, w->scores, PASS_STEP, tile->n, values, dv);
	for (size_t i = 0; i < tile->n; i++) {
		size_t more = seen(row_of(p, tile, i), step) - common;

		if (more > 0)
			(f16 ? p->kernels->mix_f16 : p->kernels->mix_f32)(
			    v + common * dv * c->cell_bytes, more, dv,
			    w->scores + i * PASS_STEP + common, PASS_STEP, 1, values + i * dv, dv);
	}
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

static size_t steps_of(const struct engine_row *row)
{
	return (size_t)row->pos / PASS_STEP + 1;
}

/* mixed[row][head] = values / sum */
static void finish(const struct pass *p, uint32_t layer, size_t row, size_t head,
    const struct partial *partial, const float *values)
{
	size_t dv = p->model->head_dim_v, n_head = p->model->layers[layer].n_head;
	float *out = p->mixed.f32 + (row * n_head + head) * dv;

	for (size_t d = 0; d < dv; d++)
		out[d] = values[d] / partial->sum;
}

static void attend_tile(struct worker *w, const struct query_tile *tile)
{
	const struct pass *p = w->pass;
	size_t dv = p->model->head_dim_v;
	struct partial sums[KERNEL_QUERIES_MAX], one[KERNEL_QUERIES_MAX];

	load_queries(w, tile);
	for (size_t i = 0; i < tile->n; i++)
		sums[i] = (struct partial){ -INFINITY, 0 };
	memset(w->sum_values, 0, tile->n * dv * sizeof(float));
	for (size_t step = 0; step < steps_of(row_of(p, tile, tile->n - 1)); step++) {
		attend_step(w, tile, step, w->step_values, one);
		for (size_t i = 0; i < tile->n; i++) {
			if (seen(row_of(p, tile, i), step) > 0)
				merge(&sums[i], w->sum_values + i * dv, &one[i],
				    w->step_values + i * dv, dv);
		}
	}
	for (size_t i = 0; i < tile->n; i++)
		finish(p, tile->layer, tile->row + i / tile->n_heads,
		    tile->head + i % tile->n_heads, &sums[i], w->sum_values + i * dv);
}

/* Rows of one sequence from `row` on that fit a tile with `n_heads` each. */
static size_t rows_together(const struct pass *p, size_t row, size_t n_heads)
{
	size_t n = 1, most = KERNEL_QUERIES_MAX / n_heads;

	while (n < most && row + n < p->n_rows && p->rows[row + n].seq == p->rows[row].seq)
		n++;
	return n;
}

/* All query heads of one KV head for the rows of one tile. */
static void attend_heads(struct worker *w, uint32_t il, uint32_t head_kv, size_t row, size_t n_rows)
{
	const struct layer *l = &w->pass->model->layers[il];
	size_t group = l->n_head / l->n_head_kv;

	for (size_t h = 0; h < group; h += KERNEL_QUERIES_MAX) {
		struct query_tile tile = { .layer = il,
			.head_kv = head_kv,
			.row = row,
			.n_rows = n_rows,
			.head = head_kv * group + h,
			.n_heads =
			    group - h < KERNEL_QUERIES_MAX ? group - h : KERNEL_QUERIES_MAX };

		tile.n = tile.n_rows * tile.n_heads;
		attend_tile(w, &tile);
	}
}

static void attend_rows(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t group = l->n_head / l->n_head_kv, unit = 0;
	size_t n_heads = group < KERNEL_QUERIES_MAX ? group : KERNEL_QUERIES_MAX;
	size_t mine = crew_take(p->crew);

	for (size_t row = 0, n; row < p->n_rows; row += n) {
		n = rows_together(p, row, n_heads);
		for (uint32_t h = 0; h < l->n_head_kv; h++, unit++) {
			if (unit != mine)
				continue;
			attend_heads(w, il, h, row, n);
			mine = crew_take(p->crew);
		}
	}
	crew_barrier(p->crew);
}

static size_t partial_index(const struct pass *p, size_t row, size_t head, size_t step)
{
	return (row * p->model->n_head + head) * p->n_steps_max + step;
}

/* One step of all query heads of one KV head of one row, kept for merging. */
static void attend_part(struct worker *w, uint32_t il, uint32_t head_kv, size_t row, size_t step)
{
	struct pass *p = w->pass;
	const struct layer *l = &p->model->layers[il];
	size_t group = l->n_head / l->n_head_kv, dv = p->model->head_dim_v;
	struct partial one[KERNEL_QUERIES_MAX];

	for (size_t h = 0; h < group; h += KERNEL_QUERIES_MAX) {
		struct query_tile tile = { .layer = il,
			.head_kv = head_kv,
			.row = row,
			.n_rows = 1,
			.head = head_kv * group + h,
			.n_heads =
			    group - h < KERNEL_QUERIES_MAX ? group - h : KERNEL_QUERIES_MAX };

		tile.n = tile.n_heads;
		load_queries(w, &tile);
		attend_step(w, &tile, step, w->step_values, one);
		for (size_t i = 0; i < tile.n; i++) {
			size_t at = partial_index(p, row, tile.head + i, step);

			p->partials[at] = one[i];
			memcpy(p->partial_values + at * dv, w->step_values + i * dv,
			    dv * sizeof(float));
		}
	}
}

static void merge_parts(struct worker *w, uint32_t il, size_t row, size_t head)
{
	struct pass *p = w->pass;
	size_t dv = p->model->head_dim_v;
	struct partial sum = { -INFINITY, 0 };

	memset(w->sum_values, 0, dv * sizeof(float));
	for (size_t step = 0; step < steps_of(&p->rows[row]); step++) {
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
		for (size_t step = 0; step < steps_of(&p->rows[row]); step++) {
			for (uint32_t h = 0; h < l->n_head_kv; h++, unit++) {
				if (unit != mine)
					continue;
				attend_part(w, il, h, row, step);
				mine = crew_take(p->crew);
			}
		}
	}
	crew_barrier(p->crew);
	for (size_t at; (at = crew_take(p->crew)) < p->n_rows * l->n_head;)
		merge_parts(w, il, at / l->n_head, at % l->n_head);
	crew_barrier(p->crew);
}

void attention_attend(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	size_t n = (size_t)p->model->layers[il].n_head * p->model->head_dim_v;

	if (p->n_rows < PASS_SPLIT_ROWS && crew_size(p->crew) > 1)
		attend_split(w, il);
	else
		attend_rows(w, il);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		block_quantize_row(w, &p->mixed, t, n);
	if (w->thread == 0)
		p->mixed.n_rows = p->n_rows;
	crew_barrier(p->crew);
}
