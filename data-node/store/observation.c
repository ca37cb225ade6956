/* Observation: the words of the contract and the checks every record meets. */
#include "store/observation.h"

#include <math.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

static const char *const layer_words[] = { NULL, "text", "visual", "auditory", "behaviour",
	"environment", "home" };
static const char *const shape_words[] = { NULL, "instant", "interval", "state", "block" };
static const char *const origin_words[] = { NULL, "owner", "device", "assistant", "untrusted",
	"system" };

#define WORDS(table) (sizeof(table) / sizeof((table)[0]))

static int word_find(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 1; word != NULL && i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return (int)i;
	}
	return 0;
}

static const char *word_of(const char *const *words, size_t n, unsigned value)
{
	return value < n ? words[value] : NULL;
}

const char *layer_word(enum layer layer)
{
	return word_of(layer_words, WORDS(layer_words), (unsigned)layer);
}

enum layer layer_parse(const char *word)
{
	return (enum layer)word_find(layer_words, WORDS(layer_words), word);
}

const char *shape_word(enum shape shape)
{
	return word_of(shape_words, WORDS(shape_words), (unsigned)shape);
}

enum shape shape_parse(const char *word)
{
	return (enum shape)word_find(shape_words, WORDS(shape_words), word);
}

const char *origin_word(enum origin origin)
{
	return word_of(origin_words, WORDS(origin_words), (unsigned)origin);
}

enum shape shape_default(enum layer layer, const char *kind, bool has_end, bool has_values)
{
	static const char *const states[] = { NULL, "light", "door", "climate", "appliance",
		"presence" };

	if (has_values)
		return SHAPE_BLOCK;
	if (has_end)
		return SHAPE_INTERVAL;
	if (layer == LAYER_HOME && word_find(states, WORDS(states), kind) != 0)
		return SHAPE_STATE;
	return SHAPE_INSTANT;
}

static enum rc check_text(const char *field, const char *text, size_t max, struct errmsg *why)
{
	size_t len = text == NULL ? 0 : strnlen(text, max + 1);

	if (len > max)
		return errmsg_rc(why, RC_INVALID, "%s: longer than %zu bytes", field, max);
	if (!utf8_valid(text, len))
		return errmsg_rc(why, RC_INVALID, "%s: not valid UTF-8", field);
	return RC_OK;
}

static enum rc check_texts(const struct observation *obs, struct errmsg *why)
{
	const struct {
		const char *field, *text;
		size_t max;
	} texts[] = {
		{ "source", obs->source, OBS_SOURCE_BYTES_MAX },
		{ "id", obs->client_id, OBS_CLIENT_ID_BYTES_MAX },
		{ "kind", obs->kind, OBS_KIND_BYTES_MAX },
		{ "clock", obs->clock_id, OBS_CLOCK_BYTES_MAX },
		{ "boot", obs->boot_epoch, OBS_CLOCK_BYTES_MAX },
		{ "tz", obs->zone, OBS_ZONE_BYTES_MAX },
		{ "text", obs->text, OBS_TEXT_BYTES_MAX },
		{ "data", obs->data_json, OBS_DATA_BYTES_MAX },
		{ "", obs->extra_json, OBS_DATA_BYTES_MAX },
	};

	for (size_t i = 0; i < WORDS(texts); i++) {
		enum rc rc = check_text(texts[i].field, texts[i].text, texts[i].max, why);
		if (rc != RC_OK)
			return rc;
	}
	if (obs->source == NULL || (obs->source[0] == '\0' && !obs->tombstone))
		return errmsg_rc(why, RC_INVALID, "source: empty");
	if (obs->kind == NULL || (obs->kind[0] == '\0' && !obs->tombstone))
		return errmsg_rc(why, RC_INVALID, "kind: empty");
	return RC_OK;
}

