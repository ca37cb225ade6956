/*
 * Ingest event: one JSON object to one observation, field by field.
 *
 * The table below is the contract's list of members.  What a field of the
 * observation does not give back as it was sent (an explicit "shape", a null,
 * an id that is a number, members the contract does not know) is kept beside
 * it in extra_json, so that reading an event back loses nothing.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "ingest/ingest_internal.h"
#include "store/store_clock.h"

struct reading {
	const struct ingest_context *ctx;
	struct arena *arena;
	struct observation *obs;
	struct ingest_error *error;
	struct ingest_numbers numbers;
	json_t *extra; /* members to give back as sent */
	size_t times_len;
	bool has_start, has_rate, has_values, keep;
};

static enum rc fail(struct reading *r, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum rc fail(struct reading *r, const char *field, const char *fmt, ...)
{
	va_list ap;

	(void)snprintf(r->error->field, sizeof(r->error->field), "%s", field);
	va_start(ap, fmt);
	(void)vsnprintf(r->error->text, sizeof(r->error->text), fmt, ap);
	va_end(ap);
	return RC_INVALID;
}

/* A string without control characters, of 1 to `max` bytes (0 if `empty`). */
static enum rc take_word(struct reading *r, const char *field, const json_t *value, size_t max,
    bool empty, const char **out)
{
	if (!json_is_string(value))
		return fail(r, field, "must be a string");
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	if (len == 0 && !empty)
		return fail(r, field, "is empty");
	if (len > max)
		return fail(r, field, "is longer than %zu bytes", max);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
			return fail(r, field, "holds a control character");
	}
	*out = arena_copy(r->arena, text, len);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

/* A string, or an integer that is kept as its decimal text. */
static enum rc take_name(
    struct reading *r, const char *field, const json_t *value, size_t max, const char **out)
{
	if (!json_is_integer(value)) {
		r->keep = json_string_length(value) == 0;
		return take_word(r, field, value, max, true, out);
	}
	r->keep = true;
	*out = arena_printf(r->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static enum rc take_time(struct reading *r, const char *field, const json_t *value, int64_t *ns,
    bool *has_offset, int32_t *offset_s)
{
	enum rc rc = RC_OK;

	*has_offset = json_is_string(value);
	if (json_is_integer(value))
		*ns = json_integer_value(value);
	else if (json_is_string(value))
		rc = timestamp_parse(json_string_value(value), ns, offset_s);
	else
		return fail(r, field, "must be an RFC 3339 text or integer nanoseconds");
	if (rc == RC_INVALID)
		return fail(r, field, "is not an RFC 3339 time with an offset");
	if (rc != RC_OK || *ns < OBS_TIME_MIN_NS || *ns > OBS_TIME_MAX_NS)
		return fail(r, field, "is not within 1900 to 2200");
	return RC_OK;
}

static enum rc take_number(
    struct reading *r, const char *field, const json_t *value, double min, double max, double *out)
{
	if (!json_is_number(value))
		return fail(r, field, "must be a number");
	*out = json_number_value(value);
	if (!isfinite(*out) || *out < min || *out > max)
		return fail(r, field, "is out of range");
	return RC_OK;
}

static enum rc take_source(struct reading *r, const json_t *value)
{
	return take_word(r, "source", value, OBS_SOURCE_BYTES_MAX, false, &r->obs->source);
}

static enum rc take_id(struct reading *r, const json_t *value)
{
	return take_name(r, "id", value, OBS_CLIENT_ID_BYTES_MAX, &r->obs->client_id);
}

static enum rc take_layer(struct reading *r, const json_t *value)
{
	if (!json_is_string(value))
		return fail(r, "layer", "must be a string");
	r->obs->layer = layer_parse(json_string_value(value));
	if (r->obs->layer == 0)
		return fail(
		    r, "layer", "is none of text, visual, auditory, behaviour, environment, home");
	unsigned allowed = r->ctx->layers == 0 ? LAYER_MASK_ALL : r->ctx->layers;
	if ((allowed & LAYER_MASK(r->obs->layer)) == 0)
		return fail(r, "layer", "is not one this sender may write");
	return RC_OK;
}

static enum rc take_kind(struct reading *r, const json_t *value)
{
	enum rc rc = take_word(r, "kind", value, OBS_KIND_BYTES_MAX, false, &r->obs->kind);

	if (rc == RC_OK && strcmp(r->obs->kind, STORE_CLOCK_PING_KIND) == 0)
		return fail(r, "kind", "is the node's own: use /api/v1/time");
	return rc;
}

static enum rc take_start(struct reading *r, const json_t *value)
{
	r->has_start = true;
	return take_time(
	    r, "start", value, &r->obs->dev_t0_ns, &r->obs->has_offset, &r->obs->offset_s);
}

static enum rc take_end(struct reading *r, const json_t *value)
{
	int32_t offset_s;
	bool has_offset;

	r->obs->has_end = true;
	return take_time(r, "end", value, &r->obs->dev_t1_ns, &has_offset, &offset_s);
}

static enum rc take_tz(struct reading *r, const json_t *value)
{
	enum rc rc = take_word(r, "tz", value, OBS_ZONE_BYTES_MAX, true, &r->obs->zone);

	if (rc != RC_OK)
		return rc;
	r->keep = r->obs->zone[0] == '\0';
	if (strspn(r->obs->zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				 "/_+-") != strlen(r->obs->zone))
		return fail(r, "tz", "is not the name of a time zone");
	return RC_OK;
}

static enum rc take_text(struct reading *r, const json_t *value)
{
	if (!json_is_string(value))
		return fail(r, "text", "must be a string");
	size_t len = json_string_length(value);
	if (len > OBS_TEXT_BYTES_MAX)
		return fail(r, "text", "is longer than %zu bytes", OBS_TEXT_BYTES_MAX);
	r->keep = len == 0;
	r->obs->text = arena_copy(r->arena, json_string_value(value), len);
	return r->obs->text == NULL ? RC_NOMEM : RC_OK;
}

/* Canonical text of `value` in the arena, at most `max` bytes. */
static enum rc canonical(struct reading *r, const json_t *value, size_t max, const char **out)
{
	struct buf text;

	buf_init(&text, max);
	ingest_json_canonical(value, &text);
	enum rc rc = buf_rc(&text);
	if (rc == RC_OK) {
		*out = arena_copy(r->arena, buf_text(&text), text.len);
		rc = *out == NULL ? RC_NOMEM : RC_OK;
	}
	buf_fini(&text);
	return rc;
}

static enum rc take_data(struct reading *r, const json_t *value)
{
	if (!json_is_object(value))
		return fail(r, "data", "must be an object");
	enum rc rc = canonical(r, value, OBS_DATA_BYTES_MAX, &r->obs->data_json);
	if (rc == RC_LIMIT)
		return fail(r, "data", "is larger than %zu bytes", OBS_DATA_BYTES_MAX);
	return rc;
}

static enum rc take_clock(struct reading *r, const json_t *value)
{
	r->keep = json_string_length(value) == 0;
	return take_word(r, "clock", value, OBS_CLOCK_BYTES_MAX, true, &r->obs->clock_id);
}

static enum rc take_boot(struct reading *r, const json_t *value)
{
	return take_name(r, "boot", value, OBS_CLOCK_BYTES_MAX, &r->obs->boot_epoch);
}

static enum rc take_seq(struct reading *r, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return fail(r, "seq", "must be an integer from 0");
	r->obs->has_source_seq = true;
	r->obs->source_seq = (uint64_t)json_integer_value(value);
	return RC_OK;
}

static enum rc take_shape(struct reading *r, const json_t *value)
{
	r->keep = true;
	if (!json_is_string(value))
		return fail(r, "shape", "must be a string");
	r->obs->shape = shape_parse(json_string_value(value));
	if (r->obs->shape == 0)
		return fail(r, "shape", "is none of instant, interval, state, block");
	return RC_OK;
}

static enum rc take_rate(struct reading *r, const json_t *value)
{
	r->has_rate = true;
	enum rc rc = take_number(r, "rate", value, 0, INGEST_RATE_HZ_MAX, &r->obs->rate_hz);
	if (rc == RC_OK && r->obs->rate_hz <= 0)
		return fail(r, "rate", "must be more than 0");
	return rc;
}

static enum rc take_values(struct reading *r, const json_t *value)
{
	size_t n = json_array_size(value);

	r->has_values = true;
	if (json_is_array(value) && n == 0 && r->numbers.values != NULL) {
		r->obs->values = r->numbers.values;
		r->obs->values_len = r->numbers.values_len;
		return RC_OK;
	}
	if (!json_is_array(value) || n == 0)
		return fail(r, "values", "must be an array of numbers");
	if (n > OBS_VALUES_MAX)
		return fail(r, "values", "are more than %zu", OBS_VALUES_MAX);
	double *values = arena_array(r->arena, n, sizeof(*values));
	if (values == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);
		if (!json_is_number(item))
			return fail(r, "values", "item %zu is not a number", i);
		values[i] = json_number_value(item);
		if (json_is_integer(item) && fabs(values[i]) > INGEST_EXACT_MAX)
			return fail(r, "values", "item %zu has more digits than a double", i);
	}
	r->obs->values = values;
	r->obs->values_len = n;
	return RC_OK;
}

/* A name of a channel becomes a member of what slices show: no escapes. */
static bool is_channel_name(const json_t *value)
{
	size_t len = json_string_length(value);
	const char *text = json_string_value(value);

	if (text == NULL || len == 0 || len > OBS_CHANNEL_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == '"' || text[i] == '\\')
			return false;
	}
	return true;
}

/* How many values a frame has, or what each of them is called; one is what is
 * meant without the member. */
static enum rc take_channels(struct reading *r, const json_t *value)
{
	size_t n = json_is_array(value)     ? json_array_size(value)
		   : json_is_integer(value) ? (size_t)json_integer_value(value)
					    : 0;

	if (n < 1 || n > OBS_CHANNELS_MAX)
		return fail(r, "channels", "must be a number from 1 to %u, or so many names",
		    OBS_CHANNELS_MAX);
	for (size_t i = 0; i < n && json_is_array(value); i++) {
		if (!is_channel_name(json_array_get(value, i)))
			return fail(r, "channels", "item %zu is not a name", i);
		for (size_t k = 0; k < i; k++) {
			if (json_equal(json_array_get(value, i), json_array_get(value, k)))
				return fail(r, "channels", "item %zu is there twice", i);
		}
	}
	r->keep = n == 1 || json_is_array(value);
	r->obs->channels = (unsigned)n;
	return RC_OK;
}

/* The integers of `value`, which are checked by take_times(). */
static enum rc take_offsets(struct reading *r, const json_t *value)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n == 0 || n > OBS_VALUES_MAX)
		return fail(r, "times", "must be an array of 1 to %zu integers", OBS_VALUES_MAX);
	int64_t *times = arena_array(r->arena, n, sizeof(*times));
	if (times == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);
		if (!json_is_integer(item))
			return fail(r, "times", "item %zu is not an integer", i);
		times[i] = json_integer_value(item);
	}
	r->numbers.times = times;
	r->numbers.times_len = n;
	return RC_OK;
}

