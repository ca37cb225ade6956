/* Civil days: evidence of zones around a date, and where it begins and ends. */
#include "align/civil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DAY_S INT64_C(86400)
#define EAST_S (14 * INT64_C(3600)) /* the first place to have a date */
#define WEST_S (12 * INT64_C(3600)) /* the last */

/* From `at_ns` on, as far as is known. */
struct evidence {
	int64_t at_ns;
	char zone[ZONE_NAME_BYTES_MAX + 1]; /* a name, or "+01:00" */
};

struct search {
	struct evidence *list; /* [len] in order of time, neighbours differ */
	size_t len;
	bool named; /* by names; offsets no longer count */
};

/* ---- dates ------------------------------------------------------------------------ */

static int64_t day_of(int64_t year, int month, int day)
{
	/* March first, so that a leap day is a year's last. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool digits(const char *text, size_t n, int *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*out = *out * 10 + (text[i] - '0');
	}
	return true;
}

enum rc civil_parse_date(const char *text, int64_t *day)
{
	int year, month, date;
	char again[16];

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !digits(text, 4, &year) ||
	    !digits(text + 5, 2, &month) || !digits(text + 8, 2, &date) || month < 1 ||
	    month > 12 || date < 1)
		return RC_INVALID;
	*day = day_of(year, month, date);
	civil_format_date(*day, again);
	if (strcmp(again, text) != 0 || *day < OBS_TIME_MIN_NS / NS_PER_DAY + 2 ||
	    *day > OBS_TIME_MAX_NS / NS_PER_DAY - 2)
		return RC_INVALID;
	return RC_OK;
}

void civil_format_date(int64_t day, char out[16])
{
	int64_t z = day + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	int64_t date = of_year - (153 * month + 2) / 5 + 1;

	month = month < 10 ? month + 3 : month - 9;
	year += era * 400 + (month <= 2 ? 1 : 0);
	(void)snprintf(
	    out, 16, "%04d-%02d-%02d", (int)(year % 10000), (int)(month % 100), (int)(date % 100));
}

/* ---- zones --------------------------------------------------------------------------- */

/* A name, or an offset as evidence writes it. */
static enum rc load(const char *text, struct zone **out, struct errmsg *why)
{
	int hours, minutes;

	if ((text[0] != '+' && text[0] != '-') || !digits(text + 1, 2, &hours) || text[3] != ':' ||
	    !digits(text + 4, 2, &minutes))
		return zone_load(text, out, why);
	int32_t offset_s = hours * 3600 + minutes * 60;
	return zone_fixed(text[0] == '-' ? -offset_s : offset_s, out);
}

static void note(struct search *search, int64_t at_ns, const char *zone)
{
	struct evidence *last = search->len == 0 ? NULL : &search->list[search->len - 1];

	if ((last != NULL && strcmp(last->zone, zone) == 0) || search->len == CIVIL_EVIDENCE_MAX)
		return;
	last = &search->list[search->len++];
	last->at_ns = at_ns;
	(void)snprintf(last->zone, sizeof last->zone, "%s", zone);
}

static bool take(void *ctx, const struct observation *obs)
{
	struct search *search = ctx;
	struct zone *zone = NULL;
	char text[16];

	if (obs->zone[0] != '\0' && strlen(obs->zone) <= ZONE_NAME_BYTES_MAX) {
		bool known = search->len > 0 && search->named &&
			     strcmp(search->list[search->len - 1].zone, obs->zone) == 0;
		if (!known && zone_load(obs->zone, &zone, NULL) != RC_OK)
			return true; /* no evidence for anything */
		zone_free(zone);
		if (!search->named)
			search->len = 0;
		search->named = true;
		note(search, obs->place.t0_ns, obs->zone);
	} else if (!search->named && obs->has_offset && obs->offset_s != 0 &&
		   abs(obs->offset_s) <= EAST_S) {
		/* "Z" says how a time is written, not where. */
		int minutes = abs(obs->offset_s) / 60;
		(void)snprintf(text, sizeof text, "%c%02d:%02d", obs->offset_s < 0 ? '-' : '+',
		    minutes / 60 % 100, minutes % 60);
		note(search, obs->place.t0_ns, text);
	}
	return true;
}

static const char *zone_at(const struct search *search, int64_t at_ns)
{
	const char *zone = search->list[0].zone; /* the first one reaches back */

	for (size_t i = 1; i < search->len && search->list[i].at_ns <= at_ns; i++)
		zone = search->list[i].zone;
	return zone;
}

static enum rc begin_in(const char *name, int64_t day, int64_t *at_ns, struct errmsg *why)
{
	struct zone *zone = NULL;

	enum rc rc = load(name, &zone, why);
	if (rc == RC_OK)
		*at_ns = zone_utc(zone, day * DAY_S, 0) * NS_PER_S;
	zone_free(zone);
	return rc;
}

/*
 * Where `day` begins: in the zone that is in force there.  Between two zones it
 * may begin in either; the one that was in force before it then counts.
 */
static enum rc begin_of(const struct search *search, int64_t day, int64_t *at_ns,
    char zone[ZONE_NAME_BYTES_MAX + 1], struct errmsg *why)
{
	const char *name = zone_at(search, (day * DAY_S - EAST_S) * NS_PER_S);

	for (int tries = 0; tries < 3; tries++) {
		enum rc rc = begin_in(name, day, at_ns, why);
		if (rc != RC_OK)
			return rc;
		const char *there = zone_at(search, *at_ns);
		if (strcmp(there, name) == 0)
			break;
		name = there;
	}
	(void)snprintf(zone, ZONE_NAME_BYTES_MAX + 1, "%s", name);
	return RC_OK;
}

static enum rc gather(
    struct store *store, const struct civil_query *query, struct search *search, struct errmsg *why)
{
	struct store_range range = {
		.from_ns = (query->day * DAY_S - EAST_S - DAY_S / 2) * NS_PER_S,
		.to_ns = ((query->day + 1) * DAY_S + WEST_S + DAY_S / 2) * NS_PER_S,
		.as_of_seq = query->as_of_seq,
	};

	if (query->zone != NULL) {
		note(search, INT64_MIN, query->zone);
		return RC_OK;
	}
	enum rc rc = store_scan_time(store, &range, NULL, 0, take, search, why);
	if (rc == RC_CORRUPT)
		rc = RC_OK; /* what cannot be read is no evidence */
	if (rc == RC_OK && search->len == 0 && query->fallback != NULL)
		note(search, INT64_MIN, query->fallback);
	return rc;
}

enum rc civil_day_find(
    struct store *store, const struct civil_query *query, struct civil_day *out, struct errmsg *why)
{
	struct search search = { .list = calloc(CIVIL_EVIDENCE_MAX, sizeof *search.list) };
	struct civil_day found = { .known = true };

	if (search.list == NULL)
		return RC_NOMEM;
	enum rc rc = gather(store, query, &search, why);
	if (rc == RC_OK && search.len == 0) {
		found.known = false;
		found.from_ns = (query->day * DAY_S - EAST_S) * NS_PER_S;
		found.to_ns = ((query->day + 1) * DAY_S + WEST_S) * NS_PER_S;
	} else if (rc == RC_OK) {
		rc = begin_of(&search, query->day, &found.from_ns, found.zone_from, why);
		if (rc == RC_OK)
			rc = begin_of(&search, query->day + 1, &found.to_ns, found.zone_to, why);
		if (found.to_ns < found.from_ns)
			found.to_ns = found.from_ns; /* a date that was flown over */
	}
	free(search.list);
	if (rc == RC_OK)
		*out = found;
	return rc;
}
