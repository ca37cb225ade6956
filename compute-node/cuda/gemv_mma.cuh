/*
 * Gemv, 5 to 16 rows of activations: the integer sums of groups on tensor units, exact,
 * so that results have the bits of cuda/gemv_one.cuh, and cuda/gemv.cuh's order holds.
 *
 * A block takes tiles of 32 rows (or 16) of a matrix and walks along k, a step of 32
 * groups at a time.  In each step
 *   all warps  unpack the next step's weights, read some steps before, to shared memory:
 *              warp w rows w and w + 16 of the tile, lane l group l, as bytes in the order
 *              in which the tensor units want them, with their scales
 *   warp w     multiplies groups w and w + 16 of the step: the 16 warps have two of the 32
 *              sums each that are a lane's in gemv_one.cuh, for 32 rows times NX
 * and at a tile's end the tree: 16 apart within a warp's registers, 8, 4, 2, 1 by one thread
 * for each row of the matrix and of the activations.
 *
 * An integer sum begins at the bits of 1.5 * 2^23, so that as a float, less that, it is
 * itself: its magnitude is at most 32 * 128 * 127 < 2^22.
 *
 * Activations come into shared memory a step at a time, some steps ahead: for good where all
 * of a row's steps have a slot, or else in turn, anew for each tile.
 *
 * A job says what a block's tiles are:
 *   first, end               units of 16 rows; parts(at): how many make a tile, 1 or 2
 *   rows(at, warp, row)      where the planes of the warp's first row begin; returns how
 *                            many rows behind it the second is
 *   finish(at, t, row, sum)  by a warp, a row of activations t, a lane for each row of the tile
 *
 * PTX: "Parallel Thread Execution ISA", mma.m16n8k32, mma.m16n8k16, fragments of .s8.
 */
#ifndef CUDA_GEMV_MMA_CUH
#define CUDA_GEMV_MMA_CUH

#include "cuda/gemv_kernels.cuh"
#include "cuda/gemv_one.cuh"

#define GEMV_MMA_MAGIC 0x4b400000 /* of 12582912.0f */

/* Steps of weights in registers. */
template <class F> __host__ __device__ constexpr int gemv_mma_depth()
{
	return sizeof(typename F::raw) <= 32 ? 2 : 1;
}

/* ---- shared memory ---- */

/* One group of weights: [part][half][16 rows] of 16 bytes, [part][8][row, row + 8] of two
 * floats.  Groups lie an odd number of 16 bytes apart, against conflicts. */
template <class F>
DEVICE void gemv_mma_put(
    uint8_t *group, uint32_t part, uint32_t row, uint32_t lane, const typename F::raw &raw)
{
	uint8_t *to = group + part * 512 + row * 16;
	float *scale = (float *)(group + 1024 + part * 128 + row % 8 * 16 + row / 8 * 8);
	format_words w;

	F::unpack(raw, lane, w);
	*(int4 *)to = make_int4(w.w[0], w.w[1], w.w[2], w.w[3]);
	*(int4 *)(to + 256) = make_int4(w.w[4], w.w[5], w.w[6], w.w[7]);
	if (F::KIND == FORMAT_PLAIN)
		*scale = w.scale[0];
	else
		*(float2 *)scale =
		    make_float2(w.scale[0], F::KIND == FORMAT_MIN ? w.offset : w.scale[1]);
}

/* Activations of one step: for each group [8 rows of each NX / 8][half][8] of 16 bytes,
 * [NX] of scale and sum; zeros where there are none. */
template <int NX>
DEVICE void gemv_mma_stage(uint8_t *to, const gemv_sizes &s, const gemv_here &x, uint32_t step)
{
	constexpr uint32_t GROUP = gemv_mma_x_group(NX), ROWS = GEMV_MMA_THREADS / 64;
	uint32_t t = threadIdx.x / 64, g = threadIdx.x % 64 / 2, half = threadIdx.x % 2;
	uint32_t from = t * s.k + step * 1024 + threadIdx.x % 64 * 16;

	to += g * GROUP + half * 128 + t * 16;
#pragma unroll
	for (uint32_t j = 0; j < NX / ROWS; j++) {
		bool inside = t + j * ROWS < x.n && step * 32 + g < s.groups;

		cp_async16(to + j * 256, x.x + (inside ? from + j * ROWS * s.k : 0),
		    inside ? 16 : 0);
	}
	to -= g * GROUP + half * 128 + t * 16;
	t = threadIdx.x / 32;
	g = threadIdx.x % 32;
	if (t < NX) {
		bool inside = t < x.n && step * 32 + g < s.groups;

		from = (t * s.groups + step * 32 + g) * 2;
		cp_async8(to + g * GROUP + NX * 32 + t * 8, x.scales + (inside ? from : 0),
		    inside ? 8 : 0);
	}
}

