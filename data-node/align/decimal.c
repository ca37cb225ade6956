/* Decimal: digits by integers, as far as that is exact. */
#include "align/decimal.h"

#include <math.h>
#include <stdint.h>

#define DIGITS_SHORT 9
#define DIGITS_READ 15      /* 10^15 < 2^53 */
#define SCALED_MAX 1e10     /* a product below has an error of 2e-6 at most */
#define UNSURE 1e-5         /* so near to a half it is not told which way to round */
#define EXPONENT_LEAST (-4) /* of %g without an exponent */

static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	1e13, 1e14, 1e15 };

/* The nearest whole number; false: it is not sure. */
static bool round_scaled(double scaled, uint64_t *out)
{
	if (!(scaled < SCALED_MAX))
		return false;
	uint64_t whole = (uint64_t)scaled;
	double rest = scaled - (double)whole;
	if (fabs(rest - 0.5) < UNSURE)
		return false;
	*out = whole + (rest > 0.5);
	return true;
}

/* `n` digits of `number`, zeroes in front. */
static void digits_of(uint64_t number, unsigned n, char *out)
{
	while (n > 0) {
		out[--n] = (char)('0' + number % 10);
		number /= 10;
	}
}

static unsigned length_of(uint64_t number)
{
	unsigned n = 1;

	for (; number >= 10; number /= 10)
		n++;
	return n;
}

void decimal_put_fixed(struct buf *out, double value, unsigned digits)
{
	char text[32];
	uint64_t number;

	if (!round_scaled(fabs(value) * powers[digits], &number)) {
		buf_printf(out, "%.*f", (int)digits, value);
		return;
	}
	unsigned n = length_of(number);
	if (n <= digits)
		n = digits + 1;
	digits_of(number, n, text);
	if (signbit(value))
		buf_putc(out, '-');
	buf_append(out, text, n - digits);
	buf_putc(out, '.');
	buf_append(out, text + n - digits, digits);
}

/* The digits of `value` (> 0) and the power of ten of the first one. */
static bool short_digits(double value, uint64_t *digits, int *exponent)
{
	int power = DIGITS_SHORT - 1;

	if (!(value >= 1e-4 && value < 1e9))
		return false;
	while (power > 0 && value < powers[power])
		power--;
	while (value * powers[DIGITS_SHORT - 1 - power] < 1e8)
		power--; /* below 1 */
	if (!round_scaled(value * powers[DIGITS_SHORT - 1 - power], digits))
		return false;
	if (*digits >= 1000000000) {
		*digits /= 10;
		power++;
	}
	*exponent = power;
	return power < DIGITS_SHORT && power >= EXPONENT_LEAST;
}

void decimal_put_short(struct buf *out, double value)
{
	char text[DIGITS_SHORT];
	uint64_t digits;
	int exponent;

	if (!short_digits(fabs(value), &digits, &exponent)) {
		buf_printf(out, "%.9g", value);
		return;
	}
	digits_of(digits, DIGITS_SHORT, text);
	size_t whole = exponent >= 0 ? (size_t)exponent + 1 : 0, len = DIGITS_SHORT;
	while (len > whole && text[len - 1] == '0')
		len--;
	if (signbit(value))
		buf_putc(out, '-');
	buf_append(out, text, whole);
	if (whole == 0)
		buf_append(out, "0.0000", (size_t)(1 - exponent));
	else if (len > whole)
		buf_putc(out, '.');
	buf_append(out, text + whole, len - whole);
}

bool decimal_read(const char *text, size_t len, double *out)
{
	bool minus = len > 0 && text[0] == '-', point = false;
	unsigned digits = 0, behind = 0;
	uint64_t number = 0;

	for (size_t i = minus; i < len; i++) {
		unsigned digit = (unsigned)text[i] - '0';
		if (text[i] == '.' && !point && digits > 0) {
			point = true;
			continue;
		}
		if (digit > 9 || digits == DIGITS_READ)
			return false;
		number = number * 10 + digit;
		digits++;
		behind += point;
	}
	if (digits == 0 || (point && behind == 0))
		return false;
	double value = (double)number / powers[behind];
	*out = minus ? -value : value;
	return true;
}
