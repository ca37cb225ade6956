/*
 * Recurrent layers: a short causal convolution, then for each head a matrix that every
 * row updates.  A block takes rows of one sequence in order, for both classes of rows
 * alike, so that a row's bits depend on its sequence alone.
 *
 * A sequence's rows are found TILE at a time by one warp.  Convolution: a thread has a
 * channel; its sum adds the inputs from the oldest on, then the bias.
 *
 * Heads: S = decay S + k ⊗ e, with e = rate (v - decay Sᵀk) or step v; out = scale Sᵀq.
 * A warp has 8 columns of S in registers, and of a column lane l / 8 the rows 16 c + 4
 * (l / 8) …; those are added in rising order, every fourth into a sum of its own, the
 * sums as (0 + 1) + (2 + 3), the lanes as a tree.  While a tile of rows is worked on the
 * next comes by asynchronous copies.
 *
 * Gated delta rule: Yang et al. 2024 (Gated Delta Networks).  Mamba-2: Dao and Gu 2024.
 */
#include "cuda/forms.cuh"
#include "cuda/parts.h"

#define TILE 8u /* rows of a sequence together */
#define CONV_THREADS 64u
#define CONV_MAX 7u      /* inputs that are kept (RECURRENT_CONV_MAX) */
#define RATE_THREADS 128u
#define HEAD_THREADS 128u
#define COLUMNS 8u       /* of a warp */
#define BLOCK_COLUMNS (HEAD_THREADS / 32u * COLUMNS)
#define PARTS 4u         /* lanes that share a column */
#define CHUNK (4u * PARTS)
#define SOFTPLUS_MAX 20.0f /* beyond it softplus(x) is x */

/* The next rows of a sequence. */
struct run {
	uint32_t row[TILE], n;
	uint32_t next; /* where to look for further ones */
};

/* Whether an earlier row has this sequence; by whole warps. */
DEVICE bool seen_before(const backend_row *rows, uint32_t row, uint32_t seq)
{
	uint32_t lane = threadIdx.x % 32;
	bool seen = false;

	for (uint32_t base = 0; base < row && !seen; base += 32)
		seen = __ballot_sync(~0u,
			   base + lane < row && rows[base + lane].seq == seq) != 0;
	return seen;
}

/* Up to TILE rows of `seq` from `from` on; by one whole warp, the others see it behind a
 * barrier. */
DEVICE void find_run(
    run *r, const backend_row *rows, uint32_t n_rows, uint32_t seq, uint32_t from)
{
	uint32_t lane = threadIdx.x % 32, n = 0;

	while (from < n_rows && n < TILE) {
		bool mine = from + lane < n_rows && rows[from + lane].seq == seq;
		uint32_t all = __ballot_sync(~0u, mine);
		uint32_t at = n + __popc(all & ((1u << lane) - 1));

		if (mine && at < TILE)
			r->row[at] = from + lane;
		n += __popc(all);
		from += 32;
	}
	__syncwarp();
	if (n >= TILE) {
		n = TILE;
		from = r->row[TILE - 1] + 1;
	}
	__syncwarp();
	if (lane == 0) {
		r->n = n;
		r->next = from;
	}
}

DEVICE float *state_of(const backend_recurrent &r, uint32_t seq)
{
	return r.state + seq * r.state_seq;
}

/* ---- convolution ---- */

/* One input of a channel: its result; `past` moves on. */
DEVICE float convolve_one(
    const backend_recurrent &r, uint32_t c, const float *kernel, float past[CONV_MAX], float x)
{
	float sum = 0;

#pragma unroll
	for (uint32_t i = 0; i < CONV_MAX; i++) {
		if (i < r.n_conv)
			sum = fmaf(past[i], kernel[i], sum);
	}
	sum = fmaf(x, kernel[r.n_conv], sum);
	if (r.conv_bias != NULL)
		sum += r.conv_bias[c];
#pragma unroll
	for (uint32_t i = 0; i < CONV_MAX; i++) {
		if (i + 1 < r.n_conv)
			past[i] = i + 1 < CONV_MAX ? past[i + 1] : 0.0f;
		else if (i + 1 == r.n_conv)
			past[i] = x;
	}
	return sum / (1.0f + expf(-sum));
}

