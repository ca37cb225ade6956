/*
 * Zones and civil days: our reader of TZif files against libc's, hour for hour;
 * days of 23 and 25 hours; evidence from events; what is not known is wide.
 */
#include "../store/store_fixture.h"

#include <time.h>

#include "align/civil.h"
#include "align/zone.h"
#include "base/timestamp.h"

#define HOUR_S INT64_C(3600)
#define YEAR_S INT64_C(31557600)

static struct zone *zone_of(const char *name)
{
	struct zone *zone = NULL;

	PASS(zone_load(name, &zone, &pass_why));
	return zone;
}

static int64_t seconds_of(const char *text)
{
	int64_t ns;

	assert_int_equal(timestamp_parse(text, &ns, NULL), RC_OK);
	return ns / NS_PER_S;
}

static void test_offsets_are_those_of_libc_at_all_times(void **state)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York",
		"America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca",
		"Pacific/Apia", "Asia/Tehran", "Europe/Dublin", "America/St_Johns",
		"Antarctica/Troll", "Etc/GMT+5", "UTC" };
	uint64_t seed = 11;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct zone *zone = zone_of(names[i]);
		assert_int_equal(setenv("TZ", names[i], 1), 0);
		tzset();
		for (int k = 0; k < 20000; k++) {
			/* 1900 to 2200, more often near to now. */
			int64_t span_s = (k % 2 == 0 ? 300 : 40) * YEAR_S;
			time_t at = (time_t)(random_next(&seed) % (uint64_t)span_s) +
				    (time_t)((k % 2 == 0 ? -70 : 10) * YEAR_S);
			struct tm tm;
			assert_non_null(localtime_r(&at, &tm));
			if (zone_offset(zone, at) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, libc %ld", names[i], (long long)at,
				    zone_offset(zone, at), tm.tm_gmtoff);
		}
		zone_free(zone);
	}
	(void)unsetenv("TZ");
	tzset();
}

static void test_the_repeated_hour_keeps_its_fold_and_the_missing_one_moves(void **state)
{
	struct zone *zone = zone_of("Europe/Berlin");
	int64_t twice = seconds_of("2026-10-25T02:30:00Z"); /* as the wall shows it */
	int64_t never = seconds_of("2026-03-29T02:30:00Z");

	(void)state;
	assert_int_equal(zone_utc(zone, twice, 0), seconds_of("2026-10-25T00:30:00Z"));
	assert_int_equal(zone_utc(zone, twice, 1), seconds_of("2026-10-25T01:30:00Z"));
	assert_int_equal(zone_utc(zone, never, 0), seconds_of("2026-03-29T01:30:00Z"));
	assert_int_equal(zone_utc(zone, seconds_of("2060-07-01T12:00:00Z"), 0),
	    seconds_of("2060-07-01T10:00:00Z")); /* by the rule in the footer */
	zone_free(zone);
}

static void test_names_and_files_that_are_none_are_refused(void **state)
{
	static const char *const names[] = { "", "/etc/passwd", "../../../etc/passwd",
		"Europe/../../passwd", "Europe/Berlin\n",
		"a2345678901234567890123456789012345678901234567890123456789012345" };
	struct zone *zone = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(zone_load(names[i], &zone, NULL), RC_INVALID);
	assert_int_equal(zone_load("Europe/Atlantis", &zone, NULL), RC_NOTFOUND);
	assert_int_equal(zone_parse((const uint8_t *)"TZif", 4, &zone, NULL), RC_CORRUPT);
	assert_null(zone);
}

/* ---- days --------------------------------------------------------------------------------- */

static int64_t day_of(const char *date)
{
	int64_t day;

	assert_int_equal(civil_parse_date(date, &day), RC_OK);
	return day;
}

static void test_dates_are_checked(void **state)
{
	static const char *const wrong[] = { "2026-04-31", "2026-02-29", "2026-13-01", "2026-00-10",
		"2026-1-1", "20261025", "2026-10-25T", "26-10-2025", "" };
	char text[16];
	int64_t day;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(civil_parse_date(wrong[i], &day), RC_INVALID);
	assert_int_equal(day_of("1970-01-01"), 0);
	assert_int_equal(day_of("2024-02-29"), 19782);
	for (day = day_of("1901-01-01"); day < day_of("2199-01-01"); day += 13) {
		civil_format_date(day, text);
		assert_int_equal(day_of(text), day);
	}
}

