/*
 * Attention of prompts on tensor units: a block takes a tile of rows of one sequence
 * and one query head, and goes through tiles of positions with an online softmax
 * (Milakov and Gimelshein 2018; Dao et al. 2022).
 *
 * A warp has MT times 16 rows; its scores never leave registers, as a tile of scores
 * has the layout that the product with values wants (PTX ISA, mma.m16n8k16).  The
 * next tile of keys and values is copied while one is worked on.  Queries (scaled)
 * and weights are halves, sums are floats.
 *
 * Order of additions: tiles of PROMPT_TILE positions from position 0 in rising order;
 * a lane adds its own columns in order, lanes are added last.  A tile of which a row
 * sees nothing leaves its sums as they are: they are multiplied by 1 and 0 is added.
 */
#include "cuda/attention_tiles.cuh"

#define PROMPT_TILE 64u
#define PROMPT_RUNS 24u /* of one launch */

/* Rows of one sequence with positions in a row, and tiles of them before each. */
struct prompt_runs {
	uint32_t n;
	uint32_t first[PROMPT_RUNS], count[PROMPT_RUNS];
	uint32_t tiles[PROMPT_RUNS + 1];
};

template <uint32_t D, uint32_t MT, uint32_t WARPS, enum backend_cache TYPE>
struct prompt_shape {
	static constexpr uint32_t d = D, mt = MT, threads = 32 * WARPS;
	static constexpr uint32_t rows = 16 * MT * WARPS;
	typedef attention_tile<D, PROMPT_TILE, threads, TYPE>
	    cells;
	static constexpr uint32_t chunks = cells::chunks, row_chunks = cells::row_chunks;
	static constexpr bool raw = cells::raw;
	/* two places for copies of a tile, keys then values */
	static constexpr uint32_t tile_bytes = cells::bytes,
	copy_bytes = cells::copy_bytes;
	static constexpr uint32_t queries_at = 4 * copy_bytes;
	/* Q8_0: the tile that is worked on, widened */
	static constexpr uint32_t wide_at = queries_at + rows * row_chunks * 16;
	static constexpr uint32_t bytes = wide_at + (raw ? 2 * tile_bytes : 0);
};

/* What a block works on. */
struct prompt_job {
	uint8_t *shared;
	const uint8_t *keys, *values;
	uint32_t row, n_rows; /* of the pass */
	uint32_t pos, window, cells;
	uint32_t warp, lane;
};

/* What some row of the block sees of a tile. */
DEVICE attention_span seen_by_block(const prompt_job &j, uint32_t tile)
{
	attention_span s = seen_of(j.pos + j.n_rows - 1, 0, tile * PROMPT_TILE, PROMPT_TILE);

	s.first = seen_of(j.pos, j.window, tile * PROMPT_TILE, s.end).first;
	if (first_seen(j.pos, j.window) <= tile * PROMPT_TILE)
		s.first = 0;
	return s;
}

/* Keys and values of a tile into one of two places. */
template <class S> DEVICE void copy_pair(const prompt_job &j, uint32_t tile)
{
	uint8_t *to = j.shared + tile % 2 * 2 * S::copy_bytes;
	uint32_t cell = tile * PROMPT_TILE % j.cells;
	attention_span s = seen_by_block(j, tile);

	copy_tile<typename S::cells>(to, j.keys, cell, j.cells, s, PROMPT_TILE);
	copy_tile<typename S::cells>(to + S::copy_bytes, j.values, cell, j.cells, s, PROMPT_TILE);
}

/* Where keys (and behind them values) of a tile stand as halves. */
template <class S> DEVICE const uint8_t *halves_of(const prompt_job &j, uint32_t tile)
{
	uint8_t *copy = j.shared + tile % 2 * 2 * S::copy_bytes;
	uint8_t *wide = j.shared + S::wide_at;
	attention_span s;

	if (!S::raw)
		return copy;
	s = seen_by_block(j, tile);
	widen_tile<typename S::cells>(wide, copy, s, PROMPT_TILE);
	widen_tile<typename S::cells>(wide + S::tile_bytes, copy + S::copy_bytes, s, PROMPT_TILE);
	__syncthreads();
	return wide;
}

