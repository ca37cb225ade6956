/* Typed query parameters with errors that name them. */
#include "gateway/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "conf/conf.h"
#include "store/observation.h"

#define WORD_BYTES_MAX 64
#define TIME_TEXT_MAX 64

void query_error(struct api_response *response, const char *name, const char *message)
{
	api_error(response, 400, "invalid_request_error", "invalid_value", name, message);
}

static const char *value_of(const struct api_request *request, const char *name)
{
	const char *value = api_param(request, name);

	return value != NULL && value[0] != 0 ? value : NULL;
}

static enum rc parse_integer(const char *text, int64_t *out)
{
	char *end = NULL;

	const char *digits = text + (text[0] == '-' || text[0] == '+');
	if (digits[0] < '0' || digits[0] > '9')
		return RC_INVALID;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno != 0 || *end != 0)
		return RC_INVALID;
	*out = v;
	return RC_OK;
}

enum rc query_parse_time(const char *text, int64_t *out)
{
	char fixed[TIME_TEXT_MAX];
	int64_t ns = 0;

	size_t len = strlen(text);
	if (len == 0 || len >= sizeof(fixed))
		return RC_INVALID;
	memcpy(fixed, text, len + 1);
	/* An offset's "+" that nobody escaped arrives as a blank. */
	if (len > 6 && fixed[len - 6] == ' ' && fixed[len - 3] == ':')
		fixed[len - 6] = '+';
	if (parse_integer(fixed, &ns) != RC_OK && timestamp_parse(fixed, &ns, NULL) != RC_OK)
		return RC_INVALID;
	if (ns < OBS_TIME_MIN_NS || ns > OBS_TIME_MAX_NS)
		return RC_INVALID;
	*out = ns;
	return RC_OK;
}

bool query_time(const struct api_request *request, const char *name, int64_t *out, bool *given,
    struct api_response *response)
{
	const char *value = value_of(request, name);

	if (value == NULL)
		return true;
	if (query_parse_time(value, out) != RC_OK) {
		query_error(response, name,
		    "a time: RFC 3339 with offset or integer nanoseconds, from 1900 to 2200");
		return false;
	}
	if (given != NULL)
		*given = true;
	return true;
}

bool query_int(const struct api_request *request, const char *name, int64_t min, int64_t max,
    int64_t *out, struct api_response *response)
{
	const char *value = value_of(request, name);
	char message[96];
	int64_t v = 0;

	if (value == NULL)
		return true;
	if (parse_integer(value, &v) == RC_OK && v >= min && v <= max) {
		*out = v;
		return true;
	}
	(void)snprintf(message, sizeof(message), "an integer from %lld to %lld", (long long)min,
	    (long long)max);
	query_error(response, name, message);
	return false;
}

bool query_duration(const struct api_request *request, const char *name, int64_t min_ns,
    int64_t max_ns, int64_t *out, struct api_response *response)
{
	const char *value = value_of(request, name);
	int64_t v = 0;

	if (value == NULL)
		return true;
	if (conf_duration(value, &v) == RC_OK && v >= min_ns && v <= max_ns) {
		*out = v;
		return true;
	}
	query_error(response, name, "a duration such as 1s, 10s, 60s or 1h, at most one day");
	return false;
}

bool query_words(const struct api_request *request, const char *name,
    int (*parse)(const char *word), unsigned *out, struct api_response *response)
{
	const char *value = value_of(request, name);
	unsigned mask = 0;

	if (value == NULL)
		return true;
	for (;;) {
		char word[WORD_BYTES_MAX];
		size_t len = strcspn(value, ",");
		int bit = -1;
		if (len > 0 && len < sizeof(word)) {
			memcpy(word, value, len);
			word[len] = 0;
			bit = parse(word);
		}
		if (bit < 0 || bit > 31) {
			query_error(response, name, "a comma list with a word that is not known");
			return false;
		}
		mask |= 1u << bit;
		if (value[len] == 0)
			break;
		value += len + 1;
	}
	*out = mask;
	return true;
}

static int parse_layer(const char *word)
{
	enum layer layer = layer_parse(word);

	return layer == 0 ? -1 : (int)layer;
}

bool query_layers(const struct api_request *request, const char *name, unsigned *out,
    struct api_response *response)
{
	return query_words(request, name, parse_layer, out, response);
}
