/* Gemv kernels of the float types. */
#include "cuda/gemv_mma.cuh"

#define RAGGED_CASE(name, format)                                                                  \
	case TYPE_##name: {                                                                        \
		static const struct gemv_kernels kernels = {                                       \
			{ gemv_kernel<format_ragged<format>, 1>, NULL, NULL, NULL, NULL },         \
			{ gemv_gated_kernel<format_ragged<format>, 1>, NULL, NULL, NULL, NULL },   \
			gemv_down_kernel<format_ragged<format>>, GEMV_STREAM, GEMV_STREAM          \
		};                                                                                 \
		return &kernels;                                                                   \
	}

static const struct gemv_kernels *ragged(uint32_t type)
{
	switch (type) {
		FORMATS_FLOAT(RAGGED_CASE)
	default:
		return NULL;
	}
}

const struct gemv_kernels *gemv_kernels_float(uint32_t type, bool is_ragged)
{
	if (is_ragged)
		return ragged(type);
	switch (type) {
		FORMATS_FLOAT(GEMV_CASE)
	default:
		return NULL;
	}
}