/* Grid: channels, rows from `first` on, of which those that begin a sequence act. */
__global__ void __launch_bounds__(CONV_THREADS) convolve_kernel(
    __grid_constant__ const backend_recurrent r, const backend_row *rows, uint32_t n_rows,
    uint32_t first)
{
	__shared__ run found;
	uint32_t c = blockIdx.x * CONV_THREADS + threadIdx.x, row = first + blockIdx.y, seq;
	bool inside = c < r.n_channel;
	float past[CONV_MAX] = {}, *kept;
	const float *kernel = r.conv + (uint64_t)(inside ? c : 0) * (r.n_conv + 1);

	pdl_wait();
	seq = rows[row].seq;
	if (first == 0 && seen_before(rows, row, seq))
		return;
	kept = state_of(r, seq) + c;
#pragma unroll
	for (uint32_t i = 0; i < CONV_MAX; i++) {
		if (inside && i < r.n_conv)
			past[i] = kept[(uint64_t)i * r.n_channel];
	}
	for (uint32_t from = row; from < n_rows;) {
		float x[TILE];

		if (threadIdx.x < 32)
			find_run(&found, rows, n_rows, seq, from);
		__syncthreads();
		from = found.next;
#pragma unroll
		for (uint32_t i = 0; i < TILE; i++) /* all on the way together */
			x[i] = inside && i < found.n
				   ? r.in[(uint64_t)found.row[i] * r.n_channel + c]
				   : 0.0f;
#pragma unroll
		for (uint32_t i = 0; i < TILE; i++) {
			if (inside && i < found.n)
				r.in[(uint64_t)found.row[i] * r.n_channel + c] =
				    convolve_one(r, c, kernel, past, x[i]);
		}
		__syncthreads();
	}
#pragma unroll
	for (uint32_t i = 0; i < CONV_MAX; i++) {
		if (inside && i < r.n_conv)
			kept[(uint64_t)i * r.n_channel] = past[i];
	}
}

static bool begins(const struct cuda_pass *p, uint32_t row)
{
	for (uint32_t i = row; i-- > 0;) {
		if (p->host_rows[i].seq == p->host_rows[row].seq)
			return false;
	}
	return true;
}

/* Rows that a launch looks at from *first on: an answer's pass is played back with other
 * sequences, so blocks find out which rows begin one; of a prompt's each has a launch. */
static uint32_t rows_of_launch(const struct cuda_pass *p, uint32_t *first)
{
	if (p->answer)
		return *first == 0 ? p->n_rows : 0;
	while (*first < p->n_rows && !begins(p, *first))
		(*first)++;
	return *first < p->n_rows ? 1 : 0;
}

cudaError_t cuda_convolve(const struct cuda_pass *p, const struct backend_recurrent *r)
{
	uint32_t blocks = (r->n_channel + CONV_THREADS - 1) / CONV_THREADS;
	cudaError_t rc = cudaSuccess;

	if (r->n_conv > CONV_MAX)
		return cudaErrorInvalidValue;
	for (uint32_t first = 0, n; rc == cudaSuccess && (n = rows_of_launch(p, &first)) > 0;
	     first++)
		rc = launch(convolve_kernel, dim3(blocks, n), dim3(CONV_THREADS), 0, p->stream, *r,
		    p->rows, p->n_rows, first);
	return rc;
}

/* ---- rates ---- */

DEVICE float softplus(float x)
{
	return x > SOFTPLUS_MAX ? x : log1pf(expf(x));
}

/* x / max(|x|, eps), by a warp. */
DEVICE void unit_length(float *x, uint32_t n, float eps)
{
	float sum = 0;

	for (uint32_t i = threadIdx.x % 32; i < n; i += 32)
		sum = fmaf(x[i], x[i], sum);
	sum = fmaxf(sqrtf(warp_sum(sum)), eps);
	for (uint32_t i = threadIdx.x % 32; i < n; i += 32)
		x[i] /= sum;
}

