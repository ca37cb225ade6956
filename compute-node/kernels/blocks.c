/* Unpacking of each block format; layouts as in GGUF's published types. */
#include "kernels/blocks.h"

#include "kernels/half.h"

/* Non-linear 4-bit codebook of the IQ4 formats. */
static const int8_t codebook[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53,
	69, 89, 113 };
/* E2M1 numbers, doubled to be whole (OCP Microscaling, 2023). */
static const int8_t e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

static void block_q4_0(const uint8_t *block, int8_t *quants, float *scales)
{
	scales[0] = half_from_f16(half_load(block));
	for (int i = 0; i < 16; i++) {
		quants[i] = (int8_t)((block[2 + i] & 15) - 8);
		quants[i + 16] = (int8_t)((block[2 + i] >> 4) - 8);
	}
}

/* The fifth bits of all 32 stand in four bytes before the nibbles. */
static void block_q5_0(const uint8_t *block, int8_t *quants, float *scales)
{
	uint32_t high;

	memcpy(&high, block + 2, sizeof(high));
	scales[0] = half_from_f16(half_load(block));
	for (int i = 0; i < 16; i++) {
		quants[i] = (int8_t)((block[6 + i] & 15) + (int)(high >> i & 1) * 16 - 16);
		quants[i + 16] =
		    (int8_t)((block[6 + i] >> 4) + (int)(high >> (i + 16) & 1) * 16 - 16);
	}
}

static void block_q8_0(const uint8_t *block, int8_t *quants, float *scales)
{
	scales[0] = half_from_f16(half_load(block));
	memcpy(quants, block + 2, 32);
}

static void block_iq4_nl(const uint8_t *block, int8_t *quants, float *scales)
{
	scales[0] = half_from_f16(half_load(block));
	for (int i = 0; i < 16; i++) {
		quants[i] = codebook[block[2 + i] & 15];
		quants[i + 16] = codebook[block[2 + i] >> 4];
	}
}

/* Eight groups of 32; six bits of scale each, the high two apart. */
static void block_iq4_xs(const uint8_t *block, int8_t *quants, float *scales)
{
	float d = half_from_f16(half_load(block));
	uint32_t high = half_load(block + 2);

	for (int g = 0; g < 8; g++) {
		const uint8_t *nibbles = block + 8 + 16 * g;
		int scale = (block[4 + g / 2] >> 4 * (g % 2) & 15) | (int)(high >> 2 * g & 3) << 4;

		scales[g] = d * (float)(scale - 32);
		for (int i = 0; i < 16; i++) {
			quants[32 * g + i] = codebook[nibbles[i] & 15];
			quants[32 * g + i + 16] = codebook[nibbles[i] >> 4];
		}
	}
}

/* The scale is 2^(e - 127), halved because the numbers are doubled. */
static void block_mxfp4(const uint8_t *block, int8_t *quants, float *scales)
{
	uint32_t e = block[0];

	scales[0] = half_bits_to_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
	for (int i = 0; i < 16; i++) {
		quants[i] = e2m1[block[1 + i] & 15];
		quants[i + 16] = e2m1[block[1 + i] >> 4];
	}
}

block_fn *block_of(enum tensor_type type)
{
	static block_fn *const table[TYPE_NUMBER_MAX + 1] = {
		[TYPE_Q4_0] = block_q4_0,
		[TYPE_Q5_0] = block_q5_0,
		[TYPE_Q8_0] = block_q8_0,
		[TYPE_IQ4_NL] = block_iq4_nl,
		[TYPE_IQ4_XS] = block_iq4_xs,
		[TYPE_MXFP4] = block_mxfp4,
	};

	return table[type];
}
