/* Blend: linear interpolation of positions and of numbers. */
#include "align/blend.h"

#include <math.h>
#include <string.h>

#include "align/decimal.h"
#include "align/peek.h"

#define METRES_PER_DEGREE 111195.0
#define RADIANS_PER_DEGREE 0.017453292519943295
#define MPS_PER_KMH (1.0 / 3.6)
#define BLEND_BYTES_MAX ((size_t)16 << 10)

static bool is_any(const struct peek *member, const char *a, const char *b, const char *c)
{
	return peek_is(member, a) || peek_is(member, b) || peek_is(member, c);
}

bool blend_fix_of(const char *data_json, struct blend_fix *out)
{
	struct peek member;
	double number;
	bool has_lat = false, has_lon = false;

	*out = (struct blend_fix){ .accuracy_m = -1, .speed_mps = -1 };
	peek_open(&member, data_json);
	while (peek_next(&member)) {
		if (!peek_number(&member, &number))
			continue;
		if (is_any(&member, "lat", "latitude", "lat")) {
			out->lat = number;
			has_lat = number >= -90 && number <= 90;
		} else if (is_any(&member, "lon", "longitude", "lng")) {
			out->lon = number;
			has_lon = number >= -180 && number <= 180;
		} else if (is_any(&member, "acc", "accuracy", "hacc") && number >= 0) {
			out->accuracy_m = number;
		} else if (peek_is(&member, "vel") && number >= 0) {
			out->speed_mps = number * MPS_PER_KMH;
		} else if (peek_is(&member, "speed") && number >= 0) {
			out->speed_mps = number;
		}
	}
	return has_lat && has_lon;
}

/* Taylor series to x^14: below 1e-7 on [-π/2, π/2], the same on every CPU. */
static double cosine(double x)
{
	double term = 1, sum = 1;

	for (int k = 1; k <= 7; k++) {
		term *= -x * x / ((2 * k - 1) * (2 * k));
		sum += term;
	}
	return sum;
}

static double wrapped(double degrees)
{
	if (degrees > 180)
		return degrees - 360;
	return degrees < -180 ? degrees + 360 : degrees;
}

double blend_metres(double lat_a, double lon_a, double lat_b, double lon_b)
{
	double shrink = cosine((lat_a + lat_b) / 2 * RADIANS_PER_DEGREE);
	double north = lat_b - lat_a, east = wrapped(lon_b - lon_a) * shrink;

	return sqrt(north * north + east * east) * METRES_PER_DEGREE;
}

/* Where `at_ns` lies between the two: 0 at left, 1 at right. */
static double share_of(const struct item *left, const struct item *right, int64_t at_ns)
{
	return (double)(at_ns - left->t0_ns) / (double)(right->t0_ns - left->t0_ns);
}

enum rc blend_location(const struct item *left, const struct item *right, int64_t at_ns,
    double accuracy_m, struct arena *arena, const char **out)
{
	struct blend_fix a, b;
	struct buf text;

	*out = NULL;
	if (!blend_fix_of(left->rest->data_json, &a) || !blend_fix_of(right->rest->data_json, &b))
		return RC_OK;
	double share = share_of(left, right, at_ns);
	double gap_s = (double)(right->t0_ns - left->t0_ns) / 1e9;
	double way_m = blend_metres(a.lat, a.lon, b.lat, b.lon);
	double fastest = a.speed_mps > b.speed_mps ? a.speed_mps : b.speed_mps;
	double acc_a = a.accuracy_m < 0 ? accuracy_m : a.accuracy_m;
	double acc_b = b.accuracy_m < 0 ? accuracy_m : b.accuracy_m;

	if (fastest * gap_s > way_m)
		way_m = fastest * gap_s;
	buf_init(&text, BLEND_BYTES_MAX);
	buf_puts(&text, "{\"acc\":");
	decimal_put_fixed(&text, (acc_a > acc_b ? acc_a : acc_b) + way_m, 1);
	buf_puts(&text, ",\"lat\":");
	decimal_put_fixed(&text, a.lat + (b.lat - a.lat) * share, 7);
	buf_puts(&text, ",\"lon\":");
	decimal_put_fixed(&text, wrapped(a.lon + wrapped(b.lon - a.lon) * share), 7);
	buf_putc(&text, '}');
	enum rc rc = buf_rc(&text);
	if (rc == RC_OK) {
		*out = arena_copy(arena, text.bytes, text.len);
		rc = *out == NULL ? RC_NOMEM : RC_OK;
	}
	buf_fini(&text);
	return rc;
}

/* The member of `json` with the same key as `like`. */
static bool find_like(const char *json, const struct peek *like, struct peek *out)
{
	peek_open(out, json);
	while (peek_next(out)) {
		if (out->key_len == like->key_len &&
		    memcmp(out->key, like->key, like->key_len) == 0)
			return true;
	}
	return false;
}

static void put_member(struct buf *text, const struct peek *member)
{
	buf_putc(text, text->len == 0 ? '{' : ',');
	buf_putc(text, '"');
	buf_append(text, member->key, member->key_len);
	buf_puts(text, "\":");
}

enum rc blend_numeric(const struct item *left, const struct item *right, int64_t at_ns,
    struct arena *arena, const char **out)
{
	struct peek member, other;
	struct buf text;
	double share = share_of(left, right, at_ns), a, b;
	bool blended = false;

	*out = NULL;
	buf_init(&text, BLEND_BYTES_MAX);
	peek_open(&member, left->rest->data_json);
	while (peek_next(&member)) {
		if (!find_like(right->rest->data_json, &member, &other))
			continue;
		if (peek_number(&member, &a) && peek_number(&other, &b)) {
			put_member(&text, &member);
			decimal_put_short(&text, a + (b - a) * share);
			blended = true;
		} else if (member.value_len == other.value_len &&
			   memcmp(member.value, other.value, member.value_len) == 0) {
			put_member(&text, &member);
			buf_append(&text, member.value, member.value_len);
		}
	}
	buf_putc(&text, '}');
	enum rc rc = buf_rc(&text);
	if (rc == RC_OK && blended) {
		*out = arena_copy(arena, text.bytes, text.len);
		rc = *out == NULL ? RC_NOMEM : RC_OK;
	}
	buf_fini(&text);
	return rc == RC_LIMIT ? RC_OK : rc; /* too much beside its numbers: not blended */
}
