/* A·x of a stage, and B times it for every strip. */
#include "infer/adapt.h"

#include <assert.h>

#include "infer/block.h"
#include "model/adapter.h"
#include "model/factor.h"
#include "model/model_impl.h"

#define UNIT_ROWS 8u      /* that a thread takes together */
#define STAGE_PRODUCTS 5u /* of a stage of any family; experts have more */

static size_t of_stage(const struct model *m, size_t rows)
{
	size_t n = m->n_products > STAGE_PRODUCTS ? m->n_products : STAGE_PRODUCTS;

	/* Gate and up of each choice; or their last matrix, and the shared one. */
	n = 2 * (size_t)m->moe.n_used + 1 > n ? 2 * (size_t)m->moe.n_used + 1 : n;
	return n * rows;
}

size_t adapt_low_numbers(const struct model *m)
{
	return of_stage(m, 1) * ADAPTER_RANK_MAX;
}

size_t adapt_rows(const struct product *product, const struct acts *in)
{
	return product->in != NULL ? product->in->n_rows : in->n_rows;
}

static const struct adapter *adapter_of(const struct pass *p, const struct acts *in, size_t row)
{
	return p->adapters[in->rows_of != NULL ? in->rows_of[row] : row];
}

/* How many rows from `at` on, of those before `end`, have the adapter that `at` has. */
static size_t alike(const struct pass *p, const struct acts *in, size_t at, size_t end)
{
	size_t n = 1;

	while (at + n < end && adapter_of(p, in, at + n) == adapter_of(p, in, at))
		n++;
	return n;
}

/* Row `first` of `weight` as a row of the tensor that the target changes, counted
 * through the matrices of a stack. */
static uint64_t row_of(
    const struct adapter_target *target, const struct gguf_tensor *weight, size_t first)
{
	return (uint64_t)(weight->data - target->base) / target->row_bytes + first;
}

static const struct adapter_target *target_of(
    const struct adapter *adapter, const struct gguf_tensor *weight, size_t first)
{
	size_t row_bytes = type_row_bytes(weight->type, (size_t)weight->dims[0]);

	return adapter == NULL ? NULL : adapter_find(adapter, weight->data + first * row_bytes);
}

/* Rows at … end - 1 of a product. */
static void lower_rows(struct pass *p, const struct product *product, const struct acts *in,
    size_t at, size_t end, size_t low_at)
{
	for (size_t n; at < end; at += n) {
		const struct adapter_target *target =
		    target_of(adapter_of(p, in, at), product->weight, product->first);
		size_t k, bytes;

		n = alike(p, in, at, end);
		if (target == NULL)
			continue;
		k = (size_t)target->n;
		bytes = type_row_bytes(target->a_type, k);
		p->kernels->rows[target->a_type](
		    target->a + row_of(target, product->weight, product->first) / target->n_rows *
				    target->rank * bytes,
		    bytes, target->rank, in->f32 + at * k, k, n, k,
		    p->low + (low_at + at) * ADAPTER_RANK_MAX, ADAPTER_RANK_MAX);
	}
}

static size_t units_of(const struct product *product, const struct acts *in)
{
	return (adapt_rows(product, in) + UNIT_ROWS - 1) / UNIT_ROWS;
}

void adapt_lower(struct worker *w, const struct product *products, size_t n, const struct acts *in)
{
	struct pass *p = w->pass;

	for (size_t unit; (unit = crew_take(p->crew)) != CREW_NONE;) {
		size_t low_at = 0, i = 0, at, rows;

		for (; i < n && unit >= units_of(&products[i], in); i++) {
			unit -= units_of(&products[i], in);
			low_at += adapt_rows(&products[i], in);
		}
		if (i == n)
			break;
		rows = adapt_rows(&products[i], in);
		at = unit * UNIT_ROWS;
		assert(low_at + rows <= of_stage(p->model, p->n_rows));
		lower_rows(p, &products[i], products[i].in != NULL ? products[i].in : in, at,
		    rows - at < UNIT_ROWS ? rows : at + UNIT_ROWS, low_at);
	}
	crew_finish(p->crew);
}

/* A factor beside a matrix (model/factor.h) is the model's own and counts for what is
 * added too; that of NVFP4 is a part of its weights alone. */
static float scale_of(
    const struct adapter_target *target, const struct gguf_tensor *weight, size_t first)
{
	return weight->type == TYPE_NVFP4 ? target->scale
					  : target->scale * factor_of(weight, first);
}

void adapt_add(struct worker *w, const struct gguf_tensor *weight, const struct acts *in,
    size_t first, size_t n_rows, size_t low_at, float *tile)
{
	struct pass *p = w->pass;
	float added[UNIT_ROWS * KERNEL_STRIP];

	for (size_t at = 0, n; p->adapted && at < in->n_rows; at += n) {
		const struct adapter_target *target =
		    target_of(adapter_of(p, in, at), weight, first);
		size_t end = in->n_rows - at < UNIT_ROWS ? in->n_rows : at + UNIT_ROWS, bytes;

		n = alike(p, in, at, end);
		if (target == NULL)
			continue;
		bytes = type_row_bytes(target->b_type, target->rank);
		p->kernels->rows[target->b_type](target->b + row_of(target, weight, first) * bytes,
		    bytes, n_rows, p->low + (low_at + at) * ADAPTER_RANK_MAX, ADAPTER_RANK_MAX, n,
		    target->rank, added, KERNEL_STRIP);
		float scale = scale_of(target, weight, first);
		for (size_t t = 0; t < n; t++) {
			float *to = tile + (at + t) * KERNEL_STRIP;

			for (size_t r = 0; r < n_rows; r++)
				to[r] += scale * added[t * KERNEL_STRIP + r];
		}
	}
}
