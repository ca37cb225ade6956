/* Elementary functions in double from basic operations only. */
#include "kernels/exact.h"

#define LN2_HIGH 0x1.62e42fee00000p-1 /* 32 bits: n * it is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33
#define LOG2E 0x1.71547652b82fep+0
#define TERMS_EXP 14
#define TERMS_LOG 12
#define TERMS_TRIG 10

/* pi/2 in three parts of 33 bits, so that n * part is exact for n < 2^20,
 * and good to 1e-15 beyond. */
#define PIO2_1 0x1.921fb54400000p+0
#define PIO2_2 0x1.0b4611a600000p-34
#define PIO2_3 0x1.3198a2e037073p-69
#define TWO_OVER_PI 0x1.45f306dc9c883p-1

static double scale(double y, int e)
{
	uint64_t bits = (uint64_t)(e + 1023) << 52;
	double power;

	memcpy(&power, &bits, sizeof(power));
	return y * power;
}

/* n to the nearest integer, for |x| < 2^51 */
static double round_even(double x)
{
	volatile double shifted = x + 0x1.8p52;

	return shifted - 0x1.8p52;
}

double exact_exp(double x)
{
	double n, r, sum = 1.0;

	if (!(x == x))
		return x;
	if (x < -700.0)
		return 0.0;
	if (x > 709.0)
		return (double)INFINITY;
	n = round_even(x * LOG2E);
	r = (x - n * LN2_HIGH) - n * LN2_LOW;
	for (int i = TERMS_EXP; i >= 1; i--)
		sum = 1.0 + sum * r / i;
	if (n > 1022.0)
		return scale(scale(sum, 1022), (int)n - 1022);
	return scale(sum, (int)n);
}

double exact_log(double x)
{
	int e = 0;
	double m, s, z, sum = 0.0;

	m = frexp(x, &e); /* exact on every machine */
	if (m < 0x1.6a09e667f3bcdp-1) {
		m *= 2.0;
		e--;
	}
	s = (m - 1.0) / (m + 1.0); /* |s| < 0.172 */
	z = s * s;
	for (int i = TERMS_LOG; i >= 1; i--)
		sum = (sum + 1.0 / (2 * i + 1)) * z;
	return e * LN2_HIGH + (e * LN2_LOW + 2.0 * (s + s * sum));
}

double exact_pow(double base, double exponent)
{
	return exact_exp(exponent * exact_log(base));
}

void exact_sincos(double x, double *sin_x, double *cos_x)
{
	double n = round_even(x * TWO_OVER_PI), r, z, s = 0.0, c = 0.0;
	int quadrant = (int)((int64_t)n & 3);

	r = ((x - n * PIO2_1) - n * PIO2_2) - n * PIO2_3;
	z = r * r;
	for (int i = TERMS_TRIG; i >= 1; i--) {
		s = (s + 1.0) * -z / ((2 * i) * (2 * i + 1));
		c = (c + 1.0) * -z / ((2 * i - 1) * (2 * i));
	}
	s = r + r * s;
	c = 1.0 + c;
	*sin_x = (quadrant & 1) != 0 ? c : s;
	*cos_x = (quadrant & 1) != 0 ? s : c;
	if (quadrant >= 2)
		*sin_x = -*sin_x;
	if (quadrant == 1 || quadrant == 2)
		*cos_x = -*cos_x;
}

void exact_gelu_table(float table[EXACT_GELU_VALUES])
{
	for (uint32_t i = 0; i < EXACT_GELU_VALUES; i++)
		table[i] = half_from_f16(half_to_f16(exact_gelu(half_from_f16((uint16_t)i))));
}
