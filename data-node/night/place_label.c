/* Place labels: two small JSON objects. */
#include "night/place_label.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"

#define GET_ARENA_BYTES ((size_t)4 << 20)

const char place_label_rule_place[] = "place", place_label_rule_role[] = "role";

void place_label_key(int64_t day_from_ns, char out[PLACE_LABEL_KEY_BYTES])
{
	struct civil civil;

	civil_of_ns(day_from_ns, &civil);
	/* Days of labels lie within 1900 to 2200. */
	(void)snprintf(out, PLACE_LABEL_KEY_BYTES, "%04u-%02u-%02u", (unsigned)civil.year % 10000,
	    (unsigned)civil.month % 100, (unsigned)civil.day % 100);
}

enum rc place_label_put_stays(
    const struct stay *stays, size_t len, int64_t day_from_ns, struct buf *out)
{
	buf_puts(out, "{\"stays\":[");
	for (size_t i = 0; i < len; i++) {
		const struct stay *stay = &stays[i];
		buf_printf(out,
		    "%s{\"fixes\":%" PRIu32 ",\"from_s\":%" PRId64 ",\"lat\":%.5f,\"lon\":%.5f,"
		    "\"to_s\":%" PRId64 ",\"word\":",
		    i > 0 ? "," : "", stay->fixes, (stay->t0_ns - day_from_ns) / NS_PER_S,
		    stay->lat, stay->lon, (stay->t1_ns - day_from_ns) / NS_PER_S);
		buf_json_string(out, stay->word, strlen(stay->word));
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
	return buf_rc(out);
}

static void put_role(struct buf *out, const char *name, const struct place_role *role, bool more)
{
	if (role->known)
		buf_printf(out, "%s\"%s\":{\"confidence\":%.2f,\"lat\":%.5f,\"lon\":%.5f}",
		    more ? "," : "", name, role->confidence, role->lat, role->lon);
}

enum rc place_label_put_roles(const struct place_roles *roles, struct buf *out)
{
	if (!roles->home.known && !roles->work.known) {
		buf_puts(out, "null");
		return buf_rc(out);
	}
	buf_putc(out, '{');
	put_role(out, "home", &roles->home, false);
	put_role(out, "work", &roles->work, roles->home.known);
	buf_putc(out, '}');
	return buf_rc(out);
}

/* ---- back -------------------------------------------------------------------------- */

static double number_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static bool read_stay(
    const json_t *row, const struct label *label, size_t i, int64_t day_from_ns, struct stay *out)
{
	double from_s = number_of(row, "from_s"), to_s = number_of(row, "to_s");

	if (!(from_s >= 0 && to_s >= from_s && to_s <= 86400) || 2 * i + 1 >= label->about_len)
		return false;
	*out = (struct stay){ .t0_ns = day_from_ns + (int64_t)from_s * NS_PER_S,
		.t1_ns = day_from_ns + (int64_t)to_s * NS_PER_S,
		.lat = number_of(row, "lat"),
		.lon = number_of(row, "lon"),
		.fixes = (uint32_t)number_of(row, "fixes") };
	memcpy(out->first, label->about[2 * i], OBS_ID_BYTES);
	memcpy(out->last, label->about[2 * i + 1], OBS_ID_BYTES);
	const char *word = json_string_value(json_object_get(row, "word"));
	if (word != NULL)
		(void)snprintf(out->word, sizeof out->word, "%s", word);
	return out->lat >= -90 && out->lat <= 90 && out->lon >= -180 && out->lon <= 180;
}

enum rc place_label_get_stays(struct store *store, int64_t day_from_ns,
    struct stay stays[PLACE_LABEL_STAYS_MAX], size_t *len, uint8_t label_id[OBS_ID_BYTES],
    struct errmsg *why)
{
	char key[PLACE_LABEL_KEY_BYTES];
	struct label label;
	struct arena arena;

	*len = 0;
	place_label_key(day_from_ns, key);
	arena_init(&arena, GET_ARENA_BYTES);
	enum rc rc = label_get(store, place_label_rule_place, key, &arena, &label, label_id, why);
	json_t *root = rc == RC_OK ? json_loads(label.value_json, JSON_DECODE_ANY, NULL) : NULL;
	const json_t *rows = json_object_get(root, "stays");
	for (size_t i = 0; i < json_array_size(rows) && *len < PLACE_LABEL_STAYS_MAX; i++) {
		if (read_stay(json_array_get(rows, i), &label, i, day_from_ns, &stays[*len]))
			(*len)++;
	}
	json_decref(root);
	arena_fini(&arena);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static void read_role(const json_t *row, struct place_role *out)
{
	if (!json_is_object(row))
		return;
	*out = (struct place_role){ .known = true,
		.lat = number_of(row, "lat"),
		.lon = number_of(row, "lon"),
		.confidence = number_of(row, "confidence") };
}

enum rc place_label_get_roles(
    struct store *store, int64_t day_from_ns, struct place_roles *out, struct errmsg *why)
{
	char key[PLACE_LABEL_KEY_BYTES];
	struct label label;
	struct arena arena;

	*out = (struct place_roles){ .home.known = false };
	place_label_key(day_from_ns, key);
	arena_init(&arena, GET_ARENA_BYTES);
	enum rc rc = label_get(store, place_label_rule_role, key, &arena, &label, NULL, why);
	json_t *root = rc == RC_OK ? json_loads(label.value_json, JSON_DECODE_ANY, NULL) : NULL;
	read_role(json_object_get(root, "home"), &out->home);
	read_role(json_object_get(root, "work"), &out->work);
	json_decref(root);
	arena_fini(&arena);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}
