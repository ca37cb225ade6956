/* Time words: weeks, months, seasons, years, and stretches up to now. */
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "recall/timewords_inner.h"

#define AGO_MAX 1200 /* weeks, months, years, hours, minutes */
#define HOURS_MARGIN_NS (30 * NS_PER_MIN)
#define MINUTES_MARGIN_NS (5 * NS_PER_MIN)

/* Months count from year 0 on: `index` = year * 12 + (month - 1). */
static int64_t first_day(int64_t index)
{
	return civil_days((int)(index / 12), (int)(index % 12) + 1, 1);
}

static void set_months(struct timewords_span *out, int64_t index, int64_t months)
{
	timewords_set_days(out, first_day(index), first_day(index + months));
	out->is_day = false;
}

static int64_t month_now(const struct timewords_text *text)
{
	int year, month, day;

	civil_of_days(text->today, &year, &month, &day);
	return (int64_t)year * 12 + month - 1;
}

static int64_t monday(const struct timewords_text *text)
{
	return text->today - civil_weekday(text->today);
}

/* Words that make a doubtful month or season name a time. */
static bool has_lead(const struct timewords_text *text, size_t at)
{
	return at > 0 &&
	       timewords_in(text, at - 1, " in of since during from between until early late ");
}

/* ---- this, last
 * ------------------------------------------------------------------------------------ */

static size_t parse_unit(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	bool last = timewords_in(text, at, " last previous ");
	bool past = timewords_is(text, at, "past");
	bool on = timewords_in(text, at, " the ");
	int64_t back = last ? 1 : 0, now = month_now(text);

	if (!last && !past && !on && !timewords_is(text, at, "this"))
		return 0;
	if (timewords_is(text, at + 1, "weekend")) {
		bool begun = text->today - monday(text) >= 5;
		int64_t week = monday(text) - ((last || on || past) && (!begun || last) ? 7 : 0);
		timewords_set_days(out, week + 5, week + 7);
		return 2;
	}
	if (on)
		return 0;
	if (past && timewords_in(text, at + 1, " week month year hour ")) {
		int64_t days = timewords_is(text, at + 1, "week")    ? 7
			       : timewords_is(text, at + 1, "month") ? 30
			       : timewords_is(text, at + 1, "year")  ? 365
								     : 0;
		int64_t span_ns = days > 0 ? days * NS_PER_DAY : NS_PER_HOUR;
		*out = (struct timewords_span){ text->now_ns - span_ns, text->now_ns, false };
		return 2;
	}
	if (last && timewords_is(text, at + 1, "hour")) {
		*out = (struct timewords_span){ text->now_ns - NS_PER_HOUR, text->now_ns, false };
		return 2;
	}
	if (timewords_is(text, at + 1, "week"))
		timewords_set_days(out, monday(text) - 7 * back, monday(text) - 7 * back + 7);
	else if (timewords_is(text, at + 1, "month"))
		set_months(out, now - back, 1);
	else if (timewords_is(text, at + 1, "year"))
		set_months(out, (now / 12 - back) * 12, 12);
	else
		return 0;
	return 2;
}

/* "last 3 days", "the past two weeks": up to now. */
static size_t parse_stretch(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	static const struct {
		const char *words;
		int64_t ns;
	} units[] = { { " minute minutes ", NS_PER_MIN }, { " hour hours ", NS_PER_HOUR },
		{ " day days ", NS_PER_DAY }, { " week weeks ", 7 * NS_PER_DAY },
		{ " month months ", 30 * NS_PER_DAY }, { " year years ", 365 * NS_PER_DAY } };

	if (!timewords_in(text, at, " last past previous "))
		return 0;
	int64_t number = timewords_number(text, at + 1);
	size_t n = 2;
	if (timewords_is(text, at + 1, "couple")) {
		number = 2;
		n += timewords_is(text, at + 2, "of") ? 1 : 0;
	}
	if (number < 1 || number > AGO_MAX)
		return 0;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (!timewords_in(text, at + n, units[i].words))
			continue;
		int64_t from_ns = units[i].ns > 80 * NS_PER_DAY && number > 80
				      ? text->now_ns - 80 * units[i].ns
				      : text->now_ns - number * units[i].ns;
		if (units[i].ns >= NS_PER_DAY) /* whole days */
			from_ns -= (from_ns % NS_PER_DAY + NS_PER_DAY) % NS_PER_DAY;
		*out = (struct timewords_span){ from_ns, text->now_ns, false };
		return n + 1;
	}
	return 0;
}

