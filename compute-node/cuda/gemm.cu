/*
 * Tiles of BM rows of x by BN rows of weights, cut into warps of WM by WN.  Steps of
 * 64 along k come by asynchronous copies, STAGES - 1 of them ahead; the fragments of
 * the next 16 are read while those of the last are multiplied.
 */
#include "cuda/gemm_tile.cuh"

#include "model/type.h"

#define STAGES 3
#define WORK_MAX (1ull << 30)
#define WORK_SLACK (1ull << 20)

template <int BM_, int BN_, int WM_, int WN_> struct shape {
	static constexpr int BM = BM_, BN = BN_, WM = WM_, WN = WN_;
	static constexpr int WARPS_M = BM / WM, WARPS_N = BN / WN;
	static constexpr int THREADS = 32 * WARPS_M * WARPS_N;
	static constexpr int MT = WM / 16, NT = WN / 8; /* units of the tensor product */
	static constexpr int LOAD_ROWS = THREADS / 8;   /* that all threads copy at once */
	static constexpr int A_LOADS = BM / LOAD_ROWS, B_LOADS = BN / LOAD_ROWS;
	static constexpr int STAGE_BYTES = (BM + BN) * (int)ROW_BYTES;
	static constexpr int BYTES = STAGES * STAGE_BYTES;

	DEVICE uint32_t warp_m()
	{
		return threadIdx.x / 32 / WARPS_N * WM;
	}
	DEVICE uint32_t warp_n()
	{
		return threadIdx.x / 32 % WARPS_N * WN;
	}
};

/* Fragments of 16 steps of k for one warp. */
template <class S> struct fragments {
	uint32_t a[S::MT][4];
	uint32_t b[S::NT][2];
};

/* Where this lane's rows for ldmatrix lie in a stage; XOR with 32 goes 16 steps on. */
struct reader {
	uint32_t a, a_chunk, b, b_chunk;
};

template <class S> DEVICE struct reader reader_of()
{
	uint32_t lane = threadIdx.x % 32, swap = lane & 7;
	uint32_t a_row = S::warp_m() + (lane & 15);
	uint32_t b_row = S::warp_n() + (lane & 7) + (lane >> 4 << 3);
	struct reader r;

	r.a = a_row * ROW_BYTES;
	r.a_chunk = ((lane >> 4) ^ swap) << 4;
	r.b = (S::BM + b_row) * ROW_BYTES;
	r.b_chunk = ((lane >> 3 & 1) ^ swap) << 4;
	return r;
}

template <class S>
DEVICE void read(struct fragments<S> *f, const struct reader *r, const uint8_t *stage, uint32_t k16)
{
	const uint8_t *a = stage + r->a + (r->a_chunk ^ k16 << 5);
	const uint8_t *b = stage + r->b + (r->b_chunk ^ k16 << 5);

#pragma unroll
	for (int i = 0; i < S::MT; i++)
		ldmatrix_x4(f->a[i], a + i * 16 * ROW_BYTES);
#pragma unroll
	for (int i = 0; i < S::NT; i += 2) {
		uint32_t two[4];

		ldmatrix_x4(two, b + i * 8 * ROW_BYTES);
		f->b[i][0] = two[0];
		f->b[i][1] = two[1];
		f->b[i + 1][0] = two[2];
		f->b[i + 1][1] = two[3];
	}
}

template <class S> DEVICE void multiply(float sums[S::MT][S::NT][4], const struct fragments<S> *f)
{
#pragma unroll
	for (int i = 0; i < S::MT; i++) {
#pragma unroll
		for (int j = 0; j < S::NT; j++) {
			/* there and back: neighbours share a fragment */
			int at = (i & 1) != 0 ? S::NT - 1 - j : j;

			mma_f16(sums[i][at], f->a[i], f->b[at]);
		}
	}
}

