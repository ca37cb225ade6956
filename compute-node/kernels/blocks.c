/* Unpacking of each block format; layouts as in GGUF's published types. */
#include "kernels/blocks.h"

#include "kernels/half.h"

const int8_t block_iq4_codebook[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53,
	69, 89, 113 };
/* OCP Microscaling Formats, 2023. */
const int8_t block_e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

static float f16_at(const uint8_t *bytes)
{
	return half_from_f16(half_load(bytes));
}

/* Sixteen bytes: low nibbles, then high ones. */
static void nibbles(const uint8_t *bytes, int add, int8_t *quants)
{
	for (int i = 0; i < 16; i++) {
		quants[i] = (int8_t)((bytes[i] & 15) + add);
		quants[i + 16] = (int8_t)((bytes[i] >> 4) + add);
	}
}

static void nibbles_of_table(const uint8_t *bytes, const int8_t *table, int8_t *quants)
{
	for (int i = 0; i < 16; i++) {
		quants[i] = table[bytes[i] & 15];
		quants[i + 16] = table[bytes[i] >> 4];
	}
}

/* The fifth bits of all 32 stand in four bytes. */
static void add_fifth_bits(const uint8_t *bytes, int8_t *quants)
{
	for (int i = 0; i < 32; i++)
		quants[i] = (int8_t)(quants[i] + (bytes[i / 8] >> i % 8 & 1) * 16);
}

static void block_q4_0(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	nibbles(block + 2, -8, quants);
}

static void block_q4_1(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	floats[1] = f16_at(block + 2);
	nibbles(block + 4, 0, quants);
}

static void block_q5_0(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	nibbles(block + 6, -16, quants);
	add_fifth_bits(block + 2, quants);
}

static void block_q5_1(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	floats[1] = f16_at(block + 2);
	nibbles(block + 8, 0, quants);
	add_fifth_bits(block + 4, quants);
}

static void block_q8_0(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	memcpy(quants, block + 2, 32);
}

/* Sixteen groups of 16, their scale (low) and offset (high) in a byte each.
 * A scale of 4 bits times a weight of 2 is a small integer still. */
static void block_q2_k(const uint8_t *block, int8_t *quants, float *floats)
{
	float d = f16_at(block + 80), d_min = f16_at(block + 82);

	for (int g = 0; g < 8; g++, floats += 3) {
		const uint8_t *bytes = block + 16 + g / 4 * 32, *scales = block + 2 * g;

		floats[0] = d;
		floats[1] = -d_min * (float)(scales[0] >> 4);
		floats[2] = -d_min * (float)(scales[1] >> 4);
		for (int i = 0; i < 32; i++)
			quants[32 * g + i] =
			    (int8_t)((bytes[i] >> 2 * (g % 4) & 3) * (scales[i / 16] & 15));
	}
}

/* Sixteen scales of 6 bits: low four in eight bytes, high two in four. */
static int scale_q3_k(const uint8_t *b, int k)
{
	return ((k < 8 ? b[k] & 15 : b[k - 8] >> 4) | (b[8 + k % 4] >> 2 * (k / 4) & 3) << 4) - 32;
}

static void block_q3_k(const uint8_t *block, int8_t *quants, float *floats)
{
	float d = f16_at(block + 108);

	for (int g = 0; g < 8; g++) {
		const uint8_t *bytes = block + 32 + g / 4 * 32;

		floats[2 * g] = d * (float)scale_q3_k(block + 96, 2 * g);
		floats[2 * g + 1] = d * (float)scale_q3_k(block + 96, 2 * g + 1);
		for (int i = 0; i < 32; i++)
			quants[32 * g + i] =
			    (int8_t)((bytes[i] >> 2 * (g % 4) & 3) + (block[i] >> g & 1) * 4 - 4);
	}
}

/* d, d_min, then eight scales and eight offsets of 6 bits in twelve bytes. */
static void floats_q4_k(const uint8_t *block, float *floats)
{
	const uint8_t *b = block + 4;
	float d = f16_at(block), d_min = f16_at(block + 2);

	for (int j = 0; j < 8; j++) {
		int scale = j < 4 ? b[j] & 63 : (b[j + 4] & 15) | b[j - 4] >> 6 << 4;
		int offset = j < 4 ? b[j + 4] & 63 : b[j + 4] >> 4 | b[j] >> 6 << 4;

		floats[2 * j] = d * (float)scale;
		floats[2 * j + 1] = -d_min * (float)offset;
	}
}

