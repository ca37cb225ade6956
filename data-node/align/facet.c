/*
 * Facets: their words, and which ones an observation of (layer, kind) feeds.
 * The table is DESIGN §6 with the kinds that real sources use beside it.
 */
#include <string.h>

#include "align/slice.h"
#include "store/store_clock.h"

static const char *const words[FACET_COUNT] = {
	[FACET_VISUAL] = "visual",
	[FACET_AUDIO] = "audio",
	[FACET_LANGUAGE] = "language",
	[FACET_DEVICE] = "device",
	[FACET_LOCATION] = "location",
	[FACET_ENVIRONMENT] = "environment",
	[FACET_BODY] = "body",
	[FACET_SCENE] = "scene",
	[FACET_HOME] = "home",
};

const char *facet_word(enum facet facet)
{
	return (unsigned)facet < FACET_COUNT ? words[facet] : "";
}

int facet_parse(const char *word)
{
	for (int i = 0; i < FACET_COUNT; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	return -1;
}

#define BODY FACET_MASK(FACET_BODY)
#define ENVIRONMENT FACET_MASK(FACET_ENVIRONMENT)

/* Kinds that do not go to their layer's first facet alone. */
static const struct {
	enum layer layer;
	const char *kind;
	unsigned facets;
} kinds[] = {
	{ LAYER_AUDITORY, "speech", FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE) },
	{ LAYER_AUDITORY, "transcript", FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE) },
	{ LAYER_BEHAVIOUR, STORE_CLOCK_PING_KIND, 0 }, /* of the clock, not of the person */
	{ LAYER_BEHAVIOUR, "sleep", BODY },
	{ LAYER_BEHAVIOUR, "workout", BODY },
	{ LAYER_BEHAVIOUR, "heart_rate", BODY },
	{ LAYER_BEHAVIOUR, "heart_rate_variability", BODY },
	{ LAYER_BEHAVIOUR, "steps", BODY },
	{ LAYER_BEHAVIOUR, "accelerometer", BODY },
	{ LAYER_BEHAVIOUR, "oxygen", BODY },
	{ LAYER_BEHAVIOUR, "respiration", BODY },
	{ LAYER_BEHAVIOUR, "skin_temperature", BODY },
	{ LAYER_BEHAVIOUR, "body_temperature", BODY },
	{ LAYER_BEHAVIOUR, "stress", BODY },
	{ LAYER_BEHAVIOUR, "weight", BODY },
	{ LAYER_ENVIRONMENT, "weather", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "temperature", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "light", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "noise", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "humidity", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "pressure", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "co2", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "air_quality", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "pollen", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "uv", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "wind", ENVIRONMENT },
	{ LAYER_ENVIRONMENT, "rain", ENVIRONMENT },
};

unsigned facet_of_kind(enum layer layer, const char *kind)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (kinds[i].layer == layer && strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].facets;
	}
	switch (layer) {
	case LAYER_TEXT:
		return FACET_MASK(FACET_LANGUAGE);
	case LAYER_VISUAL:
		return FACET_MASK(FACET_VISUAL);
	case LAYER_AUDITORY:
		return FACET_MASK(FACET_AUDIO);
	case LAYER_BEHAVIOUR:
		return FACET_MASK(FACET_DEVICE);
	case LAYER_ENVIRONMENT:
		return FACET_MASK(FACET_LOCATION);
	case LAYER_HOME:
		return FACET_MASK(FACET_HOME);
	}
	return 0;
}
