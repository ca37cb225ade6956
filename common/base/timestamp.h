/*
 * Timestamps: int64 nanoseconds since 1970-01-01T00:00:00Z (no leap seconds)
 * and their RFC 3339 text; the proleptic Gregorian calendar.
 */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

#define TIMESTAMP_TEXT_BYTES 40

struct civil {
	int year;  /* 1 to 9999 */
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
	int hour;  /* 0 to 23 */
	int minute;
	int second;
	int32_t nanosecond;
};

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back. */
int64_t civil_days(int year, int month, int day);
void civil_of_days(int64_t days, int *year, int *month, int *day);
int civil_days_in_month(int year, int month);

/* 0 = Monday … 6 = Sunday (ISO 8601). */
int civil_weekday(int64_t days);

/* Split a time in UTC. */
void civil_of_ns(int64_t utc_ns, struct civil *out);

/*
 * Parse RFC 3339: "2026-11-19T18:30:00.123Z", an offset "+01:00", a blank or a
 * lower-case t instead of T; up to 9 fraction digits are kept, further ones
 * dropped.  Second 60 is read as the second after :59.  A text without offset
 * is refused.  RC_INVALID, or RC_LIMIT if it does not fit int64 nanoseconds.
 * `offset_s` (may be NULL) gets the text's offset east of UTC in seconds.
 */
enum rc timestamp_parse(const char *text, int64_t *utc_ns, int32_t *offset_s) RC_CHECK;

/* "2026-11-19T18:30:00.123456789Z": always nine digits. */
void timestamp_format(int64_t utc_ns, char out[TIMESTAMP_TEXT_BYTES]);

/* "2026-11-19T18:30:00.123Z" */
void timestamp_format_ms(int64_t utc_ns, char out[TIMESTAMP_TEXT_BYTES]);

#endif