/* Offsets from the start in ns, one a frame. */
static enum rc take_times(struct reading *r, const json_t *value)
{
	int64_t last = 0;

	if (!json_is_array(value) || json_array_size(value) > 0 || r->numbers.times == NULL) {
		enum rc rc = take_offsets(r, value);
		if (rc != RC_OK)
			return rc;
	}
	const int64_t *times = r->numbers.times;
	for (size_t i = 0; i < r->numbers.times_len; i++) {
		if (times[i] < last || times[i] > OBS_OFFSET_NS_MAX)
			return fail(r, "times",
			    "item %zu is less than the one before it, or more than 2^53 ns", i);
		last = times[i];
	}
	r->obs->times_ns = times;
	r->times_len = r->numbers.times_len;
	return RC_OK;
}

static enum rc take_blob_id(struct reading *r, const json_t *value, uint8_t *out)
{
	if (!json_is_string(value) ||
	    hex_decode(json_string_value(value), out, OBS_BLOB_ID_BYTES) != RC_OK)
		return fail(r, "blob", "is not the id that sending a blob gave");
	return RC_OK;
}

/* One id, or those of the pieces in their order. */
static enum rc take_blob(struct reading *r, const json_t *value)
{
	size_t n = json_is_array(value) ? json_array_size(value) : 1;
	enum rc rc = RC_OK;

