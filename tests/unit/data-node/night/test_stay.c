/*
 * Stays, places and activities: a synthetic month with its truth, stray fixes,
 * silence, and what must not be taken for home, work or a meeting.
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
#include "base/timestamp.h"
#include "night/activity.h"

#define MONDAY_NS (INT64_C(1795392000) * NS_PER_S) /* 2026-11-23T00:00Z */
#define STAYS 2000

static const uint8_t some_id[OBS_ID_BYTES] = { 1 };
static struct stay stays[STAYS];
static size_t stays_len;

static int64_t as_utc(const void *ctx, int64_t utc_ns)
{
	return utc_ns + *(const int32_t *)ctx * NS_PER_S;
}

static double jitter(uint64_t *seed, double metres)
{
	return ((double)(random_next(seed) % 2001) / 1000 - 1) * metres / 111195;
}

static void push(struct stay_run *run, int64_t t0_ns, double lat, double lon)
{
	struct stay out;

	if (stay_push(run, t0_ns, t0_ns, lat, lon, some_id, &out))
		stays[stays_len++] = out;
}

static void flush(struct stay_run *run)
{
	struct stay out;

	if (stay_end(run, &out))
		stays[stays_len++] = out;
}

static void test_a_stay_with_stray_fixes_and_silence(void **state)
{
	struct stay_run run = { .now.fixes = 0 };
	uint64_t seed = 1;

	(void)state;
	stays_len = 0;
	for (int64_t minute = 0; minute < 600; minute += 5) {
		bool stray = minute == 100;
		if (minute > 300 && minute < 540)
			continue; /* the phone lies still and says nothing */
		push(&run, minute * NS_PER_MIN, 52.5 + jitter(&seed, 40) + (stray ? 0.1 : 0),
		    13.4 + jitter(&seed, 40));
	}
	push(&run, 600 * NS_PER_MIN, 52.52, 13.4); /* away */
	push(&run, 605 * NS_PER_MIN, 52.53, 13.4);
	flush(&run);
	assert_int_equal(stays_len, 1);
	assert_int_equal(stays[0].t0_ns, 0);
	assert_int_equal(stays[0].t1_ns, 595 * NS_PER_MIN);
	assert_true(fabs(stays[0].lat - 52.5) < 0.0003);
}

static void test_moving_is_no_stay(void **state)
{
	struct stay_run run = { .now.fixes = 0 };

	(void)state;
	stays_len = 0;
	for (int i = 0; i < 200; i++)
		push(&run, i * NS_PER_MIN, 52.5 + i * 0.002, 13.4);
	flush(&run);
	assert_int_equal(stays_len, 0);
}

static void test_two_sources_at_one_place_are_one_stay(void **state)
{
	struct stay list[] = {
		{ .t0_ns = 100, .t1_ns = 900, .lat = 52.5, .lon = 13.4, .fixes = 3 },
		{ .t0_ns = 0,
		    .t1_ns = 500,
		    .lat = 52.5002,
		    .lon = 13.4,
		    .fixes = 2,
		    .word = "home" },
		{ .t0_ns = 950, .t1_ns = 990, .lat = 52.5, .lon = 13.4, .fixes = 1 },
		{ .t0_ns = 400, .t1_ns = 450, .lat = 48.1, .lon = 11.5, .fixes = 1 },
	};

	(void)state;
	assert_int_equal(stay_merge(list, 4), 3);
	assert_int_equal(list[0].t0_ns, 0);
	assert_int_equal(list[0].t1_ns, 900);
	assert_int_equal(list[0].fixes, 5);
	assert_string_equal(list[0].word, "home");
}

/* ---- a month of someone's life ------------------------------------------------------- */

#define HOME_LAT 52.4874
#define HOME_LON 13.4263
#define WORK_LAT 52.5008
#define WORK_LON 13.4187

static void add_stay(int64_t from_ns, double from_h, double to_h, double lat, double lon)
{
	assert_true(stays_len < STAYS);
	stays[stays_len++] = (struct stay){ .t0_ns = from_ns + (int64_t)(from_h * 3600) * NS_PER_S,
		.t1_ns = from_ns + (int64_t)(to_h * 3600) * NS_PER_S,
		.lat = lat,
		.lon = lon,
		.fixes = 2 };
}

