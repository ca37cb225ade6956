/* Spend: prices are rounded up, budgets hold to the last token, days are local. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/spend.h"

static void test_prices_are_rounded_up_and_never_overflow(void **state)
{
	const struct cloud_budget cheap = { .in_micros = 1, .out_micros = 2500000 };
	const struct cloud_budget dear = { .in_micros = INT64_C(1000000000000),
		.out_micros = INT64_C(1000000000000) };

	(void)state;
	assert_int_equal(spend_micros(&cheap, 0, 0), 0);
	assert_int_equal(spend_micros(&cheap, 1, 0), 1);
	assert_int_equal(spend_micros(&cheap, 1000001, 0), 2);
	assert_int_equal(spend_micros(&cheap, 0, 3), 8); /* 7.5 */
	assert_int_equal(spend_micros(&cheap, 0, 1000000), 2500000);
	assert_true(spend_micros(&dear, INT64_MAX, INT64_MAX) > 0);
}

static void test_a_budget_holds_to_the_last_token(void **state)
{
	const struct spend none = { 0 }, some = { .in = 600, .out = 300, .micros = 90 };
	const struct {
		struct cloud_budget budget;
		const struct spend *day, *month;
		int64_t in, out;
		enum spend_limit want;
	} rows[] = {
		{ { 0 }, &some, &some, 1000000, 1000000, SPEND_FITS },
		{ { .day_tokens = 1000 }, &some, &some, 60, 40, SPEND_FITS },
		{ { .day_tokens = 1000 }, &some, &some, 61, 40, SPEND_DAY_TOKENS },
		{ { .day_tokens = 800 }, &some, &some, 0, 0, SPEND_DAY_TOKENS },
		{ { .month_tokens = 1000 }, &none, &some, 60, 41, SPEND_MONTH_TOKENS },
		{ { .month_tokens = 1000 }, &none, &none, 60, 41, SPEND_FITS },
		{ { .day_micros = 100, .in_micros = 1000000 }, &some, &some, 10, 0, SPEND_FITS },
		{ { .day_micros = 100, .in_micros = 1000000 }, &some, &some, 11, 0,
		    SPEND_DAY_MONEY },
		{ { .month_micros = 100, .out_micros = 1000000 }, &none, &some, 0, 11,
		    SPEND_MONTH_MONEY },
		{ { .day_tokens = 1, .day_micros = 1 }, &none, &none, INT64_MAX / 2, 0,
		    SPEND_DAY_TOKENS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum spend_limit got = spend_check(
		    &rows[i].budget, rows[i].day, rows[i].month, rows[i].in, rows[i].out);
		if (got != rows[i].want)
			fail_msg("row %zu: %d", i, (int)got);
	}
}

static void test_days_are_the_owners(void **state)
{
	int32_t first, last;

	(void)state;
	/* 2026-11-30T23:30:00Z */
	assert_int_equal(spend_day(INT64_C(1796081400000000000), 0), 20261130);
	assert_int_equal(spend_day(INT64_C(1796081400000000000), 3600), 20261201);
	spend_month(20261130, &first, &last);
	assert_true(first <= 20261101 && last >= 20261130 && last < 20261201);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prices_are_rounded_up_and_never_overflow),
		cmocka_unit_test(test_a_budget_holds_to_the_last_token),
		cmocka_unit_test(test_days_are_the_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
