/* Time bodies: one JSON object, member by member. */
#include "gateway/time_body.h"

#include <jansson.h>
#include <string.h>

#include "base/hex.h"
#include "base/timestamp.h"

struct reading {
	const json_t *root;
	struct arena *arena;
	const char **field;
	struct errmsg *why;
};

static enum rc fail(struct reading *r, const char *field, const char *what)
{
	*r->field = field;
	return errmsg_rc(r->why, RC_INVALID, "%s", what);
}

static enum rc take_name(struct reading *r, const char *field, bool empty, const char **out)
{
	const json_t *value = json_object_get(r->root, field);
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (json_is_integer(value)) {
		*out = arena_printf(r->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return *out == NULL ? RC_NOMEM : RC_OK;
	}
	if (value == NULL && empty) {
		*out = "";
		return RC_OK;
	}
	if (text == NULL || (len == 0 && !empty) || len > OBS_CLOCK_BYTES_MAX)
		return fail(r, field, "must be a text of 1 to 128 bytes");
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
			return fail(r, field, "holds a control character");
	}
	*out = arena_copy(r->arena, text, len);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static enum rc take_time(struct reading *r, const char *field, int64_t *out)
{
	const json_t *value = json_object_get(r->root, field);
	int32_t offset_s;
	enum rc rc = RC_INVALID;

	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		rc = RC_OK;
	} else if (json_is_string(value)) {
		rc = timestamp_parse(json_string_value(value), out, &offset_s);
	}
	if (rc != RC_OK || *out < OBS_TIME_MIN_NS || *out > OBS_TIME_MAX_NS)
		return fail(r, field, "must be integer nanoseconds or RFC 3339, 1900 to 2200");
	return RC_OK;
}

static enum rc take_all(struct reading *r, struct time_body *out)
{
	const char *stamp = json_string_value(json_object_get(r->root, "stamp"));
	struct store_clock_ping *ping = &out->ping;

	enum rc rc = take_name(r, "clock", false, &ping->clock);
	if (rc == RC_OK)
		rc = take_name(r, "boot", true, &ping->boot);
	if (rc == RC_OK)
		rc = take_time(r, "t1", &ping->t1_ns);
	out->closes = json_object_get(r->root, "stamp") != NULL;
	if (rc != RC_OK || !out->closes)
		return rc;
	rc = take_time(r, "t2", &ping->t2_ns);
	if (rc == RC_OK)
		rc = take_time(r, "t3", &ping->t3_ns);
	if (rc == RC_OK)
		rc = take_time(r, "t4", &ping->t4_ns);
	if (rc == RC_OK &&
	    (stamp == NULL || hex_decode(stamp, out->stamp, TIME_STAMP_BYTES) != RC_OK))
		rc = fail(r, "stamp", "must be passed back as it was given");
	return rc;
}

enum rc time_body_parse(const char *body, size_t len, struct arena *arena, struct time_body *out,
    const char **field, struct errmsg *why)
{
	*field = NULL;
	if (len > TIME_BODY_BYTES_MAX)
		return errmsg_rc(
		    why, RC_INVALID, "the body is larger than %zu bytes", TIME_BODY_BYTES_MAX);
	json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	struct reading r = { root, arena, field, why };
	*out = (struct time_body){ .closes = false };
	enum rc rc = json_is_object(root)
			 ? take_all(&r, out)
			 : errmsg_rc(why, RC_INVALID, "the body is not a JSON object");
	json_decref(root);
	return rc;
}
