/*
 * Memory of the window: bounded by what lies within its reach, not by the day.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "align/window.h"
#include "base/clock.h"
#include "base/random.h"

#define START_NS (INT64_C(1763164800) * NS_PER_S)
#define DENSE_A_MINUTE 3472 /* 5 M observations a day */
#define BOUND_BYTES ((size_t)64 << 20)

static const struct {
	enum layer layer;
	const char *kind, *data_json;
} streams[] = { { LAYER_BEHAVIOUR, "heart_rate", "{\"value\":62}" },
	{ LAYER_BEHAVIOUR, "app", "{\"app\":\"editor\"}" },
	{ LAYER_ENVIRONMENT, "temperature", "{\"room\":\"hall\",\"value\":20.5}" },
	{ LAYER_ENVIRONMENT, "location", "{\"acc\":5,\"lat\":52.5,\"lon\":13.4}" },
	{ LAYER_VISUAL, "frame", "" }, { LAYER_AUDITORY, "sound", "" },
	{ LAYER_TEXT, "message", "" },
	{ LAYER_HOME, "light", "{\"entity_id\":\"light.hall\",\"state\":\"on\"}" } };

static bool ignore(void *ctx, const struct slice *slice)
{
	(void)slice;
	++*(size_t *)ctx;
	return true;
}

/* The most that a window held over so many minutes of the first `kinds` streams, so
 * dense a minute; of several, some are intervals. */
static size_t peak_of_kinds(size_t kinds, int64_t minutes, size_t a_minute)
{
	struct window_grid grid = { .from_ns = START_NS,
		.to_ns = START_NS + minutes * NS_PER_MIN,
		.step_ns = 10 * NS_PER_S,
		.facets = FACET_MASK_ALL };
	size_t n = (size_t)minutes * a_minute, peak = 0, slices = 0;
	struct window *window;
	uint64_t seed = 9;

	assert_int_equal(window_open(policy_default(), &grid, ignore, &slices, &window), RC_OK);
	for (size_t i = 0; i < n; i++) {
		size_t s = random_next(&seed) % kinds;
		int64_t at_ns =
		    START_NS + (int64_t)((double)i * (double)NS_PER_MIN / (double)a_minute);
		struct observation obs = { .seq = i + 1,
			.source = "source",
			.client_id = "",
			.layer = streams[s].layer,
			.kind = streams[s].kind,
			.shape = SHAPE_INSTANT,
			.clock_id = "",
			.boot_epoch = "",
			.zone = "",
			.text = i % 3 == 0 ? "some words that somebody wrote" : "",
			.data_json = streams[s].data_json,
			.dev_t0_ns = at_ns,
			.dev_t1_ns =
			    at_ns + (kinds > 1 && random_next(&seed) % 50 == 0 ? NS_PER_MIN : 0),
			.place = placement_trusted(at_ns, at_ns, 0) };
		struct item_rest rest;
		struct item item;
		obs.place.t1_ns = obs.dev_t1_ns;
		memcpy(obs.obs_id, &i, sizeof i);
		item_of_observation(&obs, policy_default(), &item, &rest);
		assert_int_equal(window_settle(window, item_key_ns(&item), NULL), RC_OK);
		assert_int_equal(window_push(window, &item, 1, NULL), RC_OK);
		if (i % 64 == 0 && window_bytes(window) > peak)
			peak = window_bytes(window);
	}
	assert_int_equal(window_finish(window, NULL), RC_OK);
	assert_int_equal(slices, minutes * 6);
	window_close(window);
	return peak;
}

static size_t peak_of(int64_t minutes, size_t a_minute)
{
	return peak_of_kinds(sizeof streams / sizeof streams[0], minutes, a_minute);
}

static void test_a_day_ten_times_longer_takes_no_more(void **state)
{
	size_t hour = peak_of(60, 200), ten = peak_of(600, 200);

	(void)state;
	assert_true(ten <= hour + hour / 20);
}

static void test_a_day_ten_times_denser_takes_ten_times_as_much_at_most(void **state)
{
	size_t thin = peak_of(40, 100), dense = peak_of(40, 1000);

	(void)state;
	assert_true(dense <= 10 * thin);
}

/* A slice shows one of them: the others need not be kept. */
static void test_measured_values_take_no_more_the_denser_they_are(void **state)
{
	size_t thin = peak_of_kinds(1, 40, 60), dense = peak_of_kinds(1, 40, 6000);

	(void)state;
	assert_true(dense <= 3 * thin);
}

static void test_five_million_a_day_stay_below_the_bound(void **state)
{
	(void)state;
	assert_true(peak_of(60, DENSE_A_MINUTE) <= BOUND_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_ten_times_longer_takes_no_more),
		cmocka_unit_test(test_a_day_ten_times_denser_takes_ten_times_as_much_at_most),
		cmocka_unit_test(test_measured_values_take_no_more_the_denser_they_are),
		cmocka_unit_test(test_five_million_a_day_stay_below_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