/* "two weeks ago": that week, month, year; hours and minutes with a margin. */
static size_t parse_ago(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	int64_t number = timewords_number(text, at), now = month_now(text);
	size_t n = 1;

	if (number == 1 && timewords_is(text, at + 1, "couple")) {
		number = 2;
		n = timewords_is(text, at + 2, "of") ? 3 : 2;
	}
	if (number < 1 || number > AGO_MAX || !timewords_is(text, at + n + 1, "ago"))
		return 0;
	if (timewords_in(text, at + n, " week weeks "))
		timewords_set_days(out, monday(text) - 7 * number, monday(text) - 7 * number + 7);
	else if (timewords_in(text, at + n, " month months "))
		set_months(out, now - number, 1);
	else if (timewords_in(text, at + n, " year years ") && number <= 100)
		set_months(out, (now / 12 - number) * 12, 12);
	else if (timewords_in(text, at + n, " hour hours "))
		*out =
		    (struct timewords_span){ text->now_ns - number * NS_PER_HOUR - HOURS_MARGIN_NS,
			    text->now_ns - number * NS_PER_HOUR + HOURS_MARGIN_NS, false };
	else if (timewords_in(text, at + n, " minute minutes "))
		*out =
		    (struct timewords_span){ text->now_ns - number * NS_PER_MIN - MINUTES_MARGIN_NS,
			    text->now_ns - number * NS_PER_MIN + MINUTES_MARGIN_NS, false };
	else
		return 0;
	return n + 2;
}

/* ---- months, seasons, years
 * ---------------------------------------------------------------------------- */

/* `months` long, beginning in calendar month `month`: the one of `year`, or
 * the last one begun, or (`ended`) the last one that is over. */
static void set_recurring(const struct timewords_text *text, int month, int months, int year,
    bool ended, struct timewords_span *out)
{
	int64_t now = month_now(text), index = now / 12 * 12 + month;

	if (year > 0)
		index = (int64_t)year * 12 + month;
	else
		while (index > now || (ended && index + months > now))
			index -= 12;
	set_months(out, index, months);
}

static size_t parse_month(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	bool last = timewords_in(text, at, " last previous ");
	size_t n = last || timewords_in(text, at, " this past ") ? 1 : 0;
	bool sure = false;

	if (timewords_year(text, at) > 0 && text->words[at].after == '-' && at + 1 < text->len &&
	    text->words[at + 1].digits == 2 &&
	    text->words[at + 1].begin == text->words[at].end + 1 &&
	    text->words[at + 1].number >= 1 && text->words[at + 1].number <= 12) {
		set_months(out,
		    (int64_t)timewords_year(text, at) * 12 + text->words[at + 1].number - 1, 1);
		return 2;
	}
	int month = timewords_month(text, at + n, &sure);
	if (month < 0)
		return 0;
	int year = timewords_year(text, at + n + 1);
	if (!sure && n == 0 && year == 0 && !has_lead(text, at))
		return 0;
	set_recurring(text, month, 1, year, last, out);
	return n + (year > 0 ? 2 : 1);
}

static size_t parse_season(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	static const struct {
		const char *word;
		int month;
		bool sure;
	} seasons[] = { { "spring", 2, false }, { "summer", 5, true }, { "autumn", 8, true },
		{ "fall", 8, false }, { "winter", 11, true } };
	bool last = timewords_in(text, at, " last previous ");
	bool lead = has_lead(text, at);
	size_t n = last || timewords_in(text, at, " this past ") ? 1 : 0;

	lead = lead || n > 0;
	if (n == 0 && timewords_is(text, at, "the"))
		n = 1;
	for (size_t i = 0; i < sizeof seasons / sizeof seasons[0]; i++) {
		if (!timewords_is(text, at + n, seasons[i].word))
			continue;
		int year = timewords_year(text, at + n + 1);
		if (year == 0 && !lead && !seasons[i].sure)
			return 0;
		set_recurring(text, seasons[i].month, 3, year, last, out);
		return n + (year > 0 ? 2 : 1);
	}
	return 0;
}

static size_t parse_year(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	int year = timewords_year(text, at);

	if (year == 0 || !has_lead(text, at))
		return 0;
	set_months(out, (int64_t)year * 12, 12);
	return 1;
}

size_t timewords_range(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	if (at >= text->len)
		return 0;
	size_t n = parse_unit(text, at, out);
	if (n == 0)
		n = parse_stretch(text, at, out);
	if (n == 0)
		n = parse_ago(text, at, out);
	if (n == 0)
		n = parse_month(text, at, out);
	if (n == 0)
		n = parse_season(text, at, out);
	if (n == 0)
		n = parse_year(text, at, out);
	return n;
}
