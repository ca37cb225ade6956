/* Rule "outlier": marks on measured values, with the reason. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "base/clock.h"
#include "night/night_rule.h"
#include "night/outlier.h"
#include "night/things.h"
#include "night/unit.h"

#define BLOCK_MARKS_MAX 64 /* of one block */

struct series {
	struct outlier_series values;
	struct outlier_track fixes;
	enum layer layer;
	char member[THINGS_MEMBER_BYTES_MAX + 1];
};

static enum rc open(void **out)
{
	*out = calloc(1, sizeof(struct things));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static void close(void *arg)
{
	if (arg != NULL)
		things_drop(arg, NULL);
	free(arg);
}

static enum rc begin(void *arg, struct night_day *day, struct errmsg *why)
{
	(void)day;
	(void)why;
	things_drop(arg, NULL);
	return RC_OK;
}

/* The series of (track, member); NULL for the day's things beyond THINGS_MAX, which
 * go unjudged. */
static enum rc series_of(struct things *things, const struct observation *obs, const char *member,
    size_t member_len, struct series **out)
{
	struct things_key key = { obs, member, member_len, 0 };
	void *thing = NULL;
	bool is_new = false;

	*out = NULL;
	if (!things_may_name(member, member_len))
		return RC_OK;
	enum rc rc = things_find(things, &key, sizeof(struct series), &thing, &is_new);
	if (rc != RC_OK)
		return rc == RC_LIMIT ? RC_OK : rc;
	*out = thing;
	if (is_new) {
		(*out)->layer = obs->layer;
		memcpy((*out)->member, member, member_len);
	}
	return RC_OK;
}

static enum rc say(struct night_day *day, enum layer layer, const struct outlier_point *point,
    const char *member, const char *value, double confidence, struct errmsg *why)
{
	char key[LABEL_KEY_BYTES_MAX];

	label_member_key(member, point->obs_id, key);
	struct label label = { .key = key,
		.layer = layer,
		.t0_ns = point->t0_ns,
		.t1_ns = point->t1_ns,
		.about = &point->obs_id,
		.about_len = 1,
		.value_json = value,
		.confidence = confidence };
	return night_say(day, &label, why);
}

static enum rc say_verdicts(struct night_day *day, const struct series *series,
    const struct outlier_verdict *verdicts, size_t n, struct errmsg *why)
{
	enum rc rc = RC_OK;
	char value[256];

	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		bool limit = verdicts[i].reason == OUTLIER_LIMIT;
		if (limit)
			(void)snprintf(value, sizeof value,
			    "{\"least\":%.9g,\"member\":\"%s\",\"most\":%.9g,\"reason\":\"limit\"}",
			    series->values.limits->least, series->member,
			    series->values.limits->most);
		else
			(void)snprintf(value, sizeof value,
			    "{\"expected\":%.6g,\"member\":\"%s\",\"reason\":\"%s\",\"spread\":%."
			    "6g}",
			    verdicts[i].expected, series->member, outlier_word(verdicts[i].reason),
			    verdicts[i].spread);
		rc = say(day, series->layer, &verdicts[i].point, series->member, value,
		    limit ? 1 : 0.9, why);
	}
	return rc;
}

static struct outlier_point point_of(const struct observation *obs, double value)
{
	struct outlier_point point = {
		.t0_ns = obs->place.t0_ns, .t1_ns = obs->place.t1_ns, .value = value
	};

	memcpy(point.obs_id, obs->obs_id, OBS_ID_BYTES);
	return point;
}

static enum rc take_measures(
    struct things *things, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct outlier_measure measures[OUTLIER_MEASURES_MAX];
	struct outlier_verdict verdicts[OUTLIER_RING];
	size_t n = outlier_measures(obs, measures);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		struct series *series = NULL;
		rc = series_of(things, obs, measures[i].member, measures[i].member_len, &series);
		if (rc != RC_OK || series == NULL)
			continue;
		series->values.limits = measures[i].limits;
		struct outlier_point point = point_of(obs, measures[i].value);
		size_t found = outlier_push(&series->values, &point, verdicts);
		rc = say_verdicts(day, series, verdicts, found, why);
	}
	return rc;
}