static struct civil_day find(struct fixture *f, const char *date, const char *zone)
{
	struct civil_query query = { .day = day_of(date), .zone = zone };
	struct civil_day day;

	PASS(civil_day_find(f->store, &query, &day, &pass_why));
	return day;
}

static void assert_day(const struct civil_day *day, const char *from, const char *to, int64_t hours)
{
	assert_true(day->known);
	assert_int_equal(day->from_ns / NS_PER_S, seconds_of(from));
	assert_int_equal(day->to_ns / NS_PER_S, seconds_of(to));
	assert_int_equal((day->to_ns - day->from_ns) / NS_PER_HOUR, hours);
}

static void say(struct fixture *f, const char *at, const char *zone, int32_t offset_s)
{
	struct observation obs = make_obs("", seconds_of(at) * NS_PER_S, at);

	obs.zone = zone;
	obs.has_offset = offset_s != 0;
	obs.offset_s = offset_s;
	(void)append_one(f->store, &obs);
}

static void test_days_have_23_24_and_25_hours(void **state)
{
	struct fixture f = { 0 };
	struct civil_day day;

	(void)state;
	fixture_init(&f);
	day = find(&f, "2026-10-25", "Europe/Berlin");
	assert_day(&day, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25);
	day = find(&f, "2026-03-29", "Europe/Berlin");
	assert_day(&day, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23);
	day = find(&f, "2026-06-01", "Asia/Kolkata");
	assert_day(&day, "2026-05-31T18:30:00Z", "2026-06-01T18:30:00Z", 24);
	/* Midnight did not happen: the day begins at one o'clock. */
	day = find(&f, "2018-11-04", "America/Sao_Paulo");
	assert_day(&day, "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", 23);
	fixture_fini(&f);
}

static void test_the_zone_is_what_events_of_the_time_say(void **state)
{
	struct fixture f = { 0 };
	struct civil_day day;

	(void)state;
	fixture_init(&f);
	day = find(&f, "2026-10-25", NULL);
	assert_false(day.known); /* no evidence: all places that have that date */
	assert_int_equal((day.to_ns - day.from_ns) / NS_PER_HOUR, 50);
	say(&f, "2026-10-25T10:00:00Z", "", 3600);
	day = find(&f, "2026-10-25", NULL);
	assert_string_equal(day.zone_from, "+01:00");
	assert_day(&day, "2026-10-24T23:00:00Z", "2026-10-25T23:00:00Z", 24);
	say(&f, "2026-10-25T11:00:00Z", "Europe/Berlin", 0); /* a name says more */
	day = find(&f, "2026-10-25", NULL);
	assert_string_equal(day.zone_from, "Europe/Berlin");
	assert_day(&day, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25);
	say(&f, "2026-10-25T12:00:00Z", "Middle/Earth", 0);
	day = find(&f, "2026-10-25", NULL);
	assert_int_equal((day.to_ns - day.from_ns) / NS_PER_HOUR, 25);
	fixture_fini(&f);
}

static void test_a_day_can_begin_in_one_zone_and_end_in_another(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	fixture_init(&f);
	say(&f, "2026-06-01T06:00:00Z", "Europe/Berlin", 0);
	say(&f, "2026-06-01T18:00:00Z", "America/New_York", 0);
	struct civil_day day = find(&f, "2026-06-01", NULL);
	assert_string_equal(day.zone_from, "Europe/Berlin");
	assert_string_equal(day.zone_to, "America/New_York");
	assert_day(&day, "2026-05-31T22:00:00Z", "2026-06-02T04:00:00Z", 30);
	day = find(&f, "2026-06-02", NULL); /* the next one takes over where it ended */
	assert_day(&day, "2026-06-02T04:00:00Z", "2026-06-03T04:00:00Z", 24);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_are_those_of_libc_at_all_times),
		cmocka_unit_test(test_the_repeated_hour_keeps_its_fold_and_the_missing_one_moves),
		cmocka_unit_test(test_names_and_files_that_are_none_are_refused),
		cmocka_unit_test(test_dates_are_checked),
		cmocka_unit_test(test_days_have_23_24_and_25_hours),
		cmocka_unit_test(test_the_zone_is_what_events_of_the_time_say),
		cmocka_unit_test(test_a_day_can_begin_in_one_zone_and_end_in_another),
	};

	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