	if (n == 0 || n > OBS_BLOBS_MAX)
		return fail(r, "blob", "must be an id or an array of 1 to %zu", OBS_BLOBS_MAX);
	uint8_t(*ids)[OBS_BLOB_ID_BYTES] = arena_array(r->arena, n, sizeof(*ids));
	if (ids == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = take_blob_id(
		    r, json_is_array(value) ? json_array_get(value, i) : value, ids[i]);
	r->keep = json_is_array(value) && n == 1;
	r->obs->blobs = (const uint8_t(*)[OBS_BLOB_ID_BYTES])ids;
	r->obs->blobs_len = n;
	return rc;
}

static enum rc take_pulse(struct reading *r, const json_t *value)
{
	r->obs->has_pulse = true;
	return take_number(r, "pulse", value, 0, INGEST_PULSE_S_MAX, &r->obs->pulse_s);
}

static enum rc take_gap(struct reading *r, const json_t *value)
{
	if (!json_is_boolean(value))
		return fail(r, "gap", "must be true or false");
	r->obs->gap = json_is_true(value);
	r->keep = !r->obs->gap;
	return RC_OK;
}

static const struct {
	const char *name;
	enum rc (*take)(struct reading *r, const json_t *value);
} members[] = {
	{ "source", take_source },
	{ "id", take_id },
	{ "layer", take_layer },
	{ "kind", take_kind },
	{ "start", take_start },
	{ "end", take_end },
	{ "tz", take_tz },
	{ "text", take_text },
	{ "data", take_data },
	{ "clock", take_clock },
	{ "boot", take_boot },
	{ "seq", take_seq },
	{ "shape", take_shape },
	{ "rate", take_rate },
	{ "values", take_values },
	{ "channels", take_channels },
	{ "times", take_times },
	{ "blob", take_blob },
	{ "pulse", take_pulse },
	{ "gap", take_gap },
};

static enum rc take_member(struct reading *r, const char *name, json_t *value)
{
	enum rc rc = RC_OK;
	size_t i = 0;

