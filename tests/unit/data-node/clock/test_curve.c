/* Curves: what statements imply, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "clock/curve.h"

static void state_it(struct curve *c, int64_t dev_ns, int64_t lo_ns, int64_t hi_ns)
{
	bool news;

	assert_true(curve_state(c, dev_ns, lo_ns, hi_ns, &news));
	assert_true(news);
}

static int64_t width_at(const struct curve *c, int64_t dev_ns)
{
	int64_t lo_ns, hi_ns;

	curve_bounds(c, dev_ns, &lo_ns, &hi_ns);
	return hi_ns - lo_ns;
}

static void test_nothing_stated_is_nothing_known(void **state)
{
	struct curve c;
	int64_t lo_ns, hi_ns;

	(void)state;
	curve_init(&c);
	curve_bounds(&c, 5, &lo_ns, &hi_ns);
	assert_true(lo_ns == CURVE_OPEN_LO && hi_ns == CURVE_OPEN_HI);
}

static void test_bounds_widen_with_the_distance_to_the_nearest_statement(void **state)
{
	struct curve c;

	(void)state;
	curve_init(&c);
	state_it(&c, 1000 * NS_PER_S, 5000 * NS_PER_S, 5000 * NS_PER_S + NS_PER_MS);
	assert_true(width_at(&c, 1000 * NS_PER_S) == NS_PER_MS);
	/* ±250 ppm of 100 s */
	assert_true(width_at(&c, 1100 * NS_PER_S) == NS_PER_MS + 50 * NS_PER_MS);
	assert_true(width_at(&c, 900 * NS_PER_S) == NS_PER_MS + 50 * NS_PER_MS);
}

static void test_two_statements_fit_the_rate(void **state)
{
	struct curve c;
	int64_t lo_ns, hi_ns;

	(void)state;
	curve_init(&c);
	/* A clock that is 180 ppm slow, heard twice, an hour apart. */
	state_it(&c, 0, 0, NS_PER_MS);
	int64_t hub_ns = NS_PER_HOUR + NS_PER_HOUR / 1000000 * 180;
	state_it(&c, NS_PER_HOUR, hub_ns, hub_ns + NS_PER_MS);
	assert_true(c.rate_lo_ppb >= 129000 && c.rate_hi_ppb <= 231000);
	/* One more hour ahead: 50 ppm and the width, not 250. */
	curve_bounds(&c, 2 * NS_PER_HOUR, &lo_ns, &hi_ns);
	assert_true(lo_ns <= 2 * hub_ns && hi_ns >= 2 * hub_ns);
	assert_true(hi_ns - lo_ns < 370 * NS_PER_MS);
	/* Between them both sides hold. */
	assert_true(width_at(&c, NS_PER_HOUR / 2) < 185 * NS_PER_MS);
}

static void test_a_contradiction_is_refused_and_changes_nothing(void **state)
{
	struct curve c, before;
	bool news;

	(void)state;
	curve_init(&c);
	state_it(&c, 0, 0, NS_PER_MS);
	before = c;
	assert_false(curve_state(&c, NS_PER_S, 3 * NS_PER_S, 4 * NS_PER_S, &news));
	assert_false(curve_state(&c, NS_PER_S, 4 * NS_PER_S, 3 * NS_PER_S, &news));
	assert_false(news);
	assert_int_equal(c.len, before.len);
	/* What adds nothing is taken and not kept. */
	assert_true(curve_state(&c, NS_PER_S, 0, 9 * NS_PER_S, &news));
	assert_true(!news && c.len == 1);
}

static void test_a_full_curve_gets_sparser_with_age_and_stays_true(void **state)
{
	struct curve c;
	int64_t lo_ns, hi_ns, first_half = 0;

	(void)state;
	curve_init(&c);
	for (int64_t minute = 0; minute < 3000; minute++) {
		int64_t at_ns = minute * NS_PER_MIN + minute * minute % 997;
		bool news;
		assert_true(curve_state(&c, at_ns, at_ns - 500, at_ns + 500, &news));
		assert_true(c.len <= CURVE_KNOTS_MAX);
	}
	for (size_t i = 0; i < c.len; i++)
		first_half += c.knots[i].dev_ns < 1500 * NS_PER_MIN;
	assert_true(c.len > CURVE_KNOTS_MAX / 2 && first_half < (int64_t)c.len / 2);
	for (int64_t at_ns = 0; at_ns < 3000 * NS_PER_MIN; at_ns += 7 * NS_PER_S) {
		curve_bounds(&c, at_ns, &lo_ns, &hi_ns);
		assert_true(lo_ns <= at_ns && at_ns <= hi_ns);
	}
}

static void test_the_ends_of_time_do_not_overflow(void **state)
{
	struct curve c;
	int64_t lo_ns, hi_ns;
	bool news;

	(void)state;
	curve_init(&c);
	assert_true(curve_state(&c, INT64_MIN + 1, INT64_MIN + 1, INT64_MIN + 2, &news));
	curve_bounds(&c, INT64_MAX, &lo_ns, &hi_ns);
	assert_true(lo_ns <= hi_ns);
	(void)curve_state(&c, INT64_MAX, 0, INT64_MAX - 1, &news);
	curve_bounds(&c, 0, &lo_ns, &hi_ns);
	assert_true(lo_ns <= hi_ns && curve_close(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_stated_is_nothing_known),
		cmocka_unit_test(test_bounds_widen_with_the_distance_to_the_nearest_statement),
		cmocka_unit_test(test_two_statements_fit_the_rate),
		cmocka_unit_test(test_a_contradiction_is_refused_and_changes_nothing),
		cmocka_unit_test(test_a_full_curve_gets_sparser_with_age_and_stays_true),
		cmocka_unit_test(test_the_ends_of_time_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