DEVICE float clamp_half(float x)
{
	return fminf(fmaxf(x, -ATTENTION_HALF_MAX), ATTENTION_HALF_MAX);
}

/* Rows that the block does not have are zero. */
template <class S>
DEVICE void load_queries(const prompt_job &j, const float *q, uint32_t stride, float factor)
{
#pragma unroll 4
	for (uint32_t i = threadIdx.x; i < S::rows * S::chunks; i += S::threads) {
		uint32_t row = i / S::chunks, chunk = i % S::chunks;
		const float4 *from = (const float4 *)(q + (uint64_t)row * stride + chunk * 8);
		float4 a = make_float4(0, 0, 0, 0), b = a;

		if (row < j.n_rows) {
			a = from[0];
			b = from[1];
		}
		*(uint4 *)(j.shared + S::queries_at + at_chunk(row, chunk, S::row_chunks)) =
		    make_uint4(floats_to_half2(clamp_half(a.x * factor), clamp_half(a.y * factor)),
			floats_to_half2(clamp_half(a.z * factor), clamp_half(a.w * factor)),
			floats_to_half2(clamp_half(b.x * factor), clamp_half(b.y * factor)),
			floats_to_half2(clamp_half(b.z * factor), clamp_half(b.w * factor)));
	}
}

/* s = Q · Kᵀ: lane holds rows lane / 4 (and + 8), positions 2 * (lane % 4) (and + 1)
 * of each 8. */
template <class S>
DEVICE void score_tile(const prompt_job &j, const uint8_t *keys, float s[S::mt][8][4])
{
	const uint8_t *queries = j.shared + S::queries_at;

#pragma unroll
	for (uint32_t i = 0; i < S::mt * 32; i++)
		s[i / 32][i / 4 % 8][i % 4] = 0;
#pragma unroll
	for (uint32_t k = 0; k < S::d / 16; k++) {
		uint32_t a[S::mt][4];

#pragma unroll
		for (uint32_t m = 0; m < S::mt; m++)
			ldmatrix_x4(
			    a[m], queries + at_chunk((j.warp * S::mt + m) * 16 + j.lane % 16,
						2 * k + j.lane / 16, S::row_chunks));
#pragma unroll
		for (uint32_t n = 0; n < 4; n++) {
			uint32_t b[4];

			ldmatrix_x4(b, keys + at_chunk(n * 16 + j.lane % 8 + j.lane / 16 * 8,
						  2 * k + j.lane / 8 % 2, S::row_chunks));
#pragma unroll
			for (uint32_t m = 0; m < S::mt; m++) {
				mma_f16(s[m][2 * n], a[m], b);
				mma_f16(s[m][2 * n + 1], a[m], b + 2);
			}
		}
	}
}

/* Softcap, and -inf where a row sees nothing. */
template <class S>
DEVICE void mask_tile(const prompt_job &j, uint32_t tile, float softcap, float s[S::mt][8][4])
{
	uint32_t warp_pos = j.pos + j.warp * S::mt * 16, base = tile * PROMPT_TILE;
	bool all = base + PROMPT_TILE <= warp_pos + 1 &&
		   first_seen(warp_pos + S::mt * 16 - 1, j.window) <= base;

	if (softcap != 0) {
#pragma unroll
		for (uint32_t i = 0; i < S::mt * 32; i++)
			s[i / 32][i / 4 % 8][i % 4] = soften(s[i / 32][i / 4 % 8][i % 4], softcap);
	}
	if (all)
		return;
#pragma unroll
	for (uint32_t r = 0; r < S::mt * 2; r++) {
		uint32_t pos = warp_pos + r * 8 + j.lane / 4;
		attention_span seen = seen_of(pos, j.window, base, PROMPT_TILE);

#pragma unroll
		for (uint32_t i = 0; i < 16; i++) {
			uint32_t at = i / 2 * 8 + 2 * (j.lane % 4) + i % 2;

			if (at < seen.first || at >= seen.end)
				s[r / 2][i / 2][r % 2 * 2 + i % 2] = -INFINITY;
		}
	}
}

