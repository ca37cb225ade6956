/*
 * Rule "scene": what someone was doing, where it takes more than a moment to
 * see.
 *
 * Each stretch is a label in the layer of its evidence, cut at the UTC day.
 * The aligner reads them beside its own rules for moments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/peek.h"
#include "base/clock.h"
#include "night/activity.h"
#include "night/place_label.h"

#define ACTIVITIES_MAX ((size_t)4096) /* of one day */
#define AROUND_NS (12 * NS_PER_HOUR)
#define MEETING_NS_MIN (5 * NS_PER_MIN)
#define MEETING_NS_MAX (10 * NS_PER_HOUR)
#define MEAL_NS_MIN (8 * NS_PER_MIN)
#define MEAL_NS_MAX (3 * NS_PER_HOUR)
#define MEAL_SIGHTS_GAP_NS (25 * NS_PER_MIN)
#define MEAL_SIGHTS_MIN 2
#define WORD_BYTES_MAX ((size_t)24)
#define TEXT_BYTES_MAX ((size_t)512) /* looked at, for words */

struct state {
	struct place_roles roles;
	struct stay stays[PLACE_LABEL_STAYS_MAX];
	size_t stays_len;
	struct activity_talk talk;
	struct activity_signs signs;
	struct activity sights; /* of food, so far: t1 of the last */
	uint32_t sights_len;
	struct activity list[ACTIVITIES_MAX];
	size_t len;
};

