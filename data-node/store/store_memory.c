/* Store memory: records by number, and what they were read from. */
#include "store/store_memory.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/store_forget.h"

#define ARENA_BYTES_MAX (2 * OBS_RECORD_BYTES_MAX)

void store_memory_id(uint64_t number, char out[STORE_MEMORY_ID_BYTES])
{
	(void)snprintf(out, STORE_MEMORY_ID_BYTES, "%" PRIu64, number);
}

enum rc store_memory_get(struct store *store, uint64_t number, struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	char text[STORE_MEMORY_ID_BYTES];
	const struct observation named = { .source = OBS_SOURCE_MEMORY, .client_id = text };
	uint8_t id[OBS_ID_BYTES];

	store_memory_id(number, text);
	store_obs_id(store, &named, id);
	return store_get_id(store, id, arena, out, why);
}

/* One observation that was read, in all its versions. */
static enum rc goes(struct store *store, const uint8_t id[OBS_ID_BYTES],
    const struct observation *forget, struct arena *arena, bool *out, struct errmsg *why)
{
	struct observation obs;

	arena_reset(arena);
	enum rc rc = store_get_id(store, id, arena, &obs, why);
	while (rc == RC_OK && !*out) {
		*out = obs.tombstone || store_forget_matches(forget, &obs);
		uint64_t older = obs.supersedes_seq;
		if (older == 0)
			break;
		arena_reset(arena);
		rc = store_get_seq(store, older, arena, &obs, why);
	}
	return rc;
}

enum rc store_memory_was_read_from(struct store *store, const struct observation *obs,
    const struct observation *forget, bool *out, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	uint8_t id[OBS_ID_BYTES];
	struct arena arena;
	enum rc rc = RC_OK;

	*out = false;
	arena_init(&arena, ARENA_BYTES_MAX);
	for (size_t i = 0; rc == RC_OK && !*out && observation_about(obs, i, id); i++) {
		rc = goes(store, id, forget, &arena, out, &detail);
		/* What is not there, or opens no more, says nothing. */
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
			errmsg_reset(&detail);
			rc = RC_OK;
		}
	}
	arena_fini(&arena);
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}
