/*
 * Gemv stream: what a warp does (cuda/gemv.cuh has the order of additions).
 *
 * A job says which rows a warp takes and what becomes of the sums:
 *   has(i)                whether there is a tile i; rows(i, cursor): where its planes begin
 *   begin()               waits for the kernel before, and for the first activations
 *   place(i)              of tile i's activations in shared memory
 *   store(i, r, t, sum)   by one lane, a finished sum; done(i): by all, behind the last
 */
#ifndef CUDA_GEMV_STREAM_CUH
#define CUDA_GEMV_STREAM_CUH

#include <type_traits>

#include "cuda/gemv.cuh"

#define GEMV_MEMBER __device__ __forceinline__

template <class F, bool QUANT = F::QUANT> struct gemv_shape {
	static constexpr uint32_t WEIGHTS = FORMAT_GROUP; /* a lane's at a step */
	static constexpr uint32_t X = 1024, SCALES = GEMV_SCALES; /* bytes of a row's step */
};
template <class F> struct gemv_shape<F, false> {
	static constexpr uint32_t WEIGHTS = F::WEIGHTS, X = 128 * WEIGHTS, SCALES = 0;
};

/* What a lane holds of a row at a step, unpacked. */
template <class F> struct gemv_floats {
	float w[F::QUANT ? 1 : gemv_shape<F>::WEIGHTS];
};
template <class F> using gemv_words = std::conditional_t<F::QUANT, format_words, gemv_floats<F>>;

/* Steps whose loads are under way. */
template <class F> __host__ __device__ constexpr int gemv_depth(int r)
{
	return r == 4 ? 1 : F::WHOLE ? 2 : 1;
}

/* What of 16 bytes of activations at `piece` of a step goes where: halves of each lane's 32
 * bytes stand apart, so that a warp reads whole lines. */
template <class F> DEVICE uint32_t gemv_place(uint32_t piece)
{
	if (gemv_shape<F>::X == 1024 && piece < 64)
		return (piece % 2) * 512 + piece / 2 * 16;
	return piece * 16;
}

/* Sixteen bytes from word `at` on of a list of `words`. */
DEVICE void gemv_copy_words(uint8_t *to, const uint32_t *from, uint32_t at, uint32_t words)
{
	for (uint32_t i = 0; i < 4; i++)
		((uint32_t *)to)[i] = at + i < words ? from[at + i] : 0;
}

/* Steps first … first + n - 1 of NX rows from `row` on, zeros behind the last row and
 * column: [n][NX][X, SCALES]. */
template <class F, int NX>
DEVICE void gemv_stage(uint8_t *to, const gemv_sizes &s, const gemv_x &x, uint32_t row,
    uint32_t first, uint32_t n)
{
	constexpr uint32_t X = gemv_shape<F>::X, PIECES = (X + gemv_shape<F>::SCALES) / 16;

	for (uint32_t i = threadIdx.x; i < n * NX * PIECES; i += GEMV_THREADS) {
		uint32_t piece = i % PIECES, t = i / PIECES % NX, step = i / PIECES / NX;
		uint8_t *place = to + i / PIECES * (PIECES * 16) + gemv_place<F>(piece);
		bool scales = F::QUANT && piece >= X / 16, inside = row + t < x.n;
		uint32_t bytes = scales ? s.k / FORMAT_GROUP * 8 : F::QUANT ? s.k : s.k * 4;
		uint32_t at = scales ? (first + step) * 256 + (piece * 16 - X)
				     : (first + step) * X + piece * 16;
		const uint8_t *from = scales ? (const uint8_t *)x.scales : x.x;
		uint32_t left = inside && at < bytes ? bytes - at : 0;

		from += (uint64_t)(inside ? row + t : 0) * bytes;
		if (s.copies)
			cp_async16(place, left > 0 ? from + at : from, (int)min(left, 16u));
		else
			gemv_copy_words(place, (const uint32_t *)from, at / 4, (at + left) / 4);
	}
	cp_async_commit();
}

/* ---- one step ---- */

/* One group's part: `high` is the sum of all where there are no halves. */
template <class F>
DEVICE float gemv_add(const format_words &w, int low, int high, const uint4 &a, const uint4 &b,
    float2 x, float acc)
{
	const int ones = 0x01010101;

	if (F::KIND == FORMAT_HALVES)
		return fmaf(fmaf((float)high, w.scale[1], (float)low * w.scale[0]), x.x, acc);
	if (F::KIND == FORMAT_MIN_HALVES) {
		int sum_low = 0, sum_high = 0;

#pragma unroll
		for (int i = 0; i < 4; i++) {
			sum_low = __dp4a(ones, (int)format_word(a, i), sum_low);
			sum_high = __dp4a(ones, (int)format_word(b, i), sum_high);
		}
		acc = fmaf(w.scale[0] * x.x,
		    (float)(low * w.factors[0] + high * w.factors[1]), acc);
		return fmaf(w.scale[1] * x.x,
		    (float)(sum_low * w.offsets[0] + sum_high * w.offsets[1]), acc);
	}
	acc = fmaf(w.scale[0] * x.x, (float)high, acc);
	return F::KIND == FORMAT_MIN ? fmaf(w.offset, x.y, acc) : acc;
}

