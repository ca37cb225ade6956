/* Scalar: what a machine can do at most, for benches. */
#include <string.h>

#include "kernels/scalar.h"

uint64_t scalar_peak(size_t n)
{
	int32_t sums[16] = { 0 };

	for (size_t i = 0; i < n * KERNEL_PEAK_MACS / 16; i++) {
		for (size_t j = 0; j < 16; j++)
			sums[j] += (int8_t)(i + j) * (int8_t)j;
	}
	for (size_t j = 1; j < 16; j++)
		sums[0] ^= sums[j];
	return (uint64_t)sums[0];
}

uint64_t scalar_read(const uint8_t *bytes, size_t n)
{
	uint64_t sums[8] = { 0 }, words[8];

	for (size_t i = 0; i < n; i += sizeof(words)) {
		memcpy(words, bytes + i, sizeof(words));
		for (size_t j = 0; j < 8; j++)
			sums[j] ^= words[j];
	}
	return sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
}
