/*
 * Tiles of keys or values in shared memory, for products on tensor units: positions
 * of D halves, their 16-byte chunks swizzled (chunk ^ position % 8), so that eight
 * positions' chunks of one column lie in different banks.
 *
 * Copies are asynchronous and as the cache has it; a Q8_0 tile is then widened.
 */
#ifndef CUDA_ATTENTION_TILES_CUH
#define CUDA_ATTENTION_TILES_CUH

#include "cuda/attention.cuh"

/* ROWS positions of D numbers, worked on by THREADS threads. */
template <uint32_t D, uint32_t ROWS, uint32_t THREADS, enum backend_cache TYPE>
struct attention_tile {
	static constexpr bool raw = TYPE == BACKEND_Q8_0;
	static constexpr uint32_t d = D, rows = ROWS, threads = THREADS;
	static constexpr uint32_t chunks = D / 8; /* of a position */
	static constexpr uint32_t row_chunks = (chunks + 7) / 8 * 8;
	static constexpr uint32_t bytes = ROWS * row_chunks * 16;
	/* as it lies in the cache */
	static constexpr uint32_t kept_row = raw ? D + D / 16 : 2 * D;
	static constexpr uint32_t copy_bytes = raw ? ROWS * kept_row : bytes;
};

DEVICE uint32_t at_chunk(uint32_t row, uint32_t chunk, uint32_t row_chunks)
{
	return (row * row_chunks + (chunk ^ (row & 7))) * 16;
}

/* A tile that is in one piece: chunks first … end - 1 of it, others are zero. */
template <class T>
DEVICE void copy_piece(uint8_t *to, const uint8_t *from, uint32_t first, uint32_t end)
{
	constexpr uint32_t n = T::rows * T::kept_row / 16;
	constexpr uint32_t step = T::threads / T::chunks; /* positions, where threads fit */
	uint32_t place = threadIdx.x - first, count = end - first;

	from += threadIdx.x * 16;
	if constexpr (T::raw) {
		to += threadIdx.x * 16;
#pragma unroll
		for (uint32_t i = 0; i < n; i += T::threads) {
			if (i + T::threads <= n || threadIdx.x < n - i)
				cp_async16(to + i * 16, from + i * 16, place + i < count ? 16 : 0);
		}
	} else if constexpr (T::threads % T::chunks == 0 && step % 8 == 0) {
		to += at_chunk(threadIdx.x / T::chunks, threadIdx.x % T::chunks, T::row_chunks);
#pragma unroll
		for (uint32_t i = 0; i < n; i += T::threads)
			cp_async16(to + i / T::chunks * T::row_chunks * 16, from + i * 16,
			    place + i < count ? 16 : 0);
	} else {
#pragma unroll 4
		for (uint32_t i = threadIdx.x; i < n; i += T::threads, from += T::threads * 16)
			cp_async16(to + at_chunk(i / T::chunks, i % T::chunks, T::row_chunks), from,
			    i - first < count ? 16 : 0);
	}
}

/* The same of a tile in any number of pieces, up to position `end`. */
template <class T>
DEVICE void copy_pieces(
    uint8_t *to, const uint8_t *base, uint32_t cell, uint32_t cells, attention_span s, uint32_t end)
{
#pragma unroll 1
	for (uint32_t i = threadIdx.x; i < end * T::kept_row / 16; i += T::threads) {
		uint32_t row = T::raw ? i / T::kept_row * 16 : i / T::chunks;
		uint32_t rest = T::raw ? i % T::kept_row : i % T::chunks;
		uint32_t at = T::raw ? i * 16 : at_chunk(row, rest, T::row_chunks);
		uint64_t from = cell_after(cell, row, cells);
		bool seen = row + (T::raw ? 16 : 1) > s.first && row < s.end;

		cp_async16(to + at, base + from * T::kept_row + rest * 16, seen ? 16 : 0);
	}
}

/* What is seen of a tile, the first of its positions lying in `cell`; what is not seen
 * is zero (Q8_0: in whole granules), a multiple of 16 positions up to `end` at least.
 * The caller commits. */
template <class T>
DEVICE void copy_tile(
    uint8_t *to, const uint8_t *base, uint32_t cell, uint32_t cells, attention_span s, uint32_t end)
{
	if (cell + T::rows > cells) {
		copy_pieces<T>(to, base, cell, cells, s, end);
		return;
	}
	base += (uint64_t)cell * T::kept_row;
	if (T::raw) /* whole granules */
		copy_piece<T>(
		    to, base, s.first / 16 * T::kept_row, (s.end + 15) / 16 * T::kept_row);
	else
		copy_piece<T>(to, base, s.first * T::chunks, s.end * T::chunks);
}

/* Four bytes of a position; positions may lie an odd number of halves apart. */
template <class T> DEVICE uint32_t kept_word(const uint8_t *at)
{
	const uint16_t *halves = (const uint16_t *)at;

	if constexpr (T::kept_row % 4 == 0)
		return *(const uint32_t *)at;
	return halves[0] | (uint32_t)halves[1] << 16;
}

/* A Q8_0 copy to halves; what is not seen is zero, up to `end`. */
template <class T>
DEVICE void widen_tile(uint8_t *to, const uint8_t *copy, attention_span s, uint32_t end)
{
	const uint32_t parts = T::d / 16;

	for (uint32_t i = threadIdx.x; i < end * parts; i += T::threads) {
		uint32_t row = i / parts, part = i % parts;
		const uint8_t *from = copy + row * T::kept_row;
		uint32_t scale = *(const uint16_t *)(from + T::d + part / 2 * 2) * 0x10001u;
		const uint8_t *words = from + 16 * part;
		uint2 a = q8_to_halves(kept_word<T>(words), scale);
		uint2 b = q8_to_halves(kept_word<T>(words + 4), scale);
		uint2 c = q8_to_halves(kept_word<T>(words + 8), scale);
		uint2 e = q8_to_halves(kept_word<T>(words + 12), scale);
		bool seen = row >= s.first && row < s.end;
		uint4 zero = make_uint4(0, 0, 0, 0);

		*(uint4 *)(to + at_chunk(row, 2 * part, T::row_chunks)) =
		    seen ? make_uint4(a.x, a.y, b.x, b.y) : zero;
		*(uint4 *)(to + at_chunk(row, 2 * part + 1, T::row_chunks)) =
		    seen ? make_uint4(c.x, c.y, e.x, e.y) : zero;
	}
}

#endif