template <class S>
DEVICE void add_up(
    float sums[S::MT][S::NT][4], struct loader<S> *l, uint8_t *shared, uint32_t steps)
{
	const struct reader r = reader_of<S>();
	struct fragments<S> f[2];
	uint8_t *const end = shared + S::BYTES;
	uint8_t *from = shared, *to = shared + (STAGES - 1) * S::STAGE_BYTES;

#pragma unroll
	for (int i = 0; i < STAGES - 1; i++) {
		if ((uint32_t)i < steps)
			load_step<S>(l, shared + i * S::STAGE_BYTES);
		cp_async_commit();
	}
	cp_async_wait<STAGES - 2>();
	__syncthreads();
	read<S>(&f[0], &r, from, 0);
	for (uint32_t step = 0; step < steps; step++) {
#pragma unroll
		for (uint32_t k16 = 0; k16 < STEP / 16; k16++) {
			if (k16 == STEP / 16 - 1) { /* all have read this stage */
				cp_async_wait<STAGES - 2>();
				__syncthreads();
				from =
				    from + S::STAGE_BYTES == end ? shared : from + S::STAGE_BYTES;
			}
			read<S>(&f[(k16 + 1) % 2], &r, from, (k16 + 1) % (STEP / 16));
			if (k16 == 0) { /* into the stage before this one */
				if (step + STAGES - 1 < steps)
					load_step<S>(l, to);
				cp_async_commit();
				to = to + S::STAGE_BYTES == end ? shared : to + S::STAGE_BYTES;
			}
			multiply<S>(sums, &f[k16 % 2]);
		}
	}
	cp_async_wait<0>();
}

template <class S, int BLOCKS>
__global__ void __launch_bounds__(S::THREADS, BLOCKS)
    gemm_kernel(const __grid_constant__ struct gemm_job job, uint32_t m_tiles)
{
	KERNEL_SHARED(uint8_t, shared);
	float sums[S::MT][S::NT][4];
	struct loader<S> l;
	struct spot s;

	pdl_wait();
	s = locate<S>(&job, m_tiles);
	if (job.groups.tiles != NULL && s.group >= job.groups.n)
		return;
	loader_set<S>(&l, &job, &s);
#pragma unroll
	for (int i = 0; i < S::MT; i++) {
#pragma unroll
		for (int j = 0; j < S::NT; j++)
			sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0.0f;
	}
	add_up<S>(sums, &l, shared, job.kp / STEP);
	store<S>(sums, &job, &s);
}

/* Warps of 64 x 64 read the least from shared memory for each product. */
using large = shape<128, 256, 64, 64>;
using middle = shape<128, 128, 64, 64>; /* two blocks a multiprocessor */
using small = shape<64, 128, 32, 64>;   /* three */

template <class S, int BLOCKS>
static cudaError_t start(const struct cuda_pass *p, const struct gemm_job *job, uint32_t m_tiles)
{
	uint64_t n_tiles = (job->rows + S::BN - 1) / S::BN;

	return launch(gemm_kernel<S, BLOCKS>, dim3((unsigned)(m_tiles * n_tiles)), dim3(S::THREADS),
	    (size_t)S::BYTES, p->stream, *job, m_tiles);
}

/* A multiprocessor that has the shared memory for large tiles. */
static bool has_large(uint32_t cc)
{
	return cc == 80 || (cc >= 90 && cc < 120);
}

cudaError_t cuda_gemm_job(const struct cuda_pass *p, const struct gemm_job *job)
{
	const struct gemm_groups *g = &job->groups;
	uint64_t m128 = gemm_over(job->n_rows, 128), m64 = gemm_over(job->n_rows, 64);
	uint64_t n256 = gemm_over(job->rows, 256), n128 = gemm_over(job->rows, 128);
	uint64_t of_large, of_middle;
	bool low = false;

	if (job->rows == 0 || job->n_rows == 0 || job->kp == 0)
		return cudaSuccess;
#ifdef CUDA_WGMMA
	if (p->cc == 90) /* for all sizes: its bits may be others */
		return cuda_gemm_wgmma(p, job);
#endif
	if (g->tiles != NULL && g->tile_rows == 64)
		return start<small, 3>(p, job, g->n_tiles);
	of_large = has_large(p->cc) ? gemm_cost(p, m128 * n256, 4, 100) : UINT64_MAX;
	of_middle = gemm_cost(p, m128 * n128, 2, 105);
	if (g->tiles == NULL)
		low = gemm_cost(p, m64 * n128, 1, 120) <
		      (of_large < of_middle ? of_large : of_middle);
	if (low)
		return start<small, 3>(p, job, (uint32_t)m64);
	if (g->tiles != NULL)
		m128 = g->n_tiles;
	return of_large <= of_middle ? start<large, 1>(p, job, (uint32_t)m128)
				     : start<middle, 2>(p, job, (uint32_t)m128);
}

