/*
 * What the AVX-512 kernels of quantised weights share: sixteen rows side by
 * side, so that a lane is a row.
 */
#ifndef KERNELS_X86_AVX512_STRIP_H
#define KERNELS_X86_AVX512_STRIP_H

#include "kernels/kernels.h"
#include "kernels/x86_avx512.h"

#define HALF (KERNEL_STRIP / 2)
#define CACHE_LINE 64

INLINE void point_at_rows(const struct weight_rows *weights, const uint8_t *rows[KERNEL_STRIP])
{
	for (size_t r = 0; r < KERNEL_STRIP; r++)
		rows[r] = weight_row(weights, r);
}

#endif
