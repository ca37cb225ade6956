/* Blocks of 32 weights of some rows, in registers, for the vectors of
 * x86_vec_*.h.  Spec: blocks.c. */
#ifndef KERNELS_X86_GROUPS_H
#define KERNELS_X86_GROUPS_H

#include "kernels/x86_unpack.h"

/* X(name, bytes, kind) */
#define GROUP_FORMATS(X)                                                                           \
	X(q4_0, 18, KIND_PLAIN)                                                                    \
	X(q4_1, 20, KIND_MIN)                                                                      \
	X(q5_0, 22, KIND_PLAIN)                                                                    \
	X(q5_1, 24, KIND_MIN)                                                                      \
	X(q8_0, 34, KIND_PLAIN)                                                                    \
	X(iq4_nl, 18, KIND_PLAIN)                                                                  \
	X(mxfp4, 17, KIND_PLAIN)

/* A block of 32 weights of a format: its steps and floats. */
typedef void group_fn(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats);

/* Nibbles to weights by adding (weights are that much below). */
INLINE void nibbles_plus(const uint8_t *const *rows, size_t at, int add, vec out[8])
{
	transpose(rows, at, out);
	split_nibbles(out);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] = V(add_epi8)(out[s], V(set1_epi8)((char)add));
}

INLINE void nibbles_of(const uint8_t *const *rows, size_t at, vec values, vec out[8])
{
	transpose(rows, at, out);
	split_nibbles(out);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] = V(shuffle_epi8)(values, out[s]);
}

/* Bit 4s + i of each row's `bits` to bit 4 of byte i of step s. */
INLINE void add_fifth_bits(vec bits, vec out[8])
{
	UNROLL for (int s = 0; s < 8; s++)
	{
		const vec spread = V(set1_epi32)(s % 2 == 0 ? 0x08040201 : -0x7fbfdff0);
		const vec byte = vec_repeat(
		    _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
			_mm_set1_epi8((char)(s / 2))));

		out[s] = V(add_epi8)(out[s], vec_where(V(shuffle_epi8)(bits, byte), spread, 16));
	}
}

INLINE void group_q4_0(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	nibbles_plus(rows, at + 2, vec_plus(8) - 8, out);
	floats[0] = vec_f16(dword_first(rows, at));
}

INLINE void group_q4_1(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	vec head = dword_first(rows, at);

	nibbles_plus(rows, at + 4, vec_plus(0), out);
	floats[0] = vec_f16(head);
	floats[1] = vec_f16(V(srli_epi32)(head, 16));
}

INLINE void group_q5_0(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	nibbles_plus(rows, at + 6, vec_plus(16) - 16, out);
	add_fifth_bits(dword_first(rows, at + 2), out);
	floats[0] = vec_f16(dword_first(rows, at));
}

INLINE void group_q5_1(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	vec head = dword_first(rows, at);

	nibbles_plus(rows, at + 8, vec_plus(0), out);
	add_fifth_bits(dword_first(rows, at + 4), out);
	floats[0] = vec_f16(head);
	floats[1] = vec_f16(V(srli_epi32)(head, 16));
}

INLINE void group_q8_0(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	transpose(rows, at + 2, out);
	transpose(rows, at + 18, out + 4);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] =
	    vec_xor(out[s], V(set1_epi8)((char)vec_plus(0)));
	floats[0] = vec_f16(dword_first(rows, at));
}

INLINE void group_iq4_nl(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	nibbles_of(rows, at + 2, table_plus(block_iq4_codebook, vec_plus(0)), out);
	floats[0] = vec_f16(dword_first(rows, at));
}

/* The exponents 0 and 1 give the denormal numbers 2^-128 and 2^-127. */
INLINE vecf scale_mxfp4(const uint8_t *const *rows, size_t at)
{
	const vec one = V(set1_epi32)(1);
	vec e = vec_and(dword_first(rows, at), V(set1_epi32)(255));
	vec bits = V(slli_epi32)(V(sub_epi32)(e, one), 23);

	bits = vec_differ(e, V(set1_epi32)(0), bits, V(set1_epi32)(0x00200000));
	bits = vec_differ(e, one, bits, V(set1_epi32)(0x00400000));
	return vec_as_floats(bits);
}

INLINE void group_mxfp4(const uint8_t *const *rows, size_t at, vec out[8], vecf *floats)
{
	floats[0] = scale_mxfp4(rows, at);
	nibbles_of(rows, at + 1, table_plus(block_e2m1, vec_plus(12)), out);
}

INLINE void each_block(group_fn *group, size_t bytes, size_t n_floats, const uint8_t *const *rows,
    size_t at, size_t n_groups, const uint8_t *next, uint8_t *quants, float *floats)
{
	for (size_t g = 0; g < n_groups; g++) {
		vec steps[8];
		vecf f[KERNEL_FLOATS_MAX];

		fetch_at(next, g * bytes * VEC_ROWS, bytes);
		group(rows, at + g * bytes, steps, f);
		store_steps(quants + g * UNPACK_GROUP, steps);
		UNROLL for (size_t i = 0; i < n_floats; i++)
		    store_floats(floats, g * n_floats + i, f[i]);
	}
}

#endif