/* ---- one group ---- */

DEVICE float gemv_mma_float(int sum)
{
	return __int_as_float(sum) - 12582912.0f;
}

/* 16 rows times 8: sums of the group's weights, and of its halves where those have scales. */
template <class F>
DEVICE void gemv_mma_add(const uint32_t (&w)[4], const uint32_t *x, const float4 &w_scale,
    const float4 &x_scale, float (&acc)[4])
{
	int all[4] = { GEMV_MMA_MAGIC, GEMV_MMA_MAGIC, GEMV_MMA_MAGIC, GEMV_MMA_MAGIC };
	int low[4] = { GEMV_MMA_MAGIC, GEMV_MMA_MAGIC, GEMV_MMA_MAGIC, GEMV_MMA_MAGIC };

	if (F::KIND == FORMAT_HALVES) {
		mma_s8_half(low, w, x[0]);
		mma_s8_half(all, w + 2, x[1]);
	} else {
		mma_s8(all, w, x);
	}
#pragma unroll
	for (int i = 0; i < 4; i++) {
		float scale = i < 2 ? w_scale.x : w_scale.z, more = i < 2 ? w_scale.y : w_scale.w;
		float by = i % 2 == 0 ? x_scale.x : x_scale.z;
		float sum = gemv_mma_float(all[i]);

		if (F::KIND == FORMAT_HALVES) {
			acc[i] = fmaf(fmaf(sum, more, gemv_mma_float(low[i]) * scale), by, acc[i]);
			continue;
		}
		acc[i] = fmaf(scale * by, sum, acc[i]);
		if (F::KIND == FORMAT_MIN)
			acc[i] = fmaf(more, i % 2 == 0 ? x_scale.y : x_scale.w, acc[i]);
	}
}

template <class F, int NX>
DEVICE void gemv_mma_group(const uint8_t *weights, const uint8_t *x, uint32_t lane,
    uint32_t parts, float (&acc)[2][NX / 8][4])
{
	uint32_t b[NX / 4];
	float4 x_scale[NX / 8];

	if constexpr (NX == 16) {
		ldmatrix_x4(b, x + lane * 16);
	} else {
		b[0] = *(const uint32_t *)(x + lane * 4);
		b[1] = *(const uint32_t *)(x + 128 + lane * 4);
	}
#pragma unroll
	for (int j = 0; j < NX / 8; j++)
		x_scale[j] = *(const float4 *)(x + NX * 32 + j * 64 + lane % 4 * 16);
#pragma unroll
	for (uint32_t m = 0; m < 2; m++) {
		const float *scale = (const float *)(weights + 1024 + m * 128 + lane / 4 * 16);
		float4 w_scale = make_float4(0, 0, 0, 0);
		uint32_t a[4];

		if (m >= parts)
			break;
		ldmatrix_x4(a, weights + m * 512 + lane * 16);
		w_scale = *(const float4 *)scale;
#pragma unroll
		for (int j = 0; j < NX / 8; j++)
			gemv_mma_add<F>(a, b + 2 * j, w_scale, x_scale[j], acc[m][j]);
	}
}

/* ---- the sums of a tile ---- */

/* [16 warps][NX][GEMV_MMA_PITCH: 32 rows] of sums; the pitch is against conflicts. */
template <int NX>
DEVICE void gemv_mma_partials(
    float *to, const float (&acc)[2][2][NX / 8][4], uint32_t warp, uint32_t lane)
{
	to += warp * NX * GEMV_MMA_PITCH + lane % 4 * 2 * GEMV_MMA_PITCH + lane / 4;
#pragma unroll
	for (int m = 0; m < 2; m++) {
#pragma unroll
		for (int j = 0; j < NX / 8; j++) {
#pragma unroll
			for (int i = 0; i < 4; i++)
				to[(8 * j + i % 2) * (int)GEMV_MMA_PITCH + 16 * m + i / 2 * 8] =
				    acc[0][m][j][i] + acc[1][m][j][i];
		}
	}
}

