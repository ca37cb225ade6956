/*
 * Stages: router and shared experts' first matrices; each row's choice; sorting
 * by expert; first matrices, activation and last matrix of the experts; sum.
 */
#include "infer/experts.h"

#include <math.h>
#include <string.h>

#include "infer/block.h"
#include "infer/device.h"
#include "kernels/exact.h"
#include "model/model_impl.h"

#define SUM_MIN 6.103515625e-5f /* of weights that are to sum to 1: the least normal half */

static const struct experts *experts_of(const struct worker *w, uint32_t il)
{
	return w->pass->model->layers[il].experts;
}

/* What experts read and give: the stream, or a narrower space. */
static size_t width(const struct pass *p)
{
	return p->model->moe.n_latent > 0 ? p->model->moe.n_latent : p->model->n_embd;
}

static const struct acts *source(const struct pass *p)
{
	return p->model->moe.n_latent > 0 ? &p->routed.latent : &p->normed;
}

/* Router, and all of the shared experts that multiplies the same rows. */
static void score(struct worker *w, const struct experts *e)
{
	struct routed *r = &w->pass->routed;
	const struct product all[] = {
		{ .weight = e->router,
		    .bias = e->router_bias,
		    .in = e->router_norm != NULL ? &r->router_in : &w->pass->normed,
		    .out = r->scores },
		{ .weight = e->shared_gate, .out = r->shared_gate },
		{ .weight = e->shared_up, .out = r->shared_up },
		{ .weight = e->shared_scale, .out = r->shared_scale },
		{ .weight = e->latent_down, .out = r->latent.f32 },
	};
	struct product products[sizeof(all) / sizeof(all[0])];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].weight != NULL)
			products[n++] = all[i];
	}
	block_matmul(w, products, n, &w->pass->normed);
}

/* Scores become what the weights are taken from. */
static void gate_scores(const struct kernels *kernels, const struct moe *moe, float *scores)
{
	float max, sum;

	if (moe->gating == MOE_SOFTMAX) {
		sum = kernels->softmax(scores, moe->n_expert, 1.0f, &max);
		for (uint32_t i = 0; i < moe->n_expert; i++)
			scores[i] /= sum;
	} else if (moe->gating == MOE_SIGMOID) {
		for (uint32_t i = 0; i < moe->n_expert; i++)
			scores[i] = 1.0f / (1.0f + exact_expf(-scores[i]));
	}
}

/* The best that is not taken; there is one. */
static uint32_t best(const float *keys, const uint8_t *taken, uint32_t n)
{
	uint32_t at = 0;

	while (taken[at] != 0)
		at++;
	for (uint32_t i = at + 1; i < n; i++) {
		if (taken[i] == 0 && keys[i] > keys[at])
			at = i;
	}
	return at;
}

/* A group counts as its two best together; with softmax as its best alone
 * (DeepSeek-V3 and -V2). */
static float group_key(const struct moe *moe, const float *keys, uint32_t n)
{
	uint8_t taken[MODEL_EXPERTS_MAX] = { 0 };
	uint32_t first = best(keys, taken, n);

	if (moe->gating == MOE_SOFTMAX || n == 1)
		return keys[first];
	taken[first] = 1;
	return keys[first] + keys[best(keys, taken, n)];
}

/* Take the experts of all but the best groups out. */
static void choose_groups(const struct moe *moe, const float *keys, uint8_t *taken)
{
	float groups[MODEL_EXPERTS_MAX];
	uint8_t used[MODEL_EXPERTS_MAX] = { 0 };
	uint32_t n = moe->n_expert / moe->n_group;

	for (uint32_t g = 0; g < moe->n_group; g++)
		groups[g] = group_key(moe, keys + g * n, n);
	memset(taken, 1, moe->n_expert);
	for (uint32_t i = 0; i < moe->n_group_used; i++) {
		uint32_t g = best(groups, used, moe->n_group);

		used[g] = 1;
		memset(taken + g * n, 0, n);
	}
}

static void weigh(
    const struct moe *moe, const float *scores, const uint32_t *chosen, float *weights)
{
	float sum = 0, factor = moe->scale;

	for (uint32_t i = 0; i < moe->n_used; i++) {
		weights[i] = scores[chosen[i]];
		if (moe->gating == MOE_SOFTMAX_CHOSEN)
			weights[i] = exact_expf(weights[i] - scores[chosen[0]]);
		sum += weights[i];
	}
	if (moe->gating == MOE_SOFTMAX_CHOSEN)
		factor /= sum;
	else if (moe->norm)
		factor /= sum > SUM_MIN ? sum : SUM_MIN;
	for (uint32_t i = 0; i < moe->n_used; i++)
		weights[i] *= factor;
}

