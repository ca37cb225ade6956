/*
 * Attention of answers: one step of all query heads of one KV head of one row, on
 * tensor units, for the common sizes of heads (attention_any.cu takes all others).
 *
 * A block copies the step's keys and values to shared memory in one go, so that what
 * an SM has under way covers the way to memory.  Scores are K · Qᵀ (positions by
 * heads), values Vᵀ · Pᵀ (numbers by heads): up to 8 query heads are one column of
 * tiles.  Queries and weights are handed in as two halves each, high and low, which
 * together keep 22 bits; keys and values are halves already.  Q8_0 is turned into
 * halves, each number rounded once.
 *
 * In answer passes a block prepares its heads itself (cuda/attention_step.cuh), and
 * where steps are few the last block of a KV head merges them
 * (cuda/attention_finish.cuh): attention is one kernel then.
 *
 * Order of additions: a score adds 16 numbers of a head after the other, values 16
 * positions after the other, high and low halves for themselves and then together;
 * the sum of weights adds a lane's positions in rising order, then lanes as a tree,
 * then warps in order.
 */
#include "cuda/attention_finish.cuh"
#include "cuda/attention_step.cuh"

#define PIECE_HEADS 16u /* query heads that a block takes at most */

/* A step's keys and values, and rotations, are on their way before the kernel before has
 * ended: no kernel of this pass writes those of earlier positions if the layer stores its
 * own, and the rotations' kernel ended before that one began. */
#ifndef STEP_EARLY
#define STEP_EARLY 1
#endif

/* Queries as [high, low][heads][q_row]; heads that are not there are zero. */
template <class S>
DEVICE void load_queries(const step_job &j, const backend_attention &a, bool prepared)
{
	const float *q = a.q + ((uint64_t)j.row * a.n_head + j.head) * S::d;
	uint32_t first = prepared ? j.n_heads * S::d : 0;
	uint16_t *to = (uint16_t *)(j.shared + S::q_at);

	for (uint32_t i = first + threadIdx.x; i < S::heads * S::d; i += STEP_THREADS) {
		uint32_t head = i / S::d, at = i % S::d;

		put_two(to + head * S::q_row + at, S::heads * S::q_row,
		    head < j.n_heads ? q[i] * query_factor(a) : 0.0f);
	}
}

/* Two halves of a column of heads: high of 16 along k, then low. */
DEVICE void load_column(uint32_t b[4], const uint16_t *from, uint32_t row, uint32_t low,
    uint32_t column, uint32_t k, uint32_t lane)
{
	ldmatrix_x4(b,
	    from + (lane / 16) * low + (column * 8 + lane % 8) * row + k * 16 + (lane / 8 % 2) * 8);
}

/* Scores of the warp's positions: lane holds positions lane / 4 (and + 8), heads
 * 2 * (lane % 4) (and + 1). */
template <class S, uint32_t NT>
DEVICE void score_tile(const step_job &j, attention_span seen, float s[S::mt][NT][4])
{
	const uint16_t *q = (const uint16_t *)(j.shared + S::q_at);
	float low[S::mt][NT][4] = {};

#pragma unroll
	for (uint32_t i = 0; i < S::mt * NT * 4; i++)
		s[i / NT / 4][i / 4 % NT][i % 4] = 0;
	if (j.warp * S::mt * 16 >= seen.end || (j.warp + 1) * S::mt * 16 <= seen.first)
		return;
#pragma unroll
	for (uint32_t k = 0; k < S::chunks / 2; k++) {
		uint32_t b[NT][4];

#pragma unroll
		for (uint32_t n = 0; n < NT; n++)
			load_column(b[n], q, S::q_row, S::heads * S::q_row, n, k, j.lane);
#pragma unroll
		for (uint32_t m = 0; m < S::mt; m++) {
			uint32_t row = (j.warp * S::mt + m) * 16 + j.lane % 16, a[4];

			ldmatrix_x4(
			    a, j.shared + at_chunk(row, 2 * k + j.lane / 16, S::row_chunks));
#pragma unroll
			for (uint32_t n = 0; n < NT; n++) {
				mma_f16(s[m][n], a, b[n]);
				mma_f16(low[m][n], a, b[n] + 2);
			}
		}
	}
#pragma unroll
	for (uint32_t i = 0; i < S::mt * NT * 4; i++)
		s[i / NT / 4][i / 4 % NT][i % 4] += low[i / NT / 4][i / 4 % NT][i % 4];
}

