/*
 * Outliers: planted ones are marked, lasting changes and honest noise are not;
 * the streaming verdicts equal those of a twin that sees the whole series.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/clock.h"
#include "base/random.h"
#include "night/outlier.h"

#define POINTS 600

static double values[POINTS];
static int64_t times[POINTS];
static enum outlier_reason verdicts[POINTS];

/* Sum of uniforms: nearly normal, mean 0, deviation 1. */
static double noise(uint64_t *seed)
{
	double sum = 0;

	for (int i = 0; i < 12; i++)
		sum += (double)(random_next(seed) % 1000000) / 1e6;
	return sum - 6;
}

static size_t judge(const char *name, size_t n)
{
	struct outlier_series series = { .limits = outlier_limits_of(name, strlen(name)) };
	struct outlier_verdict out[OUTLIER_RING];
	size_t marks = 0;

	memset(verdicts, 0, sizeof verdicts);
	for (size_t i = 0; i <= n; i++) {
		struct outlier_point point = { .t0_ns = i < n ? times[i] : 0,
			.value = i < n ? values[i] : 0 };
		point.obs_id[0] = (uint8_t)i;
		point.obs_id[1] = (uint8_t)(i >> 8);
		size_t found = outlier_push(&series, i < n ? &point : NULL, out);
		for (size_t k = 0; k < found; k++) {
			size_t at = out[k].point.obs_id[0] + 256U * out[k].point.obs_id[1];
			verdicts[at] = out[k].reason;
			marks++;
		}
	}
	return marks;
}

static void calm(uint64_t seed, double mean, double deviation, int64_t step_ns)
{
	for (size_t i = 0; i < POINTS; i++) {
		values[i] = mean + deviation * noise(&seed);
		times[i] = (int64_t)i * step_ns;
	}
}

static void test_planted_spikes_are_found(void **state)
{
	size_t planted = 0, found = 0, wrong = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		calm(seed, 21, 0.3, NS_PER_MIN);
		uint64_t dice = seed;
		bool is_planted[POINTS] = { false };
		for (size_t i = 20; i < POINTS - 20; i += 25 + random_next(&dice) % 20) {
			values[i] += random_next(&dice) % 2 == 0 ? 12 : -9;
			is_planted[i] = true;
			planted++;
		}
		(void)judge("temperature", POINTS);
		for (size_t i = 0; i < POINTS; i++) {
			found += is_planted[i] && verdicts[i] == OUTLIER_SPIKE ? 1 : 0;
			wrong += !is_planted[i] && verdicts[i] != OUTLIER_NONE ? 1 : 0;
		}
	}
	print_message(
	    "%zu of %zu spikes found, %zu wrong of %d\n", found, planted, wrong, 40 * POINTS);
	assert_int_equal(found, planted);
	assert_int_equal(wrong, 0);
}

static void test_what_lasts_is_no_outlier(void **state)
{
	(void)state;
	calm(3, 21, 0.2, NS_PER_MIN);
	for (size_t i = 300; i < POINTS; i++)
		values[i] -= 15; /* a window was opened */
	assert_int_equal(judge("temperature", POINTS), 0);
	calm(4, 62, 2, 5 * NS_PER_S);
	for (size_t i = 100; i < 160; i++)
		values[i] += 80; /* stairs */
	assert_int_equal(judge("heart_rate", POINTS), 0);
	for (size_t i = 0; i < POINTS; i++)
		values[i] = 20 + (double)i * 0.1; /* an oven warms up */
	assert_int_equal(judge("temperature", POINTS), 20 + POINTS * 0.1 > 70 ? 99 : 0);
}

static void test_steady_values_have_a_floor(void **state)
{
	(void)state;
	for (size_t i = 0; i < POINTS; i++) {
		values[i] = 20;
		times[i] = (int64_t)i * NS_PER_MIN;
	}
	values[50] = 20.4; /* no spread at all, but this is nothing */
	values[90] = 31;
	assert_int_equal(judge("temperature", POINTS), 1);
	assert_int_equal(verdicts[90], OUTLIER_SPIKE);
}

static void test_limits_of_what_can_be(void **state)
{
	(void)state;
	calm(5, 70, 2, NS_PER_S);
	values[0] = 0;
	values[7] = 900;
	values[POINTS - 1] = -3;
	assert_int_equal(judge("heart_rate", POINTS), 3);
	assert_int_equal(verdicts[0], OUTLIER_LIMIT);
	assert_int_equal(verdicts[7], OUTLIER_LIMIT);
	assert_int_equal(verdicts[POINTS - 1], OUTLIER_LIMIT);
	/* Few values: limits only. */
	values[0] = 70;
	values[1] = 140;
	values[2] = 70;
	assert_int_equal(judge("heart_rate", 3), 0);
}

/* From the definition, with everything at hand. */
static enum outlier_reason naive(const struct outlier_limits *limits, size_t at, size_t n)
{
	double near[2 * OUTLIER_NEIGHBOURS];
	double before = NAN, behind = NAN;
	size_t len = 0;

