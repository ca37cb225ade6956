/*
 * Gemv kernels: the jobs of a warp (cuda/gemv_stream.cuh), and kernels of them.  Included
 * by the files that make those of some formats.
 */
#ifndef CUDA_GEMV_KERNELS_CUH
#define CUDA_GEMV_KERNELS_CUH

#include "cuda/forms.cuh"
#include "cuda/gemv_stream.cuh"

/* Of the block; from an exchange, so that the compiler knows it to be the same in all
 * lanes, and with it all of the stream's control. */
DEVICE uint32_t gemv_warp()
{
	return __shfl_sync(~0u, threadIdx.x / 32, 0);
}

/* What jobs have in common; `row`: first of the NX rows of activations. */
template <class F, int NX> struct gemv_job {
	const gemv_sizes &s;
	const gemv_x &x;
	uint8_t *shared;
	uint32_t row;

	GEMV_MEMBER void begin()
	{
		pdl_wait();
		gemv_stage<F, NX>(shared, s, x, row, 0, s.chunk);
		if (s.chunk >= s.steps) {
			cp_async_wait<0>();
			__syncthreads();
		}
	}
	GEMV_MEMBER uint32_t place(uint32_t) const
	{
		return 0;
	}
};

DEVICE float gemv_scaled(const gemv_matrix &m, float sum, uint32_t row, uint64_t bias_row)
{
	float factor = 1.0f;

	if (m.factors != NULL)
		factor = m.factors[((uint64_t)row * (m.per_height >> 32) +
				       ((uint64_t)row * (uint32_t)m.per_height >> 32)) >> 31];
	return fmaf(sum, factor, m.bias != NULL ? m.bias[bias_row] : 0.0f);
}

/* ---- products ---- */