/* A group's weights times its activations, behind `acc`. */
template <class F>
DEVICE float gemv_dot(
    const format_words &w, const uint4 &a, const uint4 &b, float2 scales, float acc)
{
	int low = 0, high = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		low = __dp4a(w.w[i], (int)format_word(a, i), low);
	if (F::KIND == FORMAT_PLAIN || F::KIND == FORMAT_MIN)
		high = low;
#pragma unroll
	for (int i = 0; i < 4; i++)
		high = __dp4a(w.w[i + 4], (int)format_word(b, i), high);
	return gemv_add<F>(w, low, high, a, b, scales, acc);
}

/* Weights of R rows times activations; `x` and `scale` are where the lane's begin. */
template <class F, int NX, int R>
DEVICE void gemv_step(
    const format_words (&w)[R], const uint8_t *x, const uint8_t *scale, float (&acc)[R][NX])
{
#pragma unroll
	for (int t = 0; t < NX; t++) {
		const uint8_t *at = x + t * (1024 + GEMV_SCALES);
		uint4 a = *(const uint4 *)at, b = *(const uint4 *)(at + 512);
		float2 scales = *(const float2 *)(scale + t * (1024 + GEMV_SCALES));

#pragma unroll
		for (int r = 0; r < R; r++)
			acc[r][t] = gemv_dot<F>(w[r], a, b, scales, acc[r][t]);
	}
}