static enum rc take_fix(struct things *things, struct night_day *day, const struct observation *obs,
    const struct blend_fix *fix, struct errmsg *why)
{
	struct outlier_fix point = { .t0_ns = obs->place.t0_ns,
		.lat = fix->lat,
		.lon = fix->lon,
		.accuracy_m = fix->accuracy_m },
			   jump;
	struct series *series = NULL;

	memcpy(point.obs_id, obs->obs_id, OBS_ID_BYTES);
	enum rc rc = series_of(things, obs, "position", 8, &series);
	if (rc != RC_OK || series == NULL || !outlier_push_fix(&series->fixes, &point, &jump))
		return rc;
	struct outlier_point at = { .t0_ns = jump.t0_ns, .t1_ns = jump.t0_ns };
	memcpy(at.obs_id, jump.obs_id, OBS_ID_BYTES);
	return say(day, obs->layer, &at, "position",
	    "{\"member\":\"position\",\"reason\":\"jump\"}", 0.95, why);
}

/* Frame `i` of a block of one channel; its number stands for its end. */
static struct outlier_point frame_of(
    const struct observation *obs, const struct unit *unit, size_t i)
{
	double value = obs->values[i];
	int64_t offset_ns = obs->times_ns != NULL
				? obs->times_ns[i]
				: (int64_t)((double)i / obs->rate_hz * (double)NS_PER_S);

	return (struct outlier_point){
		.t0_ns = obs->place.t0_ns + offset_ns,
		.t1_ns = (int64_t)i,
		.value = unit == NULL ? value : (value + unit->shift) * unit->factor,
	};
}

/* A block is a series of its own: one mark names the values at fault. */
static enum rc take_block(struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct outlier_series series = { .limits =
					     outlier_limits_of(obs->kind, strlen(obs->kind)) };
	const struct unit *unit = unit_of_block(obs);
	struct outlier_verdict verdicts[OUTLIER_RING];
	uint64_t marks = 0;
	struct buf value;

	if (series.limits == NULL || obs->channels > 1 ||
	    (obs->times_ns == NULL && !(obs->rate_hz > 0)))
		return RC_OK;
	buf_init(&value, LABEL_VALUE_BYTES_MAX);
	buf_puts(&value, "{\"indexes\":[");
	for (size_t i = 0; i <= obs->values_len; i++) {
		struct outlier_point point = { .t0_ns = 0 };
		bool more = i < obs->values_len;
		if (more)
			point = frame_of(obs, unit, i);
		size_t n = outlier_push(&series, more ? &point : NULL, verdicts);
		for (size_t k = 0; k < n; k++, marks++) {
			if (marks < BLOCK_MARKS_MAX)
				buf_printf(&value, "%s%" PRId64, marks > 0 ? "," : "",
				    verdicts[k].point.t1_ns);
		}
	}
	buf_printf(&value, "],\"marks\":%" PRIu64 ",\"member\":\"values\"}", marks);
	struct outlier_point whole = point_of(obs, 0);
	enum rc rc = buf_rc(&value);
	if (rc == RC_OK && marks > 0)
		rc = say(day, obs->layer, &whole, "values", buf_text(&value), 0.9, why);
	buf_fini(&value);
	return rc;
}

static enum rc take(
    void *arg, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct blend_fix fix;

	if (obs->values_len > 0)
		return take_block(day, obs, why);
	if (placement_is_wide(&obs->place))
		return RC_OK; /* at no one time: it has no neighbours */
	enum rc rc = take_measures(arg, day, obs, why);
	if (rc == RC_OK && obs->layer == LAYER_ENVIRONMENT && strcmp(obs->kind, "location") == 0 &&
	    blend_fix_of(obs->data_json, &fix))
		rc = take_fix(arg, day, obs, &fix, why);
	return rc;
}

static enum rc end(void *arg, struct night_day *day, struct errmsg *why)
{
	struct outlier_verdict verdicts[OUTLIER_RING];
	const struct things *things = arg;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < things->len && rc == RC_OK; i++) {
		struct series *series = things->all[i];
		size_t n = outlier_push(&series->values, NULL, verdicts);
		rc = say_verdicts(day, series, verdicts, n, why);
	}
	return rc;
}

const struct night_rule night_rule_outlier = {
	.name = "outlier",
	.version = 1,
	.layers =
	    LAYER_MASK(LAYER_BEHAVIOUR) | LAYER_MASK(LAYER_ENVIRONMENT) | LAYER_MASK(LAYER_HOME),
	.before_ns = OUTLIER_REACH_NS,
	.after_ns = OUTLIER_REACH_NS,
	.open = open,
	.close = close,
	.begin = begin,
	.take = take,
	.end = end,
};
