/*
 * Formats: how the weights of each type lie on the device, and how a group of 32 of
 * them becomes eight words of int8 with its scale (kernels/blocks.h gives the meaning).
 *
 * The parts of a file's blocks stand in planes, each row of a plane behind the one
 * before, so that the lanes of a warp, a group each, read whole aligned words.  Bits
 * of a group's weights are ordered for unpacking, four weights of neighbours to a word:
 *
 *   nibbles   16 bytes, byte i: weight i low, weight i + 16 high
 *   pairs     16 bytes, byte i: weight 2i low, weight 2i + 1 high (table formats)
 *   H         4 bytes, bit 8b + j: the fifth (Q3_K: third) bit of weight 4j + b
 *   two bits  8 bytes, word h, bit 8b + 2j: two bits of weight 16h + 4j + b
 *
 *   type            planes: bytes a group (/8: a block of 256 weights)
 *   Q4_0            nibbles, d 2
 *   Q4_1            nibbles, {d, m} 4
 *   Q5_0, Q5_1      nibbles, H 4, d 2 or {d, m} 4
 *   Q8_0            32 groups: first 16 weights of each, then the others of each; d 2
 *   Q2_K            two bits 8, scales 2 (low nibble scale, high offset), {d, dmin} 4/8
 *   Q3_K            two bits 8, H 4, scales 12/8, d 2/8
 *   Q4_K            nibbles, {scale, offset} 2, {d, dmin} 4/8
 *   Q5_K            nibbles, H 4, {scale, offset} 2, {d, dmin} 4/8
 *   Q6_K            nibbles, two bits 8, int8 scales 2, d 2/8
 *   IQ4_NL, MXFP4   pairs, d 2 or exponent 1
 *   IQ4_XS          pairs, {d, scales} 8/8 as in the file
 *   NVFP4           pairs, two scales 2
 *   F16, BF16, F32  the file's rows
 *
 * Q4_K and Q5_K take four bytes a block more than in the file, so that a group's scale
 * and offset are bytes; the units that tell six bits apart are those that reading waits
 * for otherwise (3.2 of 4.3 TB/s on an H200).
 *
 * Scales of 6 bits elsewhere: byte j of eight holds the low nibbles of both numbers of group j,
 * and nibble j of four bytes behind them their upper two bits each.  The top bit of a
 * signed number is stored flipped where that makes it two's complement in the upper
 * bits of a byte; its scale then has the power of two that undoes the shift.
 */
#ifndef CUDA_FORMATS_CUH
#define CUDA_FORMATS_CUH

#include "cuda/device.cuh"
#include "model/type.h"

#define FORMAT_GROUP 32u
#define FORMAT_PLANES_MAX 4
#define FORMAT_BLOCK 8u /* groups of a block of 256 */

/* X(TYPE, struct) */
#define FORMATS_32(X)                                                                              \
	X(Q4_0, format_q4_0)                                                                       \
	X(Q4_1, format_q4_1)                                                                       \
	X(Q5_0, format_q5_0)                                                                       \
	X(Q5_1, format_q5_1)                                                                       \
	X(Q8_0, format_q8_0)
#define FORMATS_K(X)                                                                               \
	X(Q2_K, format_q2_k)                                                                       \
	X(Q3_K, format_q3_k)                                                                       \
	X(Q4_K, format_q4_k)                                                                       \
	X(Q5_K, format_q5_k)                                                                       \
	X(Q6_K, format_q6_k)
#define FORMATS_TABLE(X)                                                                           \
	X(IQ4_NL, format_iq4_nl)                                                                   \
	X(IQ4_XS, format_iq4_xs)                                                                   \
	X(MXFP4, format_mxfp4)                                                                     \
	X(NVFP4, format_nvfp4)
#define FORMATS_FLOAT(X)                                                                           \
	X(F16, format_f16)                                                                         \
	X(BF16, format_bf16)                                                                       \
	X(F32, format_f32)
#define FORMATS_QUANT(X) FORMATS_32(X) FORMATS_K(X) FORMATS_TABLE(X)

/* As enum kernel_kind, kernels/kernels.h. */
enum format_kind { FORMAT_PLAIN, FORMAT_HALVES, FORMAT_MIN, FORMAT_MIN_HALVES };

/*
 * weight i of the group = byte i of w * scale (+ offset): scale of the first 16 and the
 * others where the kind has halves; FORMAT_MIN_HALVES has one scale, `factors` that the
 * integers are multiplied with, and two offsets that are integers times `scale[1]`.
 */
struct format_words {
	int w[8];
	float scale[2];
	float offset;
	int factors[2], offsets[2];
};

/* Of a type in the file: weights and bytes of a block. */
struct format_block {
	uint32_t weights, bytes;
};

static constexpr format_block format_block_of(uint32_t type)
{
	switch (type) {
#define X(name, number, weights, bytes)                                                            \
	case number:                                                                               \
		return { weights, bytes };
		TYPE_LIST(X)
#undef X
	default:
		return { 0, 0 };
	}
}

