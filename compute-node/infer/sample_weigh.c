/* Approximate weights: plain loops over whole blocks, which compilers turn into vectors. */
#include <string.h>

#include "infer/sample_impl.h"

#define LOG2E 0x1.71547652b82fep+0
#define LN2 0x1.62e42fefa39efp-1
#define ROUND 0x1.8p52 /* added, it leaves the nearest integer in the low bits */
#define SIGN_BIT 63
#define EXPONENT_BITS 52
#define EXPONENT_BIAS 1023

/*
 * e^r on |r| ≤ ln2 / 2 by the polynomial that meets it at Chebyshev's nodes: wrong by less
 * than 2^-34 of it.  Sums of n weights in whatever order are wrong by n · 2^-53 besides.
 * Of two sums that are compared both may be wrong, as may the sum that one is a share of.
 */
#define SERIES_ERROR 0x1p-34
#define ROUNDING_ERROR 0x1p-53

double sample_margin(const struct sample_view *v)
{
	return 8 * (SERIES_ERROR + (double)v->n * ROUNDING_ERROR);
}

static double series(double r)
{
	const double r2 = r * r;
	double low = 0x1.ffffffffa7011p-1 + 0x1.fffffffff61ddp-1 * r;
	double high = 0x1.555464884204ep-5 + 0x1.1110a6173845ep-7 * r;

	low += (0x1.0000005c981fcp-1 + 0x1.5555557e7777ep-3 * r) * r2;
	high += (0x1.6da767a4988a9p-10 + 0x1.a17e052cd2c8fp-13 * r) * r2;
	return low + high * (r2 * r2);
}

static uint64_t bits_of(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static double of_bits(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* What lies further below the top than `least` is masked: it is nonsense, or NaN. */
static void weigh_block(
    const float *restrict x, double top, double scale, double least, double *restrict out)
{
	for (size_t i = 0; i < SAMPLE_BLOCK; i++) {
		double below = (double)x[i] - top, y = below * scale;
		double shifted = y * LOG2E + ROUND, r = y - (shifted - ROUND) * LN2;
		uint64_t power = (bits_of(shifted) + EXPONENT_BIAS) << EXPONENT_BITS;
		uint64_t passes = (bits_of(below - least) >> SIGN_BIT) - 1;

		out[i] = of_bits(bits_of(series(r) * of_bits(power)) & passes);
	}
}

/* What is worse than the last becomes -inf. */
static void keep_better(
    const float *restrict x, size_t first, struct sample_candidate last, float *restrict out)
{
	const float above = nextafterf(last.logit, INFINITY);
	const int32_t to_last = last.id - (int32_t)first;

	for (int32_t i = 0; i < (int32_t)SAMPLE_BLOCK; i++) {
		float least = i <= to_last ? last.logit : above;

		out[i] = x[i] >= least ? x[i] : -INFINITY;
	}
}

static double sum_block(const double *x)
{
	double lanes[4] = { 0 };

	for (size_t i = 0; i < SAMPLE_BLOCK; i += 4) {
		for (size_t l = 0; l < 4; l++)
			lanes[l] += x[i + l];
	}
	return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

double sample_weigh(const struct sample_view *v, size_t b, const struct sample_bounds *bounds,
    double temperature, double out[SAMPLE_BLOCK])
{
	const float *x = v->logits + b * SAMPLE_BLOCK;
	const size_t n = sample_block_len(v, b);
	float padded[SAMPLE_BLOCK], kept[SAMPLE_BLOCK];
	double least = SAMPLE_NEGLIGIBLE * temperature;

	if (n < SAMPLE_BLOCK) {
		for (size_t i = 0; i < SAMPLE_BLOCK; i++)
			padded[i] = i < n ? x[i] : -INFINITY;
		x = padded;
	}
	if (bounds->last.logit > -INFINITY) {
		keep_better(x, b * SAMPLE_BLOCK, bounds->last, kept);
		x = kept;
	}
	least = bounds->least > least ? bounds->least : least;
	weigh_block(x, v->top, 1 / temperature, least, out);
	return sum_block(out);
}