	if (values[at] < limits->least || values[at] > limits->most)
		return OUTLIER_LIMIT;
	for (size_t i = 0; i < n; i++) {
		size_t apart = i < at ? at - i : i - at;
		int64_t gap_ns = times[i] < times[at] ? times[at] - times[i] : times[i] - times[at];
		if (apart == 0 || apart > OUTLIER_NEIGHBOURS || gap_ns > OUTLIER_REACH_NS)
			continue;
		near[len++] = values[i];
		before = i + 1 == at ? values[i] : before;
		behind = i == at + 1 ? values[i] : behind;
	}
	if (len < OUTLIER_NEIGHBOURS_MIN || isnan(before) || isnan(behind))
		return OUTLIER_NONE;
	double middle[2];
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < len; i++) {
			for (size_t k = i + 1; k < len; k++) {
				double least = fmin(near[i], near[k]);
				near[k] = fmax(near[i], near[k]);
				near[i] = least;
			}
		}
		middle[pass] = (near[(len - 1) / 2] + near[len / 2]) / 2;
		for (size_t i = 0; i < len && pass == 0; i++)
			near[i] = fabs(near[i] - middle[0]);
	}
	double far = fmax(OUTLIER_MADS * 1.4826 * middle[1], limits->floor);
	return fabs(values[at] - middle[0]) > far && fabs(before - middle[0]) <= far / 2 &&
		       fabs(behind - middle[0]) <= far / 2
		   ? OUTLIER_SPIKE
		   : OUTLIER_NONE;
}

static void test_verdicts_match_the_twin(void **state)
{
	const struct outlier_limits *limits = outlier_limits_of("temperature", 11);
	size_t marks = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t dice = seed;
		size_t n = 1 + random_next(&dice) % POINTS;
		calm(seed, 15, 1, 1);
		int64_t at_ns = 0;
		for (size_t i = 0; i < n; i++) {
			at_ns += (int64_t)(random_next(&dice) % 40) * NS_PER_MIN;
			if (random_next(&dice) % 50 == 0)
				at_ns += 4 * NS_PER_HOUR;
			times[i] = at_ns;
			if (random_next(&dice) % 12 == 0)
				values[i] += 200 * noise(&dice) / 6;
		}
		marks += judge("temperature", n);
		for (size_t i = 0; i < n; i++) {
			if (verdicts[i] != naive(limits, i, n))
				fail_msg("seed %llu, value %zu", (unsigned long long)seed, i);
		}
	}
	assert_true(marks > 200);
}

/* ---- fixes ----------------------------------------------------------------------------- */

static size_t jumps(const double (*fixes)[3], size_t n, size_t *last)
{
	struct outlier_track track = { .len = 0 };
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		struct outlier_fix fix = { .t0_ns = (int64_t)(fixes[i][0] * 1e9),
			.lat = fixes[i][1],
			.lon = fixes[i][2],
			.accuracy_m = 10,
			.obs_id = { (uint8_t)i } },
				   jump;
		if (outlier_push_fix(&track, &fix, &jump)) {
			found++;
			*last = jump.obs_id[0];
		}
	}
	return found;
}

static void test_a_fix_that_nobody_reaches(void **state)
{
	static const double glitch[][3] = { { 0, 52.5, 13.4 }, { 60, 52.5, 13.4005 },
		{ 120, 53.1, 13.9 }, { 180, 52.5, 13.401 }, { 240, 52.5, 13.4015 } };
	static const double flight[][3] = { { 0, 52.3, 13.5 }, { 600, 52.0, 11.5 },
		{ 1200, 51.5, 9.5 }, { 1800, 50.9, 7.1 } };
	static const double resumed[][3] = { { 0, 52.5, 13.4 }, { 90000, 48.1, 11.5 },
		{ 90060, 48.1, 11.501 } };
	size_t last = 0;

	(void)state;
	assert_int_equal(jumps(glitch, 5, &last), 1);
	assert_int_equal(last, 2);
	assert_int_equal(jumps(flight, 4, &last), 0);
	assert_int_equal(jumps(resumed, 3, &last), 0);
}

static void test_which_numbers_are_judged(void **state)
{
	struct outlier_measure found[OUTLIER_MEASURES_MAX];
	struct observation obs = { .kind = "temperature",
		.layer = LAYER_ENVIRONMENT,
		.data_json = "{\"humidity\":81,\"unit\":\"°F\",\"value\":50}" };

	(void)state;
	assert_int_equal(outlier_measures(&obs, found), 2);
	assert_string_equal(found[0].limits->name, "humidity");
	assert_string_equal(found[1].limits->name, "temperature");
	assert_true(fabs(found[1].value - 10) < 1e-9);
	obs.kind = "appliance"; /* an oven may be hot */
	obs.layer = LAYER_HOME;
	obs.data_json = "{\"temp_c\":240}";
	assert_int_equal(outlier_measures(&obs, found), 0);
	obs.kind = "heart_rate";
	obs.layer = LAYER_BEHAVIOUR;
	obs.data_json = "{\"value\":900}";
	assert_int_equal(outlier_measures(&obs, found), 1);
	obs.data_json = "{\"lat\":1,\"value\":\"no\"}";
	assert_int_equal(outlier_measures(&obs, found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_spikes_are_found),
		cmocka_unit_test(test_what_lasts_is_no_outlier),
		cmocka_unit_test(test_steady_values_have_a_floor),
		cmocka_unit_test(test_limits_of_what_can_be),
		cmocka_unit_test(test_verdicts_match_the_twin),
		cmocka_unit_test(test_a_fix_that_nobody_reaches),
		cmocka_unit_test(test_which_numbers_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
