/*
 * Heads before their scores: norm, rotation, growth of queries, and what the cache
 * keeps of keys and values.  A warp takes one head of one row.
 *
 * Root mean square norm (Zhang and Sennrich 2019): lane l adds the squares of numbers
 * l, l + 32, …, the lanes are added as a tree.  Rotation: Su et al. 2021; which of its
 * products is rounded is written out, so that all kernels do the same.
 */
#ifndef CUDA_ATTENTION_HEADS_CUH
#define CUDA_ATTENTION_HEADS_CUH

#include "cuda/attention_tiles.cuh"

/* One head on its way. */
struct head {
	float *x; /* in shared memory, of this warp alone */
	uint32_t n;
	uint32_t row, lane;
};

/* Where a head's numbers are kept: its cell, and a position of a tile of halves, which
 * are what kernels make of the cell.  Either may be NULL. */
struct head_place {
	uint8_t *cell, *tile;
	uint32_t row, row_chunks;
};

/* A lane's numbers from `from` on, N / 32 at most, all on the way together. */
template <uint32_t N>
DEVICE void fetch_numbers(const float *from, uint32_t n, uint32_t lane, float v[N / 32])
{
#pragma unroll
	for (uint32_t i = 0; i < N / 32; i++)
		v[i] = lane + 32 * i < n ? from[lane + 32 * i] : 0.0f;
}

/* They become numbers `first` … of the head; the lane's squares are added to `sum`. */
template <uint32_t N>
DEVICE void put_numbers(const head &h, uint32_t first, const float v[N / 32], float *sum)
{
#pragma unroll
	for (uint32_t i = 0; i < N / 32; i++) {
		if (first + h.lane + 32 * i < h.n) {
			h.x[first + h.lane + 32 * i] = v[i];
			*sum = fmaf(v[i], v[i], *sum);
		}
	}
}

/* x / rms(x) * weight if wanted; x can then be read by the whole warp. */
DEVICE void norm_head(const head &h, float sum, bool norm, const float *weight, float eps)
{
	if (norm) {
		float scale = 1.0f / sqrtf(warp_sum(sum) / (float)h.n + eps);

		for (uint32_t d = h.lane; d < h.n; d += 32)
			h.x[d] = weight != NULL ? h.x[d] * scale * weight[d] : h.x[d] * scale;
	}
	__syncwarp();
}

/* Pair `i` of a head, turned by (cos, sin). */
DEVICE void turn_pair(const head &h, const backend_attention &a, uint32_t i, float2 turn)
{
	uint32_t first = a.halves ? i : 2 * i, second = a.halves ? i + a.n_rot / 2 : 2 * i + 1;
	float x = h.x[first], y = h.x[second];

	h.x[first] = fmaf(x, turn.x, -(y * turn.y));
	h.x[second] = fmaf(x, turn.y, y * turn.x);
}

/* What a query is multiplied with. */
DEVICE float growth(const backend_attention &a, uint32_t pos)
{
	return a.temp_scale != 0 ? 1.0f + a.temp_scale * logf(1.0f + (float)(pos / a.temp_step))
				 : 1.0f;
}

DEVICE void put_half(const head_place &to, uint32_t d, uint16_t half)
{
	*(uint16_t *)(to.tile + at_chunk(to.row, d / 8, to.row_chunks) + d % 8 * 2) = half;
}

/* Blocks of 32, a number a lane; the scale as it is kept decides the integers. */
DEVICE void keep_q8(const head &h, const head_place &to)
{
	for (uint32_t b = 0; b < h.n / ATTENTION_BLOCK; b++) {
		uint32_t d = b * ATTENTION_BLOCK + h.lane;
		float v = h.x[d];
		uint16_t half = float_to_half(warp_max(fabsf(v)) / 127.0f);
		float scale = half_to_float(half), q = scale > 0 ? rintf(v / scale) : 0;

		q = q > 127.0f ? 127.0f : q >= -127.0f ? q : -127.0f;
		if (to.cell != NULL)
			to.cell[d] = (uint8_t)(int8_t)(int)q;
		if (to.cell != NULL && h.lane == 0)
			*(uint16_t *)(to.cell + h.n + 2 * b) = half;
		if (to.tile != NULL) /* the product is exact, so rounded once */
			put_half(to, d, float_to_half(q * scale));
	}
}

DEVICE void keep_head(const head &h, enum backend_cache type, const head_place &to)
{
	if (type == BACKEND_Q8_0) {
		keep_q8(h, to);
		return;
	}
	for (uint32_t d = h.lane; d < h.n; d += 32) {
		uint16_t half = float_to_half(h.x[d]);

		if (to.tile != NULL)
			put_half(to, d, half);
		if (to.cell != NULL && type == BACKEND_F16)
			((uint16_t *)to.cell)[d] = half;
		if (to.cell != NULL && type == BACKEND_F32)
			((float *)to.cell)[d] = h.x[d];
	}
}

/* The cell of a position, `base` being cell 0 of its sequence's head. */
DEVICE uint8_t *cell_of(const backend_attention &a, const uint8_t *base, uint32_t pos, uint32_t n)
{
	return (uint8_t *)base + (uint64_t)(pos % a.cells) * position_bytes(a.type, n);
}

#endif
