/* Dot with NEON: products of 8 in 16 bits, which one group fits: 8 · 15 · 127 < 2^15. */
#include "recall/dot.h"

#if defined(__aarch64__)
#include <arm_neon.h>

void dot_halves_neon(const uint8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	const uint8x16_t mask = vdupq_n_u8(15);

	for (size_t i = 0; i < n; i++) {
		const uint8_t *row = rows + i * stride;
		int32x4_t sum = vdupq_n_s32(0);
		for (size_t at = 0; at < stride; at += DOT_LANES / 2) {
			int16x8_t pairs = vdupq_n_s16(0);
			for (size_t j = 0; j < DOT_LANES / 2; j += 16) {
				uint8x16_t bytes = vld1q_u8(row + at + j);
				int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, mask));
				int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
				int8x16_t a = vld1q_s8(with + 2 * at + j);
				int8x16_t b = vld1q_s8(with + 2 * at + DOT_LANES / 2 + j);
				pairs = vmlal_s8(pairs, vget_low_s8(low), vget_low_s8(a));
				pairs = vmlal_high_s8(pairs, low, a);
				pairs = vmlal_s8(pairs, vget_low_s8(high), vget_low_s8(b));
				pairs = vmlal_high_s8(pairs, high, b);
			}
			sum = vpadalq_s16(sum, pairs);
		}
		out[i] = vaddvq_s32(sum);
	}
}
#endif