/* Softcap, -inf where nothing is seen, and the largest of each of the lane's heads
 * over the warp's positions. */
template <class S, uint32_t NT>
DEVICE void mask_tile(
    const step_job &j, attention_span seen, float softcap, float s[S::mt][NT][4], float top[NT][2])
{
#pragma unroll
	for (uint32_t n = 0; n < NT; n++)
		top[n][0] = top[n][1] = -INFINITY;
#pragma unroll
	for (uint32_t i = 0; i < S::mt * NT * 4; i++) {
		uint32_t m = i / NT / 4, n = i / 4 % NT, c = i % 4;
		uint32_t at = (j.warp * S::mt + m) * 16 + j.lane / 4 + c / 2 * 8;

		if (softcap != 0)
			s[m][n][c] = soften(s[m][n][c], softcap);
		if (at < seen.first || at >= seen.end)
			s[m][n][c] = -INFINITY;
		top[n][c % 2] = fmaxf(top[n][c % 2], s[m][n][c]);
	}
#pragma unroll
	for (uint32_t n = 0; n < NT; n++) {
#pragma unroll
		for (uint32_t by = 4; by <= 16; by *= 2) {
			top[n][0] = fmaxf(top[n][0], __shfl_xor_sync(~0u, top[n][0], by));
			top[n][1] = fmaxf(top[n][1], __shfl_xor_sync(~0u, top[n][1], by));
		}
	}
}

/* Into [warp][heads]; lanes 0 … 3 hold all heads. */
template <class S, uint32_t NT> DEVICE void share(const step_job &j, const float v[NT][2])
{
	float *to = (float *)(j.shared + S::top_at) + j.warp * S::heads + 2 * (j.lane % 4);

#pragma unroll
	for (uint32_t n = 0; n < NT && j.lane < 4; n++)
		*(float2 *)(to + 8 * n) = make_float2(v[n][0], v[n][1]);
}

/* Weights as [high, low][heads][p_row], and their sum into `sum`. */
template <class S, uint32_t NT>
DEVICE void weigh_tile(
    const step_job &j, const float s[S::mt][NT][4], const float top[NT][2], float sum[NT][2])
{
	uint16_t *to = (uint16_t *)(j.shared + S::p_at);

#pragma unroll
	for (uint32_t i = 0; i < S::mt * NT * 4; i++) {
		uint32_t m = i / NT / 4, n = i / 4 % NT, c = i % 4;
		uint32_t at = (j.warp * S::mt + m) * 16 + j.lane / 4 + c / 2 * 8;
		uint32_t head = 8 * n + 2 * (j.lane % 4) + c % 2;
		float weight = exp2_fast(s[m][n][c] - finite_or_0(top[n][c % 2]));

		put_two(to + head * S::p_row + at, S::heads * S::p_row, weight);
		sum[n][c % 2] += weight;
	}
}

/* values += Vᵀ · Pᵀ of what is seen of the tile; lane holds numbers lane / 4 (and
 * + 8) of every STEP_WARPS-th 16, heads as in scores. */
template <class S, uint32_t NT>
DEVICE void mix_tile(const step_job &j, attention_span seen, float values[S::dt][NT][4])
{
	const uint16_t *p = (const uint16_t *)(j.shared + S::p_at);
	const uint8_t *v = j.shared + S::values_at;
	float low[S::dt][NT][4] = {};

#pragma unroll 2
	for (uint32_t k = seen.first / 16; k < (seen.end + 15) / 16; k++) {
		uint32_t row = k * 16 + j.lane % 8 + j.lane / 16 * 8, b[NT][4], a[4];

#pragma unroll
		for (uint32_t n = 0; n < NT; n++)
			load_column(b[n], p, S::p_row, S::heads * S::p_row, n, k, j.lane);
#pragma unroll
		for (uint32_t t = 0; t < S::dt; t++) {
			uint32_t sixteen = t * STEP_WARPS + j.warp;

			if (sixteen >= S::chunks / 2)
				break;
			ldmatrix_x4_trans(
			    a, v + at_chunk(row, 2 * sixteen + j.lane / 8 % 2, S::row_chunks));
#pragma unroll
			for (uint32_t n = 0; n < NT; n++) {
				mma_f16(values[t][n], a, b[n]);
				mma_f16(low[t][n], a, b[n] + 2);
			}
		}
	}
#pragma unroll
	for (uint32_t i = 0; i < S::dt * NT * 4; i++)
		values[i / NT / 4][i / 4 % NT][i % 4] += low[i / NT / 4][i / 4 % NT][i % 4];
}

