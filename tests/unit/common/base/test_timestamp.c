/* Timestamps: RFC 3339 both ways, the calendar day by day, the borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timestamp.h"

static void test_timestamp_reads_what_rfc_3339_allows(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
		int32_t offset_s;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "1970-01-01T00:00:00.000000001Z", 1, 0 },
		{ "1969-12-31T23:59:59.999999999Z", -1, 0 },
		{ "2026-11-19T18:30:00.123Z", INT64_C(1795113000123000000), 0 },
		{ "2026-11-19T19:30:00.123+01:00", INT64_C(1795113000123000000), 3600 },
		{ "2026-11-19t18:30:00.123z", INT64_C(1795113000123000000), 0 },
		{ "2026-11-19 18:30:00.123Z", INT64_C(1795113000123000000), 0 },
		{ "2026-11-19T12:45:00.123-05:45", INT64_C(1795113000123000000), -20700 },
		{ "2000-02-29T00:00:00Z", INT64_C(951782400000000000), 0 },
		{ "2024-02-29T23:59:59Z", INT64_C(1709251199000000000), 0 },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000000000), 0 },
		{ "2017-01-01T00:59:60+01:00", INT64_C(1483228800000000000), 3600 },
		{ "1970-01-01T00:00:00.1Z", 100000000, 0 },
		{ "1970-01-01T00:00:00.1234567899Z", 123456789, 0 },
		{ "1970-01-01T00:00:00-00:00", 0, 0 },
		{ "2262-04-11T23:47:16.854775807Z", INT64_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ns = 42;
		int32_t offset_s = 42;
		assert_int_equal(timestamp_parse(rows[i].text, &ns, &offset_s), RC_OK);
		assert_int_equal(ns, rows[i].ns);
		assert_int_equal(offset_s, rows[i].offset_s);
		assert_int_equal(timestamp_parse(rows[i].text, &ns, NULL), RC_OK);
	}
}

static void test_timestamp_refuses_what_is_no_time(void **state)
{
	static const char *const rows[] = { "", "now", "2026-11-19", "2026-11-19T18:30:00",
		"2026-11-19T18:30Z", "2026-11-19T18:30:00.Z", "2026-11-19T18:30:00,5Z",
		"2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-32T00:00:00Z", "2026-01-10T24:00:00Z", "2026-01-10T23:60:00Z",
		"2026-01-10T23:59:61Z", "2026-01-10T23:59:59+1:00", "2026-01-10T23:59:59+24:00",
		"2026-01-10T23:59:59+01:60", "2026-01-10T23:59:59+0100", "2026-01-10T23:59:59Zx",
		"2026-01-10T23:59:59Z ", " 2026-01-10T23:59:59Z", "+2026-01-10T23:59:59Z",
		"0000-01-10T23:59:59Z", "26-01-10T23:59:59Z", "2026-1-10T23:59:59Z",
		"2026-01-10T23:59:-1Z", "2026-01-10X23:59:59Z", "1700000000",
		"2026-01-10T23:59:59.5" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ns = 42;
		int32_t offset_s = 43;
		assert_int_equal(timestamp_parse(rows[i], &ns, &offset_s), RC_INVALID);
		assert_int_equal(ns, 42);
		assert_int_equal(offset_s, 43);
	}
}

static void test_timestamp_says_when_a_year_does_not_fit(void **state)
{
	int64_t ns = 42;

	(void)state;
	assert_int_equal(timestamp_parse("2262-04-11T23:47:16.854775808Z", &ns, NULL), RC_LIMIT);
	assert_int_equal(timestamp_parse("9999-12-31T23:59:59Z", &ns, NULL), RC_LIMIT);
	assert_int_equal(timestamp_parse("0001-01-01T00:00:00Z", &ns, NULL), RC_LIMIT);
	assert_int_equal(ns, 42);
}

static void test_timestamp_format_is_read_back_equal(void **state)
{
	static const int64_t borders[] = { INT64_MIN + NS_PER_DAY, INT64_MIN + NS_PER_S, -1, 0, 1,
		NS_PER_DAY - 1, NS_PER_DAY, -NS_PER_DAY, INT64_MAX - 1, INT64_MAX };
	char text[TIMESTAMP_TEXT_BYTES];
	uint64_t seed = 5;
	int64_t back;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		int64_t ns = (int64_t)(random_next(&seed) >> 1) * (i % 2 == 0 ? 1 : -1);
		if (i < (int)(sizeof(borders) / sizeof(borders[0])))
			ns = borders[i];
		timestamp_format(ns, text);
		assert_int_equal(strlen(text), 30);
		assert_int_equal(timestamp_parse(text, &back, NULL), RC_OK);
		assert_int_equal(back, ns);
	}
}

static void test_timestamp_milliseconds_are_cut_not_rounded(void **state)
{
	char text[TIMESTAMP_TEXT_BYTES];

	(void)state;
	timestamp_format_ms(INT64_C(1795113000123999999), text);
	assert_string_equal(text, "2026-11-19T18:30:00.123Z");
	timestamp_format_ms(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void test_timestamp_formats_the_whole_range_of_int64(void **state)
{
	char text[TIMESTAMP_TEXT_BYTES];

	(void)state;
	timestamp_format(INT64_MIN, text);
	assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
	timestamp_format(INT64_MAX, text);
	assert_string_equal(text, "2262-04-11T23:47:16.854775807Z");
}

/* Count days one by one, as a wall calendar does, from year 1 to 4000. */
static void test_civil_days_agree_with_counting(void **state)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t days = -719162; /* 0001-01-01, a Monday */

	(void)state;
	for (int year = 1; year <= 4000; year++) {
		bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
		for (int month = 1; month <= 12; month++) {
			int last = month_days[month - 1] + (leap && month == 2 ? 1 : 0);
			assert_int_equal(civil_days_in_month(year, month), last);
			for (int day = 1; day <= last; day++, days++) {
				int y, m, d;
				civil_of_days(days, &y, &m, &d);
				if (civil_days(year, month, day) != days || y != year ||
				    m != month || d != day ||
				    civil_weekday(days) != (int)((days + 719162) % 7))
					fail_msg("%04d-%02d-%02d", year, month, day);
			}
		}
	}
	assert_int_equal(civil_days(1970, 1, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timestamp_reads_what_rfc_3339_allows),
		cmocka_unit_test(test_timestamp_refuses_what_is_no_time),
		cmocka_unit_test(test_timestamp_says_when_a_year_does_not_fit),
		cmocka_unit_test(test_timestamp_format_is_read_back_equal),
		cmocka_unit_test(test_timestamp_milliseconds_are_cut_not_rounded),
		cmocka_unit_test(test_timestamp_formats_the_whole_range_of_int64),
		cmocka_unit_test(test_civil_days_agree_with_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
