/*
 * Rule "unit": readings in the one unit of their quantity.
 *
 * Readings that are normal as they were sent get no label.  The others are
 * gathered by thing, member and unit, an hour to a label: a sensor that speaks
 * Fahrenheit every few seconds must not double the log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "night/night_rule.h"
#include "night/things.h"
#include "night/unit.h"

/* Readings of one thing, member and unit within one hour. */
struct group {
	char member[THINGS_MEMBER_BYTES_MAX + 1];
	const struct unit *unit;
	enum layer layer;
	int64_t t0_ns, t1_ns;
	uint8_t (*about)[OBS_ID_BYTES]; /* [LABEL_ABOUT_MAX], grown */
	size_t len, cap;
	struct buf values;
};

struct state {
	int64_t hour;
	struct things groups; /* that speak within it */
};

static void drop_group(void *thing)
{
	struct group *group = thing;

	free(group->about);
	buf_fini(&group->values);
}

static enum rc open(void **out)
{
	*out = calloc(1, sizeof(struct state));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static void close(void *arg)
{
	struct state *state = arg;

	if (state != NULL)
		things_drop(&state->groups, drop_group);
	free(state);
}

static enum rc begin(void *arg, struct night_day *day, struct errmsg *why)
{
	struct state *state = arg;

	(void)day;
	(void)why;
	things_drop(&state->groups, drop_group);
	state->hour = INT64_MIN;
	return RC_OK;
}

/* The readings of `group` so far as one label. */
static enum rc say_group(struct group *group, struct night_day *day, struct errmsg *why)
{
	char key[LABEL_KEY_BYTES_MAX];
	enum quantity quantity = group->unit->quantity;
	struct buf value;

	buf_init(&value, LABEL_VALUE_BYTES_MAX);
	buf_printf(&value,
	    "{\"from\":\"%s\",\"member\":\"%s\",\"quantity\":\"%s\",\"unit\":\"%s\",\"values\":[%s]"
	    "}",
	    group->unit->word, group->member, quantity_word(quantity), quantity_unit(quantity),
	    buf_text(&group->values));
	label_member_key(group->member, group->about[0], key);
	struct label label = { .key = key,
		.layer = group->layer,
		.t0_ns = group->t0_ns,
		.t1_ns = group->t1_ns,
		.about = (const uint8_t(*)[OBS_ID_BYTES])group->about,
		.about_len = group->len,
		.value_json = buf_text(&value),
		.confidence = 1 };
	enum rc rc = buf_rc(&value);
	if (rc == RC_OK)
		rc = night_say(day, &label, why);
	buf_fini(&value);
	group->len = 0;
	buf_reset(&group->values);
	return rc;
}

static enum rc say_all(struct state *state, struct night_day *day, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < state->groups.len && rc == RC_OK; i++) {
		struct group *group = state->groups.all[i];
		if (group->len > 0)
			rc = say_group(group, day, why);
	}
	things_drop(&state->groups, drop_group);
	return rc;
}

static enum rc group_of(struct state *state, const struct observation *obs,
    const struct reading *reading, struct group **out)
{
	struct things_key key = { obs, reading->member, reading->member_len,
		(uint64_t)(uintptr_t)reading->unit };
	void *thing = NULL;
	bool is_new = false;

	enum rc rc = things_find(&state->groups, &key, sizeof(struct group), &thing, &is_new);
	*out = thing;
	if (rc != RC_OK || !is_new)
		return rc;
	(*out)->unit = reading->unit;
	(*out)->layer = obs->layer;
	memcpy((*out)->member, reading->member, reading->member_len);
	buf_init(&(*out)->values, LABEL_VALUE_BYTES_MAX / 2);
	return RC_OK;
}

static enum rc group_add(
    struct group *group, const struct observation *obs, const struct reading *reading)
{
	if (group->len == group->cap) {
		size_t cap = group->cap == 0 ? 16 : group->cap * 2;
		void *about = realloc(group->about, cap * sizeof *group->about);
		if (about == NULL)
			return RC_NOMEM;
		group->about = about;
		group->cap = cap;
	}
	if (group->len == 0) {
		group->t0_ns = obs->place.t0_ns;
		group->t1_ns = obs->place.t1_ns;
	}
	memcpy(group->about[group->len], obs->obs_id, OBS_ID_BYTES);
	if (obs->place.t1_ns > group->t1_ns)
		group->t1_ns = obs->place.t1_ns;
	buf_printf(&group->values, "%s%.9g", group->len > 0 ? "," : "", reading->value);
	group->len++;
	return buf_rc(&group->values);
}

/* A block has its unit once and its values apart: the label says how to turn
 * them, not each of them again. */
static enum rc say_block(struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	const struct unit *unit = unit_of_block(obs);
	char key[LABEL_KEY_BYTES_MAX], value[256];

	if (unit == NULL || unit_is_normal(unit))
		return RC_OK;
	label_member_key("values", obs->obs_id, key);
	(void)snprintf(value, sizeof value,
	    "{\"factor\":%.12g,\"from\":\"%s\",\"member\":\"values\",\"quantity\":\"%s\",\"shift\":"
	    "%.9g,"
	    "\"unit\":\"%s\"}",
	    unit->factor, unit->word, quantity_word(unit->quantity), unit->shift,
	    quantity_unit(unit->quantity));
	struct label label = { .key = key,
		.layer = obs->layer,
		.t0_ns = obs->place.t0_ns,
		.t1_ns = obs->place.t1_ns,
		.about = &obs->obs_id,
		.about_len = 1,
		.value_json = value,
		.confidence = 1 };
	return night_say(day, &label, why);
}

static enum rc take(
    void *arg, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct reading readings[UNIT_READINGS_MAX];
	struct state *state = arg;
	enum rc rc = RC_OK;

	if (obs->values_len > 0)
		return say_block(day, obs, why);
	size_t n = unit_read(obs, readings);
	int64_t hour = (obs->place.t0_ns - night_day_from_ns(day)) / NS_PER_HOUR;
	if (n > 0 && hour != state->hour) {
		rc = say_all(state, day, why);
		state->hour = hour;
	}
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		struct group *group = NULL;
		if (unit_is_normal(readings[i].unit) ||
		    !things_may_name(readings[i].member, readings[i].member_len))
			continue;
		rc = group_of(state, obs, &readings[i], &group);
		if (rc == RC_OK && group->len == LABEL_ABOUT_MAX)
			rc = say_group(group, day, why);
		if (rc == RC_OK)
			rc = group_add(group, obs, &readings[i]);
	}
	return rc;
}

static enum rc end(void *arg, struct night_day *day, struct errmsg *why)
{
	return say_all(arg, day, why);
}

const struct night_rule night_rule_unit = {
	.name = "unit",
	.version = 1,
	.layers =
	    LAYER_MASK(LAYER_BEHAVIOUR) | LAYER_MASK(LAYER_ENVIRONMENT) | LAYER_MASK(LAYER_HOME),
	.open = open,
	.close = close,
	.begin = begin,
	.take = take,
	.end = end,
};