/* Row `lane` of the tile times row `warp` of the activations. */
template <int NX> DEVICE float gemv_mma_tree(const float *from, uint32_t warp, uint32_t lane)
{
	float v[16];

#pragma unroll
	for (int i = 0; i < 16; i++)
		v[i] = from[(i * NX + warp) * GEMV_MMA_PITCH + lane];
#pragma unroll
	for (int level = 3; level >= 0; level--) {
#pragma unroll
		for (int i = 0; i < 8; i++) {
			if (i < 1 << level)
				v[i] += v[i + (1 << level)];
		}
	}
	return v[0];
}

template <int NX, class Job>
DEVICE void gemv_mma_finish(Job &job, uint32_t at, float *sums, float (&acc)[2][2][NX / 8][4],
    uint32_t warp, uint32_t lane)
{
	gemv_mma_partials<NX>(sums, acc, warp, lane);
	__syncthreads();
	if (warp < NX)
		job.finish(at, warp, lane, gemv_mma_tree<NX>(sums, warp, lane));
#pragma unroll
	for (int q = 0; q < 2; q++) {
#pragma unroll
		for (int m = 0; m < 2; m++) {
#pragma unroll
			for (int j = 0; j < NX / 8; j++) {
#pragma unroll
				for (int i = 0; i < 4; i++)
					acc[q][m][j][i] = 0;
			}
		}
	}
}

/* ---- a block ---- */

/* A step of weights or activations; `parts` of the tile. */
struct gemv_mma_cursor {
	uint32_t at, step, parts;
};

/* On to the next step; true: of the next tile. */
template <class Job>
DEVICE bool gemv_mma_advance(const Job &job, const gemv_sizes &s, gemv_mma_cursor &c)
{
	if (++c.step < s.steps)
		return false;
	c.step = 0;
	c.at += c.parts;
	c.parts = c.at < job.end ? job.parts(c.at) : 1;
	return true;
}

template <class F, class Job>
DEVICE void gemv_mma_load(Job &job, const gemv_sizes &s, gemv_mma_cursor &c, format_row &row,
    uint32_t &below, uint32_t warp, uint32_t lane, typename F::raw (&raw)[2])
{
	uint32_t g = min(c.step * 32 + lane, s.groups - 1);

	if (c.at >= job.end)
		return;
	raw[0] = F::load(row, g, s.groups);
	if (c.parts > 1) {
		format_row other = row;

#pragma unroll
		for (int p = 0; p < F::PLANES; p++)
			other.p[p] += (uint64_t)below * (uint32_t)gemv_stride<F>(p, s);
		raw[1] = F::load(other, g, s.groups);
	}
	if (gemv_mma_advance(job, s, c) && c.at < job.end)
		below = job.rows(c.at, warp, row);
}

/* Activations of the next step to slot `slot`, of s.chunk. */
template <int NX, class Job>
DEVICE void gemv_mma_next(Job &job, const gemv_sizes &s, const gemv_here &x, gemv_mma_cursor &c,
    uint32_t &slot, uint8_t *slots)
{
	if (c.at < job.end) {
		gemv_mma_stage<NX>(slots + slot * 32 * gemv_mma_x_group(NX), s, x, c.step);
		slot = slot + 1 < s.chunk ? slot + 1 : 0;
		if (gemv_mma_advance(job, s, c) && s.chunk == s.steps)
			c.at = job.end;
	}
	cp_async_commit();
}