/* Nights at home, weekdays at work, other places at random; two weeks away. */
static void make_month(uint64_t seed, int weeks, bool commutes)
{
	stays_len = 0;
	for (int day = 0; day < weeks * 7; day++) {
		int64_t from_ns = MONDAY_NS + day * NS_PER_DAY;
		double lat = HOME_LAT + jitter(&seed, 30), lon = HOME_LON + jitter(&seed, 30);
		double out_h = 7.5 + (double)(random_next(&seed) % 60) / 60;
		add_stay(from_ns, 0, out_h, lat, lon);
		if (day % 7 < 5 && commutes) {
			add_stay(from_ns, out_h + 0.4, 12, WORK_LAT + jitter(&seed, 30), WORK_LON);
			add_stay(from_ns, 12.1, 12.8, 52.4994 + jitter(&seed, 500), 13.4285);
			add_stay(from_ns, 13, 17.2, WORK_LAT + jitter(&seed, 30), WORK_LON);
		} else {
			add_stay(from_ns, 11, 15, 52.4 + (double)(random_next(&seed) % 1000) / 5000,
			    13.3);
		}
		add_stay(from_ns, 17.8, 24, lat, lon);
	}
}

static struct place_roles roles_of(int32_t offset_s)
{
	struct place_roles roles;

	assert_int_equal(place_roles_of(stays, stays_len, as_utc, &offset_s, &roles), RC_OK);
	return roles;
}

static void test_home_and_work_are_learned(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		make_month(seed, 4, true);
		struct place_roles roles = roles_of(0);
		assert_true(place_is_at(&roles.home, HOME_LAT, HOME_LON));
		assert_true(place_is_at(&roles.work, WORK_LAT, WORK_LON));
		assert_false(place_is_at(&roles.home, WORK_LAT, WORK_LON));
		make_month(seed, 4, false);
		roles = roles_of(0);
		assert_true(place_is_at(&roles.home, HOME_LAT, HOME_LON));
		assert_false(roles.work.known);
	}
}

static void test_local_time_decides(void **state)
{
	(void)state;
	/* Nights there are days here. */
	stays_len = 0;
	for (int day = 0; day < 14; day++) {
		add_stay(MONDAY_NS + day * NS_PER_DAY, 20, 30, 37.77, -122.42);
		add_stay(MONDAY_NS + day * NS_PER_DAY, 30.5, 43.5, 37.79, -122.40);
	}
	struct place_roles utc = roles_of(0), there = roles_of(-8 * 3600);
	assert_true(place_is_at(&utc.home, 37.77, -122.42));
	assert_true(place_is_at(&there.home, 37.79, -122.40));
}

static void test_a_named_place_is_believed(void **state)
{
	(void)state;
	stays_len = 0;
	add_stay(MONDAY_NS, 9, 11, 52.1, 13.1);
	(void)snprintf(stays[0].word, STAY_WORD_BYTES, "%s", "home");
	add_stay(MONDAY_NS, 12, 14, 52.2, 13.2);
	(void)snprintf(stays[1].word, STAY_WORD_BYTES, "%s", "office");
	struct place_roles roles = roles_of(0);
	assert_true(place_is_at(&roles.home, 52.1, 13.1));
	assert_true(place_is_at(&roles.work, 52.2, 13.2));
}

