/*
 * What the unpacking of block formats shares, for the vectors of x86_vec_*.h
 * (included before): a lane is a row.
 */
#ifndef KERNELS_X86_UNPACK_H
#define KERNELS_X86_UNPACK_H

#include "kernels/unpack.h"

#define CACHE_LINE 64

/* Sixteen bytes at `at` of each row: out[j] has bytes 4j … 4j + 3 of row
 * 0, 1, …. */
INLINE void transpose(const uint8_t *const *rows, size_t at, vec out[4])
{
	vec a = vec_rows(rows, 0, at), b = vec_rows(rows, 1, at);
	vec c = vec_rows(rows, 2, at), d = vec_rows(rows, 3, at);
	vec ab = V(unpacklo_epi32)(a, b), cd = V(unpacklo_epi32)(c, d);

	out[0] = V(unpacklo_epi64)(ab, cd);
	out[1] = V(unpackhi_epi64)(ab, cd);
	ab = V(unpackhi_epi32)(a, b);
	cd = V(unpackhi_epi32)(c, d);
	out[2] = V(unpacklo_epi64)(ab, cd);
	out[3] = V(unpackhi_epi64)(ab, cd);
}

/* The first four bytes at `at` of each row; reads sixteen of each. */
INLINE vec dword_first(const uint8_t *const *rows, size_t at)
{
	vec ab = V(unpacklo_epi32)(vec_rows(rows, 0, at), vec_rows(rows, 1, at));
	vec cd = V(unpacklo_epi32)(vec_rows(rows, 2, at), vec_rows(rows, 3, at));

	return V(unpacklo_epi64)(ab, cd);
}

/* The last four of the sixteen bytes that end at `end`. */
INLINE vec dword_last(const uint8_t *const *rows, size_t end)
{
	size_t at = end - 16;
	vec ab = V(unpackhi_epi32)(vec_rows(rows, 0, at), vec_rows(rows, 1, at));
	vec cd = V(unpackhi_epi32)(vec_rows(rows, 2, at), vec_rows(rows, 3, at));

	return V(unpackhi_epi64)(ab, cd);
}

/* Four steps of bytes to the eight steps of their nibbles, low ones first. */
INLINE void split_nibbles(vec v[8])
{
	const vec low = V(set1_epi8)(15);

	UNROLL for (size_t j = 0; j < 4; j++)
	{
		v[4 + j] = vec_and(V(srli_epi16)(v[j], 4), low);
		v[j] = vec_and(v[j], low);
	}
}

/* Sixteen weights and `add`, for lookup by nibble. */
INLINE vec table_plus(const int8_t *table, int add)
{
	__m128i values = _mm_loadu_si128((const __m128i *)(const void *)table);

	return vec_repeat(_mm_add_epi8(values, _mm_set1_epi8((char)add)));
}

INLINE void store_steps(uint8_t *quants, const vec steps[8])
{
	UNROLL for (size_t s = 0; s < 8; s++) vec_store(quants + s * UNPACK_STEP, steps[s]);
}

/* A share of `next`: what these rows have in `bytes` of each.  It is to happen
 * between the groups: all at once would stop the loads of this strip. */
INLINE void fetch(const uint8_t *next, size_t bytes)
{
	__asm__ volatile("" ::: "memory");
	UNROLL for (size_t i = 0; i < bytes * VEC_ROWS; i += CACHE_LINE)
	    _mm_prefetch((const char *)next + i, _MM_HINT_T0);
}

/* Of the bytes from `offset` on; `next` may be NULL. */
INLINE void fetch_at(const uint8_t *next, size_t offset, size_t bytes)
{
	if (next != NULL)
		fetch(next + offset, bytes);
}

INLINE void store_floats(float *floats, size_t i, vecf v)
{
	V(storeu_ps)(floats + i * KERNEL_STRIP, v);
}

/* Byte `i` of each lane, and the same with its sign, as floats. */
INLINE vecf byte_of(vec v, unsigned i)
{
	return V(cvtepi32_ps)(vec_and(V(srli_epi32)(v, (uint8_t)(8 * i)), V(set1_epi32)(255)));
}

INLINE vecf signed_byte_of(vec v, unsigned i)
{
	return V(cvtepi32_ps)(V(srai_epi32)(V(slli_epi32)(v, (uint8_t)(24 - 8 * i)), 24));
}

/* Whole strips, up to eight groups of 32 weights of each vector of rows in turn. */
INLINE void unpack_strip(enum tensor_type type, unpack_fn *unpack,
    const struct weight_rows *weights, size_t k, uint8_t *quants, float *floats)
{
	size_t n_groups = k / KERNEL_BLOCK, n_floats = kernels_floats(kernels_kind(type));
	const uint8_t *rows[KERNEL_STRIP];

	for (size_t r = 0; r < KERNEL_STRIP; r++)
		rows[r] = weight_row(weights, r);
	for (size_t g = 0; g < n_groups; g += UNPACK_GROUPS) {
		size_t n = n_groups - g < UNPACK_GROUPS ? n_groups - g : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, g * KERNEL_BLOCK);
		const uint8_t *next = unpack_next(weights, at);

		for (size_t r = 0; r < KERNEL_STRIP; r += VEC_ROWS)
			unpack(rows + r, at, n, next + type_row_bytes(type, n * KERNEL_BLOCK) * r,
			    quants + g * UNPACK_GROUP + r * 4,
			    floats + g * n_floats * KERNEL_STRIP + r);
	}
}

#endif
