/*
 * Stacks of matrices, each with rows of its own: what the heads of latent attention
 * multiply.  in [n][rows][k], out [n][rows][height].
 *
 * Answer rows, and matrices of F32, go the way of a row's experts, of which each row here
 * has one with weight 1: the same kernels, the same order of additions (cuda/gemv.cuh).
 * Prompt rows are tiles on tensor units in groups, a matrix each (cuda/gemm.cuh).
 */
#include "cuda/gemm.cuh"
#include "cuda/parts.h"

#include "model/type.h"

#define THREADS 256u
#define ALIGN 256ull
#define ROWS_MAX 32768u /* in one launch: grids have an end */
#define TILE_ROWS_MIN 64u

struct stack {
	const struct backend_matrix *matrix;
	uint32_t n, n_rows; /* matrices; rows of each */
	uint64_t height;
	const struct backend_acts *in;
	float *out;
};

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t tiles_max(uint32_t n_rows, uint32_t n)
{
	return n * (uint32_t)gemm_over(n_rows, TILE_ROWS_MIN);
}

/* Before the widened weights: choices and their weights, or tiles. */
static uint64_t lists_bytes(uint32_t n_rows, uint32_t n)
{
	uint64_t choices = 2 * aligned((uint64_t)n_rows * n * sizeof(uint32_t));
	uint64_t tiles = aligned(tiles_max(n_rows, n) * sizeof(struct gemm_tile));

	return choices > tiles ? choices : tiles;
}

uint64_t cuda_stacked_work(uint32_t n_rows, uint32_t n, uint64_t matrix_weights)
{
	return n > 0 ? lists_bytes(n_rows, n) + cuda_gemm_work(matrix_weights) : 0;
}

/* Row i has matrix i / n_rows; what its products are added to is zero. */
__global__ void __launch_bounds__(THREADS) choices_kernel(uint32_t *chosen, float *weights,
    uint32_t n_rows, uint64_t height, float *out)
{
	uint64_t row = blockIdx.x;

	pdl_wait();
	if (threadIdx.x == 0) {
		chosen[row] = (uint32_t)row / n_rows;
		weights[row] = 1.0f;
	}
	for (uint64_t i = threadIdx.x; i < height; i += THREADS)
		out[row * height + i] = 0.0f;
}

/* Rows first … first + n - 1 of all. */
static cudaError_t by_blocks(const struct cuda_pass *p, const struct stack *s,
    const uint32_t *chosen, const float *weights, uint64_t first, uint32_t n)
{
	uint64_t k = s->matrix->k;
	struct backend_experts e = {};
	struct backend_acts rows = {};
	struct cuda_pass pass = *p;

	e.n_used = 1;
	e.n_expert = s->n;
	e.n = (uint32_t)s->height;
	e.n_ff = (uint32_t)k;
	e.down = *s->matrix;
	e.x = s->out + first * s->height;
	rows.f32 = s->in->f32 != NULL ? s->in->f32 + first * k : NULL;
	rows.q8 = s->in->q8 != NULL ? s->in->q8 + first * k : NULL;
	rows.q8_scales = s->in->q8 != NULL ? s->in->q8_scales + first * (k / 32) * 2 : NULL;
	pass.n_rows = n;
	return cuda_gemv_experts_down(&pass, &e, chosen + first, weights + first, &rows);
}

static cudaError_t run_blocks(const struct cuda_pass *p, const struct stack *s)
{
	uint64_t total = (uint64_t)s->n * s->n_rows;
	uint32_t *chosen = (uint32_t *)p->work;
	float *weights = (float *)(p->work + aligned(total * sizeof(*chosen)));
	cudaError_t rc = launch(choices_kernel, dim3((unsigned)total), dim3(THREADS), 0, p->stream,
	    chosen, weights, s->n_rows, s->height, s->out);

	for (uint64_t first = 0; first < total && rc == cudaSuccess; first += ROWS_MAX) {
		uint64_t n = total - first < ROWS_MAX ? total - first : ROWS_MAX;

		rc = by_blocks(p, s, chosen, weights, first, (uint32_t)n);
	}
	return rc;
}

