/* Timestamps and the Gregorian calendar. */
#include "base/timestamp.h"

#include <stddef.h>

#include "base/clock.h"

#define DAYS_PER_ERA 146097 /* 400 Gregorian years */

/* Years counted from March, so that the leap day comes last in its year. */
int64_t civil_days(int year, int month, int day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * DAYS_PER_ERA + day_of_era - 719468;
}

void civil_of_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t doe = z - era * DAYS_PER_ERA;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

int civil_days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return a % b < 0 ? q - 1 : q;
}

int civil_weekday(int64_t days)
{
	int64_t w = (days + 3) % 7; /* 1970-01-01 was a Thursday */

	return (int)(w < 0 ? w + 7 : w);
}

void civil_of_ns(int64_t utc_ns, struct civil *out)
{
	int64_t days = floor_div(utc_ns, NS_PER_DAY);
	int64_t rest = utc_ns % NS_PER_DAY; /* days * NS_PER_DAY may not fit */

	if (rest < 0)
		rest += NS_PER_DAY;
	civil_of_days(days, &out->year, &out->month, &out->day);
	out->hour = (int)(rest / NS_PER_HOUR);
	out->minute = (int)(rest / NS_PER_MIN % 60);
	out->second = (int)(rest / NS_PER_S % 60);
	out->nanosecond = (int32_t)(rest % NS_PER_S);
}

/* Exactly `n` digits; -1 if there are fewer. */
static int digits(const char **p, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return -1;
		value = value * 10 + ((*p)[i] - '0');
	}
	*p += n;
	return value;
}

static bool take(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool parse_date_time(const char **p, struct civil *c)
{
	if ((c->year = digits(p, 4)) < 1 || !take(p, '-') || (c->month = digits(p, 2)) < 1 ||
	    c->month > 12 || !take(p, '-') || (c->day = digits(p, 2)) < 1 ||
	    c->day > civil_days_in_month(c->year, c->month))
		return false;
	if (!take(p, 'T') && !take(p, 't') && !take(p, ' '))
		return false;
	if ((c->hour = digits(p, 2)) < 0 || c->hour > 23 || !take(p, ':') ||
	    (c->minute = digits(p, 2)) < 0 || c->minute > 59 || !take(p, ':') ||
	    (c->second = digits(p, 2)) < 0 || c->second > 60)
		return false;
	c->nanosecond = 0;
	if (take(p, '.')) {
		int32_t unit = 100000000;
		if (**p < '0' || **p > '9')
			return false;
		for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
			c->nanosecond += (**p - '0') * unit;
	}
	return true;
}

static bool parse_offset(const char **p, int32_t *offset_s)
{
	if (take(p, 'Z') || take(p, 'z')) {
		*offset_s = 0;
		return true;
	}
	int sign = **p == '+' ? 1 : **p == '-' ? -1 : 0;
	if (sign == 0)
		return false;
	(*p)++;
	int hour = digits(p, 2);
	if (hour < 0 || hour > 23 || !take(p, ':'))
		return false;
	int minute = digits(p, 2);
	if (minute < 0 || minute > 59)
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

enum rc timestamp_parse(const char *text, int64_t *utc_ns, int32_t *offset_s)
{
	struct civil c;
	int32_t offset;
	int64_t ns;

	if (!parse_date_time(&text, &c) || !parse_offset(&text, &offset) || *text != '\0')
		return RC_INVALID;
	int64_t seconds = civil_days(c.year, c.month, c.day) * 86400 + c.hour * 3600 +
			  c.minute * 60 + c.second - offset;
	if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, c.nanosecond, &ns))
		return RC_LIMIT;
	*utc_ns = ns;
	if (offset_s != NULL)
		*offset_s = offset;
	return RC_OK;
}

/* `width` digits and what stands behind them. */
static char *put_number(char *at, int value, int width, char behind)
{
	for (int i = width; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	at[width] = behind;
	return at + width + 1;
}

/* By hand: slices have thousands of them.  Nanoseconds reach from 1677 to 2262. */
static void format(int64_t utc_ns, int width, int32_t unit, char out[TIMESTAMP_TEXT_BYTES])
{
	struct civil c;

	civil_of_ns(utc_ns, &c);
	out = put_number(out, c.year, 4, '-');
	out = put_number(out, c.month, 2, '-');
	out = put_number(out, c.day, 2, 'T');
	out = put_number(out, c.hour, 2, ':');
	out = put_number(out, c.minute, 2, ':');
	out = put_number(out, c.second, 2, '.');
	out = put_number(out, (int)(c.nanosecond / unit), width, 'Z');
	*out = '\0';
}

void timestamp_format(int64_t utc_ns, char out[TIMESTAMP_TEXT_BYTES])
{
	format(utc_ns, 9, 1, out);
}

void timestamp_format_ms(int64_t utc_ns, char out[TIMESTAMP_TEXT_BYTES])
{
	format(utc_ns, 3, 1000000, out);
}
