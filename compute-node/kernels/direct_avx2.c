/*
 * AVX2: few rows times weights straight from their blocks, for decoding.
 * Spec: scalar strip and tile.
 *
 * Eight rows at a time, a lane a row.  Formats with blocks of 32 are multiplied
 * out of registers; those with longer blocks are unpacked to a scratch that
 * stays in the nearest cache.  Memory is read once, in order.
 */
#if defined(__x86_64__)
#include "kernels/x86_avx2_dot.h"
/* the vectors come first */
#include "kernels/x86.h"
#include "kernels/x86_groups.h"
#include "kernels/x86_unpack_k.h"

#define ROWS VEC_ROWS

/* Eight rows from `r` on, the last one repeated. */
INLINE void point_at(const struct weight_rows *weights, size_t r, const uint8_t *rows[ROWS])
{
	for (size_t i = 0; i < ROWS; i++)
		rows[i] = weight_row(weights, r + i);
}

/* What comes after those. */
INLINE const uint8_t *behind(const struct weight_rows *weights, size_t r)
{
	return r + ROWS < weights->n ? weights->at + (r + ROWS) * weights->bytes : weights->next;
}

/* What `nx` rows are multiplied with in one go; `nx` is a constant. */
struct job {
	const uint8_t *const *rows; /* [ROWS] */
	const struct operand *x;
	__m256 *sums;
};

/* ---- blocks of 32 ---------------------------------------------------------- */

INLINE void groups(group_fn *group, step_fn *step, size_t bytes, enum kernel_kind kind, int zero,
    size_t run, size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	for (size_t b = 0; b < n_blocks; b++, next += bytes * ROWS) {
		vec steps[STEPS];
		__m256 f[KERNEL_FLOATS_MAX];
		struct dots dots;

		fetch(next, bytes);
		group(job.rows, b * bytes, steps, f);
		block_dots(kind, zero, run, nx, step, steps, job.x, b, &dots);
		add_dots(kind, nx, &dots, f, job.x, b, job.sums);
	}
}

