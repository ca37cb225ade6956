/*
 * A block of attention_answer.cu: its sizes, what it works on, and the heads that it
 * prepares itself.
 *
 * Every block prepares its query heads.  The block whose step holds the row's own
 * position prepares key and value, puts them into the cache, and into its tiles as
 * they are kept there.  Other rows of the pass may be positions of the same sequence;
 * what they put into the cache meanwhile may or may not have been copied, so a block
 * that sees such a position prepares it once more.
 */
#ifndef CUDA_ATTENTION_STEP_CUH
#define CUDA_ATTENTION_STEP_CUH

#include "cuda/attention_heads.cuh"

#define STEP_WARPS 4u
#define STEP_THREADS (STEP_WARPS * 32u)

/* Sizes of a block for heads of D numbers and NT columns of 8 query heads. */
template <uint32_t D, uint32_t NT, enum backend_cache TYPE>
struct step_shape {
	static constexpr uint32_t d = D;
	static constexpr uint32_t tile = D <= 128 ? CUDA_STEP : CUDA_STEP / 2; /* positions */
	static constexpr uint32_t tiles = CUDA_STEP / tile;
	static constexpr uint32_t mt = tile / 16 / STEP_WARPS; /* 16 positions each, a warp */
	static constexpr uint32_t dt = (D / 16 + STEP_WARPS - 1) / STEP_WARPS; /* numbers */
	static constexpr uint32_t heads = 8 * NT;
	static constexpr uint32_t turns = (D / 2 + 31) / 32; /* pairs of a lane */
	typedef attention_tile<D, tile, STEP_THREADS, TYPE>
	    cells;
	static constexpr uint32_t chunks = cells::chunks, row_chunks = cells::row_chunks;
	static constexpr uint32_t q_row = D + 8, p_row = tile + 8; /* halves */
	static constexpr bool raw = cells::raw;
	/* places in shared memory, bytes */
	static constexpr uint32_t tile_bytes = cells::bytes;
	static constexpr uint32_t raw_bytes = raw ? cells::copy_bytes : 0;
	static constexpr uint32_t values_at = raw ? 0 : tile_bytes; /* Q8_0: one after the other */
	static constexpr uint32_t raw_at = raw ? tile_bytes : 2 * tile_bytes;
	static constexpr uint32_t q_at = raw_at + 2 * raw_bytes;
	static constexpr uint32_t q_bytes = 2 * heads * q_row * 2;
	/* weights take the place of queries that are not needed again */
	static constexpr uint32_t p_bytes = 2 * heads * p_row * 2;
	static constexpr uint32_t p_at = tiles == 1 ? q_at : q_at + q_bytes;
	static constexpr uint32_t top_at =
	    tiles == 1 ? q_at + (q_bytes > p_bytes ? q_bytes : p_bytes) : p_at + p_bytes;
	/* heads on their way, [warps][D] floats; own key and value, as halves; norms of
	 * queries and keys */
	static constexpr uint32_t heads_at = top_at + STEP_WARPS * heads * (uint32_t)sizeof(float);
	static constexpr uint32_t own_at = heads_at + STEP_WARPS * D * (uint32_t)sizeof(float);
	static constexpr uint32_t norms_at = own_at + 2 * row_chunks * 16;
	static constexpr uint32_t bytes = norms_at + 2 * D * (uint32_t)sizeof(float);
};

/* What a block works on. */
struct step_job {
	uint8_t *shared;
	const uint8_t *keys, *values;
	uint32_t row, seq, pos, step;    /* of the row */
	uint32_t head_kv, head, n_heads; /* first query head of this block, how many */
	bool store;                      /* of a KV head's blocks, this one stores */
	uint32_t fresh;                  /* rows whose new positions the step sees, a bit each */
	uint32_t warp, lane;
};

/* Key or value. */
enum step_kind { STEP_KEY, STEP_VALUE };

