/*
 * Gemm tile: what a block does before and after its sums, whichever units make them.
 *
 * A shape S has BM rows of x and BN rows of weights a block, THREADS, LOAD_ROWS rows that
 * all threads copy at once (A_LOADS, B_LOADS times), and MT x NT units of 16 x 8 sums
 * for each warp, of which the first stands at row S::warp_m() and column S::warp_n().
 *
 * In shared memory a stage has the rows of x and behind them those of weights.  A row has
 * 128 bytes, eight chunks of 16; chunk c of row r stands at c ^ (r & 7), so that eight
 * rows lie in different banks.
 */
#ifndef CUDA_GEMM_TILE_CUH
#define CUDA_GEMM_TILE_CUH

#include "cuda/gemm.cuh"

#define STEP 64u             /* of k in one stage */
#define CHUNK 8u             /* halves of one copy */
#define ROW_BYTES (STEP * 2) /* in shared memory */
#define BAND 8u              /* tiles of x that share weights before the next ones come */

/* Where a block works. */
struct spot {
	uint32_t group, first, end; /* rows of x */
	uint32_t row;               /* first row of weights */
};

/* Blocks that run at the same time share rows of both sides: they go through all
 * weights for BAND tiles of x. */
template <class S> DEVICE struct spot locate(const struct gemm_job *job, uint32_t m_tiles)
{
	uint32_t n_tiles = (job->rows + S::BN - 1) / S::BN;
	uint32_t band = blockIdx.x / (BAND * n_tiles), in_band = blockIdx.x % (BAND * n_tiles);
	uint32_t size = min(m_tiles - band * BAND, BAND), m = band * BAND + in_band % size;
	struct spot s;

	s.group = 0;
	s.row = in_band / size * S::BN;
	s.first = m * S::BM;
	s.end = min(s.first + S::BM, job->n_rows);
	if (job->groups.tiles != NULL) {
		struct gemm_tile tile = job->groups.tiles[m];

		s.group = tile.group - job->groups.first; /* others become too large */
		s.first = tile.first;
		s.end = tile.end;
	}
	return s;
}

/* The chunks that this thread copies: offsets in chunks, rows behind the end cut to
 * the last, as what comes of them is not stored. */
template <class S> struct loader {
	const uint8_t *x, *weights;
	uint32_t a[S::A_LOADS], b[S::B_LOADS];
	uint32_t to; /* bytes from the start of a stage */
};

template <class S>
DEVICE void loader_set(struct loader<S> *l, const struct gemm_job *job, const struct spot *s)
{
	uint32_t row = threadIdx.x / 8, chunk = threadIdx.x % 8, chunks = job->kp / CHUNK;

	l->x = (const uint8_t *)job->x;
	l->weights = (const uint8_t *)(job->weights + s->group * job->groups.weights_step);
	l->to = row * ROW_BYTES + ((chunk ^ (row & 7)) << 4);
#pragma unroll
	for (int i = 0; i < S::A_LOADS; i++) {
		uint32_t t = min(s->first + row + i * S::LOAD_ROWS, s->end - 1);

		if (job->groups.gather != NULL)
			t = job->groups.gather[t];
		l->a[i] = t * chunks + chunk;
	}
#pragma unroll
	for (int i = 0; i < S::B_LOADS; i++)
		l->b[i] = min(s->row + row + i * S::LOAD_ROWS, job->rows - 1) * chunks + chunk;
}

/* Copy one step; the next call copies the next. */
template <class S> DEVICE void load_step(struct loader<S> *l, uint8_t *stage)
{
	uint8_t *to = stage + l->to;

#pragma unroll
	for (int i = 0; i < S::A_LOADS; i++)
		cp_async16(to + i * S::LOAD_ROWS * ROW_BYTES, l->x + (uint64_t)l->a[i] * 16, 16);
	to += S::BM * ROW_BYTES;
#pragma unroll
	for (int i = 0; i < S::B_LOADS; i++)
		cp_async16(
		    to + i * S::LOAD_ROWS * ROW_BYTES, l->weights + (uint64_t)l->b[i] * 16, 16);
	l->x += ROW_BYTES;
	l->weights += ROW_BYTES;
}

/* out = value, or what is there and value; of two neighbours the first `n`. */
DEVICE void put(float *out, float v0, float v1, uint32_t n, bool pairs, bool add)
{
	if (n >= 2 && pairs) {
		float2 old = add ? *(const float2 *)out : make_float2(0.0f, 0.0f);

		*(float2 *)out = add ? make_float2(old.x + v0, old.y + v1) : make_float2(v0, v1);
		return;
	}
	if (n >= 1)
		out[0] = add ? out[0] + v0 : v0;
	if (n >= 2)
		out[1] = add ? out[1] + v1 : v1;
}

template <class S>
DEVICE void store(
    const float sums[S::MT][S::NT][4], const struct gemm_job *job, const struct spot *s)
{
	const uint32_t lane = threadIdx.x % 32;
	const uint32_t row = s->row + S::warp_n() + lane % 4 * 2;
	const uint32_t first = s->first + S::warp_m() + lane / 4;
	const float *bias =
	    job->bias == NULL ? NULL
			      : job->bias + (s->group + job->groups.first) * job->groups.bias_step;
	const bool pairs = (job->out_stride & 1) == 0 && ((uintptr_t)job->out & 7) == 0;
	float scale[S::MT][2];

#pragma unroll
	for (int i = 0; i < 2 * S::MT; i++) {
		uint32_t t = min(first + i * 8, s->end - 1);

		if (job->groups.gather != NULL)
			t = job->groups.gather[t];
		scale[i / 2][i % 2] = job->scales != NULL ? job->scales[t] : 1.0f;
	}
#pragma unroll
	for (int j = 0; j < S::NT; j++) {
		uint32_t r = row + j * 8, n = r < job->rows ? job->rows - r : 0;
		float b0 = bias != NULL && n >= 1 ? bias[r] : 0.0f;
		float b1 = bias != NULL && n >= 2 ? bias[r + 1] : 0.0f;

#pragma unroll
		for (int i = 0; i < 2 * S::MT; i++) {
			const float *sum = &sums[i / 2][j][i % 2 * 2];
			uint32_t t = first + i * 8;

			if (t < s->end)
				put(job->out + t * job->out_stride + r,
				    fmaf(sum[0], scale[i / 2][i % 2], b0),
				    fmaf(sum[1], scale[i / 2][i % 2], b1), n, pairs, job->add);
		}
	}
}

#endif
