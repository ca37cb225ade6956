/* Said: labels under another kind. */
#include "night/said.h"

#include "base/clock.h"

#define PUT_ARENA_BYTES ((size_t)1 << 20)

enum rc said_decode(const struct observation *obs, struct arena *arena, struct label *out)
{
	struct observation as_label = *obs;

	if (!observation_is_said(obs))
		return RC_NOTFOUND;
	as_label.kind = OBS_KIND_LABEL;
	return label_decode(&as_label, arena, out);
}

enum rc said_get(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct label *out, struct errmsg *why)
{
	static const uint8_t nothing[1][OBS_ID_BYTES];
	struct label label = { .rule = rule,
		.key = key,
		.layer = LAYER_TEXT,
		.about = nothing,
		.about_len = 1,
		.value_json = "null" };
	struct observation obs;
	uint8_t id[OBS_ID_BYTES];

	for (; label.life < LABEL_LIVES_MAX; label.life++) {
		enum rc rc = label_encode(&label, arena, &obs);
		if (rc != RC_OK)
			return rc;
		store_obs_id(store, &obs, id);
		rc = store_get_id(store, id, arena, &obs, why);
		*out = label;
		if (rc != RC_OK)
			return rc;
		if (!obs.tombstone)
			return said_decode(&obs, arena, out);
	}
	return RC_LIMIT;
}

enum rc said_put(struct store *store, const struct label *label, struct errmsg *why)
{
	struct label written = *label;
	struct observation obs;
	struct arena arena;

	written.layer = LAYER_TEXT;
	arena_init(&arena, PUT_ARENA_BYTES);
	enum rc rc = label_encode(&written, &arena, &obs);
	if (rc == RC_OK) {
		obs.kind = OBS_KIND_SAID;
		obs.recv_utc_ns = clock_utc_ns();
		obs.recv_mono_ns = clock_mono_ns();
		rc = store_append(store, &obs, 1, NULL, NULL, why);
	}
	arena_fini(&arena);
	return rc;
}
