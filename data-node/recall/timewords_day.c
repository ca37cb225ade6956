/* Time words: single days, by name, by date and by distance. */
#include <string.h>

#include "base/timestamp.h"
#include "recall/timewords_inner.h"

#define DAYS_AGO_MAX 36600 /* a hundred years */

struct name {
	const char *word;
	int number;
	bool sure; /* means nothing else */
};

static const struct name months[] = { { "january", 0, true }, { "february", 1, true },
	{ "march", 2, false }, { "april", 3, true }, { "may", 4, false }, { "june", 5, true },
	{ "july", 6, true }, { "august", 7, true }, { "september", 8, true },
	{ "october", 9, true }, { "november", 10, true }, { "december", 11, true },
	{ "jan", 0, false }, { "feb", 1, false }, { "mar", 2, false }, { "apr", 3, false },
	{ "jun", 5, false }, { "jul", 6, false }, { "aug", 7, false }, { "sep", 8, false },
	{ "sept", 8, false }, { "oct", 9, false }, { "nov", 10, false }, { "dec", 11, false } };

static const struct name weekdays[] = { { "monday", 0, true }, { "tuesday", 1, true },
	{ "wednesday", 2, true }, { "thursday", 3, true }, { "friday", 4, true },
	{ "saturday", 5, true }, { "sunday", 6, true }, { "mon", 0, false }, { "tue", 1, false },
	{ "tues", 1, false }, { "wed", 2, false }, { "thu", 3, false }, { "thur", 3, false },
	{ "thurs", 3, false }, { "fri", 4, false }, { "sat", 5, false }, { "sun", 6, false } };

static int find_name(
    const struct timewords_text *text, size_t at, const struct name *names, size_t len, bool *sure)
{
	for (size_t i = 0; at < text->len && i < len; i++) {
		if (strcmp(names[i].word, text->words[at].text) == 0) {
			*sure = names[i].sure;
			return names[i].number;
		}
	}
	return -1;
}

int timewords_month(const struct timewords_text *text, size_t at, bool *sure)
{
	return find_name(text, at, months, sizeof months / sizeof months[0], sure);
}

const char *timewords_month_name(int month)
{
	return months[month].word;
}

int timewords_weekday(const struct timewords_text *text, size_t at, bool *sure)
{
	return find_name(text, at, weekdays, sizeof weekdays / sizeof weekdays[0], sure);
}

int timewords_year(const struct timewords_text *text, size_t at)
{
	if (at >= text->len || text->words[at].digits != 4)
		return 0;
	int64_t year = text->words[at].number;
	return year >= 1900 && year < 2200 ? (int)year : 0;
}

static bool set_date(int year, int month, int64_t day, struct timewords_span *out)
{
	if (year < 1900 || year >= 2200 || month < 1 || month > 12 || day < 1 ||
	    day > civil_days_in_month(year, month))
		return false;
	int64_t number = civil_days(year, month, (int)day);
	timewords_set_days(out, number, number + 1);
	return true;
}

/* The most recent such date that is not in the future; 29 February too. */
static bool set_recent_date(
    const struct timewords_text *text, int month, int64_t day, struct timewords_span *out)
{
	int year, now_month, now_day;

	civil_of_days(text->today, &year, &now_month, &now_day);
	for (int back = 0; back <= 8; back++) {
		if (set_date(year - back, month, day, out) &&
		    out->from_ns / INT64_C(86400000000000) <= text->today)
			return true;
	}
	return false;
}

/* ---- written dates ------------------------------------------------------------------------------
 */

static bool is_joined(const struct timewords_text *text, size_t at, char separator)
{
	return at + 1 < text->len && text->words[at].after == separator &&
	       text->words[at + 1].begin == text->words[at].end + 1 &&
	       text->words[at + 1].number >= 0;
}

/* 2026-11-19, 19.11.2026, 11/19/2026 (day first where it cannot be a month). */
static size_t parse_numeric(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	const struct timewords_word *w = &text->words[at];

	if (is_joined(text, at, '-') && is_joined(text, at + 1, '-') &&
	    timewords_year(text, at) > 0)
		return set_date(timewords_year(text, at), (int)w[1].number, w[2].number, out) ? 3
											      : 0;
	if (is_joined(text, at, '.') && is_joined(text, at + 1, '.') &&
	    timewords_year(text, at + 2) > 0)
		return set_date(timewords_year(text, at + 2), (int)w[1].number, w[0].number, out)
			   ? 3
			   : 0;
	if (is_joined(text, at, '/') && is_joined(text, at + 1, '/') &&
	    timewords_year(text, at + 2) > 0) {
		bool day_first = w[0].number > 12;
		int64_t month = day_first ? w[1].number : w[0].number;
		int64_t day = day_first ? w[0].number : w[1].number;
		return set_date(timewords_year(text, at + 2), (int)month, day, out) ? 3 : 0;
	}
	return 0;
}