#define EIGHT(name, group, step, bytes, kind)                                                      \
	INLINE void eight_##name(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)  \
	{                                                                                          \
		groups(                                                                            \
		    group, step, bytes, kind, zero_##name, run_##name, nx, job, n_blocks, next);   \
	}
EIGHT(q4_0, group_q4_0, step_of_group, 18, KIND_PLAIN)
EIGHT(q4_1, group_q4_1, step_of_group, 20, KIND_MIN)
EIGHT(q5_0, group_q5_0, step_of_group, 22, KIND_PLAIN)
EIGHT(q5_1, group_q5_1, step_of_group, 24, KIND_MIN)
EIGHT(q8_0, group_q8_0, step_of_group, 34, KIND_PLAIN)
EIGHT(iq4_nl, group_iq4_nl, step_of_group, 18, KIND_PLAIN)
EIGHT(mxfp4, group_mxfp4, step_of_group, 17, KIND_PLAIN)
#undef EIGHT

/* ---- longer blocks, a group of 32 after the other in registers -------------- */

#define BLOCK_GROUPS 8 /* groups of a block of 256 */

/* Bytes that hold the low bits of two groups, and what holds their high bits. */
struct raw {
	vec v[STEPS];
	const vec *bits;
	int left; /* the high bits are to be moved so far */
};

INLINE vec step_low_nibble(const void *from, size_t s, size_t run)
{
	(void)run;
	return vec_and(((const struct raw *)from)->v[s], bytes_set(15));
}

INLINE vec step_high_nibble(const void *from, size_t s, size_t run)
{
	(void)run;
	return vec_and(shift(((const struct raw *)from)->v[s], -4), bytes_set(15));
}

/* High bits above a nibble: one (16) or two (48), as `run` tells. */
INLINE vec high_bits(const struct raw *raw, size_t s, size_t run)
{
	return vec_and(shift(raw->bits[s], raw->left), bytes_set(run == run_q5_k ? 16 : 48));
}

INLINE vec step_low_bits(const void *from, size_t s, size_t run)
{
	return vec_or(high_bits(from, s, run), step_low_nibble(from, s, run));
}

INLINE vec step_high_bits(const void *from, size_t s, size_t run)
{
	return vec_or(high_bits(from, s, run), step_high_nibble(from, s, run));
}

INLINE void eight_q4_k(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	for (size_t b = 0; b < n_blocks; b += BLOCK_GROUPS) {
		float floats[2 * BLOCK_GROUPS * KERNEL_STRIP];
		size_t at = b / BLOCK_GROUPS * 144;

		floats_q4_k(job.rows, at, floats);
		for (size_t pair = 0; pair < 4; pair++, next += 36 * ROWS) {
			const float *f = floats + 4 * pair * KERNEL_STRIP;
			size_t first = b + 2 * pair;
			struct dots dots;
			struct raw raw;

			fetch(next, 36);
			transpose_32(job.rows, at + 16 + 32 * pair, raw.v);
			block_dots(
			    KIND_MIN, 0, run_q4_k, nx, step_low_nibble, &raw, job.x, first, &dots);
			add_dots_at(KIND_MIN, nx, &dots, f, job.x, first, job.sums);
			block_dots(KIND_MIN, 0, run_q4_k, nx, step_high_nibble, &raw, job.x,
			    first + 1, &dots);
			add_dots_at(
			    KIND_MIN, nx, &dots, f + 2 * KERNEL_STRIP, job.x, first + 1, job.sums);
		}
	}
}

INLINE void eight_q5_k(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	for (size_t b = 0; b < n_blocks; b += BLOCK_GROUPS) {
		float floats[2 * BLOCK_GROUPS * KERNEL_STRIP];
		size_t at = b / BLOCK_GROUPS * 176;
		vec bits[STEPS];

		floats_q4_k(job.rows, at, floats);
		transpose_32(job.rows, at + 16, bits);
		for (size_t pair = 0; pair < 4; pair++, next += 44 * ROWS) {
			const float *f = floats + 4 * pair * KERNEL_STRIP;
			size_t first = b + 2 * pair;
			struct raw raw = { .bits = bits, .left = 4 };
			struct dots dots;

			fetch(next, 44);
			transpose_32(job.rows, at + 48 + 32 * pair, raw.v);
			block_dots(
			    KIND_MIN, 0, run_q5_k, nx, step_low_bits, &raw, job.x, first, &dots);
			add_dots_at(KIND_MIN, nx, &dots, f, job.x, first, job.sums);
			raw.left--;
			block_dots(KIND_MIN, 0, run_q5_k, nx, step_high_bits, &raw, job.x,
			    first + 1, &dots);
			add_dots_at(
			    KIND_MIN, nx, &dots, f + 2 * KERNEL_STRIP, job.x, first + 1, job.sums);
			/* the two lowest bits are the next pair's */
			UNROLL for (size_t s = 0; s < STEPS; s++) bits[s] = shift(bits[s], -2);
		}
	}
}

/* Groups g and g + 2 of a half block share bytes; K2 wants them in order. */
INLINE void half_q6_k(
    size_t nx, struct job job, size_t at, size_t b, const float *floats, const vec *bits)
{
	struct dots dots[4];

	UNROLL for (int g = 0; g < 2; g++)
	{
		struct raw raw = { .bits = bits, .left = 4 - 2 * g };

		transpose_32(job.rows, at + 32 * (size_t)g, raw.v);
		block_dots(KIND_HALVES, zero_q6_k, run_q6_k, nx, step_low_bits, &raw, job.x,
		    b + (size_t)g, &dots[g]);
		raw.left = -2 * g;
		block_dots(KIND_HALVES, zero_q6_k, run_q6_k, nx, step_high_bits, &raw, job.x,
		    b + (size_t)g + 2, &dots[g + 2]);
	}
	UNROLL for (size_t g = 0; g < 4; g++) add_dots_at(
	    KIND_HALVES, nx, &dots[g], floats + 2 * g * KERNEL_STRIP, job.x, b + g, job.sums);
}

INLINE void eight_q6_k(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	for (size_t b = 0; b < n_blocks; b += BLOCK_GROUPS) {
		float floats[2 * BLOCK_GROUPS * KERNEL_STRIP];
		size_t at = b / BLOCK_GROUPS * 210;

		floats_q6_k(job.rows, at, floats);
		for (size_t half = 0; half < 2; half++, next += 105 * ROWS) {
			vec bits[STEPS];

			fetch(next, 105);
			transpose_32(job.rows, at + 128 + 32 * half, bits);
			half_q6_k(nx, job, at + 64 * half, b + 4 * half,
			    floats + 8 * half * KERNEL_STRIP, bits);
		}
	}
}

INLINE void eight_iq4_xs(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	const vec values = table_plus(block_iq4_codebook, 0);

	for (size_t b = 0; b < n_blocks; b += BLOCK_GROUPS) {
		float floats[BLOCK_GROUPS * KERNEL_STRIP];
		size_t at = b / BLOCK_GROUPS * 136;

		floats_iq4_xs(job.rows, at, floats);
		for (size_t g = 0; g < BLOCK_GROUPS; g++, next += 17 * ROWS) {
			vec steps[STEPS];
			struct dots dots;

			fetch(next, 17);
			nibbles_of(job.rows, at + 8 + 16 * g, values, steps);
			block_dots(KIND_PLAIN, 0, 0, nx, step_of_group, steps, job.x, b + g, &dots);
			add_dots_at(KIND_PLAIN, nx, &dots, floats + g * KERNEL_STRIP, job.x, b + g,
			    job.sums);
		}
	}
}

/* ---- the others, through a scratch in the nearest cache ----------------------- */

INLINE void unpacked(enum tensor_type type, unpack_fn *unpack, enum kernel_kind kind, int zero,
    size_t run, size_t nx, struct job job, size_t n_blocks, const uint8_t *next)
{
	_Alignas(CACHE_LINE) uint8_t quants[UNPACK_GROUPS * UNPACK_GROUP];
	_Alignas(CACHE_LINE) float floats[UNPACK_GROUPS * KERNEL_FLOATS_MAX * KERNEL_STRIP];

	for (size_t b = 0; b < n_blocks; b += UNPACK_GROUPS) {
		size_t n = n_blocks - b < UNPACK_GROUPS ? n_blocks - b : UNPACK_GROUPS;
		size_t at = type_row_bytes(type, b * KERNEL_BLOCK);

		unpack(job.rows, at, n, next + at * ROWS, quants, floats);
		for (size_t g = 0; g < n; g++) {
			struct dots dots;

			block_dots(kind, zero, run, nx, step_of_strip, quants + g * UNPACK_GROUP,
			    job.x, b + g, &dots);
			add_dots_at(kind, nx, &dots,
			    floats + g * kernels_floats(kind) * KERNEL_STRIP, job.x, b + g,
			    job.sums);
		}
	}
}

#define X(type, name, kind)                                                                        \
	INLINE void eight_##name(size_t nx, struct job job, size_t n_blocks, const uint8_t *next)  \
	{                                                                                          \
		unpacked(TYPE_##type, avx2_unpack_##name, kind, zero_##name, run_##name, nx, job,  \
		    n_blocks, next);                                                               \
	}
X(Q2_K, q2_k, KIND_MIN_HALVES)
X(Q3_K, q3_k, KIND_HALVES)
X(NVFP4, nvfp4, KIND_HALVES)
#undef X

/* ---- some rows of each ---------------------------------------------------------- */

typedef void eight_fn(size_t nx, struct job job, size_t n_blocks, const uint8_t *next);

INLINE void direct(eight_fn *eight, size_t nx, const struct weight_rows *weights,
    const struct q8_rows *x, size_t n_x, float *out, size_t out_stride)
{
	const uint8_t *rows[ROWS];
	struct operand operands[OPERANDS_MAX];
	__m256 sums[OPERANDS_MAX];

	UNROLL for (size_t t = 0; t < nx; t++) operands[t] = operand_of(x, t < n_x ? t : n_x - 1);
	for (size_t r = 0; r < weights->n; r += ROWS) {
		point_at(weights, r, rows);
		UNROLL for (size_t t = 0; t < nx; t++) sums[t] = _mm256_setzero_ps();
		eight(nx, (struct job){ rows, operands, sums }, x->k / KERNEL_BLOCK,
		    behind(weights, r));
		for (size_t t = 0; t < n_x; t++)
			write_rows(out + t * out_stride + r, sums[t], weights->n - r);
	}
}

/* Three rows are four, the last one twice: two and one would unpack weights twice. */
#define CALL(name, nx) direct(eight_##name, nx, weights, x, n_x, out, out_stride)
#define X(type, name, kind)                                                                        \
	void avx2_direct_##name(const struct weight_rows *weights, const struct q8_rows *x,        \
	    size_t n_x, float *out, size_t out_stride)                                             \
	{                                                                                          \
		if (n_x == 1)                                                                      \
			CALL(name, 1);                                                             \
		else if (n_x == 2)                                                                 \
			CALL(name, 2);                                                             \
		else                                                                               \
			CALL(name, 4);                                                             \
	}
BLOCK_FORMATS(X)
#undef X
#else
typedef int no_x86; /* a translation unit is never empty */
#endif
