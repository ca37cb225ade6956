/* Rule "duplicate": observations that came through another source already. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "night/duplicate.h"
#include "night/night_rule.h"

static enum rc open(void **state)
{
	struct duplicate_window *window = NULL;
	enum rc rc = duplicate_new(&window);

	*state = window;
	return rc;
}

static void close(void *state)
{
	duplicate_free(state);
}

static enum rc begin(void *state, struct night_day *day, struct errmsg *why)
{
	(void)day;
	(void)why;
	duplicate_reset(state);
	return RC_OK;
}

static enum rc take(
    void *state, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	uint8_t about[2][OBS_ID_BYTES];
	char key[LABEL_OBS_KEY_BYTES], id[LABEL_OBS_KEY_BYTES], value[160];
	struct duplicate duplicate;

	if (placement_is_wide(&obs->place))
		return RC_OK; /* at no one time */
	duplicate_push(state, obs, &duplicate);
	if (duplicate.how == DUPLICATE_NONE)
		return RC_OK;
	memcpy(about[0], obs->obs_id, OBS_ID_BYTES);
	memcpy(about[1], duplicate.of, OBS_ID_BYTES);
	label_obs_key(obs->obs_id, key);
	label_obs_key(duplicate.of, id);
	(void)snprintf(value, sizeof value,
	    "{\"apart_s\":%" PRId64 ".%03" PRId64 ",\"how\":\"%s\",\"of\":\"%s\"}",
	    duplicate.apart_ns / NS_PER_S, duplicate.apart_ns % NS_PER_S / NS_PER_MS,
	    duplicate_word(duplicate.how), id);
	struct label label = { .key = key,
		.layer = obs->layer,
		.t0_ns = obs->place.t0_ns,
		.t1_ns = obs->place.t1_ns,
		.about = (const uint8_t(*)[OBS_ID_BYTES])about,
		.about_len = 2,
		.value_json = value,
		.confidence = duplicate.confidence };
	return night_say(day, &label, why);
}

const struct night_rule night_rule_duplicate = {
	.name = "duplicate",
	.version = 1,
	.layers = LAYER_MASK_ALL,
	.before_ns = DUPLICATE_REACH_NS,
	.open = open,
	.close = close,
	.begin = begin,
	.take = take,
};