/* "19", "19th", at `at`; `*ordinal` tells which. */
static size_t take_day_number(
    const struct timewords_text *text, size_t at, int64_t *day, bool *ordinal)
{
	if (at >= text->len || text->words[at].number < 1 || text->words[at].number > 31 ||
	    text->words[at].digits > 2)
		return 0;
	*day = text->words[at].number;
	*ordinal = timewords_touches(text, at) && timewords_in(text, at + 1, " st nd rd th ");
	/* "7pm" and "12:30" are no days. */
	if (!*ordinal && (timewords_touches(text, at) || text->words[at].after == ':'))
		return 0;
	return *ordinal ? 2 : 1;
}

static size_t finish_date(const struct timewords_text *text, size_t at, size_t n, int month,
    int64_t day, struct timewords_span *out)
{
	int year = timewords_year(text, at + n);

	if (year > 0 && set_date(year, month + 1, day, out))
		return n + 1;
	return set_recent_date(text, month + 1, day, out) ? n : 0;
}

/* "19 November 2026", "the 19th of Nov", "November 19th, 2026", "the 19th". */
static size_t parse_written(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	bool sure, ordinal;
	int64_t day;
	size_t n;
	int month = timewords_month(text, at, &sure);

	if (month >= 0) {
		n = take_day_number(text, at + 1, &day, &ordinal);
		return n == 0 ? 0 : finish_date(text, at, n + 1, month, day, out);
	}
	size_t the = timewords_is(text, at, "the") ? 1 : 0;
	n = take_day_number(text, at + the, &day, &ordinal);
	if (n == 0)
		return 0;
	n += the;
	size_t of = timewords_is(text, at + n, "of") ? 1 : 0;
	month = timewords_month(text, at + n + of, &sure);
	if (month >= 0)
		return finish_date(text, at, n + of + 1, month, day, out);
	if (the == 0 || !ordinal)
		return 0;
	/* The most recent month that had this day. */
	int year, now_month, now_day;
	civil_of_days(text->today, &year, &now_month, &now_day);
	for (int back = 0; back < 3; back++) {
		int index = year * 12 + now_month - 1 - back;
		if (set_date(index / 12, index % 12 + 1, day, out) && (back > 0 || day <= now_day))
			return n;
	}
	return 0;
}

/* ---- names and distances
 * --------------------------------------------------------------------------- */

static size_t parse_named(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	size_t the = timewords_is(text, at, "the") ? 1 : 0;

	if (timewords_is(text, at + the, "day") && timewords_is(text, at + the + 1, "before") &&
	    timewords_is(text, at + the + 2, "yesterday")) {
		timewords_set_days(out, text->today - 2, text->today - 1);
		return the + 3;
	}
	int64_t step = timewords_is(text, at, "today")       ? 0
		       : timewords_is(text, at, "yesterday") ? -1
		       : timewords_is(text, at, "tomorrow")  ? 1
							     : 2;
	if (step == 2)
		return 0;
	timewords_set_days(out, text->today + step, text->today + step + 1);
	return 1;
}

static size_t parse_weekday(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	size_t n = timewords_in(text, at, " last past previous this ") ? 1 : 0;
	bool sure = false;

	int weekday = timewords_weekday(text, at + n, &sure);
	if (weekday < 0)
		return 0;
	if (n == 0 && !sure &&
	    !(at > 0 && timewords_in(text, at - 1, " on since from between until ")))
		return 0;
	int now = civil_weekday(text->today);
	int64_t day = text->today - now + weekday; /* of this week */
	if (!timewords_is(text, at, "this") && day >= text->today)
		day -= 7;
	timewords_set_days(out, day, day + 1);
	return n + 1;
}

static size_t parse_days_ago(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	int64_t number = timewords_number(text, at);
	size_t n = 1;

	if (number == 1 && timewords_is(text, at + 1, "couple")) {
		number = 2;
		n = timewords_is(text, at + 2, "of") ? 3 : 2;
	}
	if (number < 0 || number > DAYS_AGO_MAX || !timewords_in(text, at + n, " day days ") ||
	    !timewords_is(text, at + n + 1, "ago"))
		return 0;
	timewords_set_days(out, text->today - number, text->today - number + 1);
	return n + 2;
}

size_t timewords_day(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	if (at >= text->len)
		return 0;
	size_t n = parse_named(text, at, out);
	if (n == 0)
		n = parse_numeric(text, at, out);
	if (n == 0)
		n = parse_written(text, at, out);
	if (n == 0)
		n = parse_weekday(text, at, out);
	if (n == 0)
		n = parse_days_ago(text, at, out);
	return n;
}
