/*
 * Time words: the range that a question's words name.
 *
 * Days (today, yesterday, weekdays, dates), ranges (this, last, N ago: weeks,
 * months, years, seasons), times of day (this morning, at noon, around 12:30)
 * and their combinations; "since X", "from X to Y".  The grammar is English;
 * other languages are brought into it (timewords_translate.c).  The first one in
 * the text counts.  Everything resolves to the most recent past occurrence: "Tuesday"
 * on a Tuesday is a week ago, "March" is the last one that has begun.
 */
#include "recall/timewords_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "recall/recall.h"

#define CLOCK_MARGIN_MIN 30 /* "at noon" is half past eleven to half past twelve */

/* ---- words ------------------------------------------------------------------------------- */

bool timewords_is(const struct timewords_text *text, size_t at, const char *word)
{
	return at < text->len && strcmp(text->words[at].text, word) == 0;
}

bool timewords_in(const struct timewords_text *text, size_t at, const char *list)
{
	char word[TIMEWORDS_WORD_BYTES + 3];

	if (at >= text->len || text->words[at].text[0] == '\0')
		return false;
	(void)snprintf(word, sizeof word, " %s ", text->words[at].text);
	return strstr(list, word) != NULL;
}

int64_t timewords_number(const struct timewords_text *text, size_t at)
{
	static const char *const names[] = { "zero", "one", "two", "three", "four", "five", "six",
		"seven", "eight", "nine", "ten", "eleven", "twelve" };

	if (at >= text->len)
		return -1;
	if (text->words[at].number >= 0)
		return text->words[at].number;
	if (timewords_in(text, at, " a an "))
		return 1;
	for (int i = 0; i < 13; i++) {
		if (strcmp(text->words[at].text, names[i]) == 0)
			return i;
	}
	return -1;
}

bool timewords_touches(const struct timewords_text *text, size_t at)
{
	return at + 1 < text->len && !text->words[at].english &&
	       text->words[at].end == text->words[at + 1].begin;
}

void timewords_set_days(struct timewords_span *span, int64_t from_day, int64_t to_day)
{
	*span = (struct timewords_span){ .from_ns = from_day * NS_PER_DAY,
		.to_ns = to_day * NS_PER_DAY,
		.is_day = to_day == from_day + 1 };
}

/* ---- times of day ---------------------------------------------------------------------------- */

size_t timewords_part(const struct timewords_text *text, size_t at, int *from_hour, int *to_hour)
{
	static const struct {
		const char *word;
		int from, to;
	} parts[] = { { "morning", 5, 12 }, { "afternoon", 12, 18 }, { "evening", 17, 24 },
		{ "night", 18, 30 }, { "lunchtime", 11, 14 } };
	size_t n = 0;

	if (timewords_in(text, at, " in during at "))
		n++;
	if (n > 0 && timewords_is(text, at + n, "the"))
		n++;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (timewords_is(text, at + n, parts[i].word)) {
			*from_hour = parts[i].from;
			*to_hour = parts[i].to;
			return n + 1;
		}
	}
	return 0;
}

/* "pm" or "p.m." at `at`: takes the words, moves the hour. */
static size_t take_meridiem(const struct timewords_text *text, size_t at, int64_t *hour)
{
	bool am = timewords_is(text, at, "am"), pm = timewords_is(text, at, "pm");
	size_t n = 1;

	if (timewords_in(text, at, " a p ") && timewords_is(text, at + 1, "m") &&
	    text->words[at].after == '.') {
		am = timewords_is(text, at, "a");
		pm = !am;
		n = 2;
	}
	if ((!am && !pm) || *hour > 12 || *hour == 0)
		return 0;
	*hour = *hour % 12 + (pm ? 12 : 0);
	return n;
}

