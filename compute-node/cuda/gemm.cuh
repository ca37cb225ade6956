/*
 * Gemm: tiles of f16 products on tensor units, inside this folder.
 *
 * A job is out[t][r] (+)= scales[t] * Σ_k weights[r][k] * x[t][k] + bias[r], with rows
 * of k padded to CUDA_F16_PAD.  In a grouped job rows of x are sorted by group, and a
 * table on the device says which rows of which group each tile has: the host does not
 * know how many they are, launches for the most there can be, and surplus blocks end.
 *
 * Order of additions: products of 16 steps of k are added to the sum at once by the
 * tensor unit, sixteens in rising order, all into one f32 sum; then scale, bias and
 * what stood there.  It is the same in all shapes of tiles, so that neither the number
 * of rows nor their place decides a row's bits.
 */
#ifndef CUDA_GEMM_CUH
#define CUDA_GEMM_CUH

#include "cuda/launch.h"

#define GEMM_NO_GROUP UINT32_MAX

/* Rows first … end - 1 of x belong to `group`; GEMM_NO_GROUP: a surplus tile. */
struct gemm_tile {
	uint32_t group, first, end, unused;
};

/* Groups of rows, each with matrices of its own. */
struct gemm_groups {
	const struct gemm_tile *tiles; /* [n_tiles] on the device; NULL: no groups */
	uint32_t n_tiles;
	uint32_t tile_rows;     /* the most that a tile has: 64 or 128 */
	const uint32_t *gather; /* row of x (and its scale) for each row of out; NULL: the same */
	uint32_t first, n;      /* groups that `weights` holds; tiles of others end */
	uint64_t weights_step;  /* halves from one group's matrix to the next */
	uint64_t bias_step;     /* floats */
};

struct gemm_job {
	const uint16_t *weights; /* [rows][kp] */
	uint32_t rows, kp;
	const uint16_t *x;   /* [n_rows][kp] */
	const float *scales; /* [n_rows] or NULL: 1 */
	uint32_t n_rows;
	const float *bias; /* [rows] or NULL */
	float *out;        /* [n_rows][out_stride] */
	uint64_t out_stride;
	bool add;
	struct gemm_groups groups;
};

static inline uint64_t gemm_padded(uint64_t k)
{
	return (k + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;
}

static inline uint64_t gemm_over(uint64_t n, uint64_t by)
{
	return (n + by - 1) / by;
}

/* Time for all tiles, each of `size` times 64 x 128, in hundredths of such a tile's. */
static inline uint64_t gemm_cost(
    const struct cuda_pass *p, uint64_t tiles, uint64_t size, uint64_t percent)
{
	return gemm_over(tiles, p->units > 0 ? p->units : 1) * size * percent;
}

cudaError_t cuda_gemm_job(const struct cuda_pass *p, const struct gemm_job *job);
/* The same on Hopper's own units (gemm_wgmma.cu), where CUDA_WGMMA is built. */
cudaError_t cuda_gemm_wgmma(const struct cuda_pass *p, const struct gemm_job *job);
/* Rows a tile for so many rows in so many groups. */
uint32_t cuda_gemm_tile_rows(uint32_t n_rows, uint32_t n_groups);
/* The f16 rows of a matrix where they lie; NULL: they are to be widened. */
const uint16_t *cuda_gemm_halves(const struct backend_matrix *m);

#endif