/* x as a half, and what that leaves as another; `row` halves lie `low` apart. */
DEVICE void put_two(uint16_t *at, uint32_t low, float x)
{
	uint16_t high = float_to_half(fminf(fmaxf(x, -ATTENTION_HALF_MAX), ATTENTION_HALF_MAX));

	at[0] = high;
	at[low] = float_to_half(x - half_to_float(high));
}

/* Norms to shared memory: weights, which need no waiting for. */
template <class S> DEVICE void load_norms(const step_job &j, const backend_attention &a)
{
	float *to = (float *)(j.shared + S::norms_at);

	for (uint32_t d = threadIdx.x; d < S::d && a.q_norm != NULL; d += STEP_THREADS)
		to[d] = a.q_norm[d];
	for (uint32_t d = threadIdx.x; d < S::d && a.k_norm != NULL; d += STEP_THREADS)
		to[S::d + d] = a.k_norm[d];
}

/* Rows whose new keys this block's row sees in its step. */
DEVICE uint32_t fresh_rows(
    const step_job &j, const backend_attention &a, const backend_row *rows, uint32_t n_rows)
{
	attention_span seen = seen_of(j.pos, a.window, j.step * CUDA_STEP, CUDA_STEP);
	bool fresh = false;

	if (j.lane < n_rows) {
		backend_row r = rows[j.lane];
		uint32_t at = r.pos - j.step * CUDA_STEP;

		fresh = r.seq == j.seq && at >= seen.first && at < seen.end;
	}
	return __ballot_sync(~0u, fresh);
}

/* The rotations of a row, all loads under way together. */
template <class S>
DEVICE void load_turns(
    const backend_attention &a, uint32_t row, uint32_t lane, float2 turns[S::turns])
{
	const float2 *from = (const float2 *)(a.rope + (uint64_t)row * a.n_rot);

#pragma unroll
	for (uint32_t i = 0; i < S::turns; i++)
		turns[i] = a.rotate && lane + 32 * i < a.n_rot / 2 ? from[lane + 32 * i]
								   : make_float2(1, 0);
}

template <class S>
DEVICE void rotate_loaded(const head &h, const backend_attention &a, const float2 turns[S::turns])
{
#pragma unroll
	for (uint32_t i = 0; i < S::turns; i++) {
		if (a.rotate && h.lane + 32 * i < a.n_rot / 2)
			turn_pair(h, a, h.lane + 32 * i, turns[i]);
	}
	__syncwarp();
}

template <class S> DEVICE head head_of(const step_job &j, uint32_t row)
{
	head h;

	h.x = (float *)(j.shared + S::heads_at) + j.warp * S::d;
	h.n = S::d;
	h.row = row;
	h.lane = j.lane;
	return h;
}

/* What a warp has on its way from memory: a head, and the rotations of its row. */
template <class S> struct step_loads {
	float x[S::d / 32];
	float2 turns[S::turns];
};

/* Query head `i` of the block, as [high, low][heads][q_row]. */
template <class S>
DEVICE void put_query(
    const step_job &j, const backend_attention &a, uint32_t i, const step_loads<S> &loads)
{
	uint16_t *to = (uint16_t *)(j.shared + S::q_at) + i * S::q_row;
	const float *norm = (const float *)(j.shared + S::norms_at);
	head h = head_of<S>(j, j.row);
	float grown = growth(a, j.pos), factor = query_factor(a), sum = 0;

	put_numbers<S::d>(h, 0, loads.x, &sum);
	norm_head(h, sum, a.q_norm != NULL, norm, a.norm_eps);
	rotate_loaded<S>(h, a, loads.turns);
#pragma unroll
	for (uint32_t d = 0; d < S::d; d += 32)
		put_two(to + d + h.lane, S::heads * S::q_row, h.x[d + h.lane] * grown * factor);
	__syncwarp();
}

