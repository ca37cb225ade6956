/* AVX-512: blocks of 32 weights of sixteen rows, in registers.  Spec: blocks.c. */
#ifndef KERNELS_X86_AVX512_GROUPS_H
#define KERNELS_X86_AVX512_GROUPS_H

#include "kernels/x86_avx512_unpack.h"

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
typedef void group_fn(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats);

/* Nibbles to weights by adding (weights are that much below). */
INLINE void nibbles_plus(const uint8_t *const *rows, size_t at, int add, __m512i out[8])
{
	transpose(rows, at, out);
	split_nibbles(out);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] =
	    _mm512_add_epi8(out[s], _mm512_set1_epi8((char)add));
}

INLINE void nibbles_of_table(
    const uint8_t *const *rows, size_t at, const int8_t *table, __m512i out[8])
{
	const __m512i values = biased_table(table);

	transpose(rows, at, out);
	split_nibbles(out);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] = _mm512_shuffle_epi8(values, out[s]);
}

/* Bit 4s + i of each row's `bits` to bit 4 of byte i of step s. */
INLINE void add_fifth_bits(__m512i bits, __m512i out[8])
{
	UNROLL for (int s = 0; s < 8; s++)
	{
		const __m512i spread = _mm512_set1_epi32(s % 2 == 0 ? 0x08040201 : -0x7fbfdff0);
		const __m512i byte = _mm512_broadcast_i32x4(
		    _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
			_mm_set1_epi8((char)(s / 2))));
		__mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, byte), spread);

		out[s] = _mm512_mask_add_epi8(out[s], set, out[s], _mm512_set1_epi8(16));
	}
}

INLINE void group_q4_0(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	nibbles_plus(rows, at + 2, KERNEL_BIAS - 8, out);
	floats[0] = f16_low(dword_first(rows, at));
}

INLINE void group_q4_1(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	__m512i head = dword_first(rows, at);

	nibbles_plus(rows, at + 4, KERNEL_BIAS, out);
	floats[0] = f16_low(head);
	floats[1] = f16_high(head);
}

INLINE void group_q5_0(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	nibbles_plus(rows, at + 6, KERNEL_BIAS - 16, out);
	add_fifth_bits(dword_first(rows, at + 2), out);
	floats[0] = f16_low(dword_first(rows, at));
}

INLINE void group_q5_1(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	__m512i head = dword_first(rows, at);

	nibbles_plus(rows, at + 8, KERNEL_BIAS, out);
	add_fifth_bits(dword_first(rows, at + 4), out);
	floats[0] = f16_low(head);
	floats[1] = f16_high(head);
}

INLINE void group_q8_0(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	transpose(rows, at + 2, out);
	transpose(rows, at + 18, out + 4);
	UNROLL for (size_t s = 0; s < 8; s++) out[s] =
	    _mm512_xor_si512(out[s], _mm512_set1_epi8((char)KERNEL_BIAS));
	floats[0] = f16_low(dword_first(rows, at));
}

INLINE void group_iq4_nl(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	nibbles_of_table(rows, at + 2, block_iq4_codebook, out);
	floats[0] = f16_low(dword_first(rows, at));
}

INLINE void group_mxfp4(const uint8_t *const *rows, size_t at, __m512i out[8], __m512 *floats)
{
	__m512i e = _mm512_and_si512(dword_first(rows, at), _mm512_set1_epi32(255));
	__mmask16 tiny = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
	__m512i bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);

	bits = _mm512_mask_sllv_epi32(bits, tiny, _mm512_set1_epi32(0x00200000), e);
	floats[0] = _mm512_castsi512_ps(bits);
	nibbles_of_table(rows, at + 1, block_e2m1, out);
}

#endif
