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
	struct observation obs;
	uint8_t id[OBS_ID_BYTES];
	unsigned life;

	enum rc rc = label_stands(store, rule, key, arena, &obs, &life, id, why);
	*out = (struct label){ .rule = rule, .key = key, .life = life };
	return rc == RC_OK ? said_decode(&obs, arena, out) : rc;
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
