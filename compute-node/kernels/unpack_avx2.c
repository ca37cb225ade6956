/* AVX2: unpacking of all formats, and strips of them.  Spec: blocks.c. */
#if defined(__x86_64__)
#include "kernels/x86_vec_avx2.h"
/* the vectors come first */
#include "kernels/x86.h"
#include "kernels/x86_groups.h"
#include "kernels/x86_unpack_k.h"

#define X(name, bytes, kind)                                                                       \
	INLINE void unpack_##name(const uint8_t *const *rows, size_t at, size_t n_groups,          \
	    const uint8_t *next, uint8_t *quants, float *floats)                                   \
	{                                                                                          \
		each_block(group_##name, bytes, kernels_floats(kind), rows, at, n_groups, next,    \
		    quants, floats);                                                               \
	}
GROUP_FORMATS(X)
#undef X

#define X(type, name, kind)                                                                        \
	void avx2_unpack_##name(const uint8_t *const *rows, size_t at, size_t n_groups,            \
	    const uint8_t *next, uint8_t *quants, float *floats)                                   \
	{                                                                                          \
		unpack_##name(rows, at, n_groups, next, quants, floats);                           \
	}                                                                                          \
	void avx2_strip_##name(const uint8_t *weights, size_t row_bytes, size_t n_rows, size_t k,  \
	    uint8_t *quants, float *floats)                                                        \
	{                                                                                          \
		unpack_strip(TYPE_##type, avx2_unpack_##name, weights, row_bytes, n_rows, k,       \
		    quants, floats);                                                               \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