void experts_choose(
    const struct kernels *kernels, const struct moe *moe, const float *bias, const struct choice *c)
{
	gate_scores(kernels, moe, c->scores);
	for (uint32_t i = 0; i < moe->n_expert; i++)
		c->keys[i] = bias != NULL ? c->scores[i] + bias[i] : c->scores[i];
	memset(c->taken, 0, moe->n_expert);
	if (moe->n_group > 1)
		choose_groups(moe, c->keys, c->taken);
	for (uint32_t i = 0; i < moe->n_used; i++) {
		c->chosen[i] = best(c->keys, c->taken, moe->n_expert);
		c->taken[c->chosen[i]] = 1;
	}
	weigh(moe, c->scores, c->chosen, c->weights);
}

static void choose_row(struct worker *w, const struct experts *e, size_t t)
{
	const struct moe *moe = &w->pass->model->moe;
	const struct routed *r = &w->pass->routed;
	const size_t at = t * moe->n_expert, slot = t * moe->n_used;
	const struct choice choice = { .scores = r->scores + at,
		.keys = r->keys + at,
		.taken = r->taken + at,
		.chosen = r->chosen + slot,
		.weights = r->weights + slot };

	experts_choose(w->pass->kernels, moe, e->choice_bias, &choice);
	if (moe->n_latent > 0)
		block_quantize_row(w, &w->pass->routed.latent, t, moe->n_latent);
}

/* One expert's products for its slots first … end - 1. */
static void plan_expert(
    struct pass *p, const struct experts *e, uint32_t i, size_t first, size_t end, size_t row)
{
	struct routed *r = &p->routed;
	size_t n = width(p), n_ff = e->n_ff;
	size_t height = (size_t)e->up->dims[1]; /* twice n_ff if gate and up are one */

	r->ins[i] = end - first == 1 ? block_slice(source(p), row, 1, n)
				     : block_slice(&r->in, first, end - first, n);
	r->ins[i].rows_of = r->rows_of + first;
	r->hiddens[i] = block_slice(&r->hidden, first, end - first, n_ff);
	r->hiddens[i].rows_of = r->rows_of + first;
	if (e->gate != NULL)
		r->inner[r->n_inner++] = (struct product){ .weight = e->gate,
			.first = i * height,
			.n_rows = n_ff,
			.bias = e->gate_bias != NULL ? e->gate_bias + i * n_ff : NULL,
			.in = &r->ins[i],
			.out = r->gate + first * n_ff };
	r->inner[r->n_inner++] = (struct product){ .weight = e->up,
		.first = i * height + (height - n_ff),
		.n_rows = n_ff,
		.bias = e->up_bias != NULL ? e->up_bias + i * n_ff : NULL,
		.in = &r->ins[i],
		.out = r->up + first * n_ff };
	r->outer[r->n_outer++] = (struct product){ .weight = e->down,
		.first = i * n,
		.n_rows = n,
		.bias = e->down_bias != NULL ? e->down_bias + i * n : NULL,
		.in = &r->hiddens[i],
		.out = r->out + first * n };
}

/* Sort the choices by expert, rows in order, and write down the products. */
static void sort(struct pass *p, const struct experts *e)
{
	const struct moe *moe = &p->model->moe;
	struct routed *r = &p->routed;
	size_t n_choices = p->n_rows * moe->n_used, first = 0;

	r->n_inner = r->n_outer = 0;
	r->gather = false;
	memset(r->ends, 0, moe->n_expert * sizeof(*r->ends));
	for (size_t i = 0; i < n_choices; i++)
		r->ends[r->chosen[i]]++;
	for (uint32_t i = 0; i < moe->n_expert; i++) {
		uint32_t n = r->ends[i];

		r->gather = r->gather || n > 1;
		r->ends[i] = (uint32_t)first; /* moves to the end below */
		first += n;
	}
	for (size_t i = 0; i < n_choices; i++) {
		r->slots[i] = r->ends[r->chosen[i]]++;
		r->rows_of[r->slots[i]] = (uint32_t)(i / moe->n_used);
	}
	for (size_t i = 0; i < n_choices; i++) {
		uint32_t expert = r->chosen[i];
		size_t start = expert > 0 ? r->ends[expert - 1] : 0;

		if (r->slots[i] == start) /* its first */
			plan_expert(p, e, expert, start, r->ends[expert], i / moe->n_used);
	}
	if (e->shared_up != NULL)
		r->outer[r->n_outer++] = (struct product){
			.weight = e->shared_down, .in = &r->shared_hidden, .out = r->shared
		};
}

