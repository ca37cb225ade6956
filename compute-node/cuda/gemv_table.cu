/* Gemv kernels of the formats whose numbers stand in a table. */
#include "cuda/gemv_mma.cuh"

const struct gemv_kernels *gemv_kernels_table(uint32_t type)
{
	switch (type) {
		FORMATS_TABLE(GEMV_CASE)
	default:
		return NULL;
	}
}