__global__ void __launch_bounds__(THREADS) tiles_kernel(
    struct gemm_tile *tiles, uint32_t n_tiles, uint32_t of_matrix, uint32_t n_rows, uint32_t rows)
{
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;
	struct gemm_tile t = {};

	pdl_wait();
	if (i >= n_tiles)
		return;
	t.group = i / of_matrix;
	t.first = t.group * n_rows + i % of_matrix * rows;
	t.end = min(t.first + rows, (t.group + 1) * n_rows);
	tiles[i] = t;
}

/* Matrices first … first + n - 1, whose halves stand at `weights`. */
static cudaError_t multiply(const struct cuda_pass *p, const struct stack *s,
    const struct gemm_groups *groups, const uint16_t *weights, uint32_t first, uint32_t n)
{
	struct gemm_job job = {};

	job.groups = *groups;
	job.kp = (uint32_t)gemm_padded(s->matrix->k);
	job.groups.first = first;
	job.groups.n = n;
	job.groups.weights_step = s->height * job.kp;
	job.weights = weights;
	job.rows = (uint32_t)s->height;
	job.x = s->in->f16;
	job.scales = s->in->f16_scales;
	job.n_rows = s->n * s->n_rows;
	job.out = s->out;
	job.out_stride = s->height;
	return cuda_gemm_job(p, &job);
}

static cudaError_t run_tiles(const struct cuda_pass *p, const struct stack *s)
{
	uint64_t lists = lists_bytes(s->n_rows, s->n), row = gemm_padded(s->matrix->k) * 2;
	uint64_t most = (p->work_bytes - lists) / (s->height * row);
	const uint16_t *there = cuda_gemm_halves(s->matrix);
	uint16_t *weights = (uint16_t *)(p->work + lists);
	struct gemm_tile *tiles = (struct gemm_tile *)p->work;
	struct gemm_groups g = {};
	uint32_t of_matrix;
	cudaError_t rc;

	if (s->in->f16 == NULL || s->in->f16_scales == NULL || (most == 0 && there == NULL))
		return cudaErrorInvalidValue;
	g.tile_rows = cuda_gemm_tile_rows(s->n * s->n_rows, s->n);
	of_matrix = (uint32_t)gemm_over(s->n_rows, g.tile_rows);
	g.n_tiles = s->n * of_matrix;
	g.tiles = tiles;
	rc = launch(tiles_kernel, dim3((unsigned)gemm_over(g.n_tiles, THREADS)), dim3(THREADS), 0,
	    p->stream, tiles, g.n_tiles, of_matrix, s->n_rows, g.tile_rows);
	if (rc == cudaSuccess && there != NULL)
		return multiply(p, s, &g, there, 0, s->n);
	for (uint32_t first = 0, n; first < s->n && rc == cudaSuccess; first += n) {
		n = s->n - first < most ? s->n - first : (uint32_t)most;
		rc = cuda_widen(p, s->matrix, first * s->height, n * s->height, weights);
		if (rc == cudaSuccess)
			rc = multiply(p, s, &g, weights, first, n);
	}
	return rc;
}

cudaError_t cuda_stacked(const struct cuda_pass *p, const struct backend_matrix *m, uint32_t n,
    const struct backend_acts *in, float *out)
{
	struct stack s = { m, n, p->n_rows, n > 0 ? m->rows / n : 0, in, out };

	if (s.n_rows == 0 || s.height == 0)
		return cudaSuccess;
	if (p->work_bytes < lists_bytes(s.n_rows, n))
		return cudaErrorMemoryAllocation;
	return p->answer || m->type == TYPE_F32 ? run_blocks(p, &s) : run_tiles(p, &s);
}
