/* Places: leader clustering, and hours counted by the local clock. */
#include "night/place.h"

#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "base/clock.h"
#include "base/timestamp.h"

#define HOUR_S 3600
#define NIGHT_FROM_H 22
#define NIGHT_TO_H 6
#define WORK_FROM_H 8
#define WORK_TO_H 18
#define COUNTS_S ((int64_t)2 * HOUR_S) /* of a night or day, to be one */
#define SLICE_S ((int64_t)15 * 60)     /* hours are counted in these */
#define HOME_NIGHTS_SURE 3
#define WORK_DAYS_MIN 2
#define WORK_DAYS_SURE 4
#define WORK_SHARE_PERCENT 30 /* of the working hours spent away from home */

static const char *const home_words[] = { "home", "zuhause", "casa", "maison", "domicile", NULL };
static const char *const work_words[] = { "work", "office", "arbeit", "büro", "trabajo", "bureau",
	"ufficio", "lavoro", "kantoor", NULL };

static bool is_listed(const char *const *list, const char *word)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, word) == 0)
			return true;
	}
	return false;
}

/* `seconds` more on local day `day`: is it now one that counts? */
static int count_day(int64_t *last, int64_t *last_s, int64_t day, int64_t seconds)
{
	if (*last != day)
		*last_s = 0;
	*last = day;
	bool counted = *last_s >= COUNTS_S;
	*last_s += seconds;
	return !counted && *last_s >= COUNTS_S ? 1 : 0;
}

/* A stretch of at most SLICE_S, by the hour in which it begins. */
static void add_slice(struct place *place, int64_t local_ns, int64_t seconds)
{
	int64_t local_s = local_ns / NS_PER_S - (local_ns % NS_PER_S < 0 ? 1 : 0);
	int64_t day = local_s / 86400 - (local_s % 86400 < 0 ? 1 : 0);
	int64_t hour = (local_s - day * 86400) / HOUR_S;

	if (hour >= NIGHT_FROM_H || hour < NIGHT_TO_H) {
		/* The hours before midnight belong to the night that follows. */
		int64_t night = hour >= NIGHT_FROM_H ? day + 1 : day;
		place->night_s += seconds;
		place->nights += count_day(&place->last_night, &place->dark_s, night, seconds);
	} else if (hour >= WORK_FROM_H && hour < WORK_TO_H && civil_weekday(day) < 5) {
		place->work_s += seconds;
		place->work_days += count_day(&place->last_day, &place->day_s, day, seconds);
	}
}

static struct place *place_of(struct place *places, size_t *len, const struct stay *stay)
{
	struct place *best = NULL;
	double best_m = PLACE_RADIUS_M;

	for (size_t i = 0; i < *len; i++) {
		double way_m = blend_metres(places[i].lat, places[i].lon, stay->lat, stay->lon);
		if (way_m <= best_m) {
			best_m = way_m;
			best = &places[i];
		}
	}
	if (best != NULL || *len == PLACE_COUNT_MAX)
		return best;
	best = &places[(*len)++];
	*best = (struct place){
		.lat = stay->lat, .lon = stay->lon, .last_day = INT64_MIN, .last_night = INT64_MIN
	};
	return best;
}

static const struct place *find_home(const struct place *places, size_t len)
{
	const struct place *home = NULL;

	for (size_t i = 0; i < len; i++) {
		bool said = (places[i].words & PLACE_SAID_HOME) != 0;
		bool best_said = home != NULL && (home->words & PLACE_SAID_HOME) != 0;
		if (places[i].nights == 0 && !said)
			continue;
		if (home == NULL || (said && !best_said) ||
		    (said == best_said && places[i].night_s > home->night_s))
			home = &places[i];
	}
	return home;
}

static const struct place *find_work(
    const struct place *places, size_t len, const struct place *home)
{
	const struct place *work = NULL;
	int64_t away_s = 0;

	for (size_t i = 0; i < len; i++)
		away_s += &places[i] == home ? 0 : places[i].work_s;
	for (size_t i = 0; i < len; i++) {
		bool said = (places[i].words & PLACE_SAID_WORK) != 0;
		bool often = places[i].work_days >= WORK_DAYS_MIN &&
			     places[i].work_s * 100 >= away_s * WORK_SHARE_PERCENT;
		bool best_said = work != NULL && (work->words & PLACE_SAID_WORK) != 0;
		if (&places[i] == home || (!often && !said))
			continue;
		if (work == NULL || (said && !best_said) ||
		    (said == best_said && places[i].work_s > work->work_s))
			work = &places[i];
	}
	return work;
}

static struct place_role role_of(const struct place *place, unsigned said, bool sure)
{
	if (place == NULL)
		return (struct place_role){ .known = false };
	bool named = (place->words & said) != 0;
	return (struct place_role){ .known = true,
		.lat = place->lat,
		.lon = place->lon,
		.confidence = named  ? 0.95
			      : sure ? 0.9
				     : 0.7 };
}

enum rc place_roles_of(const struct stay *stays, size_t len,
    int64_t (*local_ns)(const void *ctx, int64_t utc_ns), const void *ctx, struct place_roles *out)
{
	struct place *places = calloc(PLACE_COUNT_MAX, sizeof *places);
	size_t places_len = 0;

	*out = (struct place_roles){ .home.known = false };
	if (places == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++) {
		struct place *place = place_of(places, &places_len, &stays[i]);
		if (place == NULL)
			continue;
		if (is_listed(home_words, stays[i].word))
			place->words |= PLACE_SAID_HOME;
		if (is_listed(work_words, stays[i].word))
			place->words |= PLACE_SAID_WORK;
		for (int64_t at_ns = stays[i].t0_ns; at_ns < stays[i].t1_ns;
		     at_ns += SLICE_S * NS_PER_S) {
			int64_t left_s = (stays[i].t1_ns - at_ns) / NS_PER_S;
			add_slice(place, local_ns(ctx, at_ns), left_s < SLICE_S ? left_s : SLICE_S);
		}
	}
	const struct place *home = find_home(places, places_len);
	const struct place *work = find_work(places, places_len, home);
	out->home =
	    role_of(home, PLACE_SAID_HOME, home != NULL && home->nights >= HOME_NIGHTS_SURE);
	out->work =
	    role_of(work, PLACE_SAID_WORK, work != NULL && work->work_days >= WORK_DAYS_SURE);
	free(places);
	return RC_OK;
}

bool place_is_at(const struct place_role *role, double lat, double lon)
{
	return role->known && blend_metres(role->lat, role->lon, lat, lon) <= PLACE_RADIUS_M;
}
