/*
 * Gemv: few rows of activations times matrices straight from their planes
 * (cuda/formats.cuh), bound by reading the weights once.
 *
 * A warp takes R rows of a matrix and NX of activations; lane l takes groups (float
 * types: 16 bytes) l, l + 32, l + 64 … of each row.  Order of additions, whatever R, NX
 * and the number of rows:
 *   quantised  acc = fma(scale * x_scale, (float)Σ w · x, acc), for each group; with halves
 *              fma(fma(high, scale1, low * scale0), x_scale, acc); with an offset, behind
 *              it, fma(offset, x_sum, acc); Q2_K fma(-dmin * x_scale, (float)Σ offset · x,
 *              acc).  The sums inside are of integers, exact.
 *   float      acc = fma(w, x, acc), in the order of the row
 *   lanes      a tree: 16 apart, 8, 4, 2, 1
 * then times the matrix's factor plus bias, one fma.
 *
 * Three ways: up to four rows, gemv_one.cuh; more, gemv_mma.cuh for most quantised types
 * (the same additions, parted otherwise) and gemv_stream.cuh for the others, and for rows of
 * matrices that are no multiples of 16 bytes.
 *
 * Stream: a warp's steps (32 groups of its rows each) are one, through all its rows; the
 * loads of two steps (one where R is 4) are under way, and the first of them before the
 * kernel before this one has ended.  Activations stand in shared memory: all of a row's
 * steps, or where they are too many, two chunks of steps of which one is filled while the
 * other is read.
 */
#ifndef CUDA_GEMV_CUH
#define CUDA_GEMV_CUH

#include "cuda/formats.cuh"
#include "cuda/launch.h"

#define GEMV_WARPS 8u
#define GEMV_THREADS (32u * GEMV_WARPS)
#define GEMV_PRODUCTS 8u      /* of one launch */
#define GEMV_ONE_THREADS 128u /* of a block of straight products (gemv_one.cuh) */
#define GEMV_ONE_WARPS (GEMV_ONE_THREADS / 32)
#define GEMV_ONE_ROWS 2u      /* of a warp of those */
#define GEMV_ONE_WIDTHS 3     /* NX 1, 2, 4 */
#define GEMV_MMA_WARPS 16u    /* of a block on tensor units (gemv_mma.cuh) */
#define GEMV_MMA_THREADS (32u * GEMV_MMA_WARPS)
#define GEMV_MMA_ROWS 16u     /* of its units */
#define GEMV_MMA_AHEAD 2      /* steps of activations under way */
#define GEMV_MMA_GROUP 1296u  /* bytes of a group of weights in shared memory, 32 rows */
#define GEMV_MMA_PITCH 36u    /* sums from one row of activations to the next */
#define GEMV_WIDTHS 5         /* NX 1, 2, 4, 8, 16 */
#define GEMV_BLOCK 32u        /* rows of gate and up that a block takes */
#define GEMV_SCALES 256u      /* bytes of the scales of a step's activations */

/* Sizes that all rows of a launch share. */
struct gemv_sizes {
	uint32_t k;
	uint32_t groups; /* what a lane takes at a step, through a row */
	uint32_t steps;
	uint32_t chunk;  /* steps in shared memory at once; steps: all */
	uint32_t x_bytes; /* of shared memory, for activations */
	bool copies;     /* rows of activations and scales are whole 16 bytes */
};

/* Rows of activations; `scales` NULL: floats. */
struct gemv_x {
	const uint8_t *x;
	const float *scales;
	uint32_t n;
};

struct gemv_matrix {
	const uint8_t *planes[FORMAT_PLANES_MAX];
	const float *factors, *bias;
	uint32_t rows;
	uint64_t per_height; /* 2^63 / height, rounded up: row / height without a division */
};

struct gemv_product {
	struct gemv_matrix m;
	float *out;
	uint64_t out_stride;
	uint32_t tiles; /* of R rows */
	bool add;
};

struct gemv_args {
	struct gemv_sizes sizes;
	struct gemv_x x;
	uint32_t n_products, tiles;
	struct gemv_product products[GEMV_PRODUCTS];
};

/* Gate and up, of a network or (chosen not NULL) of each row's experts. */
struct gemv_gated_args {
	struct gemv_sizes sizes;
	struct gemv_x x;
	struct gemv_matrix gate, up; /* rows: n_ff */
	uint32_t gate_rows, up_rows; /* from one expert to the next */
	uint32_t up_first;           /* row of the first expert's up */
	const uint32_t *chosen;      /* [rows][n_used] */
	uint32_t n_used, n_ff;
	bool gated;             /* gate is multiplied here, too */
	const float *gate_sums; /* or was already: [rows][n_used or 1][n_ff]; NULL */
	bool raw;               /* the sums of up themselves are wanted */
	enum backend_activation kind;
	const float *gelu;
	struct backend_acts out; /* [rows][n_used or 1][n_ff] */
};

struct gemv_down_args {
	struct gemv_sizes sizes;
	struct gemv_x x; /* n: rows * n_used */
	struct gemv_matrix down; /* rows: of one expert */
	const uint32_t *chosen;
	const float *weights; /* [rows][n_used] */
	uint32_t n_used, window; /* choices whose activations are in shared memory at once */
	float *out;              /* [rows][down.rows] */
};

typedef void gemv_fn(const gemv_args);
typedef void gemv_gated_fn(const gemv_gated_args);
typedef void gemv_down_fn(const gemv_down_args);

/* gemv_stream.cuh, gemv_one.cuh, gemv_mma.cuh */
enum gemv_way { GEMV_STREAM, GEMV_ONE, GEMV_MMA };

/* Of one format; functions by log2 NX. */
struct gemv_kernels {
	gemv_fn *gemv[GEMV_WIDTHS];
	gemv_gated_fn *gated[GEMV_WIDTHS];
	gemv_down_fn *down;
	enum gemv_way narrow, wide; /* below GEMV_ONE_WIDTHS and down; of the other widths */
};

/* NULL for a type that is not of the file's formats. */
const struct gemv_kernels *gemv_kernels_32(uint32_t type);
const struct gemv_kernels *gemv_kernels_k(uint32_t type);
const struct gemv_kernels *gemv_kernels_table(uint32_t type);
/* `ragged`: rows are no multiples of 16 bytes; NX 1 alone. */
const struct gemv_kernels *gemv_kernels_float(uint32_t type, bool ragged);

/* Rows of a matrix that a warp takes at once. */
static __host__ __device__ constexpr uint32_t gemv_rows_of(uint32_t nx)
{
	return nx >= 8 ? 4 : 2;
}

/* Bytes of a group of NX rows of activations in shared memory, on tensor units. */
static __host__ __device__ constexpr uint32_t gemv_mma_x_group(uint32_t nx)
{
	return nx * 40 + 16;
}

/* Blocks of a multiprocessor that registers are to suffice for. */
static __host__ __device__ constexpr uint32_t gemv_blocks_of(uint32_t nx)
{
	return nx == 1 ? 3 : nx <= 8 ? 2 : 1;
}

#endif
