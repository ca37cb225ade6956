/*
 * AVX-512 VNNI: few rows times weights straight from their blocks, for
 * decoding.  Spec: scalar strip and tile.
 *
 * Some blocks of each row are unpacked to a scratch that stays in the nearest
 * cache and multiplied at once: memory is read once, in order, and only
 * weights pass through it.
 */
#if defined(__x86_64__)
#include "kernels/x86_vec_avx512.h"
/* the vectors come first */
#include "kernels/x86.h"
#include "kernels/x86_avx512vnni.h"
#include "kernels/x86_groups.h"

INLINE void start(size_t nx, const struct q8_rows *x, struct operand *operands, __m512 *sums)
{
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		operands[t].quants = x->quants + t * x->k;
		operands[t].blocks = x->blocks + t * (x->k / KERNEL_BLOCK);
		sums[2 * t] = sums[2 * t + 1] = _mm512_setzero_ps();
	}
}

INLINE void finish(size_t nx, const __m512 *sums, size_t n_rows, float *out, size_t out_stride)
{
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		write_rows(out + t * out_stride, sums[2 * t], n_rows);
		if (n_rows > HALF)
			write_rows(out + t * out_stride + HALF, sums[2 * t + 1], n_rows - HALF);
	}
}

/* `kind` and `nx` are constants at every call. */
INLINE void direct(enum kernel_kind kind, size_t nx, enum tensor_type type, unpack_fn *unpack,
    const struct weight_rows *weights, const struct q8_rows *x, float *out, size_t out_stride)
{
	_Alignas(CACHE_LINE) uint8_t quants[UNPACK_GROUPS * UNPACK_GROUP];
	_Alignas(CACHE_LINE) float floats[UNPACK_GROUPS * KERNEL_FLOATS_MAX * KERNEL_STRIP];
	size_t n_blocks = x->k / KERNEL_BLOCK, n_floats = kernels_floats(kind) * KERNEL_STRIP;
	const uint8_t *rows[KERNEL_STRIP];
	struct operand operands[KERNEL_DIRECT_X];
	__m512 sums[2 * KERNEL_DIRECT_X];

	point_at_rows(weights, rows);
	start(nx, x, operands, sums);
	for (size_t b = 0; b < n_blocks; b += UNPACK_GROUPS) {
		size_t n = n_blocks - b < UNPACK_GROUPS ? n_blocks - b : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, b * KERNEL_BLOCK);
		const uint8_t *next = unpack_next(weights, at);

		unpack(rows, at, n, next, quants, floats);
		unpack(rows + HALF, at, n, next + type_row_bytes(type, n * KERNEL_BLOCK) * HALF,
		    quants + UNPACK_STEP / 2, floats + HALF);
		for (size_t g = 0; g < n; g++)
			add_block(kind, nx, kind == KIND_HALVES || nx <= 2 ? 2 : 1,
			    quants + g * UNPACK_GROUP, floats + g * n_floats, operands, b + g,
			    sums);
	}
	finish(nx, sums, weights->n, out, out_stride);
}

#define DIRECT(name, kind)                                                                         \
	static void name(enum tensor_type type, unpack_fn *unpack,                                 \
	    const struct weight_rows *weights, const struct q8_rows *x, size_t n_x, float *out,    \
	    size_t out_stride)                                                                     \
	{                                                                                          \
		if (n_x == 1)                                                                      \
			CALL(kind, 1);                                                             \
		else if (n_x == 2)                                                                 \
			CALL(kind, 2);                                                             \
		else if (n_x == 3)                                                                 \
			CALL(kind, 3);                                                             \
		else                                                                               \
			CALL(kind, 4);                                                             \
	}
#define CALL(kind, nx) direct(kind, nx, type, unpack, weights, x, out, out_stride)

DIRECT(direct_KIND_PLAIN, KIND_PLAIN)
DIRECT(direct_KIND_HALVES, KIND_HALVES)
DIRECT(direct_KIND_MIN, KIND_MIN)
DIRECT(direct_KIND_MIN_HALVES, KIND_MIN_HALVES)