	if (strcmp(name, "obs_id") == 0)
		return RC_OK; /* ours: an event that was read back and sent again */
	while (i < sizeof(members) / sizeof(members[0]) && strcmp(members[i].name, name) != 0)
		i++;
	r->keep = i == sizeof(members) / sizeof(members[0]) || json_is_null(value);
	if (!r->keep)
		rc = members[i].take(r, value);
	if (rc == RC_OK && r->keep && json_object_set(r->extra, name, value) != 0)
		rc = RC_NOMEM;
	return rc;
}

static enum rc take_members(struct reading *r, json_t *object)
{
	for (void *it = json_object_iter(object); it != NULL;
	     it = json_object_iter_next(object, it)) {
		enum rc rc = take_member(r, json_object_iter_key(it), json_object_iter_value(it));
		if (rc != RC_OK)
			return rc;
	}
	if (json_object_size(r->extra) == 0)
		return RC_OK;
	enum rc rc = canonical(r, r->extra, OBS_DATA_BYTES_MAX, &r->obs->extra_json);
	if (rc == RC_LIMIT)
		return fail(
		    r, "", "has unknown members of more than %zu bytes", OBS_DATA_BYTES_MAX);
	return rc;
}

/* A block lasts as long as its values do, unless it names an end: one with
 * times ends behind its last frame, so that it holds that as well. */
static enum rc finish_block(struct reading *r)
{
	struct observation *obs = r->obs;
	size_t channels = obs->channels > 1 ? obs->channels : 1;

	if (!r->has_values)
		return fail(r, "values", "are missing from a block");
	if (obs->values_len % channels != 0)
		return fail(r, "channels", "do not divide the number of values");
	if (r->times_len > 0 && r->times_len != obs->values_len / channels)
		return fail(r, "times", "are not as many as the frames of the values");
	if (!r->has_rate && r->times_len == 0)
		return fail(r, "rate", "is missing from a block");
	if (obs->has_end)
		return RC_OK;
	double last_ns = r->times_len > 0 ? (double)obs->times_ns[r->times_len - 1] : 0;
	size_t frames = r->times_len > 0 ? 1 : obs->values_len / channels;
	double span_ns = last_ns + (r->has_rate ? (double)frames / obs->rate_hz * 1e9 : 1);
	if (span_ns > (double)(OBS_TIME_MAX_NS - obs->dev_t0_ns))
		return fail(r, "rate", "makes the block end after 2200");
	obs->dev_t1_ns = obs->dev_t0_ns + (int64_t)span_ns;
	return RC_OK;
}

/* Members that mean something in a block only. */
static const char *block_member(const struct reading *r)
{
	return r->has_values          ? "values"
	       : r->has_rate          ? "rate"
	       : r->times_len > 0     ? "times"
	       : r->obs->channels > 0 ? "channels"
				      : NULL;
}

static enum rc finish_shape(struct reading *r)
{
	struct observation *obs = r->obs;