/* A row a block: (decay, rate) or (decay, step) of each head; q and k of the delta rule
 * become as long as 1. */
__global__ void __launch_bounds__(RATE_THREADS) rates_kernel(
    __grid_constant__ const backend_recurrent r)
{
	uint64_t row = blockIdx.x;

	pdl_wait();
	for (uint32_t h = threadIdx.x; h < r.n_head; h += RATE_THREADS) {
		uint64_t at = row * r.n_head + h;
		float step = softplus(r.alpha[at] + r.dt[h]);

		*(float2 *)(r.rates + 2 * at) = make_float2(expf(r.a[h] * step),
		    r.delta ? 1.0f / (1.0f + expf(-r.beta[at])) : step);
	}
	for (uint32_t i = threadIdx.x / 32; r.delta && i < 2 * r.n_group; i += RATE_THREADS / 32)
		unit_length(r.in + row * r.n_channel + (uint64_t)i * r.n_state, r.n_state, r.eps);
}

/* ---- heads ---- */

/* What a row brings, as it stands in shared memory. */
template <uint32_t C> struct head_row {
	float k[C * CHUNK], q[C * CHUNK], v[BLOCK_COLUMNS], z[BLOCK_COLUMNS];
	float2 rates;
	float2 unused; /* rows begin at 16 bytes */
};

/* Where a head's part of a row begins. */
struct head_place {
	uint32_t k, q, v, head, column;
};

DEVICE head_place place_of(const backend_recurrent &r, uint32_t head, uint32_t column)
{
	uint32_t of_group = r.n_head / r.n_group, inner = r.n_head * r.head_dim;
	uint32_t group = r.delta && r.tiled ? head % r.n_group : head / of_group;
	head_place p;

	p.q = r.delta ? group * r.n_state : inner + (r.n_group + group) * r.n_state;
	p.k = r.delta ? (r.n_group + group) * r.n_state : inner + group * r.n_state;
	p.v = (r.delta ? 2 * r.n_group * r.n_state : 0) + head * r.head_dim + column;
	p.head = head;
	p.column = column;
	return p;
}

/* Bytes of the four columns from `column` on that a head has. */
DEVICE int column_bytes(const backend_recurrent &r, uint32_t column)
{
	return column < r.head_dim ? 16 : 0;
}

template <uint32_t C>
DEVICE void load_rows(
    const backend_recurrent &r, const head_place &p, const run &found, head_row<C> *to)
{
	constexpr uint32_t VECTORS = C * CHUNK / 4, WIDE = BLOCK_COLUMNS / 4;
	constexpr uint32_t ALL = 2 * VECTORS + 2 * WIDE + 1;

	for (uint32_t i = threadIdx.x; i < found.n * ALL; i += HEAD_THREADS) {
		uint32_t t = i / ALL, at = i % ALL, row = found.row[t];
		const float *in = r.in + (uint64_t)row * r.n_channel;
		uint64_t head = (uint64_t)row * r.n_head + p.head;

		if (at < VECTORS) {
			int bytes = 4 * at < r.n_state ? 16 : 0;

			cp_async16(to[t].k + 4 * at, bytes > 0 ? in + p.k + 4 * at : in, bytes);
		} else if (at < 2 * VECTORS) {
			int bytes = 4 * (at -= VECTORS) < r.n_state ? 16 : 0;

			cp_async16(to[t].q + 4 * at, bytes > 0 ? in + p.q + 4 * at : in, bytes);
		} else if (at < 2 * VECTORS + WIDE) {
			int bytes = column_bytes(r, p.column + 4 * (at -= 2 * VECTORS));

			cp_async16(to[t].v + 4 * at, bytes > 0 ? in + p.v + 4 * at : in, bytes);
		} else if (at < 2 * VECTORS + 2 * WIDE) {
			int bytes = column_bytes(r, p.column + 4 * (at -= 2 * VECTORS + WIDE));

			if (r.z != NULL)
				cp_async16(to[t].z + 4 * at,
				    bytes > 0 ? r.z + head * r.head_dim + p.column + 4 * at : r.z,
				    bytes);
		} else {
			cp_async8(&to[t].rates, r.rates + 2 * head, 8);
		}
	}
	cp_async_commit();
}

