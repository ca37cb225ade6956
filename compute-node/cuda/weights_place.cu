/*
 * Weights, placing: a file's blocks to planes (cuda/formats.cuh), a thread a group of 32
 * weights.  Blocks stand at any byte.
 */
#include "cuda/formats.cuh"
#include "cuda/launch.h"

#define THREADS 256u

/* One group: its block in the file, its place in there, and rows of planes. */
struct placing {
	const uint8_t *block;
	uint32_t j;         /* group of the block */
	uint32_t g, groups; /* of the row */
	uint8_t *p[BACKEND_PLANES];
};

DEVICE void copy_bytes(uint8_t *to, const uint8_t *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = from[i];
}

/* Weight i of the group in a list of nibbles: of 32 weights, low ones first … */
DEVICE uint32_t nibble_32(const uint8_t *at, int i)
{
	return i < 16 ? at[i] & 15u : at[i - 16] >> 4;
}

/* … or of two groups of 32 in turn, low and high (Q4_K, Q5_K). */
DEVICE uint32_t nibble_64(const uint8_t *at, uint32_t j, int i)
{
	return at[j / 2 * 32 + i] >> j % 2 * 4 & 15u;
}

DEVICE void put_nibbles_64(uint8_t *to, const uint8_t *at, uint32_t j)
{
	for (int i = 0; i < 16; i++)
		to[i] = (uint8_t)(nibble_64(at, j, i) | nibble_64(at, j, i + 16) << 4);
}

DEVICE void put_pairs(uint8_t *to, const uint8_t *at)
{
	for (int i = 0; i < 16; i++)
		to[i] = (uint8_t)(nibble_32(at, 2 * i) | nibble_32(at, 2 * i + 1) << 4);
}

DEVICE void put_word(uint8_t *to, uint32_t word)
{
	*(uint32_t *)to = word;
}

/* Bit of weight 4j + b to 8b + j; `bit(i)` gives that of weight i. */
template <class Bit> DEVICE uint32_t fifths(Bit bit)
{
	uint32_t word = 0;

	for (int i = 0; i < 32; i++)
		word |= bit(i) << (i % 4 * 8 + i / 4);
	return word;
}

/* Two bits of weight 16h + 4j + b to word h, 8b + 2j. */
template <class Bits> DEVICE void put_two_bits(uint8_t *to, Bits bits)
{
	uint32_t words[2] = { 0, 0 };

	for (int i = 0; i < 32; i++)
		words[i / 16] |= bits(i) << (i % 4 * 8 + i % 16 / 4 * 2);
	put_word(to, words[0]);
	put_word(to + 4, words[1]);
}

/* Eight pairs of numbers of 6 bits: low nibbles, then upper two bits. */
template <class Number> DEVICE void put_sixes(uint8_t *to, Number number)
{
	for (int j = 0; j < 8; j++)
		to[j] = (uint8_t)((number(j, 0) & 15) | (number(j, 1) & 15) << 4);
	for (int j = 0; j < 4; j++)
		to[8 + j] = (uint8_t)(number(2 * j, 0) >> 4 | number(2 * j, 1) >> 4 << 2 |
				      number(2 * j + 1, 0) >> 4 << 4 |
				      number(2 * j + 1, 1) >> 4 << 6);
}

DEVICE void place(format_q4_0 *, const placing &p)
{
	copy_bytes(p.p[0] + 16 * p.g, p.block + 2, 16);
	copy_bytes(p.p[1] + 2 * p.g, p.block, 2);
}

DEVICE void place(format_q4_1 *, const placing &p)
{
	copy_bytes(p.p[0] + 16 * p.g, p.block + 4, 16);
	copy_bytes(p.p[1] + 4 * p.g, p.block, 4);
}

DEVICE void place(format_q5_0 *, const placing &p)
{
	const uint8_t *h = p.block + 2;

	copy_bytes(p.p[0] + 16 * p.g, p.block + 6, 16);
	put_word(p.p[1] + 4 * p.g,
	    fifths([=](int i) { return (h[i / 8] >> i % 8 & 1u) ^ 1u; }));
	copy_bytes(p.p[2] + 2 * p.g, p.block, 2);
}