/* The key or value of a row of the pass, to where it is kept. */
template <class S>
DEVICE void put_fresh(const step_job &j, const backend_attention &a, enum step_kind kind,
    uint32_t row, const step_loads<S> &loads, const head_place &to)
{
	const float *norm = (const float *)(j.shared + S::norms_at) + S::d;
	head h = head_of<S>(j, row);
	bool key = kind == STEP_KEY;
	float sum = 0;

	put_numbers<S::d>(h, 0, loads.x, &sum);
	norm_head(h, sum, key ? a.k_norm != NULL : a.v_norm, key ? norm : NULL, a.norm_eps);
	if (key)
		rotate_loaded<S>(h, a, loads.turns);
	keep_head(h, S::raw ? BACKEND_Q8_0 : BACKEND_F16, to);
	__syncwarp();
}

/* The key or value of a row as projected. */
template <class S>
DEVICE const float *projected(
    const step_job &j, const backend_attention &a, enum step_kind kind, uint32_t row)
{
	uint64_t at = ((uint64_t)row * a.n_head_kv + j.head_kv) * S::d;

	return kind == STEP_KEY || a.v_is_k ? a.k + at : a.v + at;
}

/* Heads that the block prepares: its queries, then key and value if the row's own
 * position is of this step. */
DEVICE uint32_t heads_to_prepare(const step_job &j)
{
	return j.n_heads + (j.fresh >> j.row & 1) * 2;
}

template <class S>
DEVICE void fetch_head(const step_job &j, const backend_attention &a, uint32_t i, float *x)
{
	enum step_kind kind = i == j.n_heads ? STEP_KEY : STEP_VALUE;

	if (i < heads_to_prepare(j))
		fetch_numbers<S::d>(i < j.n_heads
					? a.q + ((uint64_t)j.row * a.n_head + j.head + i) * S::d
					: projected<S>(j, a, kind, j.row),
		    S::d, j.lane, x);
}

template <class S>
DEVICE void prepare_heads(const step_job &j, const backend_attention &a, step_loads<S> *loads)
{
#pragma unroll 1
	for (uint32_t i = j.warp; i < heads_to_prepare(j); i += STEP_WARPS) {
		enum step_kind kind = i == j.n_heads ? STEP_KEY : STEP_VALUE;
		float next[S::d / 32] = {};
		head_place to;

		fetch_head<S>(j, a, i + STEP_WARPS, next);
		if (i < j.n_heads) {
			put_query<S>(j, a, i, *loads);
		} else {
			to.cell =
			    j.store ? cell_of(a, kind == STEP_KEY ? j.keys : j.values, j.pos, S::d)
				    : NULL;
			to.tile = j.shared + S::own_at + kind * S::row_chunks * 16;
			to.row = 0;
			to.row_chunks = S::row_chunks;
			put_fresh<S>(j, a, kind, j.row, *loads, to);
		}
#pragma unroll
		for (uint32_t d = 0; d < S::d / 32; d++)
			loads->x[d] = next[d];
	}
}

/* Fresh positions into a tile of halves that has been copied, from position `base` on. */
template <class S>
DEVICE void patch_tile(const step_job &j, const backend_attention &a, const backend_row *rows,
    uint32_t base, enum step_kind kind, uint8_t *tile)
{
	const uint8_t *own = j.shared + S::own_at + kind * S::row_chunks * 16;

	if (j.fresh == 0)
		return;
#pragma unroll 1
	for (uint32_t rest = j.fresh; rest != 0; rest &= rest - 1) {
		uint32_t row = (uint32_t)__ffs((int)rest) - 1, at = rows[row].pos - base;
		step_loads<S> loads;
		head_place to = { NULL, tile, at, S::row_chunks };

		if (at >= S::tile)
			continue;
		if (row == j.row && threadIdx.x < S::chunks)
			*(uint4 *)(tile + at_chunk(at, threadIdx.x, S::row_chunks)) =
			    *(const uint4 *)(own + threadIdx.x * 16);
		if (row == j.row || row % STEP_WARPS != j.warp)
			continue;
		load_turns<S>(a, row, j.lane, loads.turns);
		fetch_numbers<S::d>(projected<S>(j, a, kind, row), S::d, j.lane, loads.x);
		put_fresh<S>(j, a, kind, row, loads, to);
	}
	__syncthreads();
}

#endif
