/* Rule "language": which language each text is in. */
#include <stdio.h>
#include <string.h>

#include "night/night_rule.h"
#include "recall/language.h"

static enum rc open(void **state)
{
	struct language_model *model = NULL;
	enum rc rc = language_new(&model);

	*state = model;
	return rc;
}

static void close(void *state)
{
	language_free(state);
}

static enum rc take(
    void *state, struct night_day *day, const struct observation *obs, struct errmsg *why)
{
	char key[LABEL_OBS_KEY_BYTES], value[16];

	if (obs->text[0] == '\0')
		return RC_OK;
	struct language_guess guess = language_detect(state, obs->text, strlen(obs->text));
	if (guess.language == LANGUAGE_UNKNOWN)
		return RC_OK;
	label_obs_key(obs->obs_id, key);
	(void)snprintf(value, sizeof value, "\"%s\"", language_code(guess.language));
	struct label label = { .key = key,
		.layer = obs->layer,
		.t0_ns = obs->place.t0_ns,
		.t1_ns = obs->place.t1_ns,
		.about = &obs->obs_id,
		.about_len = 1,
		.value_json = value,
		.confidence = guess.confidence };
	return night_say(day, &label, why);
}

const struct night_rule night_rule_language = {
	.name = "language",
	.version = 1,
	.layers = LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_VISUAL) | LAYER_MASK(LAYER_AUDITORY),
	.open = open,
	.close = close,
	.take = take,
};
