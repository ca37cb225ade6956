/* Label map: buckets of references from observations to labels. */
#include "night/label_map.h"

#include <inttypes.h>
#include <string.h>

#define BUCKETS ((size_t)4096)
#define DECODE_ARENA_BYTES ((size_t)8 << 20)

struct kept {
	const char *json; /* as it is shown */
};

struct ref {
	uint8_t obs_id[OBS_ID_BYTES];
	const struct kept *label;
	struct ref *next; /* later labels */
};

struct label_map {
	struct ref *first[BUCKETS], *last[BUCKETS];
};

struct reading {
	struct label_map *map;
	struct arena *arena;
	struct arena decode;
	size_t refs;
	enum rc rc;
};

static size_t bucket_of(const uint8_t obs_id[OBS_ID_BYTES])
{
	/* Ids are keyed hashes: any bytes do. */
	return ((size_t)obs_id[0] << 8 | obs_id[1]) % BUCKETS;
}

static enum rc keep(
    struct reading *reading, const struct label *label, const struct observation *obs)
{
	char id[LABEL_OBS_KEY_BYTES];
	struct kept *kept = arena_alloc(reading->arena, sizeof *kept);

	if (kept == NULL)
		return RC_NOMEM;
	label_obs_key(obs->obs_id, id);
	kept->json = arena_printf(reading->arena,
	    "{\"rule\":\"%s\",\"version\":%" PRIu32
	    ",\"value\":%s,\"confidence\":%.4f,\"obs_id\":\"%s\"}",
	    label->rule, label->version, label->value_json, label->confidence, id);
	if (kept->json == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < label->about_len; i++) {
		size_t bucket = bucket_of(label->about[i]);
		struct ref *ref = arena_alloc(reading->arena, sizeof *ref);
		if (ref == NULL)
			return RC_NOMEM;
		if (++reading->refs > LABEL_MAP_REFS_MAX)
			return RC_LIMIT;
		memcpy(ref->obs_id, label->about[i], OBS_ID_BYTES);
		ref->label = kept;
		if (reading->map->last[bucket] == NULL)
			reading->map->first[bucket] = ref;
		else
			reading->map->last[bucket]->next = ref;
		reading->map->last[bucket] = ref;
	}
	return RC_OK;
}

static bool take(void *ctx, const struct observation *obs)
{
	struct reading *reading = ctx;
	struct label label;

	arena_reset(&reading->decode);
	enum rc rc = label_decode(obs, &reading->decode, &label);
	if (rc == RC_OK && !label_is_withdrawn(&label))
		rc = keep(reading, &label, obs);
	if (rc == RC_NOMEM || rc == RC_LIMIT)
		reading->rc = rc;
	return reading->rc == RC_OK;
}

enum rc label_map_read(struct store *store, unsigned layers, int64_t t0_ns, int64_t t1_ns,
    struct arena *arena, struct label_map **out, struct errmsg *why)
{
	struct reading reading = { .arena = arena };
	struct store_range range = { .layers = layers, .source = OBS_SOURCE_NIGHT };

	range.from_ns =
	    t0_ns < OBS_TIME_MIN_NS + LABEL_REACH_NS ? OBS_TIME_MIN_NS : t0_ns - LABEL_REACH_NS;
	range.to_ns =
	    t1_ns > OBS_TIME_MAX_NS - LABEL_REACH_NS ? OBS_TIME_MAX_NS : t1_ns + LABEL_REACH_NS;
	reading.map = arena_alloc(arena, sizeof *reading.map);
	if (reading.map == NULL)
		return RC_NOMEM;
	arena_init(&reading.decode, DECODE_ARENA_BYTES);
	enum rc rc = store_scan_time(store, &range, NULL, 0, take, &reading, why);
	arena_fini(&reading.decode);
	if (reading.rc == RC_LIMIT)
		return errmsg_rc(why, RC_LIMIT, "too many labels: ask for a smaller page");
	if (reading.rc != RC_OK)
		return reading.rc;
	*out = reading.map;
	return rc == RC_CORRUPT ? RC_OK : rc;
}

void label_map_put(const struct label_map *map, const uint8_t obs_id[OBS_ID_BYTES], struct buf *out)
{
	bool any = false;

	buf_putc(out, '[');
	for (const struct ref *ref = map->first[bucket_of(obs_id)]; ref != NULL; ref = ref->next) {
		if (memcmp(ref->obs_id, obs_id, OBS_ID_BYTES) != 0)
			continue;
		if (any)
			buf_putc(out, ',');
		any = true;
		buf_puts(out, ref->label->json);
	}
	buf_putc(out, ']');
}
