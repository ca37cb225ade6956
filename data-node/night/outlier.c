/* Outliers: a table of limits, medians of neighbours, three fixes in a row. */
#include "night/outlier.h"

#include <math.h>
#include <string.h>

#include "align/blend.h"
#include "align/peek.h"
#include "base/clock.h"
#include "night/unit.h"

#define MAD_SCALE 1.4826             /* MAD to standard deviation, for normal noise */
#define FIX_ACCURACY_M 20            /* of a fix that does not say */
#define FIX_WAY_SHARE 0.25           /* the direct way, of the detour */
#define FIX_GAP_NS (30 * NS_PER_MIN) /* fixes further apart say nothing of each other */

/* Names are kinds, or members, or quantities of unit.h; normalised units. */
static const struct outlier_limits limits[] = {
	{ "heart_rate", 20, 260, 15 },
	{ "bpm", 20, 260, 15 },
	{ "oxygen", 50, 100, 5 },
	{ "respiration", 2, 80, 6 },
	{ "body_temperature", 25, 45, 0.8 },
	{ "skin_temperature", 5, 45, 4 },
	{ "weight", 0.5, 650, 3 },
	{ "steps", 0, 200000, 2000 },
	{ "stress", 0, 100, 40 },
	{ "temperature", -90, 70, 4 },
	{ "humidity", 0, 100, 20 },
	{ "pressure", 300, 1100, 8 },
	{ "co2", 150, 50000, 800 },
	{ "noise", -20, 194, 35 },
	{ "light", 0, 200000, 100000 },
	{ "uv", 0, 25, 8 },
	{ "battery", 0, 100, 30 },
	{ "batt", 0, 100, 30 },
	{ "speed", 0, 350, 30 },
	{ "power", -1e6, 1e6, 1e6 },
	{ "mass", 0, 1e6, 1e6 },
};

static const char *const words[] = { "none", "limit", "spike", "jump" };

const char *outlier_word(enum outlier_reason reason)
{
	return words[reason];
}

const struct outlier_limits *outlier_limits_of(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		if (strlen(limits[i].name) == len && memcmp(limits[i].name, name, len) == 0)
			return &limits[i];
	}
	return NULL;
}

/* ---- which numbers are judged --------------------------------------------------------- */

static bool is_value(const struct peek *member)
{
	return peek_is(member, "value") || peek_is(member, "state") ||
	       peek_is(member, "native_value");
}

/* A temperature at home is that of a room, an oven or a freezer: no limits. */
static const struct outlier_limits *limits_for(
    const struct observation *obs, const struct peek *member, const struct reading *reading)
{
	const struct outlier_limits *found = NULL;

	if (is_value(member) || reading == NULL)
		found = is_value(member) ? outlier_limits_of(obs->kind, strlen(obs->kind))
					 : outlier_limits_of(member->key, member->key_len);
	if (found == NULL && reading != NULL && obs->layer != LAYER_HOME) {
		const char *quantity = quantity_word(reading->unit->quantity);
		found = outlier_limits_of(quantity, strlen(quantity));
	}
	return found;
}

static const struct reading *reading_of(
    const struct reading *readings, size_t n, const struct peek *member)
{
	for (size_t i = 0; i < n; i++) {
		if (readings[i].member == member->key)
			return &readings[i];
	}
	return NULL;
}

size_t outlier_measures(
    const struct observation *obs, struct outlier_measure out[OUTLIER_MEASURES_MAX])
{
	struct reading readings[UNIT_READINGS_MAX];
	struct peek member;
	size_t n = 0;

	if (obs->data_json == NULL || obs->data_json[0] == '\0')
		return 0;
	size_t readings_len = unit_read(obs, readings);
	peek_open(&member, obs->data_json);
	while (n < OUTLIER_MEASURES_MAX && peek_next(&member)) {
		const struct reading *reading = reading_of(readings, readings_len, &member);
		double value;
		if (reading != NULL)
			value = reading->value;
		else if (!peek_number(&member, &value))
			continue;
		const struct outlier_limits *found = limits_for(obs, &member, reading);
		if (found != NULL)
			out[n++] = (struct outlier_measure){
				.member = member.key,
				.member_len = member.key_len,
				.value = value,
				.limits = found,
			};
	}
	return n;
}

/* ---- neighbours ------------------------------------------------------------------------- */

/* Insertion sort: at most 24 values. */
static double median(double *values, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		double value = values[i];
		size_t k = i;
		for (; k > 0 && values[k - 1] > value; k--)
			values[k] = values[k - 1];
		values[k] = value;
	}
	return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static const struct outlier_point *point_at(const struct outlier_series *series, uint64_t number)
{
	return &series->ring[number % OUTLIER_RING];
}

