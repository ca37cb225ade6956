/* Stays: a circle around the fixes so far, and one stray fix held back. */
#include "night/stay.h"

#include <stdlib.h>
#include <string.h>

#include "align/blend.h"

static void begin(struct stay_run *run, const struct stay *fix)
{
	run->now = *fix;
	run->lat_first = fix->lat;
	run->lon_first = fix->lon;
	run->lat_sum = run->lon_sum = 0;
}

static void extend(struct stay_run *run, const struct stay *fix)
{
	struct stay *now = &run->now;

	now->fixes++;
	run->lat_sum += fix->lat - run->lat_first;
	run->lon_sum += fix->lon - run->lon_first;
	now->lat = run->lat_first + run->lat_sum / now->fixes;
	now->lon = run->lon_first + run->lon_sum / now->fixes;
	if (fix->t1_ns > now->t1_ns) {
		now->t1_ns = fix->t1_ns;
		memcpy(now->last, fix->last, OBS_ID_BYTES);
	}
}

static bool is_inside(const struct stay *now, const struct stay *fix)
{
	return blend_metres(now->lat, now->lon, fix->lat, fix->lon) <= STAY_RADIUS_M &&
	       fix->t0_ns - now->t1_ns <= STAY_SILENCE_NS_MAX;
}

static bool long_enough(const struct stay *stay)
{
	return stay->fixes > 0 && stay->t1_ns - stay->t0_ns >= STAY_NS_MIN;
}

bool stay_push(struct stay_run *run, int64_t t0_ns, int64_t t1_ns, double lat, double lon,
    const uint8_t obs_id[OBS_ID_BYTES], struct stay *out)
{
	struct stay fix = { .t0_ns = t0_ns, .t1_ns = t1_ns, .lat = lat, .lon = lon, .fixes = 1 };

	memcpy(fix.first, obs_id, OBS_ID_BYTES);
	memcpy(fix.last, obs_id, OBS_ID_BYTES);
	if (run->now.fixes == 0) {
		begin(run, &fix);
		return false;
	}
	if (is_inside(&run->now, &fix)) {
		run->stray.fixes = 0;
		extend(run, &fix);
		return false;
	}
	if (run->stray.fixes == 0) {
		run->stray = fix;
		return false;
	}
	*out = run->now;
	bool ended = long_enough(&run->now);
	/* The stray fix was the first of what comes next. */
	begin(run, &run->stray);
	run->stray.fixes = 0;
	if (is_inside(&run->now, &fix))
		extend(run, &fix);
	else
		run->stray = fix;
	return ended;
}

bool stay_end(struct stay_run *run, struct stay *out)
{
	*out = run->now;
	run->now.fixes = run->stray.fixes = 0;
	return long_enough(out);
}

static int by_time(const void *a, const void *b)
{
	const struct stay *x = a, *y = b;

	if (x->t0_ns != y->t0_ns)
		return x->t0_ns < y->t0_ns ? -1 : 1;
	if (x->t1_ns != y->t1_ns)
		return x->t1_ns < y->t1_ns ? -1 : 1;
	return memcmp(x->first, y->first, OBS_ID_BYTES);
}

size_t stay_merge(struct stay *stays, size_t len)
{
	size_t out = 0;

	if (len == 0)
		return 0;
	qsort(stays, len, sizeof stays[0], by_time);
	for (size_t i = 0; i < len; i++) {
		struct stay *last = out > 0 ? &stays[out - 1] : NULL;
		if (last != NULL && stays[i].t0_ns <= last->t1_ns &&
		    blend_metres(last->lat, last->lon, stays[i].lat, stays[i].lon) <=
			STAY_MERGE_M) {
			if (stays[i].t1_ns > last->t1_ns) {
				last->t1_ns = stays[i].t1_ns;
				memcpy(last->last, stays[i].last, OBS_ID_BYTES);
			}
			last->fixes += stays[i].fixes;
			if (last->word[0] == '\0')
				memcpy(last->word, stays[i].word, STAY_WORD_BYTES);
			continue;
		}
		stays[out++] = stays[i];
	}
	return out;
}
