/* AVX-512: unpacking of all formats, and strips of them.  Spec: blocks.c. */
#if defined(__x86_64__)
#include "kernels/x86_vec_avx512.h"
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
	void avx512_unpack_##name(const uint8_t *const *rows, size_t at, size_t n_groups,          \
	    const uint8_t *next, uint8_t *quants, float *floats)                                   \
	{                                                                                          \
		unpack_##name(rows, at, n_groups, next, quants, floats);                           \
	}                                                                                          \
	void avx512_strip_##name(                                                                  \
	    const struct weight_rows *weights, size_t k, uint8_t *quants, float *floats)           \
	{                                                                                          \
		unpack_strip(TYPE_##type, avx512_unpack_##name, weights, k, quants, floats);       \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