static enum rc open(void **out)
{
	*out = calloc(1, sizeof(struct state));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static enum rc begin(void *arg, struct night_day *day, struct errmsg *why)
{
	struct state *state = arg;
	struct store *store = night_day_store(day);

	state->len = 0;
	state->sights_len = 0;
	state->talk = (struct activity_talk){ .utterances = 0 };
	state->signs = (struct activity_signs){ .before = 0 };
	enum rc rc = place_label_get_stays(
	    store, night_day_from_ns(day), state->stays, &state->stays_len, NULL, why);
	if (rc == RC_OK)
		rc = place_label_get_roles(store, night_day_from_ns(day), &state->roles, why);
	return rc;
}

/* ---- words -------------------------------------------------------------------------- */

struct words {
	const char *list; /* " a b " */
	bool found;
};

static bool is_word_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static void find_words(void *ctx, const char *text, size_t len)
{
	struct words *words = ctx;

	len = len > TEXT_BYTES_MAX ? TEXT_BYTES_MAX : len;
	for (size_t i = 0; i < len && !words->found;) {
		char word[WORD_BYTES_MAX + 3] = " ";
		size_t n = 0;
		while (i < len && is_word_byte((unsigned char)text[i])) {
			char c = text[i++];
			if (n++ < WORD_BYTES_MAX)
				word[n] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		if (n > 0 && n <= WORD_BYTES_MAX) {
			memcpy(word + 1 + n, " ", 2);
			words->found = strstr(words->list, word) != NULL;
		}
		i += n == 0 ? 1 : 0;
	}
}

static bool says(const struct observation *obs, const char *list)
{
	struct words words = { .list = list };

	find_words(&words, obs->text, strlen(obs->text));
	if (!words.found)
		peek_strings(obs->data_json, TEXT_BYTES_MAX, find_words, &words);
	return words.found;
}

/* ---- evidence ------------------------------------------------------------------------ */

static void add(struct state *state, const struct activity *activity)
{
	if (state->len < ACTIVITIES_MAX)
		state->list[state->len++] = *activity;
}

/* A stretch that one observation is. */
static void add_one(struct state *state, const struct observation *obs, const char *scene,
    const char *because, double confidence)
{
	struct activity activity = { .scene = scene,
		.because = because,
		.layer = obs->layer,
		.t0_ns = obs->place.t0_ns,
		.t1_ns = obs->place.t1_ns,
		.confidence = confidence,
		.about_len = 1 };

	memcpy(activity.about[0], obs->obs_id, OBS_ID_BYTES);
	add(state, &activity);
}

static bool lasts(const struct observation *obs, int64_t least_ns, int64_t most_ns)
{
	int64_t span_ns = obs->place.t1_ns - obs->place.t0_ns;

	return span_ns >= least_ns && span_ns <= most_ns;
}

static bool is_kind(const struct observation *obs, const char *list)
{
	char word[OBS_KIND_BYTES_MAX + 3];

	(void)snprintf(word, sizeof word, " %s ", obs->kind);
	return strstr(list, word) != NULL;
}

static uint64_t speaker_of(const struct observation *obs)
{
	struct peek member;
	uint64_t hash = 0;

	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		if (!peek_is(&member, "speaker"))
			continue;
		for (size_t i = 0; i < member.value_len; i++)
			hash = (hash ^ (uint8_t)member.value[i]) * UINT64_C(0x9E3779B97F4A7C15) + 1;
	}
	return hash;
}

/* Food was seen: twice within a while is a meal. */
static void see_food(struct state *state, const struct observation *obs)
{
	struct activity *sights = &state->sights;

	if (state->sights_len > 0 && obs->place.t0_ns - sights->t1_ns > MEAL_SIGHTS_GAP_NS) {
		if (state->sights_len >= MEAL_SIGHTS_MIN)
			add(state, sights);
		state->sights_len = 0;
	}
	if (state->sights_len++ == 0) {
		*sights = (struct activity){ .scene = "meal",
			.because = "food seen",
			.layer = LAYER_VISUAL,
			.t0_ns = obs->place.t0_ns,
			.confidence = 0.65,
			.about_len = 1 };
		memcpy(sights->about[0], obs->obs_id, OBS_ID_BYTES);
	}
	sights->t1_ns = obs->place.t1_ns;
	if (sights->about_len < ACTIVITY_ABOUT_MAX && state->sights_len > 1)
		memcpy(sights->about[sights->about_len++], obs->obs_id, OBS_ID_BYTES);
}

static void take_behaviour(struct state *state, const struct observation *obs)
{
	if (strcmp(obs->kind, "sleep") == 0 && lasts(obs, NS_PER_MIN, NS_PER_DAY))
		add_one(state, obs, "sleep", "sleep recorded", 0.95);
	else if (strcmp(obs->kind, "workout") == 0 && lasts(obs, NS_PER_MIN, NS_PER_DAY))
		add_one(state, obs, "exercise", "workout recorded", 0.95);
	else if (is_kind(obs, " app window ") && lasts(obs, MEETING_NS_MIN, MEETING_NS_MAX) &&
		 says(obs, " zoom teams webex jitsi facetime skype meet "))
		add_one(state, obs, "meeting", "meeting app", 0.75);
	else if (is_kind(obs, " meeting call calendar ") &&
		 lasts(obs, MEETING_NS_MIN, MEETING_NS_MAX))
		add_one(state, obs, "meeting", "meeting recorded", 0.85);
}

static void take_others(struct state *state, const struct observation *obs)
{
	struct activity talk;

	if (obs->layer == LAYER_TEXT && is_kind(obs, " meeting call calendar ") &&
	    lasts(obs, MEETING_NS_MIN, MEETING_NS_MAX))
		add_one(state, obs, "meeting", "calendar", 0.8);
	else if (obs->layer == LAYER_ENVIRONMENT && strcmp(obs->kind, "visit") == 0 &&
		 lasts(obs, MEAL_NS_MIN, MEAL_NS_MAX) &&
		 says(obs,
		     " restaurant cafe café bistro canteen diner cafeteria trattoria pizzeria "
		     "kantine mensa imbiss lunch food "))
		add_one(state, obs, "meal", "place to eat", 0.8);
	else if (obs->layer == LAYER_VISUAL &&
		 says(obs, " meal lunch dinner breakfast menu plate dish soup bowl fork "))
		see_food(state, obs);
	else if (obs->layer == LAYER_AUDITORY && is_kind(obs, " speech transcript ") &&
		 activity_talk_push(&state->talk, obs->place.t0_ns, obs->place.t1_ns,
		     speaker_of(obs), obs->obs_id, &talk))
		add(state, &talk);
}

/* Something that only someone awake does. */
static bool is_sign(const struct observation *obs)
{
	switch (obs->layer) {
	case LAYER_TEXT:
		return obs->origin == ORIGIN_OWNER;
	case LAYER_AUDITORY:
		return is_kind(obs, " speech ");
	case LAYER_BEHAVIOUR:
		return is_kind(obs, " app window input screen workout ");
	case LAYER_HOME:
		return is_kind(obs, " light door presence ");
	default:
		return false;
	}
}

static enum rc take(
    void *arg, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct state *state = arg;
	struct activity rest;

	(void)why;
	if (placement_is_wide(&obs->place))
		return RC_OK; /* at no one time */
	if (obs->layer == LAYER_BEHAVIOUR)
		take_behaviour(state, obs);
	else
		take_others(state, obs);
	if (is_sign(obs)) {
		int64_t offset_ns = night_day_local_ns(day, obs->place.t0_ns) - obs->place.t0_ns;
		if (activity_sign_push(&state->signs, obs->place.t0_ns, obs->place.t1_ns,
			(int32_t)(offset_ns / NS_PER_S), obs->obs_id, &rest))
			add(state, &rest);
	}
	return RC_OK;
}

/* ---- labels --------------------------------------------------------------------------- */

/* The stretch of `activity` within [*from, *to). */
static void cut(const struct activity *activity, int64_t *from_ns, int64_t *to_ns)
{
	*from_ns = activity->t0_ns > *from_ns ? activity->t0_ns : *from_ns;
	*to_ns = activity->t1_ns < *to_ns ? activity->t1_ns : *to_ns;
}

/*
 * A rest without a tracker counts where the home is, as long as one is there,
 * and if no tracker says more.
 */
static bool rest_holds(const struct state *state, struct activity *rest)
{
	int64_t ends_ns = INT64_MIN;

	for (size_t i = 0; i < state->len; i++) {
		const struct activity *other = &state->list[i];
		int64_t from_ns = rest->t0_ns, to_ns = rest->t1_ns;
		cut(other, &from_ns, &to_ns);
		if (from_ns >= to_ns || other->because == rest->because)
			continue;
		if (strcmp(other->scene, "sleep") == 0)
			return false;
		if (strcmp(other->scene, "home") == 0 && to_ns > ends_ns)
			ends_ns = to_ns;
	}
	rest->t1_ns = ends_ns;
	return ends_ns != INT64_MIN;
}

static enum rc say(struct night_day *day, const struct activity *activity, struct errmsg *why)
{
	int64_t from_ns = night_day_from_ns(day), to_ns = night_day_to_ns(day);
	char key[LABEL_KEY_BYTES_MAX], date[PLACE_LABEL_KEY_BYTES], id[LABEL_OBS_KEY_BYTES];
	char value[128];