template <class F, int NX, class Job>
DEVICE void gemv_mma(Job &job, const gemv_sizes &s, const gemv_here &x, uint8_t *shared)
{
	constexpr int DEPTH = gemv_mma_depth<F>();
	constexpr uint32_t W = GEMV_MMA_GROUP, X = gemv_mma_x_group(NX);
	float *sums = (float *)(shared + 2 * 32 * W);
	uint8_t *slots = (uint8_t *)(sums + GEMV_MMA_WARPS * NX * GEMV_MMA_PITCH);
	uint32_t warp = gemv_warp(), lane = threadIdx.x % 32;
	uint32_t slot = 0, x_slot = 0, buffer = 0;
	gemv_mma_cursor here = { job.first, 0, job.parts(job.first) }, load = here, x_load = here;
	format_row row;
	uint32_t below = job.rows(load.at, warp, row);
	typename F::raw raw[DEPTH][2] = {};
	float acc[2][2][NX / 8][4] = {};

#pragma unroll
	for (int d = 0; d < DEPTH; d++)
		gemv_mma_load<F>(job, s, load, row, below, warp, lane, raw[d]);
	pdl_wait();
	for (int d = 0; d < GEMV_MMA_AHEAD; d++)
		gemv_mma_next<NX>(job, s, x, x_load, x_slot, slots);
	for (uint32_t m = 0; m < 2; m++)
		gemv_mma_put<F>(shared + lane * W, m, warp, lane, raw[0][m]);
	gemv_mma_load<F>(job, s, load, row, below, warp, lane, raw[0]);
	cp_async_wait<GEMV_MMA_AHEAD - 1>();
	__syncthreads();
	while (here.at < job.end) {
#pragma unroll
		for (int d = 0; d < DEPTH; d++) {
			const uint8_t *w = shared + buffer * (32 * W) + warp * W;
			const uint8_t *by = slots + slot * (32 * X) + warp * X;
			uint32_t left = s.groups - here.step * 32, at = here.at;

			buffer ^= 1;
			/* behind the last step: what is there already, for nobody */
#pragma unroll
			for (uint32_t m = 0; m < 2; m++)
				gemv_mma_put<F>(shared + buffer * (32 * W) + lane * W, m, warp,
				    lane, raw[(d + 1) % DEPTH][m]);
			gemv_mma_load<F>(
			    job, s, load, row, below, warp, lane, raw[(d + 1) % DEPTH]);
			gemv_mma_next<NX>(job, s, x, x_load, x_slot, slots);
			if (warp < left)
				gemv_mma_group<F, NX>(w, by, lane, here.parts, acc[0]);
			if (warp + 16 < left)
				gemv_mma_group<F, NX>(
				    w + 16 * W, by + 16 * X, lane, here.parts, acc[1]);
			slot = slot + 1 < s.chunk ? slot + 1 : 0;
			if (gemv_mma_advance(job, s, here)) {
				gemv_mma_finish<NX>(job, at, sums, acc, warp, lane);
				if (here.at >= job.end)
					break;
			}
			cp_async_wait<GEMV_MMA_AHEAD - 1>();
			__syncthreads();
		}
	}
	cp_async_wait<0>();
}

/* ---- products: a block takes neighbouring units of 16 rows, of all products ---- */