/* The largest over warps, with what came before; what came before is scaled to it. */
template <class S, uint32_t NT>
DEVICE void raise(const step_job &j, float top[NT][2], float sum[NT][2], float values[S::dt][NT][4])
{
	const float *tops = (const float *)(j.shared + S::top_at);

#pragma unroll
	for (uint32_t i = 0; i < NT * 2; i++) {
		uint32_t n = i / 2, c = i % 2, head = 8 * n + 2 * (j.lane % 4) + c;
		float most = top[n][c], factor;

		for (uint32_t w = 0; w < STEP_WARPS; w++)
			most = fmaxf(most, tops[w * S::heads + head]);
		if (S::tiles > 1) {
			factor = exp2_fast(top[n][c] - finite_or_0(most));
			sum[n][c] *= factor;
#pragma unroll
			for (uint32_t t = 0; t < S::dt; t++) {
				values[t][n][c] *= factor;
				values[t][n][c + 2] *= factor;
			}
		}
		top[n][c] = most;
	}
}

/* The step's softmax of query heads from `head` on. */
template <class S, uint32_t NT>
DEVICE void put_partials(const step_job &j, const attention_partials &to, uint64_t at,
    const float top[NT][2], const float values[S::dt][NT][4])
{
	const float *sums = (const float *)(j.shared + S::top_at);
	const uint32_t d = S::chunks * 8;

#pragma unroll
	for (uint32_t i = 0; i < NT * 2; i++) {
		uint32_t n = i / 2, c = i % 2, head = 8 * n + 2 * (j.lane % 4) + c;
		uint64_t place = at + (uint64_t)head * to.n_steps;
		float sum = 0;

		if (head >= j.n_heads)
			continue;
#pragma unroll
		for (uint32_t t = 0; t < S::dt; t++) {
			uint32_t sixteen = t * STEP_WARPS + j.warp;
			float *v = to.values + place * d + sixteen * 16 + j.lane / 4;

			if (sixteen < S::chunks / 2) {
				v[0] = values[t][n][c];
				v[8] = values[t][n][c + 2];
			}
		}
		for (uint32_t w = 0; w < STEP_WARPS; w++)
			sum += sums[w * S::heads + head];
		if (j.warp == 0 && j.lane < 4)
			to.sums[place] = make_float2(top[n][c], sum);
	}
}

/* Sums of weights over lanes and warps. */
template <class S, uint32_t NT> DEVICE void share_sums(const step_job &j, float sum[NT][2])
{
#pragma unroll
	for (uint32_t i = 0; i < NT * 2; i++) {
#pragma unroll
		for (uint32_t by = 4; by <= 16; by *= 2)
			sum[i / 2][i % 2] += __shfl_xor_sync(~0u, sum[i / 2][i % 2], by);
	}
	__syncthreads(); /* tops have been read */
	share<S, NT>(j, sum);
	__syncthreads();
}

/* Positions that products of a tile take. */
DEVICE uint32_t filled(attention_span s)
{
	return (s.end + 15) / 16 * 16;
}

/* The step's first keys and values on their way; copies are waited for in the order
 * keys, values, keys of the next tile, values … */
template <class S> DEVICE void begin_copies(const step_job &j, const backend_attention &a)
{
	typedef typename S::cells T;
	uint32_t base = j.step * CUDA_STEP, cell = base % a.cells;
	attention_span seen = seen_of(j.pos, a.window, base, S::tile);

	copy_tile<T>(
	    j.shared + (S::raw ? S::raw_at : 0), j.keys, cell, a.cells, seen, filled(seen));
	cp_async_commit();
	copy_tile<T>(j.shared + (S::raw ? S::raw_at + S::raw_bytes : S::values_at), j.values, cell,
	    a.cells, seen, filled(seen));
	cp_async_commit();
}

/* All but the newest copy has come, and is a tile of halves, with what is fresh in it. */
template <class S>
DEVICE void finish_copy(const step_job &j, const backend_attention &a, const backend_row *rows,
    uint32_t base, enum step_kind kind, attention_span seen)
{
	uint8_t *tile = j.shared + (kind == STEP_KEY ? 0 : S::values_at);

	cp_async_wait<1>();
	__syncthreads();
	if (S::raw) {
		widen_tile<typename S::cells>(
		    tile, j.shared + S::raw_at + kind * S::raw_bytes, seen, filled(seen));
		__syncthreads();
	}
	patch_tile<S>(j, a, rows, base, kind, tile);
}