/* Copy a row of `from` to `slot` of `to`. */
static void copy_row(const struct acts *from, size_t row, struct acts *to, size_t slot, size_t n)
{
	struct acts source = block_slice(from, row, 1, n), target = block_slice(to, slot, 1, n);

	memcpy(target.f32, source.f32, n * sizeof(*target.f32));
	if (target.q8.quants == NULL || n % KERNEL_BLOCK != 0)
		return;
	memcpy(target.q8.quants, source.q8.quants, n);
	memcpy(target.q8.blocks, source.q8.blocks, n / KERNEL_BLOCK * sizeof(*target.q8.blocks));
}

static void route(struct worker *w, const struct experts *e)
{
	struct pass *p = w->pass;
	struct routed *r = &p->routed;
	uint32_t n_used = p->model->moe.n_used;

	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		choose_row(w, e, t);
	crew_barrier(p->crew);
	if (w->thread == 0)
		sort(p, e);
	crew_barrier(p->crew);
	if (!r->gather)
		return;
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;) {
		for (uint32_t i = 0; i < n_used; i++)
			copy_row(source(p), t, &r->in, r->slots[t * n_used + i], width(p));
	}
	crew_barrier(p->crew);
}

/* Slots first, then the rows of the shared experts. */
static void activate(struct worker *w, const struct experts *e)
{
	struct pass *p = w->pass;
	struct routed *r = &p->routed;
	enum activation kind = p->model->moe.activation;
	size_t n_slots = p->n_rows * p->model->moe.n_used, n = e->n_ff, n_shared = e->n_ff_shared;
	size_t n_all = n_slots + (e->shared_up != NULL ? p->n_rows : 0);

	for (size_t i; (i = crew_take(p->crew)) < n_all;) {
		size_t t = i - n_slots;

		if (i < n_slots) {
			block_activate(
			    w, kind, r->gate + i * n, r->up + i * n, n, r->hidden.f32 + i * n);
			block_quantize_row(w, &r->hidden, i, n);
		} else {
			block_activate(w, kind, r->shared_gate + t * n_shared,
			    r->shared_up + t * n_shared, n_shared,
			    r->shared_hidden.f32 + t * n_shared);
			block_quantize_row(w, &r->shared_hidden, t, n_shared);
		}
	}
	crew_finish(p->crew);
}

/* to += what the row's experts give, in the order of its choices. */
static void add_experts(const struct pass *p, size_t t, float *to)
{
	const struct routed *r = &p->routed;
	size_t n = width(p), n_used = p->model->moe.n_used;

	for (size_t i = t * n_used; i < (t + 1) * n_used; i++) {
		const float *out = r->out + r->slots[i] * n;

		for (size_t d = 0; d < n; d++)
			to[d] += r->weights[i] * out[d];
	}
}

static void add_shared(const struct pass *p, const struct experts *e, size_t t, float *x)
{
	const float *out = p->routed.shared + t * p->model->n_embd;
	float scale = 1.0f;

	if (e->shared_scale != NULL)
		scale = 1.0f / (1.0f + exact_expf(-p->routed.shared_scale[t]));
	for (size_t d = 0; d < p->model->n_embd; d++)
		x[d] += scale * out[d];
}

static void add_row(struct worker *w, const struct experts *e, size_t t)
{
	struct pass *p = w->pass;
	float *x = p->x + t * p->model->n_embd;
	size_t n = width(p);

	if (e->latent_up == NULL) {
		add_experts(p, t, x);
	} else { /* nothing reads the latent of this row any more */
		memset(p->routed.latent.f32 + t * n, 0, n * sizeof(float));
		add_experts(p, t, p->routed.latent.f32 + t * n);
		block_quantize_row(w, &p->routed.latent, t, n);
	}
	if (e->shared_up != NULL)
		add_shared(p, e, t, x);
}

void experts_forward(struct worker *w, uint32_t il)
{
	struct pass *p = w->pass;
	const struct experts *e = experts_of(w, il);
	const struct product up = { .weight = e->latent_up, .out = p->x, .add = true };

	if (p->device != NULL) {
		device_experts(w, il);
		return;
	}
	score(w, e);
	route(w, e);
	block_matmul(w, p->routed.inner, p->routed.n_inner, NULL);
	activate(w, e);
	block_matmul(w, p->routed.outer, p->routed.n_outer, NULL);
	for (size_t t; (t = crew_take(p->crew)) < p->n_rows;)
		add_row(w, e, t);
	crew_finish(p->crew);
	if (e->latent_up != NULL)
		block_matmul(w, &up, 1, &p->routed.latent);
}