static bool near(const struct outlier_point *a, const struct outlier_point *b)
{
	return a->t0_ns - b->t0_ns <= OUTLIER_REACH_NS && b->t0_ns - a->t0_ns <= OUTLIER_REACH_NS;
}

/* The neighbours of point `number` that the ring has; their number. */
static size_t neighbours(const struct outlier_series *series, uint64_t number,
    double values[OUTLIER_RING], double *before, double *behind)
{
	const struct outlier_point *point = point_at(series, number);
	uint64_t first = number > OUTLIER_NEIGHBOURS ? number - OUTLIER_NEIGHBOURS : 0;
	uint64_t last = number + OUTLIER_NEIGHBOURS;
	size_t n = 0;

	if (last >= series->pushed)
		last = series->pushed - 1;
	*before = *behind = NAN;
	for (uint64_t i = first; i <= last; i++) {
		const struct outlier_point *other = point_at(series, i);
		if (i == number || !near(other, point))
			continue;
		values[n++] = other->value;
		if (i + 1 == number)
			*before = other->value;
		if (i == number + 1)
			*behind = other->value;
	}
	return n;
}

static enum outlier_reason judge(
    const struct outlier_series *series, uint64_t number, struct outlier_verdict *out)
{
	const struct outlier_limits *of = series->limits;
	double values[OUTLIER_RING], before, behind;

	out->point = *point_at(series, number);
	out->expected = out->spread = 0;
	double value = out->point.value;
	if (of != NULL && (value < of->least || value > of->most))
		return OUTLIER_LIMIT;
	size_t n = neighbours(series, number, values, &before, &behind);
	if (n < OUTLIER_NEIGHBOURS_MIN)
		return OUTLIER_NONE;
	out->expected = median(values, n);
	for (size_t i = 0; i < n; i++)
		values[i] = fabs(values[i] - out->expected);
	out->spread = MAD_SCALE * median(values, n);
	double far = OUTLIER_MADS * out->spread;
	double floor = of != NULL ? of->floor : fabs(out->expected) / 2;
	far = far < floor ? floor : far;
	if (fabs(value - out->expected) <= far)
		return OUTLIER_NONE;
	/* Something that lasts is an event.  NAN (no neighbour there) compares false. */
	if (fabs(before - out->expected) > far / 2 || fabs(behind - out->expected) > far / 2)
		return OUTLIER_NONE;
	return isnan(before) || isnan(behind) ? OUTLIER_NONE : OUTLIER_SPIKE;
}

size_t outlier_push(struct outlier_series *series, const struct outlier_point *point,
    struct outlier_verdict out[OUTLIER_RING])
{
	size_t n = 0;

	if (point != NULL) {
		series->ring[series->pushed % OUTLIER_RING] = *point;
		series->pushed++;
	}
	while (series->judged < series->pushed &&
	       (point == NULL || series->pushed - series->judged > OUTLIER_NEIGHBOURS ||
		   point->t0_ns - point_at(series, series->judged)->t0_ns > OUTLIER_REACH_NS)) {
		out[n].reason = judge(series, series->judged++, &out[n]);
		n += out[n].reason != OUTLIER_NONE ? 1 : 0;
	}
	return n;
}

/* ---- fixes -------------------------------------------------------------------------------- */

/* The least speed that brings one from `a` to `b`. */
static double speed_between(const struct outlier_fix *a, const struct outlier_fix *b, double *way_m)
{
	double slack_m = (a->accuracy_m < 0 ? FIX_ACCURACY_M : a->accuracy_m) +
			 (b->accuracy_m < 0 ? FIX_ACCURACY_M : b->accuracy_m);

	*way_m = blend_metres(a->lat, a->lon, b->lat, b->lon);
	double least_m = *way_m > slack_m ? *way_m - slack_m : 0;
	/* Times are good to a second. */
	return least_m / ((double)(b->t0_ns - a->t0_ns) / 1e9 + 1);
}

bool outlier_push_fix(
    struct outlier_track *track, const struct outlier_fix *fix, struct outlier_fix *jump)
{
	bool found = false;

	if (track->len > 0 && fix->t0_ns - track->last[track->len - 1].t0_ns > FIX_GAP_NS)
		track->len = 0;
	if (track->len == 2) {
		const struct outlier_fix *first = &track->last[0], *middle = &track->last[1];
		double out_m, back_m, direct_m;
		double out_mps = speed_between(first, middle, &out_m);
		double back_mps = speed_between(middle, fix, &back_m);
		(void)speed_between(first, fix, &direct_m);
		found = out_mps > OUTLIER_SPEED_MPS_MAX && back_mps > OUTLIER_SPEED_MPS_MAX &&
			direct_m < (out_m + back_m) * FIX_WAY_SHARE;
		if (found)
			*jump = *middle;
		else
			track->last[0] = *middle;
		track->last[1] = *fix;
		return found;
	}
	track->last[track->len++] = *fix;
	return false;
}