	if (activity->t1_ns <= from_ns || activity->t0_ns >= to_ns)
		return RC_OK;
	place_label_key(from_ns, date);
	label_obs_key(activity->about[0], id);
	(void)snprintf(key, sizeof key, "%s/%s/%s", date, activity->scene, id);
	(void)snprintf(value, sizeof value, "{\"because\":\"%s\",\"scene\":\"%s\"}",
	    activity->because, activity->scene);
	struct label label = { .key = key,
		.layer = activity->layer,
		.t0_ns = activity->t0_ns < from_ns ? from_ns : activity->t0_ns,
		.t1_ns = activity->t1_ns > to_ns ? to_ns : activity->t1_ns,
		.about = (const uint8_t(*)[OBS_ID_BYTES])activity->about,
		.about_len = activity->about_len,
		.value_json = value,
		.confidence = activity->confidence };
	return night_say(day, &label, why);
}

static enum rc end(void *arg, struct night_day *day, struct errmsg *why)
{
	struct state *state = arg;
	struct activity talk;
	enum rc rc = RC_OK;

	if (activity_talk_end(&state->talk, &talk))
		add(state, &talk);
	if (state->sights_len >= MEAL_SIGHTS_MIN)
		add(state, &state->sights);
	state->len += activity_of_stays(state->stays, state->stays_len, &state->roles,
	    state->list + state->len, ACTIVITIES_MAX - state->len);
	for (size_t i = 0; i < state->len && rc == RC_OK; i++) {
		struct activity activity = state->list[i];
		bool rest = strcmp(activity.because, activity_rest_because) == 0;
		if (!rest || rest_holds(state, &activity))
			rc = say(day, &activity, why);
	}
	return rc;
}

const struct night_rule night_rule_scene = {
	.name = "scene",
	.version = 1,
	.layers = LAYER_MASK_ALL,
	.before_ns = AROUND_NS,
	.after_ns = AROUND_NS,
	.from = place_label_rule_role,
	.from_days = 0,
	.open = open,
	.close = free,
	.begin = begin,
	.take = take,
	.end = end,
};
