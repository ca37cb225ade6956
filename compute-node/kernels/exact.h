/*
 * Elementary functions with the same bits on every machine.
 *
 * libm chooses its code by CPU; these use only IEEE basic operations and fma,
 * in a fixed order.  exact_expf is also the specification of the vector
 * versions in the kernels.  Cody and Waite, "Software Manual for the
 * Elementary Functions", 1980.
 */
#ifndef KERNELS_EXACT_H
#define KERNELS_EXACT_H

#include <math.h>

#include "kernels/half.h"

#define EXACT_EXP_MIN (-87.0f) /* below it the result is 0 */
#define EXACT_EXP_MAX 88.0f    /* above it, it is infinite */
#define EXACT_LOG2E 0x1.715476p+0f
#define EXACT_LN2_HIGH 0x1.62e4p-1f
#define EXACT_LN2_LOW 0x1.7f7d1cp-20f
/* e^r on |r| <= ln2/2: 1 + r + r²·(c2 + …) */
#define EXACT_EXP_C2 0x1.fffffep-2f
#define EXACT_EXP_C3 0x1.5554bp-3f
#define EXACT_EXP_C4 0x1.5556c4p-5f
#define EXACT_EXP_C5 0x1.121ccap-7f
#define EXACT_EXP_C6 0x1.6b55a8p-10f

/* Error below 2 units in the last place; NaN stays NaN. */
static inline float exact_expf(float x)
{
	float n, r, p, y;
	int32_t e;

	if (x < EXACT_EXP_MIN)
		return 0.0f;
	if (x > EXACT_EXP_MAX)
		return INFINITY;
	if (!(x == x))
		return x;
	n = nearbyintf(x * EXACT_LOG2E);
	r = fmaf(n, -EXACT_LN2_HIGH, x);
	r = fmaf(n, -EXACT_LN2_LOW, r);
	p = fmaf(EXACT_EXP_C6, r, EXACT_EXP_C5);
	p = fmaf(p, r, EXACT_EXP_C4);
	p = fmaf(p, r, EXACT_EXP_C3);
	p = fmaf(p, r, EXACT_EXP_C2);
	y = fmaf(p, r * r, r) + 1.0f;
	e = (int32_t)n;
	return y * half_bits_to_f32((uint32_t)(e + 127) << 23);
}

/* x / (1 + e^-x) */
static inline float exact_silu(float x)
{
	return x / (1.0f + exact_expf(-x));
}

#define EXACT_TANH_SMALL 0.25f

/* Error below 4 units in the last place. */
static inline float exact_tanhf(float x)
{
	float a = fabsf(x), z = x * x, e, p;

	if (a < EXACT_TANH_SMALL) {
		p = fmaf(0x1.664f48p-6f, z, -0x1.ba1ba2p-5f); /* 62/2835, -17/315 */
		p = fmaf(p, z, 0x1.111112p-3f);
		p = fmaf(p, z, -0x1.555556p-2f);
		return fmaf(x * z, p, x);
	}
	e = exact_expf(-2.0f * a);
	return copysignf((1.0f - e) / (1.0f + e), x);
}

/* cap·tanh(x / cap) */
static inline float exact_softcap(float x, float cap)
{
	return cap * exact_tanhf(x / cap);
}

#define EXACT_GELU_SLOPE 0x1.988454p-1f /* √(2/π) */
#define EXACT_GELU_CUBE 0x1.6e4e26p-5f  /* 0.044715 */

/* GELU by tanh (Hendrycks and Gimpel 2016). */
static inline float exact_gelu(float x)
{
	float inner = EXACT_GELU_SLOPE * x * fmaf(EXACT_GELU_CUBE * x, x, 1.0f);

	return 0.5f * x * (1.0f + exact_tanhf(inner));
}

/*
 * The same of x rounded to 16 bits, rounded to 16 bits: decoders with GELU gates
 * are used and measured with such a table by the runtimes they come from, and
 * the rounding is seen in their logits.
 */
#define EXACT_GELU_VALUES 65536u /* one for each 16-bit float */
#define EXACT_GELU_ALL 10.0f     /* from here on it is x, or 0 */

void exact_gelu_table(float table[EXACT_GELU_VALUES]);

static inline float exact_gelu_half(const float *table, float x)
{
	if (x >= EXACT_GELU_ALL)
		return x;
	return x <= -EXACT_GELU_ALL ? 0.0f : table[half_to_f16(x)];
}

/* In double, for tables made at load and for sampling; error about 1e-15
 * relative.  sincos: |x| up to 2^30. */
double exact_exp(double x);
double exact_log(double x);                     /* x > 0 */
double exact_pow(double base, double exponent); /* base > 0 */
void exact_sincos(double x, double *sin_x, double *cos_x);

#endif
