/* Rule "place": the stays of a day, from fixes and visits of all sources. */
#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "align/lookup.h"
#include "align/peek.h"
#include "base/clock.h"
#include "night/place_label.h"

#define SOURCES_MAX ((size_t)64) /* further ones say nothing of where one stays */
#define GATHER_MAX (4 * PLACE_LABEL_STAYS_MAX)

struct source {
	uint64_t hash;
	struct stay_run run;
};

struct state {
	struct source sources[SOURCES_MAX];
	size_t sources_len;
	struct stay stays[GATHER_MAX];
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

	(void)day;
	(void)why;
	state->sources_len = state->len = 0;
	return RC_OK;
}

/* Cut to the day; what is left of it, if anything, is kept. */
static void keep(struct state *state, const struct night_day *day, const struct stay *stay)
{
	int64_t from_ns = night_day_from_ns(day), to_ns = night_day_to_ns(day);

	if (stay->t1_ns <= from_ns || stay->t0_ns >= to_ns || state->len == GATHER_MAX)
		return;
	struct stay *kept = &state->stays[state->len++];
	*kept = *stay;
	kept->t0_ns = stay->t0_ns < from_ns ? from_ns : stay->t0_ns;
	kept->t1_ns = stay->t1_ns > to_ns ? to_ns : stay->t1_ns;
}

static struct source *source_of(struct state *state, const char *name)
{
	uint64_t hash = 1;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x9E3779B97F4A7C15);
	for (size_t i = 0; i < state->sources_len; i++) {
		if (state->sources[i].hash == hash)
			return &state->sources[i];
	}
	if (state->sources_len == SOURCES_MAX)
		return NULL;
	struct source *source = &state->sources[state->sources_len++];
	*source = (struct source){ .hash = hash };
	return source;
}

/* What the sender calls the place, lower case; "" if nothing short. */
static void read_word(const char *data_json, char out[STAY_WORD_BYTES])
{
	struct peek member;
	const char *text;
	size_t len;

	peek_open(&member, data_json);
	while (peek_next(&member)) {
		if (!peek_is(&member, "place") && !peek_is(&member, "label"))
			continue;
		if (!peek_string(&member, &text, &len) || len >= STAY_WORD_BYTES ||
		    memchr(text, '\\', len) != NULL)
			continue;
		memcpy(out, text, len);
		out[len] = '\0';
		for (char *p = out; *p != '\0'; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		return;
	}
}

static enum rc take(
    void *arg, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	struct state *state = arg;
	struct blend_fix fix;
	struct stay stay;

	(void)why;
	bool visit = strcmp(obs->kind, "visit") == 0;
	if (placement_is_wide(&obs->place) || (!visit && strcmp(obs->kind, "location") != 0) ||
	    !blend_fix_of(obs->data_json, &fix) || fix.accuracy_m > STAY_ACCURACY_M_MAX)
		return RC_OK;
	if (visit) {
		stay = (struct stay){ .t0_ns = obs->place.t0_ns,
			.t1_ns = obs->place.t1_ns,
			.lat = fix.lat,
			.lon = fix.lon,
			.fixes = 1 };
		memcpy(stay.first, obs->obs_id, OBS_ID_BYTES);
		memcpy(stay.last, obs->obs_id, OBS_ID_BYTES);
		read_word(obs->data_json, stay.word);
		if (stay.t1_ns - stay.t0_ns >= STAY_NS_MIN)
			keep(state, day, &stay);
		return RC_OK;
	}
	struct source *source = source_of(state, obs->source);
	if (source != NULL && stay_push(&source->run, obs->place.t0_ns, obs->place.t1_ns, fix.lat,
				  fix.lon, obs->obs_id, &stay))
		keep(state, day, &stay);
	return RC_OK;
}

static enum rc say(struct state *state, struct night_day *day, struct errmsg *why)
{
	uint8_t about[2 * PLACE_LABEL_STAYS_MAX][OBS_ID_BYTES];
	char key[PLACE_LABEL_KEY_BYTES];
	struct buf value;

	for (size_t i = 0; i < state->len; i++) {
		memcpy(about[2 * i], state->stays[i].first, OBS_ID_BYTES);
		memcpy(about[2 * i + 1], state->stays[i].last, OBS_ID_BYTES);
	}
	place_label_key(night_day_from_ns(day), key);
	buf_init(&value, LABEL_VALUE_BYTES_MAX);
	enum rc rc =
	    place_label_put_stays(state->stays, state->len, night_day_from_ns(day), &value);
	struct label label = { .key = key,
		.layer = LAYER_ENVIRONMENT,
		.t0_ns = state->stays[0].t0_ns,
		.t1_ns = state->stays[state->len - 1].t1_ns,
		.about = (const uint8_t(*)[OBS_ID_BYTES])about,
		.about_len = 2 * state->len,
		.value_json = buf_text(&value),
		.confidence = 0.9 };
	for (size_t i = 0; i < state->len; i++)
		label.t1_ns =
		    state->stays[i].t1_ns > label.t1_ns ? state->stays[i].t1_ns : label.t1_ns;
	if (rc == RC_OK)
		rc = night_say(day, &label, why);
	buf_fini(&value);
	return rc;
}

static enum rc end(void *arg, struct night_day *day, struct errmsg *why)
{
	struct state *state = arg;
	struct stay stay;

	for (size_t i = 0; i < state->sources_len; i++) {
		if (stay_end(&state->sources[i].run, &stay))
			keep(state, day, &stay);
	}
	state->len = stay_merge(state->stays, state->len);
	if (state->len > PLACE_LABEL_STAYS_MAX)
		state->len = PLACE_LABEL_STAYS_MAX;
	return state->len > 0 ? say(state, day, why) : RC_OK;
}

const struct night_rule night_rule_place = {
	.name = place_label_rule_place,
	.version = 1,
	.layers = LAYER_MASK(LAYER_ENVIRONMENT),
	.before_ns = STAY_SILENCE_NS_MAX,
	.after_ns = STAY_SILENCE_NS_MAX,
	.open = open,
	.close = free,
	.begin = begin,
	.take = take,
	.end = end,
};
