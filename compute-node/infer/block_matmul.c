/*
 * Matrices of a pass, shared out to the crew: strips of KERNEL_STRIP weight rows, in
 * units that a thread takes from a stage's counter.
 *
 * A strip has to come from memory while the one before it is multiplied; one that comes
 * late costs a few rows' products more.  Within a unit it is the next one; behind a
 * unit's last strip it is the next unit's first, which a thread takes that early, but not
 * the last ones of a stage: another thread may wait for one.
 */
#include <string.h>

#include "infer/adapt.h"
#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/factor.h"
#include "model/model_impl.h"

#define UNIT_STRIPS_MAX 64u
#define CAP_UNIT 4096u /* logits capped in one go */

static const uint8_t *row_of(const struct gguf_tensor *weight, size_t row)
{
	return weight->data + row * type_row_bytes(weight->type, weight->dims[0]);
}

/* `next`: what this thread multiplies after that; NULL: it does not know. */
static void multiply_weights(struct worker *w, const struct gguf_tensor *weight,
    const struct acts *in, size_t first, size_t n_rows, const uint8_t *next, float *out,
    size_t out_stride)
{
	const struct kernels *kernels = w->pass->kernels;
	size_t k = (size_t)weight->dims[0];
	const struct weight_rows rows = { row_of(weight, first), type_row_bytes(weight->type, k),
		n_rows, next != NULL ? next : row_of(weight, first + n_rows) };
	struct q8_rows q8 = in->q8;

	q8.k = k;
	if (kernels->rows[weight->type] != NULL) {
		kernels->rows[weight->type](
		    rows.at, rows.bytes, n_rows, in->f32, k, in->n_rows, k, out, out_stride);
		return;
	}
	kernels_multiply(kernels, weight->type, &rows, &q8, in->n_rows, &w->strip, out, out_stride);
}

/* Rows first … first + n_rows - 1 of a weight matrix times all rows of `in`, and
 * times the factor of that matrix: of each finished sum, so that it is the same
 * however the rows are taken. */
static void multiply(struct worker *w, const struct gguf_tensor *weight, const struct acts *in,
    size_t first, size_t n_rows, const uint8_t *next, float *out, size_t out_stride)
{
	float factor = factor_of(weight, first);

	multiply_weights(w, weight, in, first, n_rows, next, out, out_stride);
	for (size_t t = 0; weight->factors != NULL && t < in->n_rows; t++) {
		for (size_t r = 0; r < n_rows; r++)
			out[t * out_stride + r] *= factor;
	}
}

static size_t height_of(const struct product *product)
{
	return product->n_rows != 0 ? product->n_rows : (size_t)product->weight->dims[1];
}

/* Sums of rows first … first + n - 1 to their place. */
static void put_sums(const struct product *product, float *sums, size_t first, size_t n, float *out)
{
	for (size_t r = 0; product->bias != NULL && r < n; r++)
		sums[r] += product->bias[first + r];
	if (!product->add) {
		memcpy(out, sums, n * sizeof(*out));
		return;
	}
	for (size_t r = 0; n == KERNEL_STRIP && r < KERNEL_STRIP; r++) /* several at once */
		out[r] += sums[r];
	for (size_t r = 0; n != KERNEL_STRIP && r < n; r++)
		out[r] += sums[r];
}

/* `low_at`: where adapters' A·x of this product stands (infer/adapt.h). */
static void multiply_strip(struct worker *w, const struct product *product, const struct acts *in,
    size_t strip, size_t low_at, const uint8_t *next)
{
	size_t height = height_of(product), first = strip * KERNEL_STRIP;
	size_t n_rows = height - first < KERNEL_STRIP ? height - first : KERNEL_STRIP;
	size_t stride = product->out_stride != 0 ? product->out_stride : height;

	in = product->in != NULL ? product->in : in;
	if (!product->add && product->bias == NULL && !w->pass->adapted) {
		multiply(w, product->weight, in, product->first + first, n_rows, next,
		    product->out + first, stride);
		return;
	}
	multiply(
	    w, product->weight, in, product->first + first, n_rows, next, w->tile, KERNEL_STRIP);
	adapt_add(w, product->weight, in, product->first + first, n_rows, low_at, w->tile);
	for (size_t t = 0; t < in->n_rows; t++)
		put_sums(product, w->tile + t * KERNEL_STRIP, first, n_rows,
		    product->out + t * stride + first);
}

static size_t strips_of(const struct product *product)
{
	return (height_of(product) + KERNEL_STRIP - 1) / KERNEL_STRIP;
}

/* Some strips of a stage: those of the unit `index`. */
struct share {
	size_t first, n;
};

/* Large units first, which a thread streams, then ever smaller ones, which
 * even the threads out. */
