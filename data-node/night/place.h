/*
 * Places: which of the places that someone stays at is home, which is work.
 *
 * Stays of some weeks are put together by a fixed radius around the first of
 * each place, in order of time, so the same stays give the same places.  Home
 * is where the nights are spent, work where the working hours of weekdays are
 * that are not spent at home; a sender who calls a place by that name is
 * believed.  Pure.
 */
#ifndef NIGHT_PLACE_H
#define NIGHT_PLACE_H

#include "night/stay.h"

#define PLACE_RADIUS_M 180.0
#define PLACE_STAYS_MAX ((size_t)8192)
#define PLACE_COUNT_MAX 256 /* further ones are left out */

struct place {
	double lat, lon;              /* of its first stay */
	int64_t night_s;              /* 22 to 6, local */
	int64_t work_s;               /* Monday to Friday, 8 to 18, local */
	int nights, work_days;        /* with two hours or more */
	int64_t last_day, last_night; /* counted last, as local day numbers */
	int64_t day_s, dark_s;        /* of these */
	unsigned words;               /* PLACE_SAID_… bits */
};

#define PLACE_SAID_HOME 1u
#define PLACE_SAID_WORK 2u

struct place_role {
	bool known;
	double lat, lon;
	double confidence;
};

struct place_roles {
	struct place_role home, work;
};

/*
 * From `stays` [len] in order of time; `local_ns` turns UTC into local time.
 * RC_NOMEM.
 */
enum rc place_roles_of(const struct stay *stays, size_t len,
    int64_t (*local_ns)(const void *ctx, int64_t utc_ns), const void *ctx,
    struct place_roles *out) RC_CHECK;

/* True if (lat, lon) is at `role`. */
bool place_is_at(const struct place_role *role, double lat, double lon);

#endif
