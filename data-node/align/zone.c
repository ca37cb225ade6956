/* Zones: TZif blocks, the rule in their footer, and local time from both. */
#include "align/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/bytes.h"
#include "os/file.h"

#define TRANSITIONS_MAX ((size_t)4096)
#define TYPES_MAX ((size_t)256)
#define CHARS_MAX ((size_t)2048)
#define FOOTER_BYTES_MAX ((size_t)128)
#define HEADER_BYTES ((size_t)44)
#define DAY_S INT64_C(86400)
#define ZONEINFO "/usr/share/zoneinfo"

/* When daylight saving begins or ends, every year. */
struct rule_date {
	enum { DATE_JULIAN, DATE_ZERO, DATE_MONTH } form; /* Jn, n, Mm.w.d */
	int day, week, month;
	int32_t time_s; /* of the local clock before it */
};

struct zone {
	int64_t *times; /* [len] */
	uint8_t *types; /* [len] */
	size_t len;
	int32_t offsets[TYPES_MAX];
	size_t offsets_len;
	bool has_rule, has_dst;
	int32_t std_s, dst_s;
	struct rule_date begin, end;
};

/* ---- days ----------------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 of 1 January. */
static int64_t year_day(int64_t year)
{
	int64_t y = year - 1;
	int64_t fours = y >= 0 ? y / 4 - y / 100 + y / 400
			       : -((-y + 3) / 4 - (-y + 99) / 100 + (-y + 399) / 400);

	return 365 * (year - 1970) + fours - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t year_of(int64_t day)
{
	int64_t year = 1970 + day / 366 - (day < 0 ? 1 : 0);

	while (year_day(year + 1) <= day)
		year++;
	return year;
}

static int month_days(int64_t year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Local second at which `date` falls in `year`. */
static int64_t date_in(const struct rule_date *date, int64_t year)
{
	int64_t day = year_day(year);

	if (date->form == DATE_JULIAN) {
		day += date->day - 1 + (is_leap(year) && date->day > 59 ? 1 : 0);
	} else if (date->form == DATE_ZERO) {
		day += date->day;
	} else {
		for (int month = 1; month < date->month; month++)
			day += month_days(year, month);
		int64_t weekday =
		    ((day + 4) % 7 + 7) % 7; /* of the first; 1970 began on Thursday */
		int64_t first = (date->day - weekday + 7) % 7;
		int64_t nth = first + 7 * (date->week - 1);
		while (nth >= month_days(year, date->month))
			nth -= 7; /* week 5 is the last */
		day += nth;
	}
	return day * DAY_S + date->time_s;
}

/* ---- the footer: a POSIX TZ string ------------------------------------------------ */

static bool skip_name(const char **at)
{
	const char *p = *at;

	if (*p == '<') {
		for (p++; *p != '\0' && *p != '>'; p++)
			continue;
		if (*p != '>')
			return false;
		*at = p + 1;
		return true;
	}
	while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z'))
		p++;
	bool ok = p - *at >= 3;
	*at = p;
	return ok;
}

static bool read_number(const char **at, int max, int *out)
{
	int value = 0;

	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		value = value * 10 + (**at - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int hours_max, int32_t *out)
{
	int parts[3] = { 0, 0, 0 };
	int32_t sign = **at == '-' ? -1 : 1;

	if (**at == '-' || **at == '+')
		++*at;
	if (!read_number(at, hours_max, &parts[0]))
		return false;
	for (int i = 1; i < 3 && **at == ':'; i++) {
		++*at;
		if (!read_number(at, 59, &parts[i]))
			return false;
	}
	*out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
	return true;
}

static bool read_date(const char **at, struct rule_date *out)
{
	*out = (struct rule_date){ .form = DATE_ZERO, .time_s = 7200 };
	if (*(*at)++ != ',')
		return false;
	if (**at == 'M') {
		out->form = DATE_MONTH;
		++*at;
		if (!read_number(at, 12, &out->month) || out->month < 1 || *(*at)++ != '.' ||
		    !read_number(at, 5, &out->week) || out->week < 1 || *(*at)++ != '.' ||
		    !read_number(at, 6, &out->day))
			return false;
	} else if (**at == 'J') {
		out->form = DATE_JULIAN;
		++*at;
		if (!read_number(at, 365, &out->day) || out->day < 1)
			return false;
	} else if (!read_number(at, 365, &out->day)) {
		return false;
	}
	if (**at != '/')
		return true;
	++*at;
	return read_time(at, 167, &out->time_s);
}

static bool read_footer(const char *text, struct zone *zone)
{
	int32_t west_s;

	if (*text == '\0')
		return true; /* the last transition holds for ever */
	if (!skip_name(&text) || !read_time(&text, 24, &west_s))
		return false;
	zone->has_rule = true;
	zone->std_s = -west_s;
	if (*text == '\0')
		return true;
	zone->has_dst = true;
	zone->dst_s = zone->std_s + 3600;
	if (!skip_name(&text))
		return false;
	if (*text != ',') {
		if (!read_time(&text, 24, &west_s))
			return false;
		zone->dst_s = -west_s;
	}
	return read_date(&text, &zone->begin) && read_date(&text, &zone->end) && *text == '\0';
}

/* ---- blocks ----------------------------------------------------------------------------- */

struct header {
	unsigned version;
	size_t isut, isstd, leap, time, type, chars;
};

static bool read_header(struct bytes *in, struct header *out)
{
	uint8_t head[20];

	bytes_copy(in, head, sizeof head);
	out->version = head[4];
	out->isut = bytes_get32(in);
	out->isstd = bytes_get32(in);
	out->leap = bytes_get32(in);
	out->time = bytes_get32(in);
	out->type = bytes_get32(in);
	out->chars = bytes_get32(in);
	return !in->bad && memcmp(head, "TZif", 4) == 0 && out->time <= TRANSITIONS_MAX &&
	       out->type >= 1 && out->type <= TYPES_MAX && out->chars <= CHARS_MAX &&
	       out->leap <= CHARS_MAX && out->isut <= TYPES_MAX && out->isstd <= TYPES_MAX;
}

static void skip(struct bytes *in, size_t n)
{
	if (in->left < n) {
		in->bad = true;
		in->left = 0;
		return;
	}
	in->at += n;
	in->left -= n;
}

static void skip_block(struct bytes *in, const struct header *h, size_t time_bytes)
{
	skip(in, h->time * (time_bytes + 1) + h->type * 6 + h->chars + h->leap * (time_bytes + 4) +
		     h->isstd + h->isut);
}

static enum rc read_block(struct bytes *in, const struct header *h, struct zone *zone)
{
	zone->times = calloc(h->time + 1, sizeof *zone->times);
	zone->types = calloc(h->time + 1, 1);
	if (zone->times == NULL || zone->types == NULL)
		return RC_NOMEM;
	zone->len = h->time;
	for (size_t i = 0; i < h->time; i++) {
		zone->times[i] = (int64_t)bytes_get64(in);
		if (i > 0 && zone->times[i] <= zone->times[i - 1])
			in->bad = true;
	}
	for (size_t i = 0; i < h->time; i++) {
		zone->types[i] = (uint8_t)bytes_get8(in);
		if (zone->types[i] >= h->type)
			in->bad = true;
	}
	for (size_t i = 0; i < h->type; i++) {
		zone->offsets[i] = (int32_t)bytes_get32(in);
		if (zone->offsets[i] < -ZONE_OFFSET_S_MAX || zone->offsets[i] > ZONE_OFFSET_S_MAX)
			in->bad = true;
		skip(in, 2);
	}
	skip(in, h->chars + h->isstd + h->isut);
	return in->bad ? RC_CORRUPT : RC_OK;
}

static enum rc parse(struct bytes *in, struct zone *zone)
{
	char footer[FOOTER_BYTES_MAX];
	struct header h;

	if (!read_header(in, &h) || h.version < '2')
		return RC_CORRUPT;
	skip_block(in, &h, 4);
	if (!read_header(in, &h))
		return RC_CORRUPT;
	if (h.leap != 0)
		return RC_UNSUPPORTED;
	enum rc rc = read_block(in, &h, zone);
	if (rc != RC_OK)
		return rc;
	if (in->left < 2 || in->left > sizeof footer || in->at[0] != '\n' ||
	    in->at[in->left - 1] != '\n')
		return RC_CORRUPT;
	memcpy(footer, in->at + 1, in->left - 2);
	footer[in->left - 2] = '\0';
	return read_footer(footer, zone) ? RC_OK : RC_CORRUPT;
}

enum rc zone_parse(const uint8_t *bytes, size_t len, struct zone **out, struct errmsg *why)
{
	struct bytes in = { bytes, len, false };
	struct zone *zone = calloc(1, sizeof *zone);

	if (zone == NULL)
		return RC_NOMEM;
	enum rc rc = parse(&in, zone);
	if (rc != RC_OK) {
		zone_free(zone);
		return errmsg_rc(why, rc, "a time zone file is %s",
		    rc == RC_UNSUPPORTED ? "one with leap seconds" : "malformed");
	}
	*out = zone;
	return RC_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > ZONE_NAME_BYTES_MAX || name[0] == '/' || strstr(name, "..") != NULL)
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
	       len;
}

enum rc zone_load(const char *name, struct zone **out, struct errmsg *why)
{
	const char *dir = getenv("TZDIR");
	uint8_t *bytes = NULL;
	char path[4200];
	size_t len = 0;

	if (!is_name(name))
		return errmsg_rc(why, RC_INVALID, "not the name of a time zone");
	if (strcmp(name, "UTC") == 0)
		return zone_fixed(0, out);
	if (snprintf(path, sizeof path, "%s/%s", dir == NULL ? ZONEINFO : dir, name) >=
	    (int)sizeof path)
		return errmsg_rc(why, RC_INVALID, "not the name of a time zone");
	if (!file_exists(path))
		return errmsg_rc(why, RC_NOTFOUND, "there is no time zone of that name");
	enum rc rc = file_read(path, ZONE_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = zone_parse(bytes, len, out, why);
	free(bytes);
	return rc;
}

enum rc zone_fixed(int32_t offset_s, struct zone **out)
{
	struct zone *zone = calloc(1, sizeof *zone);

	if (zone == NULL)
		return RC_NOMEM;
	zone->has_rule = true;
	zone->std_s = offset_s;
	*out = zone;
	return RC_OK;
}

void zone_free(struct zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->times);
	free(zone->types);
	free(zone);
}

/* ---- local time ------------------------------------------------------------------------------ */

static int32_t rule_offset(const struct zone *zone, int64_t utc_s)
{
	if (!zone->has_dst)
		return zone->std_s;
	int64_t local_s = utc_s + zone->std_s;
	int64_t day = local_s / DAY_S - (local_s % DAY_S < 0 ? 1 : 0);
	int64_t year = year_of(day);
	int64_t begin_s = date_in(&zone->begin, year) - zone->std_s;
	int64_t end_s = date_in(&zone->end, year) - zone->dst_s;
	bool dst =
	    begin_s < end_s ? utc_s >= begin_s && utc_s < end_s : utc_s >= begin_s || utc_s < end_s;

	return dst ? zone->dst_s : zone->std_s;
}

int32_t zone_offset(const struct zone *zone, int64_t utc_s)
{
	size_t low = 0, high = zone->len;

	if (zone->has_rule && (zone->len == 0 || utc_s >= zone->times[zone->len - 1]))
		return rule_offset(zone, utc_s);
	while (low < high) { /* the first transition behind it */
		size_t middle = low + (high - low) / 2;
		if (zone->times[middle] <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	return zone->offsets[low == 0 ? 0 : zone->types[low - 1]];
}

int64_t zone_utc(const struct zone *zone, int64_t local_s, unsigned fold)
{
	int32_t before_s = zone_offset(zone, local_s - DAY_S);
	int32_t after_s = zone_offset(zone, local_s + DAY_S);
	int64_t early = local_s - before_s, late = local_s - after_s;
	bool early_is = zone_offset(zone, early) == before_s;
	bool late_is = zone_offset(zone, late) == after_s;

	if (early_is && late_is) {
		bool swap = early > late;
		return (fold == 0) != swap ? early : late;
	}
	return late_is ? late : early;
}