	if (!obs->has_end)
		obs->dev_t1_ns = obs->dev_t0_ns;
	if (obs->dev_t1_ns < obs->dev_t0_ns)
		return fail(r, "end", "is before start");
	if (obs->shape == 0)
		obs->shape = shape_default(obs->layer, obs->kind, obs->has_end, r->has_values);
	if (obs->shape == SHAPE_BLOCK)
		return finish_block(r);
	if (block_member(r) != NULL)
		return fail(r, block_member(r), "belong to a block");
	if (obs->shape == SHAPE_INTERVAL && !obs->has_end)
		return fail(r, "end", "is missing from an interval");
	if (obs->shape == SHAPE_INSTANT && obs->dev_t1_ns != obs->dev_t0_ns)
		return fail(r, "end", "differs from the start of an instant");
	return RC_OK;
}

static enum rc finish(struct reading *r)
{
	struct observation *obs = r->obs;

	if (obs->source[0] == '\0' && r->ctx->source != NULL)
		obs->source = arena_strdup(r->arena, r->ctx->source);
	if (obs->source == NULL)
		return RC_NOMEM;
	if (obs->source[0] == '\0')
		return fail(r, "source", "is missing");
	if (observation_own_source(obs->source))
		return fail(r, "source", "is kept for what this node says itself");
	if (obs->layer == 0)
		return fail(r, "layer", "is missing");
	if (obs->kind[0] == '\0')
		return fail(r, "kind", "is missing");
	if (!r->has_start)
		return fail(r, "start", "is missing");
	enum rc rc = finish_shape(r);
	if (rc != RC_OK)
		return rc;
	obs->origin = ingest_origin(obs->layer, obs->kind, r->ctx->origin);
	struct errmsg why = ERRMSG_INIT;
	if (observation_check(obs, &why) != RC_OK)
		return fail(r, "", "%.120s", why.text);
	return RC_OK;
}

/* Parse the event without its long arrays, or, if that is no JSON, with them,
 * so that the error stands where the sender sees it. */
static enum rc parse(struct reading *r, const char *json, size_t len, json_t **out)
{
	struct ingest_error *error = r->error;

	enum rc rc = ingest_json_parse(
	    r->numbers.rest, r->numbers.rest_len, out, error->text, sizeof(error->text));
	if (rc == RC_INVALID && r->numbers.rest != json)
		rc = ingest_json_parse(json, len, out, error->text, sizeof(error->text));
	return rc;
}

enum rc ingest_event_read(const struct ingest_context *ctx, const char *json, size_t len,
    struct arena *arena, struct observation *out, struct ingest_error *error, bool *is_json)
{
	struct observation obs = { .source = "",
		.client_id = "",
		.kind = "",
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.text = "",
		.data_json = "",
		.extra_json = "",
		.recv_utc_ns = ctx->recv_utc_ns,
		.recv_mono_ns = ctx->recv_mono_ns,
		.error_ns = ctx->error_ns };
	struct reading r = { .ctx = ctx, .arena = arena, .obs = &obs, .error = error };

	*is_json = true;
	error->field[0] = error->text[0] = '\0';
	if (len > INGEST_EVENT_BYTES_MAX)
		return fail(&r, "", "is larger than %zu bytes", INGEST_EVENT_BYTES_MAX);
	enum rc rc = ingest_numbers_take(json, len, arena, &r.numbers);
	if (rc != RC_OK)
		return rc;
	if (ingest_json_too_deep(r.numbers.rest, r.numbers.rest_len))
		return fail(&r, "", "nests deeper than %d levels", INGEST_JSON_DEPTH_MAX);
	json_t *object = NULL;
	rc = parse(&r, json, len, &object);
	if (rc != RC_OK) {
		*is_json = rc != RC_INVALID;
		return rc;
	}
	rc = RC_NOMEM;
	r.extra = json_object();
	if (!json_is_object(object))
		rc = fail(&r, "", "is not a JSON object");
	else if (r.extra != NULL)
		rc = take_members(&r, object);
	if (rc == RC_OK)
		rc = finish(&r);
	json_decref(r.extra);
	json_decref(object);
	if (rc == RC_OK)
		*out = obs;
	return rc;
}

enum rc ingest_event(const struct ingest_context *ctx, const char *json, size_t len,
    struct arena *arena, struct observation *out, struct ingest_error *error)
{
	bool is_json;

	return ingest_event_read(ctx, json, len, arena, out, error, &is_json);
}
