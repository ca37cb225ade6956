/* Cloud labels: one scan around an observation. */
#include "gateway/cloud_labels.h"

#include <jansson.h>
#include <string.h>

#include "night/label.h"
#include "night/night.h"

#define DECODE_ARENA_BYTES ((size_t)8 << 20)

struct looking {
	const struct observation *obs;
	struct arena *arena;
	struct arena decode;
	const char **words; /* [CLOUD_LABELS_MAX] */
	size_t len;
	enum rc rc;
};

static enum rc add(struct looking *looking, const char *rule, const char *value)
{
	const char *word = value == NULL ? arena_strdup(looking->arena, rule)
					 : arena_printf(looking->arena, "%s=%s", rule, value);

	if (word == NULL)
		return RC_NOMEM;
	if (looking->len == CLOUD_LABELS_MAX)
		return RC_LIMIT;
	looking->words[looking->len++] = word;
	return RC_OK;
}

static enum rc add_words(struct looking *looking, const struct label *label)
{
	json_t *value = json_loads(label->value_json, JSON_DECODE_ANY, NULL), *member;
	enum rc rc = add(looking, label->rule, NULL);
	const char *name;

	if (rc == RC_OK && json_is_string(value))
		rc = add(looking, label->rule, json_string_value(value));
	json_object_foreach(value, name, member)
	{
		if (rc == RC_OK && json_is_string(member))
			rc = add(looking, label->rule, json_string_value(member));
	}
	json_decref(value);
	return rc;
}

static bool concerns(const struct label *label, const struct observation *obs)
{
	for (size_t i = 0; i < label->about_len; i++) {
		if (memcmp(label->about[i], obs->obs_id, OBS_ID_BYTES) == 0)
			return true;
	}
	return label->t1_ns > label->t0_ns && label->t0_ns <= obs->place.t1_ns &&
	       obs->place.t0_ns < label->t1_ns;
}

static bool take(void *ctx, const struct observation *stored)
{
	struct looking *looking = ctx;
	struct label label;

	arena_reset(&looking->decode);
	enum rc rc = label_decode(stored, &looking->decode, &label);
	if (rc == RC_OK && !label_is_withdrawn(&label) && concerns(&label, looking->obs))
		rc = add_words(looking, &label);
	/* A label that cannot be read may be the one that matters. */
	if (rc != RC_OK && rc != RC_NOTFOUND)
		looking->rc = rc;
	return looking->rc == RC_OK;
}

enum rc cloud_labels(struct store *store, const struct observation *obs, struct arena *arena,
    struct route_moment *out, struct errmsg *why)
{
	struct looking looking = { .obs = obs, .arena = arena };
	struct store_range range = {
		.source = OBS_SOURCE_NIGHT,
		.from_ns = obs->place.t0_ns < OBS_TIME_MIN_NS + LABEL_REACH_NS
			       ? OBS_TIME_MIN_NS
			       : obs->place.t0_ns - LABEL_REACH_NS,
		.to_ns = obs->place.t1_ns > OBS_TIME_MAX_NS - LABEL_REACH_NS
			     ? OBS_TIME_MAX_NS
			     : obs->place.t1_ns + LABEL_REACH_NS,
	};
	uint64_t cursor = 0;
	int64_t at_ns = 0;

	looking.words = arena_array(arena, CLOUD_LABELS_MAX, sizeof(*looking.words));
	if (looking.words == NULL)
		return RC_NOMEM;
	enum rc rc = night_last(store, &cursor, &at_ns, why);
	if (rc != RC_OK)
		return rc;
	arena_init(&looking.decode, DECODE_ARENA_BYTES);
	rc = store_scan_time(store, &range, NULL, 0, take, &looking, why);
	arena_fini(&looking.decode);
	out->labels = looking.words;
	out->labels_len = looking.len;
	out->unlabelled = obs->seq > cursor;
	return rc == RC_OK ? looking.rc : rc;
}