template <class S, uint32_t NT>
DEVICE void attend_step(const step_job &j, const backend_attention &a, const backend_row *rows,
    const attention_partials &to, uint64_t at)
{
	typedef typename S::cells T;
	uint8_t *raw = j.shared + S::raw_at;
	uint8_t *keys_to = S::raw ? raw : j.shared;
	uint8_t *values_to = S::raw ? raw + S::raw_bytes : j.shared + S::values_at;
	uint32_t base = j.step * CUDA_STEP, cell = base % a.cells;
	attention_span seen = seen_of(j.pos, a.window, base, S::tile);
	float s[S::mt][NT][4], out[S::dt][NT][4] = {}, top[NT][2], sum[NT][2] = {};
	float warp_top[NT][2];

#pragma unroll
	for (uint32_t n = 0; n < NT; n++)
		top[n][0] = top[n][1] = -INFINITY;
#pragma unroll 1
	for (uint32_t tile = 0;; tile++) {
		attention_span next = seen_of(j.pos, a.window, base + S::tile, S::tile);

		finish_copy<S>(j, a, rows, base, STEP_KEY, seen);
		score_tile<S, NT>(j, seen, s);
		mask_tile<S, NT>(j, seen, a.softcap, s, warp_top);
		share<S, NT>(j, warp_top);
		__syncthreads(); /* keys have been read as well */
		cell = cell_after(cell, S::tile, a.cells);
		if (tile + 1 < S::tiles)
			copy_tile<T>(keys_to, j.keys, cell, a.cells, next, filled(next));
		cp_async_commit();
		raise<S, NT>(j, top, sum, out);
		weigh_tile<S, NT>(j, s, top, sum);
		finish_copy<S>(j, a, rows, base, STEP_VALUE, seen);
		mix_tile<S, NT>(j, seen, out);
		if (tile + 1 == S::tiles)
			break;
		__syncthreads();
		copy_tile<T>(values_to, j.values, cell, a.cells, next, filled(next));
		cp_async_commit();
		base += S::tile;
		seen = next;
	}
	share_sums<S, NT>(j, sum);
	put_partials<S, NT>(j, to, at, top, out);
}

/* What this block works on: of grid steps from the first that the row sees, KV heads by
 * pieces of their query heads, rows of the group. */
DEVICE step_job job_of(const backend_attention &a, const attention_group &g, uint8_t *shared)
{
	uint32_t group = a.n_head / a.n_head_kv;
	uint32_t pieces = (group + PIECE_HEADS - 1) / PIECE_HEADS;
	uint32_t first = blockIdx.y % pieces * PIECE_HEADS;
	step_job j;

	j.shared = shared;
	j.row = g.row + blockIdx.z;
	j.seq = g.rows[j.row].seq;
	j.pos = g.rows[j.row].pos;
	j.step = first_seen(j.pos, a.window) / CUDA_STEP + blockIdx.x;
	j.head_kv = blockIdx.y / pieces;
	j.head = j.head_kv * group + first;
	j.n_heads = min(group - first, PIECE_HEADS);
	j.keys = keys_of(a, j.seq, j.head_kv);
	j.values = values_of(a, j.seq, j.head_kv);
	j.store = first == 0;
	j.warp = threadIdx.x / 32;
	j.lane = threadIdx.x % 32;
	j.fresh = g.fused && a.store ? fresh_rows(j, a, g.rows, g.n_rows) : 0;
	return j;
}

/* If this block is the last of its heads, their steps are merged. */
template <uint32_t D>
DEVICE void finish_row(const step_job &j, const backend_attention &a, const attention_group &g)
{
	uint64_t at = ((uint64_t)blockIdx.z * a.n_head + j.head) * g.partials.n_steps;
	finish_job f;

	f.first = first_seen(j.pos, a.window) / CUDA_STEP;
	f.n = j.pos / CUDA_STEP + 1 - f.first;
	if (!is_last(g.counters + blockIdx.z * gridDim.y + blockIdx.y, f.n))
		return;
	f.shared = j.shared;
	f.sums = g.partials.sums + at;
	f.values = g.partials.values + at * D;
	f.stride = g.partials.n_steps;
	f.head = j.head;
	f.n_heads = j.n_heads;
	f.warp = j.warp;
	f.lane = j.lane;
	finish_heads<D, STEP_THREADS>(f, a.sinks, forms_of_row(g.out, j.row, a.n_head * D));
}

