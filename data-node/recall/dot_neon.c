/* Dot with NEON: products of 8 in 16 bits, pairs of them added in 32. */
#include "recall/dot.h"

#if defined(__aarch64__)
#include <arm_neon.h>

void dot_rows_neon(const int8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	for (size_t i = 0; i < n; i++) {
		const int8_t *row = rows + i * stride;
		int32x4_t sum = vdupq_n_s32(0);
		for (size_t j = 0; j < stride; j += 16) {
			int8x16_t a = vld1q_s8(row + j), b = vld1q_s8(with + j);
			int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
			/* two products at most: 2 · 127² fits 16 bits */
			low = vmlal_high_s8(low, a, b);
			sum = vpadalq_s16(sum, low);
		}
		out[i] = vaddvq_s32(sum);
	}
}
#endif
