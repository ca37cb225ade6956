/*
 * A network of experts.  Answer rows: the chosen experts' blocks as they lie.  Prompt
 * rows: choices sorted by expert, and for each matrix as many experts as the work memory
 * holds are widened to halves and multiplied in one launch, whose tiles stand in a table
 * on the device.  Sums are added to x in the order of a row's choices.
 *
 * Matrices of F32, and networks so small that tiles would be empty, go the way of answer
 * rows in both classes where the rows are there in the form that it wants.
 */
#include "cuda/experts.cuh"

#include "model/type.h"

#define ALIGN 256ull
#define SMALL_WEIGHTS (1u << 20) /* of one kind of matrix, all experts */
#define TILE_ROWS_MIN 64u
#define BLOCK_ROWS 1024u /* at once by blocks: grids have an end */

/* Parts of the work memory. */
struct room {
	uint32_t *chosen;
	float *weights;
	uint32_t *ranks, *counts, *slots, *sources;
	struct gemm_tile *tiles;
	float *inner;  /* [slots][2 * n_ff] gate and up; or [slots][n] out; or an answer's hidden */
	uint16_t *f16; /* [slots][n_ff padded] hidden */
	float *f16_scales;
	uint8_t *rest; /* widened weights */
};

/* One of the matrices that are multiplied with the same rows. */
struct part {
	uint64_t skip; /* rows of an expert before it */
	uint64_t rows;
	const float *bias; /* [n_expert][rows] or NULL */
	float *out;
};

struct step {
	const struct backend_matrix *matrix;
	uint64_t height; /* rows of an expert */
	struct part parts[2];
	uint32_t n_parts;
	const uint16_t *x;
	const float *scales;
	const uint32_t *gather;
	uint64_t out_stride;
};

static uint32_t tiles_max(uint64_t slots, uint32_t n_expert, uint32_t tile_rows)
{
	return (uint32_t)(slots / tile_rows + (n_expert < slots ? n_expert : slots));
}

/* `bytes` from *at on, which goes behind them. */
static uint8_t *take(uint8_t *base, uint64_t *at, uint64_t bytes)
{
	uint64_t was = *at;

	*at = (was + bytes + ALIGN - 1) / ALIGN * ALIGN;
	return base != NULL ? base + was : NULL;
}

/* Returns the bytes before `rest`. */
static uint64_t divide(
    struct room *r, uint8_t *base, uint64_t slots, uint32_t n_expert, uint32_t n, uint32_t n_ff)
{
	uint64_t at = 0, wide = 2ull * n_ff > n ? 2ull * n_ff : n;

	r->chosen = (uint32_t *)take(base, &at, slots * sizeof(uint32_t));
	r->weights = (float *)take(base, &at, slots * sizeof(float));
	r->ranks = (uint32_t *)take(base, &at, slots * sizeof(uint32_t));
	r->counts = (uint32_t *)take(base, &at, n_expert * sizeof(uint32_t));
	r->slots = (uint32_t *)take(base, &at, slots * sizeof(uint32_t));
	r->sources = (uint32_t *)take(base, &at, slots * sizeof(uint32_t));
	r->tiles = (struct gemm_tile *)take(
	    base, &at, tiles_max(slots, n_expert, TILE_ROWS_MIN) * sizeof(struct gemm_tile));
	r->inner = (float *)take(base, &at, slots * wide * sizeof(float));
	r->f16 = (uint16_t *)take(base, &at, slots * gemm_padded(n_ff) * sizeof(uint16_t));
	r->f16_scales = (float *)take(base, &at, slots * sizeof(float));
	r->rest = base != NULL ? base + at : NULL;
	return at;
}

uint64_t cuda_experts_work(uint32_t n_rows, uint32_t n_expert, uint32_t n_used, uint32_t n,
    uint32_t n_ff, uint64_t matrix_weights)
{
	struct room r;
	uint64_t slots = (uint64_t)n_rows * n_used, expert = 0;
	uint64_t wide = n > n_ff ? n : n_ff, low = n > n_ff ? n_ff : n;

	/* at least one expert, whichever way its matrices lie */
	expert = 2 * wide * gemm_padded(low) > 2 * low * gemm_padded(wide)
		     ? 2 * wide * gemm_padded(low)
		     : 2 * low * gemm_padded(wide);
	expert *= sizeof(uint16_t);
	matrix_weights = cuda_gemm_work(matrix_weights);
	return divide(&r, NULL, slots, n_expert, n, n_ff) +
	       (expert > matrix_weights ? expert : matrix_weights);
}

static bool is_float(uint32_t type)
{
	return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
}

