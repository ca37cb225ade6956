/* Samples: what slices show of a block adds up, and names what it is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "align/peek.h"
#include "align/sample.h"
#include "base/clock.h"
#include "base/random.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)
#define FRAMES 6000

static double values[FRAMES * 2];
static int64_t times[FRAMES];

static struct observation block(double rate_hz, unsigned channels, size_t frames)
{
	struct observation obs = { .source = "watch",
		.client_id = "",
		.layer = LAYER_BEHAVIOUR,
		.kind = "heart_rate",
		.shape = SHAPE_BLOCK,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = T0_NS,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = "",
		.data_json = "",
		.rate_hz = rate_hz,
		.values = values,
		.values_len = frames * (channels > 1 ? channels : 1),
		.channels = channels };

	obs.dev_t1_ns = T0_NS + (int64_t)((double)frames / rate_hz * 1e9);
	obs.place = placement_trusted(obs.dev_t0_ns, obs.dev_t1_ns, 0);
	return obs;
}

static const char *show(const struct observation *obs, enum facet facet, int64_t from_ns,
    int64_t to_ns, struct arena *arena)
{
	const char *out = NULL;
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, policy_default(), &item, &rest);
	assert_non_null(rest.block);
	assert_int_equal(
	    sample_of_slice(&item, facet, T0_NS + from_ns, T0_NS + to_ns, arena, &out), RC_OK);
	return out;
}

static double number(const char *json, const char *name)
{
	struct peek member;
	double value;

	peek_open(&member, json);
	while (peek_next(&member)) {
		if (peek_is(&member, name) && peek_number(&member, &value))
			return value;
	}
	fail_msg("no %s in %s", name, json);
	return NAN;
}

static void test_short_slices_add_up_to_long_ones(void **state)
{
	(void)state;
	uint64_t seed = 9;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < FRAMES; i++)
		values[i] = (double)(random_next(&seed) % 1000) / 8;
	struct observation obs = block(12.5, 0, FRAMES);
	double count = 0, sum = 0;
	for (int64_t s = 60; s < 120; s++) {
		const char *json = show(&obs, FACET_BODY, s * NS_PER_S, (s + 1) * NS_PER_S, &arena);
		count += number(json, "samples");
		sum += number(json, "samples") * number(json, "value");
	}
	const char *minute = show(&obs, FACET_BODY, 60 * NS_PER_S, 120 * NS_PER_S, &arena);
	assert_true(number(minute, "samples") == count && count == 750);
	assert_true(fabs(number(minute, "value") - sum / count) < 1e-9);
	arena_fini(&arena);
}

static void test_a_slice_between_frames_shows_the_nearest_and_counts_none(void **state)
{
	(void)state;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	values[0] = 70;
	values[1] = 80.5;
	struct observation obs = block(0.1, 0, 2);
	assert_string_equal(show(&obs, FACET_BODY, 2 * NS_PER_S, 3 * NS_PER_S, &arena),
	    "{\"samples\":0,\"value\":70}");
	assert_string_equal(show(&obs, FACET_BODY, 7 * NS_PER_S, 8 * NS_PER_S, &arena),
	    "{\"samples\":0,\"value\":80.5}");
	assert_string_equal(show(&obs, FACET_BODY, 10 * NS_PER_S, 11 * NS_PER_S, &arena),
	    "{\"samples\":1,\"value\":80.5}");
	arena_fini(&arena);
}

static void test_positions_are_not_averaged_and_channels_have_names(void **state)
{
	(void)state;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 10; i++) {
		times[i] = (int64_t)i * NS_PER_S + (int64_t)i * NS_PER_MS;
		values[2 * i] = 52.5200066 + (double)i;
		values[2 * i + 1] = 13.404954;
	}
	struct observation obs = block(1, 2, 10);
	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "location";
	obs.rate_hz = 0;
	obs.times_ns = times;
	obs.extra_json = "{\"channels\":[\"lat\",\"lon\"]}";
	obs.data_json = "{\"acc\":5,\"lat\":1,\"samples\":7}";
	assert_string_equal(show(&obs, FACET_LOCATION, 0, 10 * NS_PER_S, &arena),
	    "{\"acc\":5,\"lat\":57.5200066,\"lon\":13.404954,\"samples\":10}");
	obs.extra_json = "";
	obs.data_json = "";
	assert_string_equal(show(&obs, FACET_ENVIRONMENT, 0, 2 * NS_PER_S, &arena),
	    "{\"samples\":2,\"values\":[53.0200066,13.404954]}");
	arena_fini(&arena);
}

/* A clock that runs 1 % slow: the hub's time of a frame is stretched with it. */
static void test_frames_follow_the_map_of_their_clock(void **state)
{
	(void)state;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 1000; i++)
		values[i] = (double)i;
	struct observation obs = block(1, 0, 1000);
	obs.place.t1_ns = obs.place.t0_ns + 1010 * NS_PER_S;
	const char *json = show(&obs, FACET_BODY, 505 * NS_PER_S, 506 * NS_PER_S, &arena);
	assert_true(number(json, "value") == 500);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_slices_add_up_to_long_ones),
		cmocka_unit_test(test_a_slice_between_frames_shows_the_nearest_and_counts_none),
		cmocka_unit_test(test_positions_are_not_averaged_and_channels_have_names),
		cmocka_unit_test(test_frames_follow_the_map_of_their_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
