/* Encoder blocks: layer norms, attention both ways, GELU. */
#include "infer/encode.h"

#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/encoder.h"
#include "model/factor.h"

#define SUMS 8 /* partial sums of a layer norm, part of the numerics */

uint32_t encode_cells(uint32_t n_rows)
{
	return (n_rows / KERNEL_CELLS + 1 + ENCODE_TEXTS_MAX) * KERNEL_CELLS;
}

/* out = (a + b - mean) / sqrt(variance + eps) * weight + bias; out may be a or b. */
static void layer_norm(const float *a, const float *b, const struct encoder_norm *norm, size_t n,
    float eps, float *out)
{
	double sums[SUMS] = { 0 }, squares[SUMS] = { 0 };
	double sum = 0, square = 0, mean, scale;

	for (size_t i = 0; i < n; i++) {
		out[i] = a[i] + b[i];
		sums[i % SUMS] += (double)out[i];
	}
	for (size_t i = 0; i < SUMS; i++)
		sum += sums[i];
	mean = sum / (double)n;
	for (size_t i = 0; i < n; i++) {
		double d = (double)out[i] - mean;

		squares[i % SUMS] += d * d;
	}
	for (size_t i = 0; i < SUMS; i++)
		square += squares[i];
	scale = 1.0 / sqrt(square / (double)n + (double)eps);
	for (size_t i = 0; i < n; i++) {
		double y = ((double)out[i] - mean) * scale * (double)norm->weight[i];

		out[i] = (float)(norm->bias != NULL ? y + (double)norm->bias[i] : y);
	}
}

static void norm_row(
    struct worker *w, const float *a, const float *b, const struct encoder_norm *norm, size_t row)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	layer_norm(a, b, norm, n, p->model->norm_eps, p->normed.f32 + row * n);
	block_quantize_row(w, &p->normed, row, n);
}

static void rows_done(struct worker *w, struct acts *acts)
{
	if (w->thread == 0)
		acts->n_rows = w->pass->n_rows;
	crew_barrier(w->pass->crew);
}

void encode_embed(struct worker *w)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	const struct encoder *e = m->encoder;
	size_t n = m->n_embd;

	if (p->device != NULL) {
		device_encode_embed(w);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		float *token = p->normed.f32 + t * n, *added = p->x + t * n;

		factor_row(m->token_embd, (uint64_t)p->rows[t].token, token);
		memset(added, 0, n * sizeof(*added));
		if (e->positions != NULL)
			factor_row(e->positions, p->rows[t].pos, added);
		else
			rope_table(
			    &m->rope, p->rope_long, p->rows[t].pos, p->rope + t * m->rope.n_rot);
		for (size_t i = 0; e->type != NULL && i < n; i++)
			token[i] += e->type[i];
		norm_row(w, token, added, &e->embd_norm, t);
	}
	rows_done(w, &p->normed);
}

void encode_add_norm(struct worker *w, const struct encoder_norm *norm)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	if (p->device != NULL) {
		device_encode_add_norm(w, norm);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		norm_row(w, p->x + t * n, p->normed.f32 + t * n, norm, t);
	rows_done(w, &p->normed);
}

/* A text of the pass: its rows, and where its positions start in the cache. */
struct text {
	size_t row, n;
	uint32_t cell;
};

/* The text behind `*text` (start with all zero); false after the last. */
static bool next_text(const struct pass *p, struct text *text)
{
	size_t row = text->row + text->n;

	text->cell += (uint32_t)((text->n + KERNEL_CELLS - 1) / KERNEL_CELLS * KERNEL_CELLS);
	text->row = row;
	if (row == p->n_rows)
		return false;
	for (text->n = 1; row + text->n < p->n_rows && p->rows[row + text->n].pos != 0;)
		text->n++;
	return true;
}