static void test_a_day_out_of_stays(void **state)
{
	struct activity list[32];
	size_t home = 0, work = 0, commuting = 0;

	(void)state;
	make_month(7, 4, true);
	struct place_roles roles = roles_of(0);
	make_month(7, 1, true);
	size_t n = activity_of_stays(stays, 6, &roles, list, 32); /* Monday */
	for (size_t i = 0; i < n; i++) {
		home += strcmp(list[i].scene, "home") == 0 ? 1 : 0;
		work += strcmp(list[i].scene, "work") == 0 ? 1 : 0;
		commuting += strcmp(list[i].scene, "commuting") == 0 ? 1 : 0;
		assert_true(list[i].t0_ns < list[i].t1_ns);
	}
	assert_int_equal(home, 3); /* two of Monday, one of Tuesday */
	assert_int_equal(work, 2);
	assert_int_equal(commuting, 2);
	/* A long evening elsewhere between them is no way home. */
	stays_len = 0;
	add_stay(MONDAY_NS, 9, 17, WORK_LAT, WORK_LON);
	add_stay(MONDAY_NS, 17.5, 19, 52.45, 13.30);
	add_stay(MONDAY_NS, 19.4, 24, HOME_LAT, HOME_LON);
	assert_int_equal(activity_of_stays(stays, 3, &roles, list, 32), 2);
	stays[1].t1_ns = stays[1].t0_ns + 20 * NS_PER_MIN; /* the bicycle shop */
	stays[2].t0_ns = stays[1].t1_ns + 20 * NS_PER_MIN;
	assert_int_equal(activity_of_stays(stays, 3, &roles, list, 32), 3);
}

/* ---- talks and rest --------------------------------------------------------------------- */

static size_t talks(const char *speakers, int64_t step_ns, struct activity *out)
{
	struct activity_talk talk = { .utterances = 0 };
	size_t found = 0;
	int64_t at_ns = MONDAY_NS;

	for (const char *p = speakers; *p != '\0';
	     p++, at_ns += *p == ' ' ? 10 * NS_PER_MIN : step_ns) {
		if (*p != ' ' && activity_talk_push(&talk, at_ns, at_ns + 10 * NS_PER_S,
				     (uint64_t)*p, some_id, out))
			found++;
	}
	return found + (activity_talk_end(&talk, out) ? 1 : 0);
}

static void test_several_speakers_meet(void **state)
{
	struct activity out;

	(void)state;
	assert_int_equal(talks("abacabcab", 90 * NS_PER_S, &out), 1);
	assert_string_equal(out.scene, "meeting");
	assert_int_equal(talks("aaaaaaaaaaaa", 90 * NS_PER_S, &out), 0); /* a monologue */
	assert_int_equal(talks("abab", 90 * NS_PER_S, &out), 0);         /* a few words */
	assert_int_equal(talks("abacabcab", 5 * NS_PER_S, &out), 0);     /* not long */
	assert_int_equal(talks("abacabcab babcacbab", 90 * NS_PER_S, &out), 2);
}

static void test_a_silent_night_is_rest(void **state)
{
	struct activity_signs signs = { .before = 0 };
	struct activity out;
	size_t found = 0;

	(void)state;
	for (int minute = 0; minute < 48 * 60; minute += 20) {
		int of_day = minute % 1440;
		if (of_day < 6 * 60 + 40 || of_day > 23 * 60)
			continue;
		int64_t at_ns = MONDAY_NS + minute * NS_PER_MIN;
		if (activity_sign_push(&signs, at_ns, at_ns, 0, some_id, &out))
			found++;
	}
	assert_int_equal(found, 1);
	assert_string_equal(out.scene, "sleep");
	assert_int_equal(out.t0_ns, MONDAY_NS + 23 * NS_PER_HOUR);
	assert_int_equal(out.t1_ns, MONDAY_NS + NS_PER_DAY + 400 * NS_PER_MIN);
	/* The same silence at noon is none; and so is one after nothing. */
	signs = (struct activity_signs){ .before = 0 };
	for (int hour = 8; hour < 20; hour += hour == 10 ? 5 : 1) {
		int64_t at_ns = MONDAY_NS + hour * NS_PER_HOUR;
		assert_false(activity_sign_push(&signs, at_ns, at_ns, 0, some_id, &out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stay_with_stray_fixes_and_silence),
		cmocka_unit_test(test_moving_is_no_stay),
		cmocka_unit_test(test_two_sources_at_one_place_are_one_stay),
		cmocka_unit_test(test_home_and_work_are_learned),
		cmocka_unit_test(test_local_time_decides),
		cmocka_unit_test(test_a_named_place_is_believed),
		cmocka_unit_test(test_a_day_out_of_stays),
		cmocka_unit_test(test_several_speakers_meet),
		cmocka_unit_test(test_a_silent_night_is_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
