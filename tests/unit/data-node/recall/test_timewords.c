/*
 * Time words: a table of questions and the ranges they name, seen from a
 * Saturday afternoon (2026-11-21 15:30), and how zones and odd input behave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "recall/recall.h"

#define NOW "2026-11-21T15:30"

static int64_t ns_of(const char *minute)
{
	char text[TIMESTAMP_TEXT_BYTES];
	int64_t ns;

	(void)snprintf(text, sizeof text, "%s:00Z", minute);
	if (timestamp_parse(text, &ns, NULL) != RC_OK)
		fail_msg("bad time in the table: %s", minute);
	return ns;
}

struct row {
	const char *query, *from, *to;
	const char *words; /* what is taken out of the query; NULL: not checked */
};

#define DAY(date, next) date "T00:00", next "T00:00"

static const struct row table[] = {
	{ "what did I eat today", DAY("2026-11-21", "2026-11-22"), "today" },
	{ "what did I eat yesterday?", DAY("2026-11-20", "2026-11-21"), "yesterday" },
	{ "Where was I the day before yesterday", DAY("2026-11-19", "2026-11-20"),
	    "the day before yesterday" },
	{ "yesterday's meeting", DAY("2026-11-20", "2026-11-21"), "yesterday's" },
	{ "what is planned tomorrow", DAY("2026-11-22", "2026-11-23"), NULL },
	{ "tonight", "2026-11-21T18:00", "2026-11-22T04:00", "tonight" },
	{ "this morning", "2026-11-21T05:00", "2026-11-21T12:00", "this morning" },
	{ "who called this afternoon", "2026-11-21T12:00", "2026-11-21T18:00", NULL },
	{ "this evening", "2026-11-21T17:00", "2026-11-22T00:00", NULL },
	{ "how did I sleep last night", "2026-11-20T18:00", "2026-11-21T06:00", "last night" },
	{ "yesterday morning", "2026-11-20T05:00", "2026-11-20T12:00", NULL },
	{ "yesterday evening", "2026-11-20T17:00", "2026-11-21T00:00", NULL },
	{ "yesterday in the afternoon", "2026-11-20T12:00", "2026-11-20T18:00", NULL },
	{ "lunch on Tuesday", DAY("2026-11-17", "2026-11-18"), "on Tuesday" },
	{ "Friday", DAY("2026-11-20", "2026-11-21"), NULL },
	{ "on Saturday", DAY("2026-11-14", "2026-11-15"), NULL },
	{ "last Friday", DAY("2026-11-20", "2026-11-21"), "last Friday" },
	{ "last sunday", DAY("2026-11-15", "2026-11-16"), NULL },
	{ "this Monday", DAY("2026-11-16", "2026-11-17"), NULL },
	{ "this sunday", DAY("2026-11-22", "2026-11-23"), NULL },
	{ "on Thu", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "Tuesday night", "2026-11-17T18:00", "2026-11-18T06:00", "Tuesday night" },
	{ "monday morning", "2026-11-16T05:00", "2026-11-16T12:00", NULL },
	{ "this week", DAY("2026-11-16", "2026-11-23"), NULL },
	{ "last week", DAY("2026-11-09", "2026-11-16"), "last week" },
	{ "this weekend", DAY("2026-11-21", "2026-11-23"), NULL },
	{ "last weekend", DAY("2026-11-14", "2026-11-16"), NULL },
	{ "at the weekend", DAY("2026-11-21", "2026-11-23"), "at the weekend" },
	{ "this month", DAY("2026-11-01", "2026-12-01"), NULL },
	{ "photos of last month", DAY("2026-10-01", "2026-11-01"), NULL },
	{ "this year", DAY("2026-01-01", "2027-01-01"), NULL },
	{ "last year", DAY("2025-01-01", "2026-01-01"), NULL },
	{ "in 2024", DAY("2024-01-01", "2025-01-01"), "in 2024" },
	{ "3 days ago", DAY("2026-11-18", "2026-11-19"), "3 days ago" },
	{ "two days ago", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "a day ago", DAY("2026-11-20", "2026-11-21"), NULL },
	{ "a couple of days ago", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "a week ago", DAY("2026-11-09", "2026-11-16"), NULL },
	{ "two weeks ago", DAY("2026-11-02", "2026-11-09"), NULL },
	{ "a month ago", DAY("2026-10-01", "2026-11-01"), NULL },
	{ "11 months ago", DAY("2025-12-01", "2026-01-01"), NULL },
	{ "two years ago", DAY("2024-01-01", "2025-01-01"), NULL },
	{ "an hour ago", "2026-11-21T14:00", "2026-11-21T15:00", "an hour ago" },
	{ "ten minutes ago", "2026-11-21T15:15", "2026-11-21T15:25", NULL },
	{ "in the last 3 days", "2026-11-18T00:00", NOW, NULL },
	{ "the past two weeks", "2026-11-07T00:00", NOW, NULL },
	{ "last 24 hours", "2026-11-20T15:30", NOW, NULL },
	{ "past week", "2026-11-14T15:30", NOW, NULL },
	{ "last hour", "2026-11-21T14:30", NOW, NULL },
	{ "trips in March", DAY("2026-03-01", "2026-04-01"), "in March" },
	{ "December", DAY("2025-12-01", "2026-01-01"), NULL },
	{ "in november", DAY("2026-11-01", "2026-12-01"), NULL },
	{ "last November", DAY("2025-11-01", "2025-12-01"), NULL },
	{ "March 2025", DAY("2025-03-01", "2025-04-01"), NULL },
	{ "in may", DAY("2026-05-01", "2026-06-01"), NULL },
	{ "2026-03", DAY("2026-03-01", "2026-04-01"), NULL },
	{ "what happened on 2026-11-19?", DAY("2026-11-19", "2026-11-20"), "on 2026-11-19" },
	{ "19.11.2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "11/19/2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "19/11/2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "19 November", DAY("2026-11-19", "2026-11-20"), "19 November" },
	{ "on the 19th of November", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "Nov 19th 2026", DAY("2026-11-19", "2026-11-20"), "Nov 19th 2026" },
	{ "November 19th, 2025", DAY("2025-11-19", "2025-11-20"), NULL },
	{ "December 24", DAY("2025-12-24", "2025-12-25"), NULL },
	{ "29 February", DAY("2024-02-29", "2024-03-01"), NULL },
	{ "on the 19th", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "the 25th", DAY("2026-10-25", "2026-10-26"), NULL },
	{ "last summer", DAY("2026-06-01", "2026-09-01"), NULL },
	{ "summer 2025", DAY("2025-06-01", "2025-09-01"), NULL },
	{ "in the winter", DAY("2025-12-01", "2026-03-01"), NULL },
	{ "this autumn", DAY("2026-09-01", "2026-12-01"), NULL },
	{ "last fall", DAY("2025-09-01", "2025-12-01"), NULL },
	{ "at noon today", "2026-11-21T11:30", "2026-11-21T12:30", "at noon today" },
	{ "today at noon", "2026-11-21T11:30", "2026-11-21T12:30", "today at noon" },
	{ "around 12:30 today", "2026-11-21T12:00", "2026-11-21T13:00", NULL },
	{ "yesterday at 7pm", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "yesterday at 7 p.m.", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "yesterday evening at 7", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "at 9am", "2026-11-21T08:30", "2026-11-21T09:30", NULL },
	{ "at 7pm", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "at midnight yesterday", "2026-11-20T23:30", "2026-11-21T00:30", NULL },
	{ "at 8 o'clock this morning", "2026-11-21T07:30", "2026-11-21T08:30", NULL },
	{ "on the morning of 19 November", "2026-11-19T05:00", "2026-11-19T12:00", NULL },
	{ "since Monday", "2026-11-16T00:00", NOW, "since Monday" },
	{ "from Monday to Wednesday", DAY("2026-11-16", "2026-11-19"), NULL },
	{ "between 2 March and 5 March", DAY("2026-03-02", "2026-03-06"), NULL },
};

static void test_each_question_names_its_range(void **state)
{
	(void)state;
	assert_true(sizeof table / sizeof table[0] >= 60);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct row *row = &table[i];
		struct timewords when;
		char from[TIMESTAMP_TEXT_BYTES], to[TIMESTAMP_TEXT_BYTES];
		timewords_parse(row->query, strlen(row->query), ns_of(NOW), 0, &when);
		if (!when.found)
			fail_msg("nothing found in: %s", row->query);
		timestamp_format_ms(when.from_ns, from);
		timestamp_format_ms(when.to_ns, to);
		if (when.from_ns != ns_of(row->from) || when.to_ns != ns_of(row->to))
			fail_msg("%s: %s to %s", row->query, from, to);
		size_t len = when.end - when.begin;
		if (row->words != NULL &&
		    (len != strlen(row->words) ||
			memcmp(row->query + when.begin, row->words, len) != 0))
			fail_msg(
			    "%s: took \"%.*s\"", row->query, (int)len, row->query + when.begin);
	}
}

