/*
 * Series scale: the integers that a sensor counted, found behind its doubles.
 *
 * A candidate scale is accepted only if each double comes back with the same
 * bits, so a wrong guess costs space and never a digit.  Of the decimal and the
 * binary scale that one wins whose integers span less.
 */
#include <math.h>
#include <string.h>

#include "store/series_internal.h"

#define EXACT_MAX 9007199254740992.0 /* integers that a double holds: 2^53 */
#define EXPONENT_BITS 0x7FFu
#define MANTISSA_BITS 52

static const double powers[SERIES_DECIMAL_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
	1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18 };

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static bool is_minus_zero(double value)
{
	return bits_of(value) == UINT64_C(1) << 63;
}

/* k with k / power == value, to the bit (the sign of a zero aside). */
static bool decimal_exact(double value, double power, int64_t *k)
{
	double product = value * power;

	if (!(product >= -EXACT_MAX && product <= EXACT_MAX))
		return false;
	*k = (int64_t)(product < 0 ? product - 0.5 : product + 0.5);
	return (double)*k / power == value;
}

static bool decimal_find(const double *values, size_t stride, size_t n, int *exponent, int64_t *k)
{
	int e = 0;

	for (size_t i = 0; i < n; i++) {
		while (
		    e <= SERIES_DECIMAL_MAX && !decimal_exact(values[i * stride], powers[e], &k[i]))
			e++;
		if (e > SERIES_DECIMAL_MAX)
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!decimal_exact(values[i * stride], powers[e], &k[i]))
			return false;
	}
	*exponent = e;
	return true;
}

/* Digits behind the binary point of a finite value; 0 for whole numbers. */
static int binary_digits(double value)
{
	uint64_t bits = bits_of(value), mantissa = bits & ((UINT64_C(1) << MANTISSA_BITS) - 1);
	int exponent = (int)(bits >> MANTISSA_BITS & EXPONENT_BITS);

	if (exponent == 0 && mantissa == 0)
		return 0;
	if (exponent == 0)
		exponent = 1;
	else
		mantissa |= UINT64_C(1) << MANTISSA_BITS;
	int digits = MANTISSA_BITS + 1023 - exponent - __builtin_ctzll(mantissa);
	return digits < 0 ? 0 : digits;
}

static bool binary_find(const double *values, size_t stride, size_t n, int *exponent, int64_t *k)
{
	int digits = 0;

	for (size_t i = 0; i < n; i++) {
		int d = isfinite(values[i * stride]) ? binary_digits(values[i * stride]) : -1;
		if (d < 0)
			return false;
		digits = d > digits ? d : digits;
	}
	for (size_t i = 0; i < n; i++) {
		double scaled = ldexp(values[i * stride], digits);
		if (!(scaled >= -EXACT_MAX && scaled <= EXACT_MAX))
			return false;
		k[i] = (int64_t)scaled;
	}
	*exponent = digits;
	return true;
}

static uint64_t span_of(const int64_t *k, size_t n)
{
	int64_t low = k[0], high = k[0];

	for (size_t i = 1; i < n; i++) {
		low = k[i] < low ? k[i] : low;
		high = k[i] > high ? k[i] : high;
	}
	return (uint64_t)high - (uint64_t)low;
}

/* Make room for -0.0 between 0 and what is below it. */
static void sign_zeros(
    const double *values, size_t stride, size_t n, struct series_column *column, int64_t *k)
{
	size_t i = 0;

	while (i < n && !is_minus_zero(values[i * stride]))
		i++;
	column->zero_signed = i < n;
	for (i = 0; column->zero_signed && i < n; i++) {
		if (signbit(values[i * stride]))
			k[i]--;
	}
}

bool series_scale_find(
    const double *values, size_t stride, size_t n, struct series_column *column, int64_t *k)
{
	int exponent;

	column->kind = SERIES_DECIMAL;
	bool found = decimal_find(values, stride, n, &column->exponent, k);
	/* Whole numbers need no second opinion. */
	if (!found || column->exponent > 0) {
		uint64_t span = found ? span_of(k, n) : UINT64_MAX;
		if (binary_find(values, stride, n, &exponent, k) && span_of(k, n) < span) {
			column->kind = SERIES_BINARY;
			column->exponent = exponent;
			found = true;
		} else if (found) {
			found = decimal_find(values, stride, n, &column->exponent, k);
		}
	}
	if (found)
		sign_zeros(values, stride, n, column, k);
	return found;
}

static double unsigned_value(const struct series_column *column, double k)
{
	return column->kind == SERIES_DECIMAL ? k / powers[column->exponent]
					      : ldexp(k, -column->exponent);
}

void series_scale_apply(
    const struct series_column *column, const int64_t *k, double *values, size_t stride)
{
	size_t n = column->n;

	if (column->zero_signed) {
		for (size_t i = 0; i < n; i++) {
			double v = unsigned_value(column, (double)(k[i] < 0 ? ~k[i] : k[i]));
			values[i * stride] = k[i] < 0 ? -v : v;
		}
	} else if (column->kind == SERIES_BINARY) {
		/* Two factors: the least power of two has no reciprocal. */
		int half = column->exponent / 2;
		double a = ldexp(1, -half), b = ldexp(1, half - column->exponent);
		for (size_t i = 0; i < n; i++)
			values[i * stride] = (double)k[i] * a * b;
	} else {
		double power = powers[column->exponent];
		for (size_t i = 0; i < n; i++)
			values[i * stride] = (double)k[i] / power;
	}
}