template <uint32_t D, uint32_t NT, enum backend_cache TYPE>
__global__ void __launch_bounds__(STEP_THREADS, D <= 64    ? 5
						: D <= 128 ? 3
							   : 1)
    step_kernel(
	__grid_constant__ const backend_attention a, __grid_constant__ const attention_group g)
{
	typedef step_shape<D, NT, TYPE> S;
	KERNEL_SHARED(uint8_t, shared);
	const bool early = STEP_EARLY && g.fused && a.store;
	step_loads<S> loads;
	step_job j;

	j = job_of(a, g, shared); /* rows are written before a pass's first kernel */
	if (g.fused)
		load_norms<S>(j, a);
	if (!early)
		pdl_wait();
	if (j.step * CUDA_STEP > j.pos)
		return;
	if (early) {
		load_turns<S>(a, j.row, j.lane, loads.turns);
		begin_copies<S>(j, a);
		pdl_wait();
	} else if (g.fused) {
		load_turns<S>(a, j.row, j.lane, loads.turns);
	}
	if (g.fused)
		fetch_head<S>(j, a, j.warp, loads.x); /* little, so before the many copies */
	if (!early)
		begin_copies<S>(j, a);
	if (g.fused) {
		__syncthreads(); /* norms are there */
		prepare_heads<S>(j, a, &loads);
	}
	load_queries<S>(j, a, g.fused);
	attend_step<S, NT>(j, a, g.rows, g.partials,
	    ((uint64_t)blockIdx.z * a.n_head + j.head) * g.partials.n_steps + blockIdx.x);
	if (g.counters != NULL)
		finish_row<D>(j, a, g);
}

template <uint32_t D, uint32_t NT, enum backend_cache TYPE>
static cudaError_t launch_steps(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows)
{
	uint32_t pieces = (a->n_head / a->n_head_kv + PIECE_HEADS - 1) / PIECE_HEADS;

	return launch(step_kernel<D, NT, TYPE>,
	    dim3(g->partials.n_steps, a->n_head_kv * pieces, n_rows), STEP_THREADS,
	    step_shape<D, NT, TYPE>::bytes, p->stream, *a, *g);
}

template <uint32_t D>
static cudaError_t launch_dim(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows)
{
	bool wide = a->n_head / a->n_head_kv > 8;

	if (a->type == BACKEND_F16)
		return wide ? launch_steps<D, 2, BACKEND_F16>(p, a, g, n_rows)
			    : launch_steps<D, 1, BACKEND_F16>(p, a, g, n_rows);
	return wide ? launch_steps<D, 2, BACKEND_Q8_0>(p, a, g, n_rows)
		    : launch_steps<D, 1, BACKEND_Q8_0>(p, a, g, n_rows);
}

bool attention_finishes(
    const struct cuda_pass *p, const struct backend_attention *a, uint32_t n_rows, uint32_t n_steps)
{
	uint32_t group = a->n_head / a->n_head_kv;
	uint32_t pieces = (group + PIECE_HEADS - 1) / PIECE_HEADS;
	uint32_t heads = group < PIECE_HEADS ? group : PIECE_HEADS;

	return p->counters != NULL && attention_has_steps(p, a) &&
	       (uint64_t)n_steps * heads * a->dv <= FINISH_NUMBERS &&
	       (uint64_t)n_rows * a->n_head_kv * pieces <= CUDA_COUNTERS;
}

bool attention_has_steps(const struct cuda_pass *p, const struct backend_attention *a)
{
	return a->dk == a->dv && a->type != BACKEND_F32 &&
	       (a->dk == 64 || a->dk == 96 || a->dk == 128 || a->dk == 256 ||
		   (a->dk == 512 && attention_large(p)));
}

cudaError_t attention_steps(const struct cuda_pass *p, const struct backend_attention *a,
    const struct attention_group *g, uint32_t n_rows)
{
	switch (a->dk) {
	case 64:
		return launch_dim<64>(p, a, g, n_rows);
	case 96:
		return launch_dim<96>(p, a, g, n_rows);
	case 128:
		return launch_dim<128>(p, a, g, n_rows);
	case 256:
		return launch_dim<256>(p, a, g, n_rows);
	case 512:
		return launch_dim<512>(p, a, g, n_rows);
	default:
		return cudaErrorInvalidValue;
	}
}