/* Over the lanes that share a column. */
DEVICE float parts_sum(float v)
{
	v += __shfl_xor_sync(~0u, v, COLUMNS);
	return v + __shfl_xor_sync(~0u, v, 2 * COLUMNS);
}

/* One row; returns Sᵀq of this lane's column. */
template <uint32_t C>
DEVICE float update(const head_row<C> &row, bool delta, uint32_t part, float v, float4 s[C])
{
	float decay = row.rates.x, e = v * row.rates.y;
	float4 sum = make_float4(0, 0, 0, 0);

	if (delta) {
#pragma unroll
		for (uint32_t c = 0; c < C; c++) {
			float4 k = *(const float4 *)(row.k + c * CHUNK + part * 4);

			sum.x = fmaf(s[c].x, k.x, sum.x);
			sum.y = fmaf(s[c].y, k.y, sum.y);
			sum.z = fmaf(s[c].z, k.z, sum.z);
			sum.w = fmaf(s[c].w, k.w, sum.w);
		}
		e = (v - parts_sum((sum.x + sum.y) + (sum.z + sum.w)) * decay) * row.rates.y;
		sum = make_float4(0, 0, 0, 0);
	}
#pragma unroll
	for (uint32_t c = 0; c < C; c++) {
		float4 k = *(const float4 *)(row.k + c * CHUNK + part * 4);
		float4 q = *(const float4 *)(row.q + c * CHUNK + part * 4);

		s[c].x = fmaf(s[c].x, decay, e * k.x);
		s[c].y = fmaf(s[c].y, decay, e * k.y);
		s[c].z = fmaf(s[c].z, decay, e * k.z);
		s[c].w = fmaf(s[c].w, decay, e * k.w);
		sum.x = fmaf(s[c].x, q.x, sum.x);
		sum.y = fmaf(s[c].y, q.y, sum.y);
		sum.z = fmaf(s[c].z, q.z, sum.z);
		sum.w = fmaf(s[c].w, q.w, sum.w);
	}
	return parts_sum((sum.x + sum.y) + (sum.z + sum.w));
}

/* All rows of a run; `column` within the block. */
template <uint32_t C>
DEVICE void update_rows(const backend_recurrent &r, const head_place &p, const run &found,
    const head_row<C> *rows, uint32_t column, uint32_t part, float4 s[C])
{
	bool writes = part == 0 && p.column + column < r.head_dim;

	for (uint32_t t = 0; t < found.n; t++) {
		float v = rows[t].v[column], y = update<C>(rows[t], r.delta, part, v, s);

		if (r.delta)
			y /= sqrtf((float)r.n_state);
		else
			y = fmaf(r.d[p.head], v, y);
		if (r.z != NULL)
			y *= rows[t].z[column] / (1.0f + expf(-rows[t].z[column]));
		if (writes)
			r.out[((uint64_t)found.row[t] * r.n_head + p.head) * r.head_dim +
			      p.column + column] = y;
	}
}

/* A lane's numbers of the head's matrix, which begins at `from`; zeros behind its rows. */
template <uint32_t C, bool STORE>
DEVICE void move_state(
    const backend_recurrent &r, float *from, uint32_t part, bool inside, float4 s[C])
{
	const uint64_t stride = r.head_dim;

#pragma unroll
	for (uint32_t c = 0; c < C; c++) {
		uint32_t row = c * CHUNK + part * 4;
		bool there = inside && row < r.n_state;
		float *at = from + row * stride;

		if (STORE && there) {
			at[0] = s[c].x;
			at[stride] = s[c].y;
			at[2 * stride] = s[c].z;
			at[3 * stride] = s[c].w;
		} else if (!STORE) {
			s[c] = there
				   ? make_float4(at[0], at[stride], at[2 * stride], at[3 * stride])
				   : make_float4(0, 0, 0, 0);
		}
	}
}

