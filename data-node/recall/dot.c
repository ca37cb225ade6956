/* Dot: which instructions, and the plain form. */
#include "recall/dot.h"

void dot_rows_plain(const int8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
	for (size_t i = 0; i < n; i++) {
		const int8_t *row = rows + i * stride;
		int32_t sum = 0;
		for (size_t j = 0; j < stride; j++)
			sum += row[j] * with[j];
		out[i] = sum;
	}
}

void dot_rows(const int8_t *rows, size_t n, size_t stride, const int8_t *with, int32_t *out)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		dot_rows_avx2(rows, n, stride, with, out);
	else
		dot_rows_plain(rows, n, stride, with, out);
#elif defined(__aarch64__)
	dot_rows_neon(rows, n, stride, with, out);
#else
	dot_rows_plain(rows, n, stride, with, out);
#endif
}
