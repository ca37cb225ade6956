/*
 * What the AVX2 products of weights and 8-bit activations share: a block of 32
 * weights of eight rows, a lane a row, times some rows of activations.
 *
 * Without VNNI the product of unsigned and signed bytes (maddubs) adds pairs in
 * 16 bits and saturates there.  Most formats have few integers: moved up to
 * begin at 0 they stay so small that some steps add up in 16 bits, and what the
 * move added is taken off by the sum of the activations.  For weights of all 8
 * bits the unsigned side gets |weight| (at most 128, with an activation of at
 * most 127: 2·128·127 fits), the other side the activation with its sign.
 */
#ifndef KERNELS_X86_AVX2_DOT_H
#define KERNELS_X86_AVX2_DOT_H

#include "kernels/x86_vec_avx2.h"

#define STEPS (KERNEL_BLOCK / 4)
#define STEP_BYTES (KERNEL_STRIP * 4)
#define OPERANDS_MAX 4

/*
 * X(TYPE, name, kind, zero, run): formats whose integers are -zero and more,
 * `run` steps of which add up in 16 bits: run · 2 · 127 · (greatest + zero) is
 * less than 2^15.
 */
#define NARROW_FORMATS(X)                                                                          \
	X(Q4_0, q4_0, KIND_PLAIN, 8, 8)                                                            \
	X(Q4_1, q4_1, KIND_MIN, 0, 8)                                                              \
	X(Q5_0, q5_0, KIND_PLAIN, 16, 4)                                                           \
	X(Q5_1, q5_1, KIND_MIN, 0, 4)                                                              \
	X(Q2_K, q2_k, KIND_MIN_HALVES, 0, 2)                                                       \
	X(Q3_K, q3_k, KIND_HALVES, 4, 4)                                                           \
	X(Q4_K, q4_k, KIND_MIN, 0, 8)                                                              \
	X(Q5_K, q5_k, KIND_MIN, 0, 4)                                                              \
	X(Q6_K, q6_k, KIND_HALVES, 32, 2)                                                          \
	X(MXFP4, mxfp4, KIND_PLAIN, 12, 4)                                                         \
	X(NVFP4, nvfp4, KIND_HALVES, 12, 4)

/* zero_q4_0, run_q4_0, …; a run of 0: the integers need all 8 bits. */
enum {
#define X(type, name, kind, zero, run) zero_##name = (zero), run_##name = (run),
	NARROW_FORMATS(X)
#undef X
	    zero_q8_0 = 0,
	run_q8_0 = 0,
	zero_iq4_nl = 0,
	run_iq4_nl = 0,
	zero_iq4_xs = 0,
	run_iq4_xs = 0,
};

/* A row of activations. */
struct operand {
	const int8_t *quants;
	const struct q8_block *blocks;
};

INLINE struct operand operand_of(const struct q8_rows *x, size_t t)
{
	return (struct operand){ x->quants + t * x->k, x->blocks + t * (x->k / KERNEL_BLOCK) };
}

/* Step `s` of eight rows: what one product takes.  Integers of narrow formats
 * come moved up by `zero`, those of wide ones as they are. */
typedef vec step_fn(const void *from, size_t s, size_t run);