DEVICE void place(format_q5_1 *, const placing &p)
{
	const uint8_t *h = p.block + 4;

	copy_bytes(p.p[0] + 16 * p.g, p.block + 8, 16);
	put_word(p.p[1] + 4 * p.g, fifths([=](int i) { return h[i / 8] >> i % 8 & 1u; }));
	copy_bytes(p.p[2] + 4 * p.g, p.block, 4);
}

DEVICE void place(format_q8_0 *, const placing &p)
{
	uint8_t *to = p.p[0] + format_q8_0::place(p.g);

	copy_bytes(to, p.block + 2, 16);
	copy_bytes(to + format_q8_0::apart(p.g, p.groups), p.block + 18, 16);
	copy_bytes(p.p[1] + 2 * p.g, p.block, 2);
}

DEVICE void place(format_q2_k *, const placing &p)
{
	const uint8_t *q = p.block + 16 + p.j / 4 * 32;
	uint32_t shift = p.j % 4 * 2;

	put_two_bits(p.p[0] + 8 * p.g, [=](int i) { return q[i] >> shift & 3u; });
	copy_bytes(p.p[1] + 2 * p.g, p.block + 2 * p.j, 2);
	if (p.j == 0)
		copy_bytes(p.p[2] + p.g / FORMAT_BLOCK * 4, p.block + 80, 4);
}

/* Sixteen scales of 6 bits: low four in eight bytes, high two in four. */
DEVICE uint32_t q3_k_scale(const uint8_t *b, int k)
{
	return (k < 8 ? b[k] & 15u : (uint32_t)b[k - 8] >> 4) |
	       (b[8 + k % 4] >> k / 4 * 2 & 3u) << 4;
}

DEVICE void place(format_q3_k *, const placing &p)
{
	const uint8_t *q = p.block + 32 + p.j / 4 * 32, *h = p.block, *scales = p.block + 96;
	uint32_t shift = p.j % 4 * 2, j = p.j;

	put_two_bits(p.p[0] + 8 * p.g, [=](int i) { return q[i] >> shift & 3u; });
	put_word(p.p[1] + 4 * p.g, fifths([=](int i) { return (h[i] >> j & 1u) ^ 1u; }));
	if (p.j != 0)
		return;
	put_sixes(p.p[2] + p.g / FORMAT_BLOCK * 12,
	    [=](int i, int half) { return q3_k_scale(scales, 2 * i + half); });
	copy_bytes(p.p[3] + p.g / FORMAT_BLOCK * 2, p.block + 108, 2);
}

/* Eight scales (which 0) and eight offsets (1) of 6 bits in twelve bytes. */
DEVICE uint32_t q4_k_scale(const uint8_t *b, int j, int which)
{
	if (j < 4)
		return b[j + 4 * which] & 63u;
	return (which == 0 ? b[j + 4] & 15u : (uint32_t)b[j + 4] >> 4) |
	       (uint32_t)b[j - 4 + 4 * which] >> 6 << 4;
}

/* {scale, offset} of group j, and once a block what both are multiplied with. */
DEVICE void put_k_scales(uint8_t *scales, uint8_t *d, const placing &p)
{
	scales[2 * p.g] = (uint8_t)q4_k_scale(p.block + 4, (int)p.j, 0);
	scales[2 * p.g + 1] = (uint8_t)q4_k_scale(p.block + 4, (int)p.j, 1);
	if (p.j == 0)
		copy_bytes(d + p.g / FORMAT_BLOCK * 4, p.block, 4);
}

DEVICE void place(format_q4_k *, const placing &p)
{
	put_nibbles_64(p.p[0] + 16 * p.g, p.block + 16, p.j);
	put_k_scales(p.p[1], p.p[2], p);
}

DEVICE void place(format_q5_k *, const placing &p)
{
	const uint8_t *h = p.block + 16;
	uint32_t j = p.j;

	put_nibbles_64(p.p[0] + 16 * p.g, p.block + 48, p.j);
	put_word(p.p[1] + 4 * p.g, fifths([=](int i) { return h[i] >> j & 1u; }));
	put_k_scales(p.p[2], p.p[3], p);
}