template <class F, int NX, int R>
DEVICE void gemv_step(
    const gemv_floats<F> (&w)[R], const uint8_t *x, const uint8_t *, float (&acc)[R][NX])
{
	constexpr int PARTS = gemv_shape<F>::WEIGHTS / 4;

#pragma unroll
	for (int t = 0; t < NX; t++) {
#pragma unroll
		for (int p = 0; p < PARTS; p++) {
			float4 v = *(const float4 *)(x + (t * PARTS + p) * 512);

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

template <class F>
DEVICE void gemv_unpack(const typename F::raw &raw, uint32_t lane, format_words &out)
{
	F::unpack(raw, lane, out);
}

template <class F>
DEVICE void gemv_unpack(const typename F::raw &raw, uint32_t, gemv_floats<F> &out)
{
	F::unpack(raw, out.w);
}

/* ---- the sums of a warp ---- */

/* Sums over all lanes, of N numbers (a power of two, at most 32) at once: lane l ends up
 * with number l / (32 / N).  Each is added as the same tree: 16 apart, 8, 4, 2, 1. */
template <int N, int BY = 16> DEVICE float gemv_reduce(const float *v, uint32_t lane)
{
	if constexpr (BY == 0) {
		return v[0];
	} else if constexpr (N == 1) {
		float sum = v[0] + __shfl_xor_sync(~0u, v[0], BY);

		return gemv_reduce<1, BY / 2>(&sum, lane);
	} else {
		float half[N / 2];
		bool upper = (lane & BY) != 0;

#pragma unroll
		for (int i = 0; i < N / 2; i++) {
			float keep = upper ? v[N / 2 + i] : v[i];
			float send = upper ? v[i] : v[N / 2 + i];

			half[i] = keep + __shfl_xor_sync(~0u, send, BY);
		}
		return gemv_reduce<N / 2, BY / 2>(half, lane);
	}
}

/* Hands each finished sum of tile `i` to the job, by one lane. */
template <int NX, int R, class Job>
DEVICE void gemv_finish(Job &job, uint32_t i, float (&acc)[R][NX], uint32_t lane)
{
	constexpr int ROWS = R * NX > 32 ? 32 / NX : R, N = ROWS * NX, LANES = 32 / N;

#pragma unroll
	for (int first = 0; first < R; first += ROWS) {
		float sum = gemv_reduce<N>(&acc[first][0], lane);
		uint32_t at = lane / LANES;

		if (lane % LANES == 0)
			job.store(i, first + at / NX, at % NX, sum);
	}
	job.done(i);
#pragma unroll
	for (int r = 0; r < R; r++) {
#pragma unroll
		for (int t = 0; t < NX; t++)
			acc[r][t] = 0;
	}
}

/* ---- the stream ---- */

template <class F> DEVICE uint64_t gemv_stride(int plane, const gemv_sizes &s)
{
	if constexpr (F::WHOLE)
		return F::stride(plane, s.groups);
	else
		return (uint64_t)s.k * F::BYTES;
}

/* The next step of which to load weights: tile, step, rows; `last` + 1 rows are there. */
struct gemv_cursor {
	uint32_t i, step, last;
	format_row at;
};

template <class F> DEVICE void gemv_seek(
    gemv_cursor &c, const gemv_matrix &m, const gemv_sizes &s, uint64_t row, uint32_t last)
{
#pragma unroll
	for (int p = 0; p < F::PLANES; p++)
		c.at.p[p] = m.planes[p] + row * gemv_stride<F>(p, s);
	c.last = last;
}

/* Loads of a step, then on to the next. */
template <class F, int R, class Job>
DEVICE void gemv_load(
    Job &job, gemv_cursor &c, const gemv_sizes &s, uint32_t lane, typename F::raw (&raw)[R])
{
	/* lanes behind the end of a row read its last group; their activations are zero */
	uint32_t g = min(c.step * 32 + lane, s.groups - 1);

	if (!job.has(c.i))
		return;
#pragma unroll
	for (uint32_t r = 0; r < R; r++) {
		format_row row = c.at;

#pragma unroll
		for (int p = 0; R > 1 && p < F::PLANES; p++)
			row.p[p] += min(r, c.last) * (uint32_t)gemv_stride<F>(p, s);
		raw[r] = F::load(row, g, F::WHOLE ? s.groups : s.k);
	}
	if (++c.step == s.steps) {
		c.step = 0;
		if (job.has(++c.i))
			job.rows(c.i, c);
	}
}

/* The next chunk of activations is there, and the one behind it is asked for. */
template <class F, int NX, class Job>
DEVICE void gemv_next_chunk(const Job &job, const gemv_sizes &s, uint32_t step, uint32_t buffer)
{
	uint32_t next = step + s.chunk < s.steps ? step + s.chunk : 0;

	cp_async_wait<0>();
	__syncthreads();
	gemv_stage<F, NX>(job.shared + (buffer ^ 1) * (s.x_bytes / 2), s, job.x, job.row, next,
	    min(s.chunk, s.steps - next));
}

/* All tiles of a warp.  Where activations come in chunks the warps of a block have the
 * same number of tiles. */
template <class F, int NX, int R, class Job> DEVICE void gemv_stream(Job &job, const gemv_sizes &s)
{
	constexpr int DEPTH = gemv_depth<F>(R);
	constexpr uint32_t X = NX * (gemv_shape<F>::X + gemv_shape<F>::SCALES);
	typename F::raw raw[DEPTH][R];
	gemv_cursor load = { 0, 0, 0, {} };
	float acc[R][NX] = {};
	uint32_t lane = threadIdx.x % 32, i = 0, step = 0;
	uint32_t at = job.place(0);            /* of the step's activations */
	uint32_t buffer = 0, chunk_end = 0;    /* of chunks: the next one's, first step behind */
	const uint8_t *x = job.shared + 16 * lane, *scale = job.shared + 1024 + 8 * lane;

	if (job.has(0))
		job.rows(0, load);
#pragma unroll
	for (int d = 0; d < DEPTH; d++)
		gemv_load<F, R>(job, load, s, lane, raw[d]);
	job.begin();
	while (job.has(i)) {
#pragma unroll
		for (int d = 0; d < DEPTH; d++) {
			gemv_words<F> w[R];

#pragma unroll
			for (int r = 0; r < R; r++)
				gemv_unpack<F>(raw[d][r], lane, w[r]);
			if (DEPTH == 1)
				gemv_load<F, R>(job, load, s, lane, raw[d]);
			if (NX > 1 && s.chunk < s.steps && (step == 0 || step == chunk_end)) {
				gemv_next_chunk<F, NX>(job, s, step, buffer);
				chunk_end = step + s.chunk;
				at = buffer * (s.x_bytes / 2);
				buffer ^= 1;
			}
			gemv_step<F, NX, R>(w, x + at, scale + at, acc);
			if (DEPTH > 1)
				gemv_load<F, R>(job, load, s, lane, raw[d]);
			at += X;
			if (++step == s.steps) {
				gemv_finish<NX, R>(job, i, acc, lane);
				step = 0;
				if (!job.has(++i))
					break;
				at = job.place(i);
			}
		}
	}
	cp_async_wait<0>();
}

#endif
