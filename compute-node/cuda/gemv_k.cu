/* Gemv kernels of the formats with blocks of 256 weights. */
#include "cuda/gemv_mma.cuh"

const struct gemv_kernels *gemv_kernels_k(uint32_t type)
{
	switch (type) {
		FORMATS_K(GEMV_CASE)
	default:
		return NULL;
	}
}