/* Grid: columns, heads, rows from `first` on, of which those that begin a sequence act. */
template <uint32_t C>
__global__ void __launch_bounds__(HEAD_THREADS, 4) heads_kernel(
    __grid_constant__ const backend_recurrent r, const backend_row *rows, uint32_t n_rows,
    uint32_t first)
{
	KERNEL_SHARED(head_row<C>, shared); /* [2][TILE] */
	__shared__ run runs[2];
	uint32_t lane = threadIdx.x % 32, part = lane / COLUMNS, row = first + blockIdx.z, seq;
	uint32_t column = threadIdx.x / 32 * COLUMNS + lane % COLUMNS, now = 0;
	const head_place p = place_of(r, blockIdx.y, blockIdx.x * BLOCK_COLUMNS);
	bool inside = p.column + column < r.head_dim;
	float4 s[C];
	float *matrix;

	pdl_wait();
	seq = rows[row].seq;
	if (first == 0 && seen_before(rows, row, seq))
		return;
	matrix = state_of(r, seq) + (uint64_t)r.n_conv * r.n_channel +
		 (uint64_t)p.head * r.n_state * r.head_dim + p.column + column;
	if (threadIdx.x < 32)
		find_run(&runs[0], rows, n_rows, seq, row);
	__syncthreads();
	load_rows<C>(r, p, runs[0], shared);
	move_state<C, false>(r, matrix, part, inside, s);
	while (runs[now].n > 0) {
		uint32_t next = now ^ 1;

		if (threadIdx.x < 32)
			find_run(&runs[next], rows, n_rows, seq, runs[now].next);
		__syncthreads();
		load_rows<C>(r, p, runs[next], shared + next * TILE);
		cp_async_wait<1>();
		__syncthreads();
		update_rows<C>(r, p, runs[now], shared + now * TILE, column, part, s);
		__syncthreads(); /* all have read what the next but one will overwrite */
		now = next;
	}
	cp_async_wait<0>();
	move_state<C, true>(r, matrix, part, inside, s);
}

template <uint32_t C>
static cudaError_t launch_heads(
    const struct cuda_pass *p, const struct backend_recurrent *r, uint32_t first, uint32_t n)
{
	return launch(heads_kernel<C>,
	    dim3((r->head_dim + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS, r->n_head, n),
	    dim3(HEAD_THREADS), 2 * TILE * sizeof(struct head_row<C>), p->stream, *r, p->rows,
	    p->n_rows, first);
}

/* By the number of rows of a head's matrix, rounded up. */
static cudaError_t launch_width(const struct cuda_pass *p, const struct backend_recurrent *r,
    uint32_t first, uint32_t n_rows)
{
	uint32_t n = r->n_state;

	if (n % 4 != 0 || n > 256)
		return cudaErrorInvalidValue;
	return n <= 16	? launch_heads<1>(p, r, first, n_rows)
	       : n <= 32  ? launch_heads<2>(p, r, first, n_rows)
	       : n <= 64  ? launch_heads<4>(p, r, first, n_rows)
	       : n <= 128 ? launch_heads<8>(p, r, first, n_rows)
			  : launch_heads<16>(p, r, first, n_rows);
}

cudaError_t cuda_recur(const struct cuda_pass *p, const struct backend_recurrent *r)
{
	cudaError_t rc;

	if (p->n_rows == 0)
		return cudaSuccess;
	if (r->head_dim % 4 != 0 || r->n_channel % 4 != 0 || r->n_head % r->n_group != 0)
		return cudaErrorInvalidValue;
	rc = launch(rates_kernel, dim3(p->n_rows), dim3(RATE_THREADS), 0, p->stream, *r);
	for (uint32_t first = 0, n; rc == cudaSuccess && (n = rows_of_launch(p, &first)) > 0;
	     first++)
		rc = launch_width(p, r, first, n);
	return rc;
}