/* Scores to weights; sums and values that came before are brought to the new max. */
template <class S>
DEVICE void weigh_tile(float s[S::mt][8][4], float top[S::mt][2], float sum[S::mt][2],
    float values[S::mt][S::chunks][4])
{
#pragma unroll
	for (uint32_t r = 0; r < S::mt * 2; r++) {
		uint32_t m = r / 2, c = r % 2 * 2;
		float most = top[m][r % 2], added = 0, factor, least;

#pragma unroll
		for (uint32_t n = 0; n < 8; n++)
			most = fmaxf(most, fmaxf(s[m][n][c], s[m][n][c + 1]));
		most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
		most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
		least = finite_or_0(most);
		factor = exp2_fast(top[m][r % 2] - least);
		top[m][r % 2] = most;
#pragma unroll
		for (uint32_t n = 0; n < 8; n++) {
			s[m][n][c] = exp2_fast(s[m][n][c] - least);
			s[m][n][c + 1] = exp2_fast(s[m][n][c + 1] - least);
			added += s[m][n][c] + s[m][n][c + 1];
		}
		sum[m][r % 2] = fmaf(sum[m][r % 2], factor, added);
		if (__ballot_sync(~0u, factor != 1.0f) == 0)
			continue;
#pragma unroll
		for (uint32_t n = 0; n < S::chunks; n++) {
			values[m][n][c] *= factor;
			values[m][n][c + 1] *= factor;
		}
	}
}

/* values += P · V: rows as in scores, numbers of the head as positions there. */
template <class S>
DEVICE void mix_tile(const prompt_job &j, const uint8_t *v, const float s[S::mt][8][4],
    float values[S::mt][S::chunks][4])
{
#pragma unroll
	for (uint32_t k = 0; k < PROMPT_TILE / 16; k++) {
		uint32_t a[S::mt][4];

#pragma unroll
		for (uint32_t m = 0; m < S::mt; m++) {
#pragma unroll
			for (uint32_t i = 0; i < 4; i++)
				a[m][i] = floats_to_half2(s[m][2 * k + i / 2][i % 2 * 2],
				    s[m][2 * k + i / 2][i % 2 * 2 + 1]);
		}
#pragma unroll
		for (uint32_t n = 0; n < S::chunks / 2; n++) {
			uint32_t b[4];

			ldmatrix_x4_trans(b,
			    v + at_chunk(k * 16 + j.lane % 16, 2 * n + j.lane / 16, S::row_chunks));
#pragma unroll
			for (uint32_t m = 0; m < S::mt; m++) {
				mma_f16(values[m][2 * n], a[m], b);
				mma_f16(values[m][2 * n + 1], a[m], b + 2);
			}
		}
	}
}

/* Rows divided by their sums; `out` is the block's first row. */
template <class S>
DEVICE void put_rows(const prompt_job &j, const float *sinks, uint32_t head,
    const float top[S::mt][2], const float sum[S::mt][2], const float values[S::mt][S::chunks][4],
    float *out, uint32_t stride)
{
#pragma unroll
	for (uint32_t r = 0; r < S::mt * 2; r++) {
		uint32_t m = r / 2, row = (j.warp * S::mt * 2 + r) * 8 + j.lane / 4;
		float all = sum[m][r % 2], factor;

		all += __shfl_xor_sync(~0u, all, 1);
		all += __shfl_xor_sync(~0u, all, 2);
		factor = finish_factor(sinks, head, top[m][r % 2], all);
		if (row >= j.n_rows)
			continue;
#pragma unroll
		for (uint32_t n = 0; n < S::chunks; n++)
			*(float2 *)(out + (uint64_t)row * stride + n * 8 + 2 * (j.lane % 4)) =
			    make_float2(values[m][n][r % 2 * 2] * factor,
				values[m][n][r % 2 * 2 + 1] * factor);
	}
}