/* Where a row's planes begin. */
struct format_row {
	const uint8_t *p[FORMAT_PLANES_MAX];
};

DEVICE uint32_t format_u8(const uint8_t *at)
{
	return __ldg(at);
}

DEVICE uint32_t format_u16(const uint8_t *at)
{
	return __ldg((const uint16_t *)at);
}

DEVICE uint32_t format_u32(const uint8_t *at)
{
	return __ldg((const uint32_t *)at);
}

DEVICE uint32_t format_word(const uint4 &q, int i)
{
	return i == 0 ? q.x : i == 1 ? q.y : i == 2 ? q.z : q.w;
}

/* Weights - 8, times 16. */
DEVICE void format_signed_nibbles(const uint4 &q, format_words &out)
{
	for (int i = 0; i < 4; i++) {
		uint32_t word = format_word(q, i);

		out.w[i] = (int)((word << 4 & 0xf0f0f0f0u) ^ 0x80808080u);
		out.w[i + 4] = (int)((word & 0xf0f0f0f0u) ^ 0x80808080u);
	}
}

DEVICE void format_nibbles(const uint4 &q, format_words &out)
{
	for (int i = 0; i < 4; i++) {
		uint32_t word = format_word(q, i);

		out.w[i] = (int)(word & 0x0f0f0f0fu);
		out.w[i + 4] = (int)(word >> 4 & 0x0f0f0f0fu);
	}
}

/* Shift left, or right if negative. */
DEVICE uint32_t format_shift(uint32_t x, int by)
{
	return by >= 0 ? x << by : x >> -by;
}

/* With fifth bits: weights 0 … 31. */
DEVICE void format_fives(const uint4 &q, uint32_t h, format_words &out)
{
	format_nibbles(q, out);
	for (int j = 0; j < 8; j++)
		out.w[j] |= (int)(format_shift(h, 4 - j) & 0x10101010u);
}

/* The same - 16, times 8; fifth bits are flipped in the plane. */
DEVICE void format_signed_fives(const uint4 &q, uint32_t h, format_words &out)
{
	for (int i = 0; i < 4; i++) {
		uint32_t word = format_word(q, i);

		out.w[i] = (int)((word << 3 & 0x78787878u) | (h << (7 - i) & 0x80808080u));
		out.w[i + 4] = (int)((word >> 1 & 0x78787878u) | (h << (3 - i) & 0x80808080u));
	}
}

/* Numbers of a table of sixteen by the pairs of a word: eight weights. */
DEVICE void format_look_up(uint32_t q, const uint32_t table[4], int out[2])
{
	uint32_t low = q & 0x77777777u, half = (q >> 1 & 0x44444444u) | 0x32103210u;

	for (int i = 0; i < 2; i++, low >>= 16, half >>= 16)
		out[i] = (int)__byte_perm(__byte_perm(table[0], table[1], low),
		    __byte_perm(table[2], table[3], low), half);
}

DEVICE void format_iq4_words(const uint4 &q, format_words &out)
{
	const uint32_t table[4] = { 0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u };

	for (int i = 0; i < 4; i++)
		format_look_up(format_word(q, i), table, out.w + 2 * i);
}

/* E2M1, doubled. */
DEVICE void format_e2m1_words(const uint4 &q, format_words &out)
{
	const uint32_t table[4] = { 0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu };

	for (int i = 0; i < 4; i++)
		format_look_up(format_word(q, i), table, out.w + 2 * i);
}

/* Half the value of a UE4M3 byte; NaN is 0.  As a float's bits it is 2^-119 of that. */
DEVICE float format_ue4m3_half(uint32_t byte)
{
	byte &= 0x7f;
	return byte == 0x7f ? 0.0f : __uint_as_float(byte << 20) * 0x1p+119f;
}

/*
 * A format is a struct of: QUANT; WHOLE (rows are whole 16 bytes); TYPE, KIND, PLANES;
 * `raw`, what a lane reads of a group; stride() of a plane's rows; load() of group g of
 * `groups`; unpack(), of which only g % 8 counts.  Float types have WEIGHTS and BYTES.
 */
#include "cuda/formats_32.cuh"
#include "cuda/formats_float.cuh"
#include "cuda/formats_k.cuh"

/* Weight `i` of a group, as a float. */
template <class F> DEVICE float format_value(const format_words &in, int i)
{
	int q = (int)(int8_t)(in.w[i / 4] >> 8 * (i % 4)), half = i / 16;

	if (F::KIND == FORMAT_HALVES)
		return (float)q * in.scale[half];
	if (F::KIND == FORMAT_MIN)
		return fmaf((float)q, in.scale[0], in.offset);
	if (F::KIND == FORMAT_MIN_HALVES)
		return fmaf((float)(q * in.factors[half]), in.scale[0],
		    in.scale[1] * (float)in.offsets[half]);
	return (float)q * in.scale[0];
}

#endif
