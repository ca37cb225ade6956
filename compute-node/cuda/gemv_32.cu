/* Gemv kernels of the formats with blocks of 32 weights. */
#include "cuda/gemv_mma.cuh"

const struct gemv_kernels *gemv_kernels_32(uint32_t type)
{
	switch (type) {
		FORMATS_32(GEMV_CASE)
	default:
		return NULL;
	}
}
