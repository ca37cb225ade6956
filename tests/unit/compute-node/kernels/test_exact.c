/*
 * Elementary functions against libm in double, over all signs and sizes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/exact.h"

#define N_DRAWS 200000
#define ULP 0x1p-23 /* of a float, relative */

/* ± 2^-20 … 2^6, and what lies at the borders. */
static float draw(uint64_t *state)
{
	uint64_t bits = random_next(state);
	float size = ldexpf(1.0f + (float)(bits >> 41) * 0x1p-23f, (int)(bits % 27) - 20);

	return (bits & 64) != 0 ? -size : size;
}

static void check(const char *name, float x, float got, double expected, double ulps)
{
	if (fabs((double)got - expected) > ulps * ULP * fabs(expected) + 0x1p-149)
		fail_msg("%s(%a): %a, expected %a", name, (double)x, (double)got, expected);
}

static void test_tanh_is_within_four_units_in_the_last_place(void **unused)
{
	static const float borders[] = { 0.0f, 0.25f, -0.25f, 0x1.fffffep-3f, 43.5f, 1e30f, -1e30f,
		0x1p-126f };
	uint64_t state = 5;

	(void)unused;
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++)
		check("tanh", borders[i], exact_tanhf(borders[i]), tanh((double)borders[i]), 4);
	for (int i = 0; i < N_DRAWS; i++) {
		float x = draw(&state);

		check("tanh", x, exact_tanhf(x), tanh((double)x), 4);
	}
	assert_true(isnan(exact_tanhf(NAN)));
}

static void test_a_capped_score_keeps_its_sign_and_stays_below_the_cap(void **unused)
{
	uint64_t state = 6;

	(void)unused;
	for (int i = 0; i < N_DRAWS; i++) {
		float x = 10.0f * draw(&state), capped = exact_softcap(x, 50.0f);

		assert_true(fabsf(capped) <= 50.0f);
		assert_true(fabsf(capped) <= fabsf(x) * (1.0f + 4 * (float)ULP));
		assert_true((x < 0) == (capped < 0));
	}
}

static double gelu(double x)
{
	return 0.5 * x *
	       (1.0 + tanh(sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static void test_gelu_of_16_bits_is_gelu_of_the_rounded_number(void **unused)
{
	float *table = malloc(EXACT_GELU_VALUES * sizeof(*table));
	uint64_t state = 7;

	(void)unused;
	assert_non_null(table);
	exact_gelu_table(table);
	for (int i = 0; i < N_DRAWS; i++) {
		float x = draw(&state), got = exact_gelu_half(table, x);
		double rounded = (double)half_from_f16(half_to_f16(x));

		if (fabsf(x) < 10.0f &&
		    fabs((double)got - gelu(rounded)) > 0x1p-11 * fabs(gelu(rounded)) + 0x1p-21)
			fail_msg("gelu(%a): %a", (double)x, (double)got);
		if (fabsf(x) >= 10.0f)
			assert_true(got == (x > 0 ? x : 0.0f));
	}
	assert_true(isnan(exact_gelu_half(table, NAN)));
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tanh_is_within_four_units_in_the_last_place),
		cmocka_unit_test(test_a_capped_score_keeps_its_sign_and_stays_below_the_cap),
		cmocka_unit_test(test_gelu_of_16_bits_is_gelu_of_the_rounded_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