size_t timewords_clock(
    const struct timewords_text *text, size_t at, bool loose, int *minute, bool *bare)
{
	size_t n = timewords_in(text, at, " at around about by near circa ") ? 1 : 0;
	bool led = n > 0;

	*bare = false;
	if (timewords_is(text, at + n, "noon") || timewords_is(text, at + n, "midday") ||
	    timewords_is(text, at + n, "midnight")) {
		*minute = timewords_is(text, at + n, "midnight") ? 24 * 60 : 12 * 60;
		return n + 1;
	}
	if (at + n >= text->len || text->words[at + n].number < 0 || text->words[at + n].digits > 2)
		return 0;
	const struct timewords_word *word = &text->words[at + n];
	int64_t hour = word->number, minutes = 0;
	n++;
	bool colon = word->after == ':' && at + n < text->len && text->words[at + n].digits == 2 &&
		     text->words[at + n].begin == word->end + 1;
	if (colon)
		minutes = text->words[at + n++].number;
	size_t marked = take_meridiem(text, at + n, &hour);
	if (marked == 0 && timewords_is(text, at + n, "o") &&
	    timewords_is(text, at + n + 1, "clock"))
		marked = 2;
	if (hour > 24 || minutes > 59 || (!colon && marked == 0 && !(loose && led)))
		return 0;
	*bare = !colon && marked == 0;
	*minute = (int)(hour * 60 + minutes);
	return n + marked;
}

static void narrow(struct timewords_span *span, int minute)
{
	int64_t day_ns = span->from_ns;

	span->from_ns = day_ns + (minute - CLOCK_MARGIN_MIN) * NS_PER_MIN;
	span->to_ns = day_ns + (minute + CLOCK_MARGIN_MIN) * NS_PER_MIN;
	span->is_day = false;
}

/* What may follow a day: a part of it, then a time. */
static size_t take_hours(const struct timewords_text *text, size_t at, struct timewords_span *span)
{
	int from_hour = 0, to_hour = 24, minute;
	bool bare;
	int64_t day_ns = span->from_ns;

	size_t n = timewords_part(text, at, &from_hour, &to_hour);
	size_t m = timewords_clock(text, at + n, true, &minute, &bare);
	if (m > 0) {
		/* "in the evening at 7": the reading that lies in the part. */
		if (minute < from_hour * 60 && minute < 12 * 60)
			minute += 12 * 60;
		narrow(span, minute);
		return n + m;
	}
	if (n > 0) {
		span->from_ns = day_ns + from_hour * NS_PER_HOUR;
		span->to_ns = day_ns + to_hour * NS_PER_HOUR;
		span->is_day = false;
	}
	return n;
}

/* "this morning", "tonight", "last night": a part of today or of yesterday. */
static size_t parse_part_of_now(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	timewords_set_days(out, text->today, text->today + 1);
	if (timewords_is(text, at, "tonight")) {
		out->from_ns += 18 * NS_PER_HOUR;
		out->to_ns += 4 * NS_PER_HOUR;
		out->is_day = false;
		return 1;
	}
	if (timewords_is(text, at, "this") && !timewords_in(text, at + 1, " in during at ")) {
		size_t n = take_hours(text, at + 1, out);
		return n == 0 || out->is_day ? 0 : n + 1;
	}
	if (timewords_is(text, at, "last") && timewords_in(text, at + 1, " night evening ")) {
		timewords_set_days(out, text->today - 1, text->today);
		return 1 + take_hours(text, at + 1, out);
	}
	return 0;
}

/* ---- combinations ------------------------------------------------------------------------------
 */

static size_t parse_day_with_hours(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	size_t n = timewords_day(text, at, out);

	if (n == 0)
		return 0;
	if (timewords_is(text, at + n, "s") && at + n > 0 && text->words[at + n - 1].after == '\'')
		n++;
	return n + take_hours(text, at + n, out);
}

/* "at noon today", "the morning of 19 November", "at 7pm": hours, then a day. */
static size_t parse_hours_with_day(
    const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	int from_hour, to_hour, minute = -1;
	bool bare = false;

	size_t n = timewords_part(text, at, &from_hour, &to_hour);
	if (n == 0)
		n = timewords_clock(text, at, true, &minute, &bare);
	if (n == 0)
		return 0;
	size_t joint = timewords_in(text, at + n, " of on ") ? 1 : 0;
	size_t m = timewords_day(text, at + n + joint, out);
	if (m > 0 && minute >= 0) {
		narrow(out, minute);
		return n + joint + m;
	}
	if (m > 0) {
		int64_t day_ns = out->from_ns;
		out->from_ns = day_ns + from_hour * NS_PER_HOUR;
		out->to_ns = day_ns + to_hour * NS_PER_HOUR;
		out->is_day = false;
		return n + joint + m;
	}
	m = minute >= 0 ? parse_part_of_now(text, at + n, out) : 0;
	if (m > 0) {
		int64_t day_ns =
		    out->from_ns - (out->from_ns % NS_PER_DAY + NS_PER_DAY) % NS_PER_DAY;
		if (day_ns + minute * NS_PER_MIN < out->from_ns && minute < 12 * 60)
			minute += 12 * 60;
		out->from_ns = day_ns;
		narrow(out, minute);
		return n + m;
	}
	if (minute < 0 || bare)
		return 0;
	timewords_set_days(out, text->today, text->today + 1);
	if (out->from_ns + minute * NS_PER_MIN > text->now_ns)
		timewords_set_days(out, text->today - 1, text->today);
	narrow(out, minute);
	return n;
}

