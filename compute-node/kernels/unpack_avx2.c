/* AVX2: unpacking of all formats.  Spec: blocks.c. */
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
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
