/*
 * Gemv, one to four rows of activations: as cuda/gemv_stream.cuh in its additions, but
 * straight: a warp takes few rows and no more, so that the loads of GEMV_FLIGHT bytes a
 * lane are under way from its first instruction on, and the hardware hands out warps.
 * Activations are read where they lie: the nearest cache has them.
 *
 * A job says what a warp's tiles are (R rows each):
 *   rows(i, at)      where the planes of tile i's rows begin
 *   x(i)             its activations;  begin(): waits for the kernel before
 *   store(i, r, t, sum)  by one lane, a finished sum
 */
#ifndef CUDA_GEMV_ONE_CUH
#define CUDA_GEMV_ONE_CUH

#include "cuda/gemv_stream.cuh"

#define GEMV_FLIGHT 128u      /* bytes of weights that a lane has under way */

template <class F, int R> __host__ __device__ constexpr int gemv_one_depth()
{
	constexpr int n = (int)(GEMV_FLIGHT / (R * sizeof(typename F::raw)));

	return n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/* NX rows of activations, where they lie, from some step of theirs on. */
struct gemv_here {
	const uint8_t *x;
	const float *scales;
	uint32_t n; /* rows that are there */
};

/* Step `u` from here on; `inside`: the lane's group is there. */
template <class F, int NX, int R>
DEVICE void gemv_one_step(const format_words (&w)[R], const gemv_here &x, const gemv_sizes &s,
    uint32_t u, uint32_t lane, bool inside, float (&acc)[R][NX])
{
#pragma unroll
	for (int t = 0; t < NX; t++) {
		uint4 a = make_uint4(0, 0, 0, 0), b = a;
		float2 scales = make_float2(0, 0);

		if (inside && (NX == 1 || t < (int)x.n)) {
			const uint8_t *at = x.x + (uint64_t)t * s.k + FORMAT_GROUP * (32 * u + lane);

			a = *(const uint4 *)at;
			b = *(const uint4 *)(at + 16);
			scales = *(const float2 *)(x.scales + (uint64_t)t * s.groups * 2 +
						   2 * (32 * u + lane));
		}
#pragma unroll
		for (int r = 0; r < R; r++)
			acc[r][t] = gemv_dot<F>(w[r], a, b, scales, acc[r][t]);
	}
}

template <class F, int NX, int R>
DEVICE void gemv_one_step(const gemv_floats<F> (&w)[R], const gemv_here &x, const gemv_sizes &s,
    uint32_t u, uint32_t lane, bool inside, float (&acc)[R][NX])
{
	constexpr int WEIGHTS = gemv_shape<F>::WEIGHTS;

#pragma unroll
	for (int t = 0; t < NX; t++) {
#pragma unroll
		for (int p = 0; p < WEIGHTS / 4; p++) {
			float4 v = make_float4(0, 0, 0, 0);

			if (inside && (NX == 1 || t < (int)x.n))
				v = *(const float4 *)((const float *)x.x + (uint64_t)t * s.k +
						      WEIGHTS * (32 * u + lane) + 4 * p);
#pragma unroll
			for (int r = 0; r < R; r++) {
				acc[r][t] = fmaf(w[r].w[4 * p], v.x, acc[r][t]);
				acc[r][t] = fmaf(w[r].w[4 * p + 1], v.y, acc[r][t]);
				acc[r][t] = fmaf(w[r].w[4 * p + 2], v.z, acc[r][t]);
				acc[r][t] = fmaf(w[r].w[4 * p + 3], v.w, acc[r][t]);
			}
		}
	}
}

/* Step `u` behind where rows stand, `left` groups of them being left.  A lane behind the
 * end keeps what it had, or zeros; its activations are zero. */
template <class F, int R>
DEVICE void gemv_one_load(typename F::raw (&raw)[R], const format_row (&at)[R], uint32_t left,
    uint32_t u, uint32_t lane)
{
	if (32 * u + lane < left) {
#pragma unroll
		for (int r = 0; r < R; r++)
			raw[r] = F::load(at[r], 32 * u + lane, left);
	}
}

/* U steps on. */
template <class F, int R, int U> DEVICE void gemv_one_advance(format_row (&at)[R])
{
#pragma unroll
	for (int r = 0; r < R; r++) {
#pragma unroll
		for (int p = 0; p < F::PLANES; p++)
			at[r].p[p] += F::stride(p, 32 * U);
	}
}

/* One row's worth of steps: what is under way is used, and what comes behind it, of this
 * tile or the next, is asked for. */
template <class F, int NX, int R, class Job>
DEVICE void gemv_one(Job &job, const gemv_sizes &s, uint32_t n_tiles)
{
	constexpr int U = gemv_one_depth<F, R>();
	typename F::raw raw[U][R] = {};
	format_row at[R];
	uint32_t lane = threadIdx.x % 32, left = s.groups; /* behind what was asked for */

	job.rows(0, at);
#pragma unroll
	for (int u = 0; u < U; u++)
		gemv_one_load<F, R>(raw[u], at, left, u, lane);
	job.begin();
	for (uint32_t i = 0; i < n_tiles; i++) {
		gemv_here x = job.x(i);
		float acc[R][NX] = {};

		for (uint32_t here = s.groups; here > 0;) { /* groups from this step on */
			bool last = here <= 32 * U;

			if (!last) {
				gemv_one_advance<F, R, U>(at);
				left = here - 32 * U;
			} else if (i + 1 < n_tiles) {
				job.rows(i + 1, at);
				left = s.groups;
			} else {
				left = 0;
			}
#pragma unroll
			for (int u = 0; u < U; u++) {
				gemv_words<F> w[R];

#pragma unroll
				for (int r = 0; r < R; r++)
					gemv_unpack<F>(raw[u][r], lane, w[r]);
				gemv_one_step<F, NX, R>(
				    w, x, s, u, lane, 32 * u + lane < here, acc);
				gemv_one_load<F, R>(raw[u], at, left, u, lane);
			}
			x.x += 32 * U * gemv_shape<F>::WEIGHTS * (F::QUANT ? 1 : sizeof(float));
			if (F::QUANT)
				x.scales += 32 * U * 2;
			here = last ? 0 : here - 32 * U;
		}
		float sum = gemv_reduce<R * NX>(&acc[0][0], lane);
		uint32_t which = lane / (32 / (R * NX));

		if (lane % (32 / (R * NX)) == 0)
			job.store(i, which / NX, which % NX, sum);
	}
}

template <class F> DEVICE void gemv_one_row(
    format_row &at, const gemv_matrix &m, const gemv_sizes &s, uint64_t row)
{
#pragma unroll
	for (int p = 0; p < F::PLANES; p++)
		at.p[p] = m.planes[p] + row * gemv_stride<F>(p, s);
}

template <class F> DEVICE gemv_here gemv_one_x(const gemv_sizes &s, const gemv_x &x, uint32_t row)
{
	gemv_here here = { x.x + (uint64_t)row * s.k * (F::QUANT ? 1 : 4),
		F::QUANT ? x.scales + (uint64_t)row * s.groups * 2 : NULL,
		row < x.n ? x.n - row : 0 };

	return here;
}

/* ---- products ---- */

template <class F, int NX> struct gemv_one_product {
	static constexpr int R = GEMV_ONE_ROWS;
	const gemv_args &a;
	const gemv_product &p;
	uint32_t first, row; /* of the matrix; of the activations */

	GEMV_MEMBER void rows(uint32_t, format_row (&at)[R]) const
	{
#pragma unroll
		for (int r = 0; r < R; r++)
			gemv_one_row<F>(at[r], p.m, a.sizes, min(first + r, p.m.rows - 1));
	}
	GEMV_MEMBER void begin() const
	{
		pdl_wait();
	}
	GEMV_MEMBER gemv_here x(uint32_t) const
	{
		return gemv_one_x<F>(a.sizes, a.x, row);
	}
	GEMV_MEMBER void store(uint32_t, uint32_t r, uint32_t t, float sum) const
	{
		uint32_t at = first + r;
		float *out = p.out + (row + t) * p.out_stride + at;

		if (at >= p.m.rows || row + t >= a.x.n)
			return;
		sum = gemv_scaled(p.m, sum, at, at);
		*out = p.add ? *out + sum : sum;
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_ONE_THREADS, NX == 1 ? 6 : 4)
    gemv_one_kernel(const __grid_constant__ gemv_args a)
{
	uint32_t tile = blockIdx.x * GEMV_ONE_WARPS + gemv_warp(), at = 0;

	if (tile >= a.tiles) {
		pdl_wait();
		return;
	}
	while (tile >= a.products[at].tiles)
		tile -= a.products[at++].tiles;
	gemv_one_product<F, NX> job = { a, a.products[at], tile * GEMV_ONE_ROWS,
		blockIdx.y * NX };
	gemv_one<F, NX, GEMV_ONE_ROWS>(job, a.sizes, 1);
}

/* ---- gate and up: a block's 32 rows, four a warp, gate and up of one at a time, or where
 * gate is not multiplied here two of up ---- */

/* Blocks of a multiprocessor that registers are to suffice for.  Four let a network of
 * 14336 begin as a whole on 132 of them, and its end is not the end of a few. */
template <class F> __host__ __device__ constexpr int gemv_gated_blocks(int nx)
{
	return nx > 1 ? 2 : F::PLANES == 4 || F::TYPE == TYPE_Q2_K ? 3 : 4;
}

template <class F, int NX> struct gemv_one_gates {
	static constexpr int R = 2;
	const gemv_gated_args &a;
	float *sums; /* shared, [gate, up][NX][32] */
	uint32_t first, warp, expert, row;

	GEMV_MEMBER uint32_t in_block(uint32_t i, uint32_t r) const
	{
		return warp * (GEMV_BLOCK / GEMV_WARPS) + (a.gated ? i : 2 * i + r);
	}
	GEMV_MEMBER bool is_up(uint32_t r) const
	{
		return !a.gated || r != 0;
	}
	GEMV_MEMBER uint32_t base(bool up) const
	{
		return up ? expert * a.up_rows + a.up_first : expert * a.gate_rows;
	}
	GEMV_MEMBER void rows(uint32_t i, format_row (&at)[R]) const
	{
#pragma unroll
		for (uint32_t r = 0; r < R; r++)
			gemv_one_row<F>(at[r], is_up(r) ? a.up : a.gate, a.sizes,
			    (uint64_t)base(is_up(r)) + min(first + in_block(i, r), a.n_ff - 1));
	}
	GEMV_MEMBER void begin() const
	{
		if (a.chosen == NULL)
			pdl_wait();
	}
	GEMV_MEMBER gemv_here x(uint32_t) const
	{
		return gemv_one_x<F>(a.sizes, a.x, row);
	}
	GEMV_MEMBER void store(uint32_t i, uint32_t r, uint32_t t, float sum) const
	{
		bool up = is_up(r);
		uint32_t column = min(first + in_block(i, r), a.n_ff - 1);

		sums[(up * NX + t) * GEMV_BLOCK + in_block(i, r)] = gemv_scaled(up ? a.up : a.gate,
		    sum, base(up) + column, (uint64_t)expert * a.n_ff + column);
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_THREADS, gemv_gated_blocks<F>(NX))
    gemv_one_gated_kernel(const __grid_constant__ gemv_gated_args a)
{
	__shared__ float sums[2 * NX * GEMV_BLOCK];
	uint32_t warp = gemv_warp(), lane = threadIdx.x % 32, expert = 0;
	uint32_t row = a.chosen != NULL ? blockIdx.y / a.n_used : blockIdx.y * NX;
	uint32_t first = blockIdx.x * GEMV_BLOCK;

	if (a.chosen != NULL) {
		pdl_wait();
		expert = a.chosen[blockIdx.y];
	}
	gemv_one_gates<F, NX> job = { a, sums, first, warp, expert, row };
	gemv_one<F, NX, 2>(job, a.sizes, GEMV_BLOCK / GEMV_WARPS / (a.gated ? 1 : 2));
	__syncthreads();
	for (uint32_t t = warp; t < NX; t += GEMV_WARPS) {
		uint64_t out = a.chosen != NULL ? blockIdx.y : row + t;
		float gate = sums[t * GEMV_BLOCK + lane], up = sums[(NX + t) * GEMV_BLOCK + lane];

		if (a.chosen != NULL || row + t < a.x.n)
			gemv_put_block(a.out, out, a.n_ff, first, lane,
			    gemv_gated_value(a, out, first + lane, gate, up));
	}
}

/* ---- the last matrix of experts: a tile is a choice ---- */

template <class F> struct gemv_one_choices {
	static constexpr int R = GEMV_ONE_ROWS;
	const gemv_down_args &a;
	uint32_t row, out_row; /* of the activations' choices; of the matrix */
	float total;

	GEMV_MEMBER void rows(uint32_t i, format_row (&at)[R]) const
	{
		uint64_t base = (uint64_t)a.chosen[row + i] * a.down.rows;

#pragma unroll
		for (int r = 0; r < R; r++)
			gemv_one_row<F>(
			    at[r], a.down, a.sizes, base + min(out_row + r, a.down.rows - 1));
	}
	GEMV_MEMBER void begin() const
	{
	}
	GEMV_MEMBER gemv_here x(uint32_t i) const
	{
		return gemv_one_x<F>(a.sizes, a.x, row + i);
	}
	GEMV_MEMBER void store(uint32_t i, uint32_t r, uint32_t, float sum)
	{
		uint32_t at = a.chosen[row + i] * a.down.rows + min(out_row + r, a.down.rows - 1);

		total = fmaf(a.weights[row + i], gemv_scaled(a.down, sum, at, at), total);
	}
};

template <class F>
__global__ void __launch_bounds__(GEMV_ONE_THREADS, 6)
    gemv_one_down_kernel(const __grid_constant__ gemv_down_args a)
{
	constexpr uint32_t R = GEMV_ONE_ROWS;
	uint32_t row = (blockIdx.x * GEMV_ONE_WARPS + gemv_warp()) * R, lane = threadIdx.x % 32;

	pdl_wait();
	if (row >= a.down.rows)
		return;
	gemv_one_choices<F> job = { a, blockIdx.y * a.n_used, row, 0 };
	gemv_one<F, 1, R>(job, a.sizes, a.n_used);
	row += lane / (32 / R);
	if (lane % (32 / R) == 0 && row < a.down.rows)
		a.out[(uint64_t)blockIdx.y * a.down.rows + row] += job.total;
}

#endif