/* Rows are there in the form in which this matrix's blocks want them. */
static bool has_form(const struct backend_matrix *m, const struct backend_acts *in)
{
	return is_float(m->type) ? in->f32 != NULL : in->q8 != NULL && in->q8_scales != NULL;
}

/* The way of answer rows. */
static bool by_blocks(const struct cuda_pass *p, const struct backend_experts *e)
{
	uint64_t weights = (uint64_t)e->n_ff * e->n * e->n_expert;
	bool f32 = e->up.type == TYPE_F32 || e->down.type == TYPE_F32 ||
		   (e->gated && e->gate.type == TYPE_F32);

	if (p->answer)
		return true;
	return (f32 || weights < SMALL_WEIGHTS) && has_form(&e->up, &e->in) &&
	       (!e->gated || e->gate.type == e->up.type); /* of two types: tiles alone */
}

/* Rows first … first + n - 1. */
static cudaError_t run_blocks_rows(const struct cuda_pass *p, const struct backend_experts *e,
    const struct room *r, uint64_t first, uint32_t n)
{
	const uint64_t n_hidden = (uint64_t)n * e->n_used * e->n_ff, slot = first * e->n_used;
	struct backend_experts part = *e;
	struct backend_acts hidden = {};
	struct cuda_pass pass = *p;
	cudaError_t rc;

	if (is_float(e->down.type)) {
		hidden.f32 = r->inner;
	} else {
		hidden.q8 = (int8_t *)r->inner;
		hidden.q8_scales = (float *)((uint8_t *)r->inner + (n_hidden + 15) / 16 * 16);
	}
	pass.n_rows = n;
	pass.work = r->rest;
	pass.work_bytes -= (uint64_t)(r->rest - p->work);
	part.in.f32 = e->in.f32 != NULL ? e->in.f32 + first * e->n : NULL;
	part.in.q8 = e->in.q8 != NULL ? e->in.q8 + first * e->n : NULL;
	part.in.q8_scales = e->in.q8 != NULL ? e->in.q8_scales + first * (e->n / 32) * 2 : NULL;
	part.x = e->x + first * e->n;
	rc = cuda_gemv_experts(&pass, &part, r->chosen + slot, &hidden);
	if (rc != cudaSuccess)
		return rc;
	return cuda_gemv_experts_down(&pass, &part, r->chosen + slot, r->weights + slot, &hidden);
}

static cudaError_t run_blocks(
    const struct cuda_pass *p, const struct backend_experts *e, const struct room *r)
{
	cudaError_t rc = cudaSuccess;

	for (uint32_t first = 0, n; first < p->n_rows && rc == cudaSuccess; first += n) {
		n = p->n_rows - first < BLOCK_ROWS ? p->n_rows - first : BLOCK_ROWS;
		rc = run_blocks_rows(p, e, r, first, n);
	}
	return rc;
}

/* Experts first … first + n - 1, whose matrices stand at `weights`. */
static cudaError_t multiply(const struct cuda_pass *p, const struct step *s,
    const struct experts_sort *sort, const uint16_t *weights, uint32_t first, uint32_t n)
{
	struct gemm_job job = {};
	cudaError_t rc = cudaSuccess;

	job.kp = (uint32_t)gemm_padded(s->matrix->k);
	job.x = s->x;
	job.scales = s->scales;
	job.n_rows = sort->n_choices;
	job.out_stride = s->out_stride;
	job.groups.tiles = sort->tiles;
	job.groups.n_tiles = sort->n_tiles;
	job.groups.tile_rows = sort->tile_rows;
	job.groups.gather = s->gather;
	job.groups.first = first;
	job.groups.n = n;
	job.groups.weights_step = s->height * job.kp;
	for (uint32_t i = 0; i < s->n_parts && rc == cudaSuccess; i++) {
		job.weights = weights + s->parts[i].skip * job.kp;
		job.rows = (uint32_t)s->parts[i].rows;
		job.bias = s->parts[i].bias;
		job.groups.bias_step = s->parts[i].rows;
		job.out = s->parts[i].out;
		rc = cuda_gemm_job(p, &job);
	}
	return rc;
}