/* Half a strip's block of 32 in registers, times `nx` rows. */
INLINE void half_group(group_fn *group, enum kernel_kind kind, size_t nx,
    const uint8_t *const *rows, size_t at, const struct operand *x, size_t b, __m512 *sums)
{
	__m512i steps[STEPS], dots[2 * KERNEL_DIRECT_X];
	__m512 f[KERNEL_FLOATS_MAX];

	group(rows, at, steps, f);
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		dots[2 * t] = _mm512_set1_epi32(x[t].blocks[b].bias);
		dots[2 * t + 1] = _mm512_setzero_si512();
	}
	UNROLL for (size_t s = 0; s < STEPS; s++)
	{
		UNROLL for (size_t t = 0; t < nx; t++) dots[2 * t + s % 2] =
		    _mm512_dpbusd_epi32(dots[2 * t + s % 2], steps[s],
			broadcast4(x[t].quants + b * KERNEL_BLOCK + s * 4));
	}
	UNROLL for (size_t t = 0; t < nx; t++)
	{
		__m512i dot = _mm512_add_epi32(dots[2 * t], dots[2 * t + 1]);

		sums[2 * t] = add_scaled(kind, dot, dot, f, &x[t].blocks[b], sums[2 * t]);
	}
}

/* Short blocks need no scratch.  All but the pointers are constants. */
INLINE void direct_groups(group_fn *group, enum kernel_kind kind, size_t bytes, size_t nx,
    const struct weight_rows *weights, const struct q8_rows *x, float *out, size_t out_stride)
{
	size_t n_blocks = x->k / KERNEL_BLOCK;
	const uint8_t *rows[KERNEL_STRIP], *next = unpack_next(weights, 0);
	struct operand operands[KERNEL_DIRECT_X];
	__m512 sums[2 * KERNEL_DIRECT_X];

	point_at_rows(weights, rows);
	start(nx, x, operands, sums);
	for (size_t b = 0; b < n_blocks; b++, next += bytes * KERNEL_STRIP) {
		fetch(next, bytes);
		half_group(group, kind, nx, rows, b * bytes, operands, b, sums);
		fetch(next + bytes * HALF, bytes);
		half_group(group, kind, nx, rows + HALF, b * bytes, operands, b, sums + 1);
	}
	finish(nx, sums, weights->n, out, out_stride);
}

#define GROUPS(group, kind, bytes, nx)                                                             \
	direct_groups(group, kind, bytes, nx, weights, x, out, out_stride)
#define X(name, bytes, kind)                                                                       \
	void avx512vnni_direct_##name(const struct weight_rows *weights, const struct q8_rows *x,  \
	    size_t n_x, float *out, size_t out_stride)                                             \
	{                                                                                          \
		if (n_x == 1)                                                                      \
			GROUPS(group_##name, kind, bytes, 1);                                      \
		else if (n_x == 2)                                                                 \
			GROUPS(group_##name, kind, bytes, 2);                                      \
		else if (n_x == 3)                                                                 \
			GROUPS(group_##name, kind, bytes, 3);                                      \
		else                                                                               \
			GROUPS(group_##name, kind, bytes, 4);                                      \
	}
GROUP_FORMATS(X)
#undef X

#define X(type, name, kind)                                                                        \
	void avx512vnni_direct_##name(const struct weight_rows *weights, const struct q8_rows *x,  \
	    size_t n_x, float *out, size_t out_stride)                                             \
	{                                                                                          \
		direct_##kind(                                                                     \
		    TYPE_##type, avx512_unpack_##name, weights, x, n_x, out, out_stride);          \
	}
X(Q2_K, q2_k, KIND_MIN_HALVES)
X(Q3_K, q3_k, KIND_HALVES)
X(Q4_K, q4_k, KIND_MIN)
X(Q5_K, q5_k, KIND_MIN)
X(Q6_K, q6_k, KIND_HALVES)
X(IQ4_XS, iq4_xs, KIND_PLAIN)
X(NVFP4, nvfp4, KIND_HALVES)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