static struct share share_of(const struct worker *w, size_t total, size_t index)
{
	size_t parts = 2 * (size_t)crew_size(w->pass->crew);
	struct share s = { 0 };

	for (size_t i = 0; i <= index && s.first + s.n <= total; i++) {
		s.first += s.n;
		s.n = (total - s.first) / parts;
		s.n = s.n < 1 ? 1 : s.n > UNIT_STRIPS_MAX ? UNIT_STRIPS_MAX : s.n;
	}
	return s;
}

/* All rows of the residual stream, or those that want logits, normed by this
 * thread for itself. */
static const struct acts *norm_own(struct worker *w, const float *norm, bool wanted)
{
	struct pass *p = w->pass;
	size_t n = p->model->n_embd;

	w->own.n_rows = 0;
	for (size_t t = 0; t < p->n_rows; t++) {
		if (wanted && !p->rows[t].want_logits)
			continue;
		p->kernels->rms_norm(
		    p->x + t * n, norm, n, p->model->norm_eps, w->own.f32 + w->own.n_rows * n);
		block_quantize_row(w, &w->own, w->own.n_rows++, n);
	}
	return &w->own;
}

/* Adapters read the rows too, in a stage of their own. */
static bool norms_together(const struct pass *p, size_t n_rows)
{
	return n_rows > PASS_OWN_ROWS || p->adapted;
}

/* What a stage multiplies: `in` (NULL where each product names its own), or
 * with `norm` what norm_own() gives. */
struct source {
	const struct acts *in;
	const float *norm;
	bool wanted;
};

/* Where the weights of a strip of the stage begin; NULL behind its last one. */
static const uint8_t *strip_at(const struct product *products, size_t n, size_t strip)
{
	for (size_t i = 0; i < n; i++) {
		if (strip < strips_of(&products[i]))
			return row_of(products[i].weight, products[i].first + strip * KERNEL_STRIP);
		strip -= strips_of(&products[i]);
	}
	return NULL;
}

/* The strip that a thread takes after strip `s` of its share: of the last one its next
 * unit's first, for which it takes that unit `early`; `total` where it does not. */
static size_t strip_after(
    const struct worker *w, const struct share *share, size_t total, size_t s, size_t *early)
{
	size_t end = share->first + share->n;

	if (s + 1 < end)
		return s + 1;
	if (total - end < crew_size(w->pass->crew))
		return total;
	*early = crew_take(w->pass->crew);
	return share_of(w, total, *early).first;
}

/* The unit that comes after this one: another one, if it was taken early. */
static size_t unit_after(struct crew *crew, size_t unit, size_t early)
{
	return early != unit ? early : crew_take(crew);
}

/* A thread looks at what others write only while it holds a unit. */
static void multiply_shared(
    struct worker *w, const struct product *products, size_t n, struct source from)
{
	struct crew *crew = w->pass->crew;
	size_t total = 0;
	bool counted = false;

	if (w->pass->adapted)
		adapt_lower(w, products, n, from.in);

	for (size_t unit = crew_take(crew), early; unit != CREW_NONE;
	     unit = unit_after(crew, unit, early)) {
		struct share share;

		for (size_t i = 0; !counted && i < n; i++)
			total += strips_of(&products[i]);
		counted = true;
		early = unit;
		share = share_of(w, total, unit);
		if (share.first >= total)
			break;
		if (from.in == NULL && from.norm != NULL)
			from.in = norm_own(w, from.norm, from.wanted);
		for (size_t s = share.first; s < share.first + share.n; s++) {
			const struct product *product = products;
			size_t strip = s, low_at = 0;
			const uint8_t *next =
			    strip_at(products, n, strip_after(w, &share, total, s, &early));

			while (strip >= strips_of(product)) {
				low_at += adapt_rows(product, from.in);
				strip -= strips_of(product++);
			}
			multiply_strip(w, product, from.in, strip, low_at, next);
		}
	}
	crew_finish(crew);
}

void block_matmul(struct worker *w, const struct product *products, size_t n, const struct acts *in)
{
	if (w->pass->device != NULL) {
		device_matmul(w, products, n, in);
		return;
	}
	multiply_shared(w, products, n, (struct source){ .in = in });
}

void block_norm_matmul(
    struct worker *w, const float *norm, const struct product *products, size_t n)
{
	struct pass *p = w->pass;
	struct source from = { .norm = norm };

	if (p->device != NULL) {
		device_norm(w, norm, &p->normed);
		device_matmul(w, products, n, &p->normed);
		return;
	}
	if (norms_together(p, p->n_rows)) {
		block_norm(w, norm, &p->normed);
		from.in = &p->normed;
	}
	multiply_shared(w, products, n, from);
}