static size_t parse_one(const struct timewords_text *text, size_t at, struct timewords_span *out)
{
	size_t n = parse_part_of_now(text, at, out);

	if (n == 0)
		n = parse_day_with_hours(text, at, out);
	if (n == 0)
		n = timewords_range(text, at, out);
	if (n == 0)
		n = parse_hours_with_day(text, at, out);
	return n;
}

/* "since Monday" reaches to now; "from X to Y", "between X and Y" to Y's end. */
static size_t extend(
    const struct timewords_text *text, size_t at, size_t n, struct timewords_span *span)
{
	struct timewords_span second;

	if (at > 0 && timewords_is(text, at - 1, "since")) {
		if (span->from_ns < text->now_ns)
			span->to_ns = text->now_ns;
		return n;
	}
	if (at == 0 || !timewords_in(text, at - 1, " from between "))
		return n;
	if (!timewords_in(text, at + n, " to and until till through "))
		return n;
	size_t m = parse_one(text, at + n + 1, &second);
	if (m == 0 || second.to_ns <= span->from_ns)
		return n;
	span->to_ns = second.to_ns;
	return n + 1 + m;
}

/* The bytes that words [at, at + n) stand for; translation may turn them round. */
static void set_bytes(const struct timewords_text *text, size_t at, size_t n, struct timewords *out)
{
	out->begin = text->words[at].begin;
	out->end = text->words[at].end;
	for (size_t i = at + 1; i < at + n; i++) {
		if (text->words[i].begin < out->begin)
			out->begin = text->words[i].begin;
		if (text->words[i].end > out->end)
			out->end = text->words[i].end;
	}
}

/* "Tuesday the 17th of November" is the date; only alone is it the last Tuesday. */
static size_t prefer_date(
    const struct timewords_text *text, size_t at, size_t n, struct timewords_span *span)
{
	struct timewords_span date;
	size_t next = at + n;

	if (n != 1 || !timewords_in(text, at,
			  " monday tuesday wednesday thursday friday saturday "
			  "sunday "))
		return n;
	next += timewords_in(text, next, " the den der el le ");
	size_t m = parse_one(text, next, &date);
	if (m < 2 || date.to_ns - date.from_ns != NS_PER_DAY)
		return n;
	*span = date;
	return next + m - at;
}

static bool read_first(const struct timewords_text *text, int32_t offset_s, struct timewords *out)
{
	struct timewords_span span;

	for (size_t at = 0; at < text->len; at++) {
		size_t n = parse_one(text, at, &span);
		if (n == 0)
			continue;
		n = extend(text, at, prefer_date(text, at, n, &span), &span);
		if (at > 0 &&
		    timewords_in(text, at - 1, " on in during since from between at over "))
			at--, n++;
		*out = (struct timewords){ .found = true,
			.from_ns = span.from_ns - offset_s * NS_PER_S,
			.to_ns = span.to_ns - offset_s * NS_PER_S };
		set_bytes(text, at, n, out);
		return true;
	}
	return false;
}

void timewords_parse(const char *query, size_t len, const enum language *languages,
    size_t languages_len, int64_t now_utc_ns, int32_t offset_s, struct timewords *out)
{
	struct timewords_text text = { .len = 0 }, translated = { .len = 0 };

	*out = (struct timewords){ .found = false };
	if (now_utc_ns < OBS_TIME_MIN_NS || now_utc_ns > OBS_TIME_MAX_NS)
		return;
	text.now_ns = now_utc_ns + offset_s * NS_PER_S;
	text.today =
	    (text.now_ns - (text.now_ns % NS_PER_DAY + NS_PER_DAY) % NS_PER_DAY) / NS_PER_DAY;
	timewords_split(query, len, &text);
	/* English last, if it is none of them: the grammar is there anyway. */
	for (size_t i = 0; i <= languages_len; i++) {
		timewords_translate(
		    &text, i < languages_len ? languages[i] : LANGUAGE_EN, &translated);
		if (read_first(&translated, offset_s, out))
			return;
	}
}