template <class F, int NX> struct gemv_products : gemv_job<F, NX> {
	static constexpr uint32_t R = gemv_rows_of(NX);
	const gemv_args &a;
	/* Tile i is first + i * by, up to `end`; those from a.tiles on are not there. */
	uint32_t first, by, end;

	GEMV_MEMBER bool has(uint32_t i) const
	{
		return first + i * by < end;
	}

	/* Which product and which of its tiles. */
	GEMV_MEMBER uint32_t find(uint32_t i, uint32_t &tile) const
	{
		uint32_t at = 0;

		tile = min(first + i * by, a.tiles - 1);
		while (tile >= a.products[at].tiles)
			tile -= a.products[at++].tiles;
		return at;
	}
	GEMV_MEMBER void rows(uint32_t i, gemv_cursor &c) const
	{
		uint32_t tile, at = find(i, tile);
		const gemv_matrix &m = a.products[at].m;

		gemv_seek<F>(c, m, a.sizes, tile * R, min(R, m.rows - tile * R) - 1);
	}
	GEMV_MEMBER void store(uint32_t i, uint32_t r, uint32_t t, float sum) const
	{
		uint32_t tile, at = find(i, tile), row = tile * R + r;
		const gemv_product &p = a.products[at];
		float *out = p.out + (this->row + t) * p.out_stride + row;

		if (first + i * by >= a.tiles || row >= p.m.rows || this->row + t >= a.x.n)
			return;
		sum = gemv_scaled(p.m, sum, row, row);
		*out = p.add ? *out + sum : sum;
	}
	GEMV_MEMBER void done(uint32_t) const
	{
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_THREADS, gemv_blocks_of(NX))
    gemv_kernel(const __grid_constant__ gemv_args a)
{
	KERNEL_SHARED(uint8_t, shared);
	uint32_t warp = gemv_warp(), warps = gridDim.x * GEMV_WARPS, end, first;

	/* neighbouring warps of a block where they read chunks together, or else what is left
	 * in the last round spread over the multiprocessors */
	if (a.sizes.chunk < a.sizes.steps) {
		first = blockIdx.x * GEMV_WARPS + warp;
		end = a.tiles + warp; /* as many as the first warp */
	} else {
		first = warp * gridDim.x + blockIdx.x;
		end = a.tiles;
	}
	gemv_products<F, NX> job = { { a.sizes, a.x, shared, blockIdx.y * NX }, a, first, warps,
		end };
	gemv_stream<F, NX, gemv_products<F, NX>::R>(job, a.sizes);
}

/* ---- gate and up ---- */

/* 32 numbers of a row of n from `first` on, one a lane, to the forms of row `row`. */
DEVICE void gemv_put_block(
    const backend_acts &out, uint64_t row, uint32_t n, uint32_t first, uint32_t lane, float v)
{
	float top = fabsf(v), inverse, scaled;
	int q, sum;

	if (first + lane < n && out.f32 != NULL)
		out.f32[row * n + first + lane] = v;
	if (out.q8 == NULL)
		return;
	for (int by = 16; by > 0; by /= 2)
		top = fmaxf(top, __shfl_xor_sync(~0u, top, by));
	inverse = top > 0 ? 127.0f / top : 0.0f;
	scaled = rintf(v * inverse);
	q = sum = scaled >= -127.0f && scaled <= 127.0f ? (int)scaled : 0;
	for (int by = 16; by > 0; by /= 2)
		sum += __shfl_xor_sync(~0u, sum, by);
	out.q8[row * n + first + lane] = (int8_t)q;
	if (lane == 0)
		*(float2 *)(out.q8_scales + (row * (n / 32) + first / 32) * 2) =
		    make_float2(top / 127.0f, top / 127.0f * (float)sum);
}

/* Column `column` of row `row` of the output; sums of gate and up. */
DEVICE float gemv_gated_value(
    const gemv_gated_args &a, uint64_t row, uint32_t column, float gate, float up)
{
	if (column >= a.n_ff)
		return 0.0f;
	if (a.raw)
		return up;
	if (a.gate_sums != NULL)
		gate = a.gate_sums[row * a.n_ff + column];
	return activate_one(a.kind, a.gelu, gate, up);
}

/* A block takes 32 rows of both matrices, its warps four each; then their activations. */
template <class F, int NX> struct gemv_gates : gemv_job<F, NX> {
	static constexpr uint32_t R = gemv_rows_of(NX), ROWS = GEMV_BLOCK / GEMV_WARPS;
	const gemv_gated_args &a;
	float *sums;     /* shared, [2: blocks in turn][gate, up][NX][32] */
	uint32_t each;   /* log2 of a warp's tiles of 32 rows: of up, or of gate, then of up */
	uint32_t expert; /* 0 without experts */
	uint32_t warp;

	GEMV_MEMBER bool has(uint32_t i) const
	{
		return first_row(i) < a.n_ff;
	}
	GEMV_MEMBER bool is_up(uint32_t i) const
	{
		return (i & ((1u << each) - 1)) >= (1u << each) - ROWS / R;
	}
	/* Of a block's 32 rows. */
	GEMV_MEMBER uint32_t row_in_block(uint32_t i) const
	{
		return warp * ROWS + i % (ROWS / R) * R;
	}
	GEMV_MEMBER uint32_t first_row(uint32_t i) const
	{
		return (blockIdx.x + (i >> each) * gridDim.x) * GEMV_BLOCK;
	}
	/* From the expert's row to the matrix's. */
	GEMV_MEMBER uint32_t base(bool up) const
	{
		return up ? expert * a.up_rows + a.up_first : expert * a.gate_rows;
	}
	GEMV_MEMBER void rows(uint32_t i, gemv_cursor &c) const
	{
		uint32_t row = min(first_row(i) + row_in_block(i), a.n_ff - 1);

		gemv_seek<F>(c, is_up(i) ? a.up : a.gate, a.sizes, (uint64_t)base(is_up(i)) + row,
		    min(R, a.n_ff - row) - 1);
	}
	GEMV_MEMBER void store(uint32_t i, uint32_t r, uint32_t t, float sum) const
	{
		bool up = is_up(i);
		uint32_t in_block = row_in_block(i) + r;
		uint32_t row = min(first_row(i) + in_block, a.n_ff - 1);

		sums[(((i >> each & 1) * 2 + up) * NX + t) * GEMV_BLOCK + in_block] =
		    gemv_scaled(up ? a.up : a.gate, sum, base(up) + row,
			(uint64_t)expert * a.n_ff + row);
	}
	GEMV_MEMBER void done(uint32_t i) const
	{
		const float *gate = sums + (i >> each & 1) * 2 * NX * GEMV_BLOCK;
		const float *up = gate + NX * GEMV_BLOCK;
		uint32_t lane = threadIdx.x % 32, first = first_row(i);

		if ((~i & ((1u << each) - 1)) != 0)
			return;
		__syncthreads();
		for (uint32_t t = warp; t < NX; t += GEMV_WARPS) {
			uint32_t at = t * GEMV_BLOCK + lane;
			uint64_t row = a.chosen != NULL ? blockIdx.y : this->row + t;

			if (this->row + t < a.x.n)
				gemv_put_block(a.out, row, a.n_ff, first, lane,
				    gemv_gated_value(a, row, first + lane, gate[at], up[at]));
		}
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_THREADS, gemv_blocks_of(NX))
    gemv_gated_kernel(const __grid_constant__ gemv_gated_args a)
{
	KERNEL_SHARED(uint8_t, shared);
	constexpr uint32_t R = gemv_rows_of(NX), PARTS = R == 4 ? 0 : R == 2 ? 1 : 2; /* log2 */
	uint32_t row = a.chosen != NULL ? blockIdx.y / a.n_used : blockIdx.y * NX, expert = 0;

	if (a.chosen != NULL) {
		pdl_wait();
		expert = a.chosen[blockIdx.y];
	}
	gemv_gates<F, NX> job = { { a.sizes, a.x, shared, row }, a,
		(float *)(shared + a.sizes.x_bytes), PARTS + a.gated, expert, gemv_warp() };
	gemv_stream<F, NX, R>(job, a.sizes);
}

/* ---- the last matrix of experts ---- */

/* A warp takes R rows of the matrices of all choices of a row: tile i is choice
 * `first` + i. */
template <class F> struct gemv_choices : gemv_job<F, 1> {
	static constexpr uint32_t R = gemv_rows_of(1);
	const gemv_down_args &a;
	uint32_t first, n, out_row; /* n: choices from `first` on */
	float total; /* of the lane that finishes a row's sums */

	GEMV_MEMBER bool has(uint32_t i) const
	{
		return i < n;
	}
	/* Of the choice's expert in the matrix. */
	GEMV_MEMBER uint32_t expert_row(uint32_t i) const
	{
		return a.chosen[this->row + first + i] * a.down.rows;
	}
	GEMV_MEMBER void rows(uint32_t i, gemv_cursor &c) const
	{
		gemv_seek<F>(c, a.down, a.sizes, (uint64_t)expert_row(i) + out_row,
		    min(R, a.down.rows - out_row) - 1);
	}
	GEMV_MEMBER void begin()
	{
		uint32_t bytes = a.sizes.x_bytes / a.window, end = min(a.window, a.n_used - first);

		if (first > 0)
			__syncthreads(); /* all have read what stands there */
		for (uint32_t i = 0; i < end; i++)
			gemv_stage<F, 1>(this->shared + i * bytes, a.sizes, a.x,
			    this->row + first + i, 0, a.sizes.steps);
		cp_async_wait<0>();
		__syncthreads();
	}
	GEMV_MEMBER uint32_t place(uint32_t i) const
	{
		return i * (a.sizes.x_bytes / a.window);
	}
	GEMV_MEMBER void store(uint32_t i, uint32_t r, uint32_t, float sum)
	{
		uint32_t row = expert_row(i) + min(out_row + r, a.down.rows - 1);

		total = fmaf(a.weights[this->row + first + i], gemv_scaled(a.down, sum, row, row),
		    total);
	}
	GEMV_MEMBER void done(uint32_t) const
	{
	}
};

template <class F>
__global__ void __launch_bounds__(GEMV_THREADS, gemv_blocks_of(1))
    gemv_down_kernel(const __grid_constant__ gemv_down_args a)
{
	KERNEL_SHARED(uint8_t, shared);
	constexpr uint32_t R = gemv_choices<F>::R;
	uint32_t row = (blockIdx.x * GEMV_WARPS + gemv_warp()) * R, lane = threadIdx.x % 32;
	bool inside = row < a.down.rows;
	gemv_choices<F> job = { { a.sizes, a.x, shared, blockIdx.y * a.n_used }, a, 0, 0, row, 0 };

	pdl_wait();
	for (; job.first < a.n_used; job.first += a.window) {
		job.n = inside ? min(a.window, a.n_used - job.first) : 0;
		gemv_stream<F, 1, R>(job, a.sizes);
	}
	row += lane / (32 / R);
	if (lane % (32 / R) == 0 && row < a.down.rows)
		a.out[(uint64_t)blockIdx.y * a.down.rows + row] += job.total;
}

#endif