DEVICE void place(format_q6_k *, const placing &p)
{
	const uint8_t *low = p.block + p.j / 4 * 64 + p.j % 2 * 32,
		      *high = p.block + 128 + p.j / 4 * 32;
	uint8_t *to = p.p[0] + 16 * p.g;
	uint32_t shift = p.j % 4 * 2, up = p.j % 4 / 2 * 4;

	for (int i = 0; i < 16; i++)
		to[i] = (uint8_t)((low[i] >> up & 15u) | (low[i + 16] >> up & 15u) << 4);
	put_two_bits(p.p[1] + 8 * p.g, [=](int i) { return (high[i] >> shift & 3u) ^ 2u; });
	copy_bytes(p.p[2] + 2 * p.g, p.block + 192 + 2 * p.j, 2);
	if (p.j == 0)
		copy_bytes(p.p[3] + p.g / FORMAT_BLOCK * 2, p.block + 208, 2);
}

DEVICE void place(format_iq4_nl *, const placing &p)
{
	put_pairs(p.p[0] + 16 * p.g, p.block + 2);
	copy_bytes(p.p[1] + 2 * p.g, p.block, 2);
}

DEVICE void place(format_iq4_xs *, const placing &p)
{
	put_pairs(p.p[0] + 16 * p.g, p.block + 8 + 16 * p.j);
	if (p.j == 0)
		copy_bytes(p.p[1] + p.g / FORMAT_BLOCK * 8, p.block, 8);
}

DEVICE void place(format_mxfp4 *, const placing &p)
{
	put_pairs(p.p[0] + 16 * p.g, p.block + 1);
	p.p[1][p.g] = p.block[0];
}

/* Two groups of 16, low and high nibbles of eight bytes each. */
DEVICE void place(format_nvfp4 *, const placing &p)
{
	const uint8_t *at = p.block + 4 + 16 * p.j;
	uint8_t *to = p.p[0] + 16 * p.g;

	for (int half = 0; half < 2; half++, at += 8, to += 8) {
		for (int i = 0; i < 8; i++)
			to[i] = (uint8_t)(i < 4 ? (at[2 * i] & 15u) | (at[2 * i + 1] & 15u) << 4
						: (uint32_t)at[2 * i - 8] >> 4 |
						      (uint32_t)at[2 * i - 7] >> 4 << 4);
	}
	copy_bytes(p.p[1] + 2 * p.g, p.block + 2 * p.j, 2);
}

template <class F>
__global__ void place_kernel(const uint8_t *raw, uint32_t block_groups, uint32_t block_bytes,
    uint64_t rows, uint64_t first, uint32_t groups, backend_matrix m)
{
	uint64_t at = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x, row = at / groups;
	placing p;

	pdl_wait();
	if (row >= rows)
		return;
	p.g = (uint32_t)(at % groups);
	p.groups = groups;
	p.j = p.g % block_groups;
	p.block = raw + at / block_groups * block_bytes;
	for (int i = 0; i < BACKEND_PLANES; i++)
		p.p[i] = (uint8_t *)m.planes[i] + (first + row) * m.strides[i];
	place((F *)NULL, p);
}

template <class F>
static cudaError_t place_rows(cudaStream_t stream, const uint8_t *raw, uint64_t rows,
    uint64_t first, const struct backend_matrix *m)
{
	constexpr format_block block = format_block_of(F::TYPE);
	uint64_t groups = m->k / FORMAT_GROUP, n = (groups * rows + THREADS - 1) / THREADS;

	return launch(place_kernel<F>, dim3((unsigned)n), dim3(THREADS), 0, stream, raw,
	    block.weights / FORMAT_GROUP, block.bytes, rows, first, (uint32_t)groups, *m);
}

cudaError_t cuda_place(cudaStream_t stream, const uint8_t *raw, uint64_t rows, uint64_t first,
    const struct backend_matrix *m)
{
	if (rows == 0)
		return cudaSuccess;
	switch (m->type) {
#define X(name, format)                                                                            \
	case TYPE_##name:                                                                          \
		return place_rows<format>(stream, raw, rows, first, m);
		FORMATS_QUANT(X)
#undef X
	default:
		return cudaMemcpyAsync((uint8_t *)m->planes[0] + first * m->strides[0], raw,
		    rows * m->strides[0], cudaMemcpyDeviceToDevice, stream);
	}
}