/* Whether some row of the warp sees something of a tile. */
template <class S> DEVICE bool warp_sees(const prompt_job &j, uint32_t tile)
{
	uint32_t pos = j.pos + j.warp * S::mt * 16, base = tile * PROMPT_TILE;

	return base < pos + S::mt * 16 && first_seen(pos, j.window) < base + PROMPT_TILE;
}

template <class S>
DEVICE void attend_rows(const prompt_job &j, const backend_attention &a, uint32_t head, float *out)
{
	uint32_t first = first_seen(j.pos, j.window) / PROMPT_TILE;
	uint32_t last = (j.pos + j.n_rows - 1) / PROMPT_TILE;
	float s[S::mt][8][4], values[S::mt][S::chunks][4] = {};
	float top[S::mt][2], sum[S::mt][2] = {};

	copy_pair<S>(j, first);
	cp_async_commit();
	load_queries<S>(
	    j, a.q + ((uint64_t)j.row * a.n_head + head) * S::d, a.n_head * S::d, query_factor(a));
#pragma unroll
	for (uint32_t m = 0; m < S::mt; m++)
		top[m][0] = top[m][1] = -INFINITY;
#pragma unroll 1
	for (uint32_t tile = first; tile <= last; tile++) {
		const uint8_t *halves;

		cp_async_wait<0>();
		__syncthreads(); /* and the tile before is done with */
		if (tile < last)
			copy_pair<S>(j, tile + 1);
		cp_async_commit();
		halves = halves_of<S>(j, tile);
		if (!warp_sees<S>(j, tile))
			continue;
		score_tile<S>(j, halves, s);
		mask_tile<S>(j, tile, a.softcap, s);
		weigh_tile<S>(s, top, sum, values);
		mix_tile<S>(j, halves + (S::raw ? S::tile_bytes : S::copy_bytes), s, values);
	}
	put_rows<S>(j, a.sinks, head, top, sum, values,
	    out + ((uint64_t)j.row * a.n_head + head) * S::d, a.n_head * S::d);
}

/* Grid: query heads, tiles of rows; the last tile, which sees most, comes first. */
template <uint32_t D, uint32_t MT, uint32_t WARPS, enum backend_cache TYPE, uint32_t BLOCKS>
__global__ void __launch_bounds__(32 * WARPS, BLOCKS)
    prompt_kernel(__grid_constant__ const backend_attention a, const backend_row *rows,
	__grid_constant__ const prompt_runs runs, float *out)
{
	typedef prompt_shape<D, MT, WARPS, TYPE> S;
	KERNEL_SHARED(uint8_t, shared);
	uint32_t tile = gridDim.y - 1 - blockIdx.y, run = 0, offset, head_kv;
	prompt_job j;

	pdl_wait();
	while (tile >= runs.tiles[run + 1])
		run++;
	offset = (tile - runs.tiles[run]) * S::rows;
	head_kv = blockIdx.x / (a.n_head / a.n_head_kv);
	j.shared = shared;
	j.row = runs.first[run] + offset;
	j.n_rows = min(runs.count[run] - offset, S::rows);
	j.pos = rows[j.row].pos;
	j.window = a.window;
	j.cells = a.cells;
	j.keys = keys_of(a, rows[j.row].seq, head_kv);
	j.values = values_of(a, rows[j.row].seq, head_kv);
	j.warp = threadIdx.x / 32;
	j.lane = threadIdx.x % 32;
	attend_rows<S>(j, a, blockIdx.x, out);
}

