/* Dot: which instructions, and the plain form. */
#include "recall/dot.h"

void dot_halves_plain(
    const uint8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	for (size_t i = 0; i < n; i++) {
		int32_t sum = 0;
		for (size_t j = 0; j < 2 * stride; j++)
			sum += (int32_t)dot_half(rows + i * stride, j) * with[j];
		out[i] = sum;
	}
}

void dot_halves(const uint8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		dot_halves_avx2(rows, n, stride, with, out);
	else
		dot_halves_plain(rows, n, stride, with, out);
#elif defined(__aarch64__)
	dot_halves_neon(rows, n, stride, with, out);
#else
	dot_halves_plain(rows, n, stride, with, out);
#endif
}
