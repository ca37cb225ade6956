/* AVX-512: unpacking of the formats with short blocks, and strips of all.
 * Spec: blocks.c. */
#if defined(__x86_64__)
#include "kernels/unpack_avx512.h"

#include "kernels/x86.h"
#include "kernels/x86_avx512_groups.h"

INLINE void each_block(group_fn *group, size_t bytes, size_t n_floats, const uint8_t *const *rows,
    size_t at, size_t n_groups, const uint8_t *next, uint8_t *quants, float *floats)
{
	for (size_t g = 0; g < n_groups; g++) {
		__m512i steps[8];
		__m512 f[KERNEL_FLOATS_MAX];

		fetch(next + g * bytes * HALF, bytes);
		group(rows, at + g * bytes, steps, f);
		store_steps(quants + g * UNPACK_GROUP, steps);
		UNROLL for (size_t i = 0; i < n_floats; i++)
		    store_floats(floats, g * n_floats + i, f[i]);
	}
}

#define UNPACK(name, bytes, n_floats)                                                              \
	void avx512_unpack_##name(const uint8_t *const *rows, size_t at, size_t n_groups,          \
	    const uint8_t *next, uint8_t *quants, float *floats)                                   \
	{                                                                                          \
		each_block(                                                                        \
		    group_##name, bytes, n_floats, rows, at, n_groups, next, quants, floats);      \
	}

#define X(name, bytes, kind) UNPACK(name, bytes, kernels_floats(kind))
GROUP_FORMATS(X)
#undef X

/* Scale bytes to halved floats: as F16 the bits are 2^-8 of the number. */
INLINE __m512 ue4m3_half(__m512i bytes)
{
	const __m512i number = _mm512_set1_epi32(0x7f);
	__m512i bits = _mm512_and_si512(bytes, number);
	__mmask16 sane = _mm512_cmpneq_epi32_mask(bits, number);

	return _mm512_maskz_mul_ps(
	    sane, f16_low(_mm512_slli_epi32(bits, 7)), _mm512_set1_ps(0x1p+7f));
}

/* Blocks of 64: four scales, then eight bytes for each 16. */
void avx512_unpack_nvfp4(const uint8_t *const *rows, size_t at, size_t n_groups,
    const uint8_t *next, uint8_t *quants, float *floats)
{
	const __m512i values = biased_table(block_e2m1), low = _mm512_set1_epi8(15);

	for (size_t g = 0; g < n_groups; g++) {
		__m512i scales = dword_first(rows, at + g / 2 * 36), v[4], steps[8];

		fetch(next + g * 18 * HALF, 18);
		scales = _mm512_srl_epi32(scales, _mm_cvtsi32_si128((int)(g % 2 * 16)));
		transpose(rows, at + g / 2 * 36 + 4 + g % 2 * 16, v);
		UNROLL for (size_t j = 0; j < 4; j++)
		{
			size_t s = j / 2 * 4 + j % 2;

			steps[s] = _mm512_and_si512(v[j], low);
			steps[s + 2] = _mm512_and_si512(_mm512_srli_epi16(v[j], 4), low);
		}
		UNROLL for (size_t s = 0; s < 8; s++) steps[s] =
		    _mm512_shuffle_epi8(values, steps[s]);
		store_steps(quants + g * UNPACK_GROUP, steps);
		store_floats(floats, 2 * g, ue4m3_half(scales));
		store_floats(floats, 2 * g + 1, ue4m3_half(_mm512_srli_epi32(scales, 8)));
	}
}

/* Whole strips, up to eight groups of 32 weights of each half in turn. */
static void strip(enum tensor_type type, unpack_fn *unpack, const uint8_t *weights,
    size_t row_bytes, size_t n_rows, size_t k, uint8_t *quants, float *floats)
{
	size_t n_groups = k / KERNEL_BLOCK, n_floats = kernels_floats(kernels_kind(type));
	const uint8_t *rows[KERNEL_STRIP];

	point_at_rows(weights, row_bytes, n_rows, rows);
	for (size_t g = 0; g < n_groups; g += UNPACK_GROUPS) {
		size_t n = n_groups - g < UNPACK_GROUPS ? n_groups - g : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, g * KERNEL_BLOCK);
		uint8_t *q = quants + g * UNPACK_GROUP;
		float *f = floats + g * n_floats * KERNEL_STRIP;

		const uint8_t *next = unpack_next(weights, row_bytes, n_rows, at);

		unpack(rows, at, n, next, q, f);
		unpack(rows + HALF, at, n, next + type_row_bytes(type, n * KERNEL_BLOCK) * HALF,
		    q + UNPACK_STEP / 2, f + HALF);
	}
}

#define X(type, name, kind)                                                                        \
	void avx512_strip_##name(const uint8_t *weights, size_t row_bytes, size_t n_rows,          \
	    size_t k, uint8_t *quants, float *floats)                                              \
	{                                                                                          \
		strip(TYPE_##type, avx512_unpack_##name, weights, row_bytes, n_rows, k, quants,    \
		    floats);                                                                       \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