uint32_t cuda_gemm_tile_rows(uint32_t n_rows, uint32_t n_groups)
{
	return n_rows < 96ull * n_groups ? 64 : 128;
}

cudaError_t cuda_gemm(const struct cuda_pass *p, const uint16_t *weights, uint64_t rows, uint64_t k,
    const uint16_t *x, const float *x_scales, uint32_t n_rows, const float *bias, float *out,
    uint64_t out_stride, bool add)
{
	struct gemm_job job = {};

	job.weights = weights;
	job.rows = (uint32_t)rows;
	job.kp = (uint32_t)gemm_padded(k);
	job.x = x;
	job.scales = x_scales;
	job.n_rows = n_rows;
	job.bias = bias;
	job.out = out;
	job.out_stride = out_stride;
	job.add = add;
	return cuda_gemm_job(p, &job);
}

const uint16_t *cuda_gemm_halves(const struct backend_matrix *m)
{
	bool there = m->type == TYPE_F16 && m->k % CUDA_F16_PAD == 0 && m->factors == NULL &&
		     m->strides[0] == m->k * sizeof(uint16_t);

	return there ? (const uint16_t *)m->planes[0] : NULL;
}

/* As many rows at a time as the work memory holds. */
static cudaError_t widened(
    const struct cuda_pass *p, const struct backend_product *product, const struct backend_acts *in)
{
	const struct backend_matrix *m = &product->matrix;
	uint64_t row_bytes = gemm_padded(m->k) * sizeof(uint16_t), most = p->work_bytes / row_bytes;
	uint16_t *weights = (uint16_t *)p->work;

	if (most == 0)
		return cudaErrorMemoryAllocation;
	if (most > 256)
		most = most / 256 * 256;
	for (uint64_t first = 0, n; first < product->rows; first += n) {
		cudaError_t rc;

		n = product->rows - first < most ? product->rows - first : most;
		rc = cuda_widen(p, m, first, n, weights);
		if (rc == cudaSuccess)
			rc = cuda_gemm(p, weights, n, m->k, in->f16, in->f16_scales, p->n_rows,
			    product->bias != NULL ? product->bias + first : NULL,
			    product->out + first, product->out_stride, product->add);
		if (rc != cudaSuccess)
			return rc;
	}
	return cudaSuccess;
}

cudaError_t cuda_prompt_matmul(const struct cuda_pass *p, const struct backend_product *products,
    uint32_t n, const struct backend_acts *in)
{
	cudaError_t rc = cudaSuccess;

	for (uint32_t i = 0; i < n && rc == cudaSuccess; i++) {
		const struct backend_product *a = &products[i];
		const uint16_t *weights = cuda_gemm_halves(&a->matrix);

		if (a->matrix.type == TYPE_F32)
			rc = cuda_gemv(p, a, 1, in, p->n_rows);
		else if (weights == NULL)
			rc = widened(p, a, in);
		else
			rc = cuda_gemm(p, weights, a->rows, a->matrix.k, in->f16, in->f16_scales,
			    p->n_rows, a->bias, a->out, a->out_stride, a->add);
	}
	return rc;
}

/* A row has at most that many weights, and at most 126 bytes of padding: the slack holds
 * them, so that at least one row always fits. */
uint64_t cuda_gemm_work(uint64_t matrix_weights)
{
	uint64_t bytes = matrix_weights * sizeof(uint16_t);

	return (bytes < WORK_MAX ? bytes : WORK_MAX) + WORK_SLACK;
}