/* Each 32 bytes hold 64 weights: low nibbles, then high ones. */
static void quants_q4_k(const uint8_t *bytes, int8_t *quants)
{
	for (int g = 0; g < 8; g++) {
		for (int i = 0; i < 32; i++)
			quants[32 * g + i] = (int8_t)(bytes[g / 2 * 32 + i] >> 4 * (g % 2) & 15);
	}
}

static void block_q4_k(const uint8_t *block, int8_t *quants, float *floats)
{
	floats_q4_k(block, floats);
	quants_q4_k(block + 16, quants);
}

static void block_q5_k(const uint8_t *block, int8_t *quants, float *floats)
{
	floats_q4_k(block, floats);
	quants_q4_k(block + 48, quants);
	for (int i = 0; i < 256; i++)
		quants[i] = (int8_t)(quants[i] + (block[16 + i % 32] >> i / 32 & 1) * 16);
}

static void block_q6_k(const uint8_t *block, int8_t *quants, float *floats)
{
	float d = f16_at(block + 208);

	for (int g = 0; g < 8; g++) {
		const uint8_t *low = block + g / 4 * 64 + g % 2 * 32,
			      *high = block + 128 + g / 4 * 32;
		const int8_t *scales = (const int8_t *)block + 192 + 2 * g;

		floats[2 * g] = d * (float)scales[0];
		floats[2 * g + 1] = d * (float)scales[1];
		for (int i = 0; i < 32; i++)
			quants[32 * g + i] = (int8_t)((low[i] >> g % 4 / 2 * 4 & 15) +
						      (high[i] >> 2 * (g % 4) & 3) * 16 - 32);
	}
}

static void block_iq4_nl(const uint8_t *block, int8_t *quants, float *floats)
{
	floats[0] = f16_at(block);
	nibbles_of_table(block + 2, block_iq4_codebook, quants);
}

/* Eight groups of 32; six bits of scale each, the high two apart. */
static void block_iq4_xs(const uint8_t *block, int8_t *quants, float *floats)
{
	float d = f16_at(block);
	uint32_t high = half_load(block + 2);

	for (int g = 0; g < 8; g++) {
		int scale = (block[4 + g / 2] >> 4 * (g % 2) & 15) | (int)(high >> 2 * g & 3) << 4;

		floats[g] = d * (float)(scale - 32);
		nibbles_of_table(block + 8 + 16 * g, block_iq4_codebook, quants + 32 * g);
	}
}

/* The scale is 2^(e - 127), halved because the numbers are doubled. */
static void block_mxfp4(const uint8_t *block, int8_t *quants, float *floats)
{
	uint32_t e = block[0];

	floats[0] = half_bits_to_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
	nibbles_of_table(block + 1, block_e2m1, quants);
}

float block_ue4m3_half(uint8_t byte)
{
	uint32_t e = byte >> 3 & 15, mantissa = byte & 7;

	if ((byte & 0x7f) == 0x7f)
		return 0.0f;
	if (e == 0)
		return (float)mantissa * 0x1p-10f;
	return half_bits_to_f32((e + 127 - 7 - 1) << 23 | mantissa << 20);
}

/* Four groups of 16, each with a scale and eight bytes of low and high nibbles. */
static void block_nvfp4(const uint8_t *block, int8_t *quants, float *floats)
{
	for (int g = 0; g < 4; g++) {
		floats[g] = block_ue4m3_half(block[g]);
		for (int i = 0; i < 8; i++) {
			quants[16 * g + i] = block_e2m1[block[4 + 8 * g + i] & 15];
			quants[16 * g + i + 8] = block_e2m1[block[4 + 8 * g + i] >> 4];
		}
	}
}

block_fn *block_of(enum tensor_type type)
{
	static block_fn *const table[TYPE_NUMBER_MAX + 1] = {
#define X(type, name, kind) [TYPE_##type] = block_##name,
		BLOCK_FORMATS(X)
#undef X
	};

	return table[type];
}