/* Rows from `row` on that stand in a row. */
static uint32_t run_from(const struct cuda_pass *p, uint32_t row)
{
	const struct backend_row *r = p->host_rows;
	uint32_t n = 1;

	while (
	    row + n < p->n_rows && r[row + n].seq == r[row].seq && r[row + n].pos == r[row].pos + n)
		n++;
	return n;
}

/* Runs from `row` on, as many as one launch takes; returns the row behind them. */
static uint32_t collect_runs(
    const struct cuda_pass *p, uint32_t row, uint32_t tile_rows, struct prompt_runs *out)
{
	memset(out, 0, sizeof(*out));
	for (; row < p->n_rows && out->n < PROMPT_RUNS; out->n++) {
		uint32_t n = run_from(p, row);

		out->first[out->n] = row;
		out->count[out->n] = n;
		out->tiles[out->n + 1] = out->tiles[out->n] + (n + tile_rows - 1) / tile_rows;
		row += n;
	}
	return row;
}

template <uint32_t D, uint32_t MT, uint32_t WARPS, enum backend_cache TYPE, uint32_t BLOCKS>
static cudaError_t launch_runs(
    const struct cuda_pass *p, const struct backend_attention *a, float *out)
{
	typedef prompt_shape<D, MT, WARPS, TYPE> S;
	cudaError_t rc = cudaSuccess;

	for (uint32_t row = 0; row < p->n_rows && rc == cudaSuccess;) {
		struct prompt_runs runs;

		row = collect_runs(p, row, S::rows, &runs);
		rc = launch(prompt_kernel<D, MT, WARPS, TYPE, BLOCKS>,
		    dim3(a->n_head, runs.tiles[runs.n]), S::threads, S::bytes, p->stream, *a,
		    p->rows, runs, out);
	}
	return rc;
}

/* Blocks of `rows` rows that a pass has. */
static uint64_t blocks_of(
    const struct cuda_pass *p, const struct backend_attention *a, uint32_t rows)
{
	uint64_t n = 0;

	for (uint32_t row = 0, count; row < p->n_rows; row += count) {
		count = run_from(p, row);
		n += (count + rows - 1) / rows;
	}
	return n * a->n_head;
}

/* Half the rows a block where that is needed to keep all multiprocessors busy.  A row's
 * additions are the same in both. */
template <uint32_t D, enum backend_cache TYPE>
static cudaError_t launch_size(
    const struct cuda_pass *p, const struct backend_attention *a, float *out)
{
	if (blocks_of(p, a, 128) < 2 * (uint64_t)p->units)
		return launch_runs<D, 1, 4, TYPE, 2>(p, a, out);
	return launch_runs<D, 2, 4, TYPE, 2>(p, a, out);
}

bool attention_has_prompt(const struct cuda_pass *p, const struct backend_attention *a)
{
	return a->dk == a->dv && a->type != BACKEND_F32 &&
	       (a->dk == 64 || a->dk == 96 || a->dk == 128 || (a->dk == 256 && attention_large(p)));
}

template <enum backend_cache TYPE>
static cudaError_t launch_dim(
    const struct cuda_pass *p, const struct backend_attention *a, float *out)
{
	switch (a->dk) {
	case 64:
		return launch_size<64, TYPE>(p, a, out);
	case 96:
		return launch_size<96, TYPE>(p, a, out);
	case 128:
		return launch_size<128, TYPE>(p, a, out);
	case 256:
		return launch_runs<256, 1, 8, TYPE, 1>(p, a, out);
	default:
		return cudaErrorInvalidValue;
	}
}

cudaError_t attention_prompt(
    const struct cuda_pass *p, const struct backend_attention *a, float *out)
{
	return a->type == BACKEND_F16 ? launch_dim<BACKEND_F16>(p, a, out)
				      : launch_dim<BACKEND_Q8_0>(p, a, out);
}