static void test_ordinary_words_name_no_time(void **state)
{
	static const char *const queries[] = { "", "what may I do", "they march on", "the sun sat",
		"my second dentist", "2026 reasons", "top 10", "version 3.5", "fall asleep",
		"a spring in the mattress", "12:75", "31 of them", "room 1930", "one day",
		"mon cher" };

	(void)state;
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
		struct timewords when;
		timewords_parse(queries[i], strlen(queries[i]), ns_of(NOW), 0, &when);
		if (when.found)
			fail_msg("found a time in: %s", queries[i]);
	}
}

static void test_days_are_those_of_the_persons_zone(void **state)
{
	struct timewords when;

	(void)state;
	/* 23:30 UTC on Friday is Saturday half an hour past midnight in Berlin. */
	timewords_parse("today", 5, ns_of("2026-11-20T23:30"), 3600, &when);
	assert_int_equal(when.from_ns, ns_of("2026-11-20T23:00"));
	assert_int_equal(when.to_ns, ns_of("2026-11-21T23:00"));
	timewords_parse("yesterday", 9, ns_of("2026-11-20T23:30"), -5 * 3600, &when);
	assert_int_equal(when.from_ns, ns_of("2026-11-19T05:00"));
}

static void test_times_before_1970_work(void **state)
{
	struct timewords when;

	(void)state;
	timewords_parse("yesterday", 9, ns_of("1965-03-01T12:00"), 0, &when);
	assert_int_equal(when.from_ns, ns_of("1965-02-28T00:00"));
}