/* One strip of both matrices, and of `hidden` in both forms. */
static void gate_strip(struct worker *w, const struct gguf_tensor *gate,
    const struct gguf_tensor *up, const struct acts *in, size_t strip, size_t next)
{
	struct pass *p = w->pass;
	size_t height = (size_t)gate->dims[1], first = strip * KERNEL_STRIP;
	size_t n_rows = height - first < KERNEL_STRIP ? height - first : KERNEL_STRIP;
	size_t n_blocks = height / KERNEL_BLOCK;
	const struct q8_rows *q8 = &p->hidden.q8;

	multiply(
	    w, gate, in, first, n_rows, row_of(gate, next * KERNEL_STRIP), w->tile, KERNEL_STRIP);
	multiply(
	    w, up, in, first, n_rows, row_of(up, next * KERNEL_STRIP), w->tile_up, KERNEL_STRIP);
	adapt_add(w, gate, in, first, n_rows, 0, w->tile);
	adapt_add(w, up, in, first, n_rows, in->n_rows, w->tile_up);
	for (size_t t = 0; t < in->n_rows; t++) {
		float *out = p->hidden.f32 + t * height + first;

		block_gate(
		    p, w->tile + t * KERNEL_STRIP, w->tile_up + t * KERNEL_STRIP, n_rows, out);
		if (q8->quants != NULL && height % KERNEL_BLOCK == 0)
			p->kernels->quantize(out, n_rows, q8->quants + t * height + first,
			    q8->blocks + t * n_blocks + strip);
	}
}

_Static_assert(KERNEL_STRIP == KERNEL_BLOCK, "a strip of hidden is a block of its 8-bit form");

void block_norm_gated(struct worker *w, const float *norm, const struct gguf_tensor *gate,
    const struct gguf_tensor *up)
{
	struct pass *p = w->pass;
	const struct acts *in = NULL;
	const struct product both[] = { { .weight = gate }, { .weight = up } };
	size_t total = ((size_t)gate->dims[1] + KERNEL_STRIP - 1) / KERNEL_STRIP;

	if (w->pass->device != NULL) {
		device_norm_gated(w, norm, gate, up);
		return;
	}
	if (norms_together(p, p->n_rows)) {
		block_norm(w, norm, &p->normed);
		in = &p->normed;
	}
	if (p->adapted)
		adapt_lower(w, both, 2, in);
	for (size_t unit = crew_take(p->crew), early; unit != CREW_NONE;
	     unit = unit_after(p->crew, unit, early)) {
		struct share share = share_of(w, total, unit);

		early = unit;
		if (share.first >= total)
			break;
		if (in == NULL)
			in = norm_own(w, norm, false);
		for (size_t s = share.first; s < share.first + share.n; s++)
			gate_strip(w, gate, up, in, s, strip_after(w, &share, total, s, &early));
	}
	crew_finish(p->crew);
}

static void cap_logits(struct worker *w, size_t n_wanted)
{
	struct pass *p = w->pass;
	size_t n = n_wanted * p->model->n_vocab;
	float cap = p->model->logit_softcap;

	for (size_t unit; (unit = crew_take(p->crew)) < (n + CAP_UNIT - 1) / CAP_UNIT;) {
		for (size_t i = unit * CAP_UNIT; i < n && i < (unit + 1) * CAP_UNIT; i++)
			p->logits[i] = exact_softcap(p->logits[i], cap);
	}
	crew_finish(p->crew);
}

static void norm_embeddings(struct worker *w)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t n = m->n_embd;

	for (size_t i; (i = crew_take(p->crew)) < p->n_rows;)
		p->kernels->rms_norm(
		    p->x + i * n, m->output_norm, n, m->norm_eps, p->embeddings + i * n);
	crew_finish(p->crew);
}

void block_logits(struct worker *w)
{
	struct pass *p = w->pass;
	const struct model *m = p->model;
	size_t n = m->n_embd;
	const struct product output = { .weight = m->output, .out = p->logits };
	struct acts wanted = p->normed;
	struct source from = { .norm = m->output_norm, .wanted = true };

	if (w->pass->device != NULL) {
		device_logits(w);
		return;
	}
	if (p->embeddings != NULL)
		norm_embeddings(w);
	if (p->n_wanted == 0)
		return;
	if (norms_together(p, p->n_wanted)) {
		for (size_t i; (i = crew_take(p->crew)) < p->n_wanted;) {
			p->kernels->rms_norm(p->x + (size_t)p->wanted[i] * n, m->output_norm, n,
			    m->norm_eps, wanted.f32 + i * n);
			block_quantize_row(w, &wanted, i, n);
		}
		crew_finish(p->crew);
		wanted.n_rows = p->n_wanted;
		wanted.rows_of = p->wanted;
		from.in = &wanted;
	}
	multiply_shared(w, &output, 1, from);
	if (m->logit_softcap != 0)
		cap_logits(w, p->n_wanted);
}
