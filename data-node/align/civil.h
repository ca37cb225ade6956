/*
 * Civil time: a local date as a stretch of UTC.
 *
 * reference: timeline §3.  An index, not a key: slices lie on UTC, and what "25
 * October" means follows from the zone that was in force.  That is what events
 * of the time say ("tz", or the offset of a timestamp); where none does, the
 * owner's zone if one is configured, else the day is not known better than all
 * places on Earth that have it.  Days of 23 and 25 hours come out as they are,
 * and so does a day that begins in one zone and ends in another.
 */
#ifndef ALIGN_CIVIL_H
#define ALIGN_CIVIL_H

#include "align/zone.h"
#include "store/store.h"

#define CIVIL_EVIDENCE_MAX ((size_t)4096) /* changes of zone around one day */

struct civil_day {
	int64_t from_ns, to_ns;
	bool known;                              /* false: the widest stretch the date can mean */
	char zone_from[ZONE_NAME_BYTES_MAX + 1]; /* IANA name or "+01:00"; "" unknown */
	char zone_to[ZONE_NAME_BYTES_MAX + 1];   /* in force at its end */
};

/* "2026-10-25" → days since 1970.  RC_INVALID, also for 31 April. */
enum rc civil_parse_date(const char *text, int64_t *day) RC_CHECK;
void civil_format_date(int64_t day, char out[16]);

/*
 * The stretch of `day`.  `zone`: take that one, whatever events say (may be
 * NULL); `fallback`: where events say nothing (may be NULL).  Reads the events
 * of three days as of `as_of_seq` (0: newest).  RC_INVALID, RC_NOTFOUND (no
 * such zone), the store's errors.
 */
struct civil_query {
	int64_t day;
	const char *zone, *fallback;
	uint64_t as_of_seq;
};
enum rc civil_day_find(struct store *store, const struct civil_query *query, struct civil_day *out,
    struct errmsg *why) RC_CHECK;

#endif