static enum rc check_times(const struct observation *obs, struct errmsg *why)
{
	if (obs->dev_t0_ns < OBS_TIME_MIN_NS || obs->dev_t0_ns > OBS_TIME_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "start: not within 1900 to 2200");
	if (obs->dev_t1_ns < OBS_TIME_MIN_NS || obs->dev_t1_ns > OBS_TIME_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "end: not within 1900 to 2200");
	if (obs->dev_t1_ns < obs->dev_t0_ns)
		return errmsg_rc(why, RC_INVALID, "end: before start");
	if (obs->error_ns < 0 || obs->error_ns > OBS_ERROR_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "error: not within a day");
	if (obs->has_offset && (obs->offset_s < -86400 || obs->offset_s > 86400))
		return errmsg_rc(why, RC_INVALID, "start: offset beyond a day");
	return RC_OK;
}

static enum rc check_block(const struct observation *obs, struct errmsg *why)
{
	if (obs->values_len > OBS_VALUES_MAX)
		return errmsg_rc(why, RC_INVALID, "values: more than %zu", OBS_VALUES_MAX);
	if (obs->channels > OBS_CHANNELS_MAX ||
	    (obs->channels > 1 && obs->values_len % obs->channels != 0))
		return errmsg_rc(why, RC_INVALID, "channels: do not divide the values");
	for (size_t i = 0; obs->times_ns != NULL && i < observation_frames(obs); i++) {
		if (obs->times_ns[i] < (i == 0 ? 0 : obs->times_ns[i - 1]) ||
		    obs->times_ns[i] > OBS_OFFSET_NS_MAX)
			return errmsg_rc(why, RC_INVALID, "times: not rising within 2^53 ns");
	}
	if (!isfinite(obs->rate_hz) || obs->rate_hz < 0)
		return errmsg_rc(why, RC_INVALID, "rate: not a finite positive number");
	for (size_t i = 0; i < obs->values_len; i++) {
		if (!isfinite(obs->values[i]))
			return errmsg_rc(why, RC_INVALID, "values: not finite");
	}
	if (obs->has_pulse && (!isfinite(obs->pulse_s) || obs->pulse_s < 0))
		return errmsg_rc(why, RC_INVALID, "pulse: not a finite positive number");
	return RC_OK;
}

static enum rc check_blobs(const struct observation *obs, struct errmsg *why)
{
	if (obs->blobs_len > OBS_BLOBS_MAX)
		return errmsg_rc(why, RC_INVALID, "blob: more than %zu", OBS_BLOBS_MAX);
	return RC_OK;
}

enum rc observation_check(const struct observation *obs, struct errmsg *why)
{
	if (layer_word(obs->layer) == NULL)
		return errmsg_rc(why, RC_INVALID, "layer: unknown");
	if (shape_word(obs->shape) == NULL)
		return errmsg_rc(why, RC_INVALID, "shape: unknown");
	if (origin_word(obs->origin) == NULL)
		return errmsg_rc(why, RC_INVALID, "origin: unknown");
	if ((obs->forget_layers & ~LAYER_MASK_ALL) != 0 ||
	    (obs->forget_layers != 0 && !obs->tombstone))
		return errmsg_rc(why, RC_INVALID, "forget_layers: not of a tombstone");
	enum rc rc = check_texts(obs, why);
	if (rc == RC_OK)
		rc = check_times(obs, why);
	if (rc == RC_OK)
		rc = check_block(obs, why);
	if (rc == RC_OK)
		rc = check_blobs(obs, why);
	return rc;
}

bool observation_about(const struct observation *obs, size_t i, uint8_t out[OBS_ID_BYTES])
{
	static const char head[] = "{\"about\":[";
	const size_t one = 2 * OBS_ID_BYTES + 3; /* two quotes and what parts them */
	char text[2 * OBS_ID_BYTES + 1];

	if (!observation_is_label(obs) && !observation_is_memory(obs))
		return false;
	size_t len = strlen(obs->data_json), at = sizeof(head) - 1;
	if (len < at || memcmp(obs->data_json, head, at) != 0 || i > len / one)
		return false;
	at += i * one;
	if (len < at + one || obs->data_json[at] != '"')
		return false;
	memcpy(text, obs->data_json + at + 1, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return hex_decode(text, out, OBS_ID_BYTES) == RC_OK;
}
