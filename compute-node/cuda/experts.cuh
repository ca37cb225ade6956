/*
 * Experts: the steps between their products, inside this folder.
 *
 * A choice is (row, place among the row's choices); a slot is a choice's place after
 * sorting by expert, rows in order within one.  The order is that of a count and never
 * of atomics: the same choices always give the same slots.
 */
#ifndef CUDA_EXPERTS_CUH
#define CUDA_EXPERTS_CUH

#include "cuda/gemm.cuh"

struct experts_sort {
	uint32_t n_choices, n_used, n_expert;
	const uint32_t *chosen;  /* [n_choices] */
	uint32_t *ranks;         /* [n_choices] among those of one expert */
	uint32_t *counts;        /* [n_expert] */
	uint32_t *slots;         /* [n_choices] */
	uint32_t *sources;       /* [n_choices]: the row that each slot reads */
	struct gemm_tile *tiles; /* [n_tiles], surplus ones marked */
	uint32_t n_tiles, tile_rows;
};

/* Fill ranks, counts, slots, sources and tiles. */
cudaError_t cuda_experts_sort(const struct cuda_pass *p, const struct experts_sort *s);

/* x[row] += Σ weights · out[slot of the choice], in the order of the choices. */
cudaError_t cuda_experts_add(const struct cuda_pass *p, const uint32_t *slots, const float *weights,
    uint32_t n_used, const float *out, uint32_t n, float *x);

#endif