static void test_any_row_of_words_gives_a_range_in_the_text_or_none(void **state)
{
	static const char *const words[] = { "at", "the", "last", "this", "19", "th", "november",
		"monday", "ago", "weeks", "two", "yesterday", "morning", "12:30", "pm", "2026", "-",
		"/", ".", "since", "from", "to", "of", "in", "may", "summer", "past", "couple",
		"99999" };
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		char query[256] = "";
		size_t len = 0, n = random_next(&seed) % 8;
		for (size_t i = 0; i < n; i++) {
			const char *word =
			    words[random_next(&seed) % (sizeof words / sizeof words[0])];
			len += (size_t)snprintf(query + len, sizeof query - len, "%s%s", word,
			    random_next(&seed) % 4 == 0 ? "" : " ");
		}
		struct timewords when;
		timewords_parse(query, len, ns_of(NOW), 0, &when);
		if (!when.found)
			continue;
		if (when.from_ns >= when.to_ns || when.begin >= when.end || when.end > len)
			fail_msg("%s", query);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_question_names_its_range),
		cmocka_unit_test(test_ordinary_words_name_no_time),
		cmocka_unit_test(test_days_are_those_of_the_persons_zone),
		cmocka_unit_test(test_times_before_1970_work),
		cmocka_unit_test(test_any_row_of_words_gives_a_range_in_the_text_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