template <class F> struct gemv_mma_products {
	const gemv_args &a;
	uint32_t first, end, row; /* units; of the activations */

	/* Which product and which of its units. */
	GEMV_MEMBER uint32_t find(uint32_t at, uint32_t &unit) const
	{
		uint32_t i = 0;

		unit = at;
		while (unit >= a.products[i].tiles)
			unit -= a.products[i++].tiles;
		return i;
	}
	GEMV_MEMBER uint32_t parts(uint32_t at) const
	{
		uint32_t unit, i = find(at, unit);

		return end - at > 1 && a.products[i].tiles - unit > 1 ? 2 : 1;
	}
	GEMV_MEMBER uint32_t rows(uint32_t at, uint32_t warp, format_row &to) const
	{
		uint32_t unit, i = find(at, unit);
		const gemv_matrix &m = a.products[i].m;
		uint32_t from = min(unit * 16 + warp, m.rows - 1);

		gemv_one_row<F>(to, m, a.sizes, from);
		return min(16u, m.rows - 1 - from);
	}
	GEMV_MEMBER void finish(uint32_t at, uint32_t t, uint32_t lane, float sum) const
	{
		uint32_t unit, i = find(at, unit), row = unit * 16 + lane;
		const gemv_product &p = a.products[i];
		float *out = p.out + (this->row + t) * p.out_stride + row;

		if (lane >= 16 * parts(at) || row >= p.m.rows || this->row + t >= a.x.n)
			return;
		sum = gemv_scaled(p.m, sum, row, row);
		*out = p.add ? *out + sum : sum;
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_MMA_THREADS, 1)
    gemv_mma_kernel(const __grid_constant__ gemv_args a)
{
	KERNEL_SHARED(uint8_t, shared);
	uint32_t each = a.tiles / gridDim.x, rest = a.tiles % gridDim.x;
	uint32_t first = blockIdx.x * each + min((uint32_t)blockIdx.x, rest);

	gemv_mma_products<F> job = { a, first, first + each + (blockIdx.x < rest),
		blockIdx.y * NX };
	gemv_mma<F, NX>(job, a.sizes, gemv_one_x<F>(a.sizes, a.x, job.row), shared);
}

/* ---- gate and up: 32 rows of gate, if it is multiplied here, then the same of up ---- */

template <class F> struct gemv_mma_gates {
	const gemv_gated_args &a;
	uint32_t first, end, row; /* units of the block; of the activations */
	float gate;               /* of the row of gate before: a thread has the same of up */

	GEMV_MEMBER uint32_t parts(uint32_t) const
	{
		return 2;
	}
	GEMV_MEMBER bool is_up(uint32_t at) const
	{
		return !a.gated || at % 4 != 0;
	}
	GEMV_MEMBER uint32_t column(uint32_t at) const
	{
		return (blockIdx.x + (at >> (1 + a.gated)) * gridDim.x) * GEMV_BLOCK;
	}
	GEMV_MEMBER uint32_t rows(uint32_t at, uint32_t warp, format_row &to) const
	{
		uint32_t from = min(column(at) + warp, a.n_ff - 1);

		gemv_one_row<F>(to, is_up(at) ? a.up : a.gate, a.sizes,
		    (uint64_t)(is_up(at) ? a.up_first : 0) + from);
		return min(16u, a.n_ff - 1 - from);
	}
	GEMV_MEMBER void finish(uint32_t at, uint32_t t, uint32_t lane, float sum)
	{
		bool up = is_up(at);
		uint32_t first = column(at), from = min(first + lane, a.n_ff - 1);

		sum = gemv_scaled(up ? a.up : a.gate, sum, (up ? a.up_first : 0) + from, from);
		if (!up)
			gate = sum;
		else if (row + t < a.x.n)
			gemv_put_block(a.out, row + t, a.n_ff, first, lane,
			    gemv_gated_value(a, row + t, first + lane, gate, sum));
	}
};

template <class F, int NX>
__global__ void __launch_bounds__(GEMV_MMA_THREADS, 1)
    gemv_mma_gated_kernel(const __grid_constant__ gemv_gated_args a)
{
	KERNEL_SHARED(uint8_t, shared);
	uint32_t blocks = (a.n_ff + GEMV_BLOCK - 1) / GEMV_BLOCK;

	gemv_mma_gates<F> job = { a, 0,
		(blocks - blockIdx.x + gridDim.x - 1) / gridDim.x * (2 << a.gated),
		blockIdx.y * NX, 0 };
	gemv_mma<F, NX>(job, a.sizes, gemv_one_x<F>(a.sizes, a.x, job.row), shared);
}

/* ---- which kernels ---- */

/* Kernels of tensor units, where sums of groups are of one integer or two. */
template <class F> __host__ __device__ constexpr bool gemv_is_mma()
{
	if constexpr (F::QUANT)
		return F::KIND != FORMAT_MIN_HALVES;
	return false;
}

template <class F, int NX> static constexpr gemv_fn *gemv_wide()
{
	if constexpr (gemv_is_mma<F>())
		return gemv_mma_kernel<F, NX>;
	else
		return gemv_kernel<F, NX>;
}

template <class F, int NX> static constexpr gemv_gated_fn *gemv_wide_gated()
{
	if constexpr (gemv_is_mma<F>())
		return gemv_mma_gated_kernel<F, NX>;
	else
		return gemv_gated_kernel<F, NX>;
}

/* For switches over types. */
#define GEMV_CASE(name, format)                                                                    \
	case TYPE_##name: {                                                                        \
		static const struct gemv_kernels kernels = {                                       \
			{ gemv_one_kernel<format, 1>, gemv_one_kernel<format, 2>,                  \
			    gemv_one_kernel<format, 4>, gemv_wide<format, 8>(),                    \
			    gemv_wide<format, 16>() },                                             \
			{ gemv_one_gated_kernel<format, 1>, gemv_one_gated_kernel<format, 2>,      \
			    gemv_one_gated_kernel<format, 4>, gemv_wide_gated<format, 8>(),        \
			    gemv_wide_gated<format, 16>() },                                       \
			gemv_one_down_kernel<format>, GEMV_ONE,                                    \
			gemv_is_mma<format>() ? GEMV_MMA : GEMV_STREAM                             \
		};                                                                                 \
		return &kernels;                                                                   \
	}

#endif