/* Rotate one row's q and k and put its k and v into the cache. */
static void store_row(struct worker *w, size_t row, uint32_t cell)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t dim = m->head_dim_k, n = m->n_embd;
	const float *table = p->rope + row * m->rope.n_rot;

	for (uint32_t h = 0; h < m->n_head; h++) {
		float *q = p->q + row * n + h * dim, *k = p->k + row * n + h * dim;

		if (m->encoder->positions == NULL) {
			kernels_rope(q, m->rope.n_rot, table, m->rope.halves);
			kernels_rope(k, m->rope.n_rot, table, m->rope.halves);
		}
		cache_store(p->cache, 0, 0, h, cell, k, p->v + row * n + h * dim);
	}
}

/* Some rows of a text, one head, against the whole text. */
static void attend_rows(
    struct worker *w, const struct text *text, size_t row, size_t n_rows, uint32_t head)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t dim = m->head_dim_k, n = m->n_embd;
	size_t n_tiles = (text->n + KERNEL_CELLS - 1) / KERNEL_CELLS;
	size_t width = n_tiles * KERNEL_CELLS;
	const float *keys = (const float *)(const void *)cache_keys(p->cache, 0, 0, head);
	const float *values = (const float *)(const void *)cache_values(p->cache, 0, 0, head);
	float *out = p->mixed.f32 + row * n + head * dim;
	float sums[KERNEL_QUERIES_MAX], max;

	p->kernels->scores_f32(keys + text->cell * dim, n_tiles, dim, p->q + row * n + head * dim,
	    n, n_rows, w->scores, width);
	for (size_t i = 0; i < n_rows; i++) {
		sums[i] = p->kernels->softmax(w->scores + i * width, text->n, m->attn_scale, &max);
		memset(out + i * n, 0, dim * sizeof(*out));
	}
	p->kernels->mix_f32(
	    values + text->cell * dim, text->n, dim, w->scores, width, n_rows, out, n);
	for (size_t i = 0; i < n_rows; i++) {
		for (size_t d = 0; d < dim; d++)
			out[i * n + d] /= sums[i];
	}
}

void encode_attend(struct worker *w)
{
	struct pass *p = w->pass;
	size_t unit = 0, mine;

	if (p->device != NULL) {
		device_encode_attend(w);
		return;
	}
	mine = crew_take(p->crew);
	for (struct text text = { 0 }; next_text(p, &text);) {
		for (size_t t = 0; t < text.n; t++, unit++) {
			if (unit != mine)
				continue;
			store_row(w, text.row + t, text.cell + (uint32_t)t);
			mine = crew_take(p->crew);
		}
	}
	crew_barrier(p->crew);
	unit = 0;
	mine = crew_take(p->crew);
	for (struct text text = { 0 }; next_text(p, &text);) {
		for (size_t t = 0; t < text.n; t += KERNEL_QUERIES_MAX) {
			size_t n =
			    text.n - t < KERNEL_QUERIES_MAX ? text.n - t : KERNEL_QUERIES_MAX;

			for (uint32_t h = 0; h < p->model->n_head; h++, unit++) {
				if (unit != mine)
					continue;
				attend_rows(w, &text, text.row + t, n, h);
				mine = crew_take(p->crew);
			}
		}
	}
	crew_barrier(p->crew);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		block_quantize_row(w, &p->mixed, t, p->model->n_embd);
	rows_done(w, &p->mixed);
}

void encode_gelu(struct worker *w, size_t n)
{
	struct pass *p = w->pass;

	if (p->device != NULL) {
		device_activate(w, BACKEND_GELU, NULL, p->up, n, &p->hidden);
		return;
	}
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (size_t i = 0; i < n; i++)
			p->hidden.f32[t * n + i] = exact_gelu(p->up[t * n + i]);
		block_quantize_row(w, &p->hidden, t, n);
	}
	rows_done(w, &p->hidden);
}

void encode_finish(struct worker *w)
{
	struct pass *p = w->pass;

	if (p->device != NULL) /* it hands out normed */
		return;
	if (w->thread == 0 && p->embeddings != NULL)
		memcpy(p->embeddings, p->normed.f32,
		    p->n_rows * p->model->n_embd * sizeof(*p->embeddings));
	crew_barrier(p->crew);
}