static cudaError_t run_step(const struct cuda_pass *p, const struct step *s,
    const struct experts_sort *sort, const struct room *r)
{
	uint64_t bytes = p->work_bytes - (uint64_t)(r->rest - p->work);
	uint64_t most = bytes / (s->height * gemm_padded(s->matrix->k) * sizeof(uint16_t));
	const uint16_t *there = cuda_gemm_halves(s->matrix);
	uint16_t *weights = (uint16_t *)r->rest;

	if (there != NULL)
		return multiply(p, s, sort, there, 0, sort->n_expert);
	if (most == 0)
		return cudaErrorMemoryAllocation;
	for (uint32_t first = 0, n; first < sort->n_expert; first += n) {
		cudaError_t rc;

		n = sort->n_expert - first;
		n = n < most ? n : (uint32_t)most;
		rc = cuda_widen(p, s->matrix, first * s->height, n * s->height, weights);
		if (rc == cudaSuccess)
			rc = multiply(p, s, sort, weights, first, n);
		if (rc != cudaSuccess)
			return rc;
	}
	return cudaSuccess;
}

/* Gate and up of each slot, side by side. */
static cudaError_t run_inner(const struct cuda_pass *p, const struct backend_experts *e,
    const struct experts_sort *sort, const struct room *r)
{
	const struct part gate = { 0, e->n_ff, e->gate_bias, r->inner };
	const struct part up = { e->up_height - e->n_ff, e->n_ff, e->up_bias, r->inner + e->n_ff };
	struct step s = {};
	cudaError_t rc;

	s.height = e->up_height;
	s.x = e->in.f16;
	s.scales = e->in.f16_scales;
	s.gather = sort->sources;
	s.out_stride = 2ull * e->n_ff;
	s.matrix = &e->up;
	s.n_parts = 1;
	s.parts[0] = up;
	if (!e->gated)
		return run_step(p, &s, sort, r);
	if (e->gate.planes[0] == e->up.planes[0]) { /* one matrix */
		s.parts[s.n_parts++] = gate;
		return run_step(p, &s, sort, r);
	}
	rc = run_step(p, &s, sort, r);
	s.matrix = &e->gate;
	s.parts[0] = gate;
	return rc == cudaSuccess ? run_step(p, &s, sort, r) : rc;
}

static cudaError_t run_down(const struct cuda_pass *p, const struct backend_experts *e,
    const struct experts_sort *sort, const struct room *r)
{
	struct step s = {};

	s.matrix = &e->down;
	s.height = e->n;
	s.parts[0] = { 0, e->n, e->down_bias, r->inner };
	s.n_parts = 1;
	s.x = r->f16;
	s.scales = r->f16_scales;
	s.out_stride = e->n;
	return run_step(p, &s, sort, r);
}

static cudaError_t run_tiles(
    const struct cuda_pass *p, const struct backend_experts *e, const struct room *r)
{
	struct experts_sort sort = {};
	struct backend_acts hidden = {};
	cudaError_t rc;

	sort.n_choices = p->n_rows * e->n_used;
	sort.n_used = e->n_used;
	sort.n_expert = e->n_expert;
	sort.chosen = r->chosen;
	sort.ranks = r->ranks;
	sort.counts = r->counts;
	sort.slots = r->slots;
	sort.sources = r->sources;
	sort.tiles = r->tiles;
	sort.tile_rows = cuda_gemm_tile_rows(sort.n_choices, e->n_expert);
	sort.n_tiles = tiles_max(sort.n_choices, e->n_expert, sort.tile_rows);
	hidden.f16 = r->f16;
	hidden.f16_scales = r->f16_scales;
	rc = cuda_experts_sort(p, &sort);
	if (rc == cudaSuccess)
		rc = run_inner(p, e, &sort, r);
	if (rc == cudaSuccess)
		rc = cuda_activate(p, e->activation, e->gelu, e->gated ? r->inner : NULL,
		    r->inner + e->n_ff, 2ull * e->n_ff, e->n_ff, sort.n_choices, &hidden);
	if (rc == cudaSuccess)
		rc = run_down(p, e, &sort, r);
	if (rc != cudaSuccess)
		return rc;
	return cuda_experts_add(p, r->slots, r->weights, e->n_used, r->inner, e->n, e->x);
}

cudaError_t cuda_experts(const struct cuda_pass *p, const struct backend_experts *e)
{
	uint64_t slots = (uint64_t)p->n_rows * e->n_used;
	struct room r;
	cudaError_t rc;

	if (slots == 0)
		return cudaSuccess;
	if (divide(&r, p->work, slots, e->n_expert, e->n, e->n_ff) > p->work_bytes)
		return cudaErrorMemoryAllocation;
	rc = cuda_choose(p, e, r.chosen, r.weights);
	if (rc != cudaSuccess)
		return rc;
	if (by_blocks(p, e))
		return run_blocks(p, e, &r);
	return e->in.f16 != NULL ? run_tiles(p, e, &r) : cudaErrorInvalidValue;
}