INLINE vec step_of_strip(const void *from, size_t s, size_t run)
{
	const uint8_t *at = (const uint8_t *)from + s * STEP_BYTES;

	(void)run;
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

INLINE vec step_of_group(const void *from, size_t s, size_t run)
{
	(void)run;
	return ((const vec *)from)[s];
}

INLINE vec four_of(const struct operand *x, size_t b, size_t s)
{
	int32_t four;

	memcpy(&four, x->quants + b * KERNEL_BLOCK + s * 4, sizeof(four));
	return _mm256_set1_epi32(four);
}

/* Compilers turn a long sum into a tree, whose branches do not fit the
 * registers: this sum is not to be taken apart. */
INLINE vec in_order(vec sum)
{
	__asm__("" : "+x"(sum));
	return sum;
}

/* Steps first … end - 1, all 8 bits. */
INLINE void add_wide(size_t nx, step_fn *step, const void *from, const struct operand *x, size_t b,
    size_t first, size_t end, vec *dots)
{
	const vec ones = _mm256_set1_epi16(1);

	UNROLL for (size_t s = first; s < end; s++)
	{
		vec v = step(from, s, 0), size = _mm256_abs_epi8(v);

		UNROLL for (size_t t = 0; t < nx; t++)
		{
			vec a = _mm256_sign_epi8(four_of(&x[t], b, s), v);

			a = _mm256_madd_epi16(_mm256_maddubs_epi16(size, a), ones);
			dots[t] = in_order(s == first ? a : _mm256_add_epi32(dots[t], a));
		}
	}
}

/* The same of few integers; what they were moved by stays in the sums. */
INLINE void add_narrow(size_t run, size_t nx, step_fn *step, const void *from,
    const struct operand *x, size_t b, size_t first, size_t end, vec *dots)
{
	const vec ones = _mm256_set1_epi16(1);
	vec sums[OPERANDS_MAX];

	UNROLL for (size_t s = first; s < end; s++)
	{
		vec v = step(from, s, run);
		size_t at = (s - first) % run;

		UNROLL for (size_t t = 0; t < nx; t++)
		{
			vec a = _mm256_maddubs_epi16(v, four_of(&x[t], b, s));

			sums[t] = in_order(at == 0 ? a : _mm256_add_epi16(sums[t], a));
			if (at + 1 < run && s + 1 < end)
				continue;
			a = _mm256_madd_epi16(sums[t], ones);
			dots[t] = s - first < run ? a : _mm256_add_epi32(dots[t], a);
		}
	}
}

/* `bias`: -KERNEL_BIAS times the sum of the activations of each row. */
INLINE void add_steps(int zero, size_t run, size_t nx, step_fn *step, const void *from,
    const struct operand *x, size_t b, size_t first, size_t end, const int32_t *bias, vec *dots)
{
	if (run == 0) {
		add_wide(nx, step, from, x, b, first, end, dots);
		return;
	}
	add_narrow(run, nx, step, from, x, b, first, end, dots);
	UNROLL for (size_t t = 0; zero != 0 && t < nx; t++) dots[t] =
	    _mm256_add_epi32(dots[t], _mm256_set1_epi32(bias[t] / KERNEL_BIAS * zero));
}

/* Exact sums of a block, eight rows times each of `nx`; `high` (the second half)
 * of KIND_HALVES only. */
struct dots {
	vec all[OPERANDS_MAX], high[OPERANDS_MAX];
};

INLINE void block_dots(enum kernel_kind kind, int zero, size_t run, size_t nx, step_fn *step,
    const void *from, const struct operand *x, size_t b, struct dots *dots)
{
	int32_t bias[OPERANDS_MAX], bias_high[OPERANDS_MAX];
	size_t end = kind == KIND_HALVES ? STEPS / 2 : STEPS;

	UNROLL for (size_t t = 0; t < nx; t++)
	{
		const struct q8_block *block = &x[t].blocks[b];

		bias[t] = kind == KIND_HALVES ? block->low : block->bias;
		bias_high[t] = block->bias - block->low;
	}
	add_steps(zero, run, nx, step, from, x, b, 0, end, bias, dots->all);
	if (kind == KIND_HALVES)
		add_steps(zero, run, nx, step, from, x, b, end, STEPS, bias_high, dots->high);
}

/* Eight sums of a block into the rows' floats, as K2 has it; f [floats of the
 * kind]. */
INLINE __m256 add_scaled(
    enum kernel_kind kind, vec dot, vec high, const __m256 *f, const struct q8_block *x, __m256 sum)
{
	__m256 scale = _mm256_set1_ps(x->scale), whole = _mm256_cvtepi32_ps(dot);

	if (kind == KIND_HALVES) {
		whole = _mm256_fmadd_ps(_mm256_cvtepi32_ps(high), f[1], _mm256_mul_ps(whole, f[0]));
		return _mm256_fmadd_ps(whole, scale, sum);
	}
	sum = _mm256_fmadd_ps(whole, _mm256_mul_ps(f[0], scale), sum);
	if (kind == KIND_MIN)
		sum = _mm256_fmadd_ps(_mm256_set1_ps(x->sum), f[1], sum);
	if (kind == KIND_MIN_HALVES) {
		sum = _mm256_fmadd_ps(_mm256_set1_ps(q8_sum_low(x)), f[1], sum);
		sum = _mm256_fmadd_ps(_mm256_set1_ps(q8_sum_high(x)), f[2], sum);
	}
	return sum;
}

INLINE void add_dots(enum kernel_kind kind, size_t nx, const struct dots *dots, const __m256 *f,
    const struct operand *x, size_t b, __m256 *sums)
{
	UNROLL for (size_t t = 0; t < nx; t++) sums[t] = add_scaled(kind, dots->all[t],
	    kind == KIND_HALVES ? dots->high[t] : dots->all[t], f, &x[t].blocks[b], sums[t]);
}

/* The same with floats in memory as a strip has them. */
INLINE void add_dots_at(enum kernel_kind kind, size_t nx, const struct dots *dots,
    const float *floats, const struct operand *x, size_t b, __m256 *sums)
{
	__m256 f[KERNEL_FLOATS_MAX];

	UNROLL for (size_t i = 0; i < kernels_floats(kind); i++) f[i] =
	    _mm256_loadu_ps(floats + i * KERNEL_STRIP);
	add_dots(kind, nx, dots, f, x, b, sums);
}

INLINE void write_rows(float *out, __m256 v, size_t n_rows)
{
	float eight[8];

	_mm256_storeu_ps(eight, v);
	memcpy(out, eight, (n_rows < 8 ? n_rows : 8) * sizeof(float));
}

#endif
