/*
 * 16-bit floats: IEEE half and bfloat16, to and from F32, as the hardware
 * conversions do it (round to nearest even, subnormals kept).
 */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_bits_to_f32(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint32_t half_f32_to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float half_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
	uint32_t rest = h & 0x7fffu;

	if (rest >= 0x7c00u) /* infinity, NaN (made quiet) */
		return half_bits_to_f32(
		    sign | 0x7f800000u | (rest & 0x3ffu) << 13 | (rest > 0x7c00u ? 0x400000u : 0));
	if (rest >= 0x400u)
		return half_bits_to_f32(sign | ((rest << 13) + (112u << 23)));
	/* subnormal: exact as a small integer times 2^-24 */
	return half_bits_to_f32(sign | half_f32_to_bits((float)rest * 0x1p-24f));
}

static inline uint16_t half_to_f16(float value)
{
	uint32_t bits = half_f32_to_bits(value);
	uint32_t sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;

	if (rest > 0x7f800000u) /* NaN */
		return (uint16_t)(sign | 0x7e00u | ((rest >> 13) & 0x3ffu));
	if (rest >= 0x477ff000u) /* rounds to 65536 or more */
		return (uint16_t)(sign | 0x7c00u);
	if (rest < 0x38800000u) { /* subnormal: let the adder round at 2^-24 */
		uint32_t sum = half_f32_to_bits(half_bits_to_f32(rest) + 0.5f);

		return (uint16_t)(sign | (sum - half_f32_to_bits(0.5f)));
	}
	rest += 0xfffu + ((rest >> 13) & 1u);
	return (uint16_t)(sign | ((rest >> 13) - (112u << 10)));
}

static inline float half_from_bf16(uint16_t h)
{
	return half_bits_to_f32((uint32_t)h << 16);
}

static inline uint16_t half_load(const uint8_t *bytes)
{
	uint16_t h;

	memcpy(&h, bytes, sizeof(h));
	return h;
}

#endif
