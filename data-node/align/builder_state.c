/* Builder state: its place in the log and its history, as bytes and in the store. */
#include <string.h>

#include "align/builder_inner.h"
#include "align/bytes.h"

#define STATE_FORMAT 2u
#define STATE_BYTES_MAX ((size_t)2 << 20)
#define HISTORY_STEP_NS BUILDER_GRID_NS

void builder_state_encode(const struct builder_state *state, struct buf *out)
{
	bytes_put8(out, STATE_FORMAT);
	bytes_put64(out, state->cursor);
	bytes_put64(out, (uint64_t)state->ended_ns);
	bytes_put64(out, (uint64_t)state->history_ns);
	bytes_put64(out, state->policy_version);
	buf_append(out, state->policy_hash, POLICY_HASH_BYTES);
	lifecycle_encode(&state->life, out);
}

enum rc builder_state_decode(const uint8_t *bytes, size_t len, struct builder_state *state)
{
	struct bytes in = { bytes, len, false };
	unsigned format = bytes_get8(&in);

	state->cursor = bytes_get64(&in);
	state->ended_ns = (int64_t)bytes_get64(&in);
	state->history_ns = (int64_t)bytes_get64(&in);
	state->policy_version = bytes_get64(&in);
	bytes_copy(&in, state->policy_hash, POLICY_HASH_BYTES);
	if (in.bad || format != STATE_FORMAT)
		return RC_CORRUPT;
	return lifecycle_decode(in.at, in.left, &state->life);
}

enum rc builder_history_decode(
    const uint8_t *bytes, size_t len, int64_t *closed_ns, int64_t *now_ns)
{
	struct bytes in = { bytes, len, false };

	*closed_ns = (int64_t)bytes_get64(&in);
	*now_ns = (int64_t)bytes_get64(&in);
	return in.bad || in.left != 0 ? RC_CORRUPT : RC_OK;
}

/* ---- in the store ---------------------------------------------------------------- */

enum rc builder_state_commit(struct builder *builder, uint64_t newest, struct errmsg *why)
{
	struct builder_state *state = &builder->state;
	struct store_slice_row row = { .grid_s = 0 }, history = { .version = 1 };
	struct store_slice_batch batch = { .state = &row, .newest = newest };
	struct buf bytes, past;

	batch.cursor = state->cursor;
	batch.built_ns = OBS_TIME_MIN_NS;
	if (state->ended_ns > OBS_TIME_MIN_NS)
		batch.built_ns =
		    state->ended_ns + builder->policy->ahead_ns + 2 * PLACEMENT_NARROW_NS;
	buf_init(&bytes, STATE_BYTES_MAX);
	buf_init(&past, BUILDER_HISTORY_BYTES);
	if (state->life.closed_ns > OBS_TIME_MIN_NS &&
	    (state->history_ns == INT64_MIN ||
		state->life.closed_ns - state->history_ns >= HISTORY_STEP_NS)) {
		state->history_ns = state->life.closed_ns;
		bytes_put64(&past, (uint64_t)state->life.closed_ns);
		bytes_put64(&past, (uint64_t)state->life.now_ns);
		history.start_ns = (int64_t)state->cursor;
		history.bytes = past.bytes;
		history.len = past.len;
		batch.rows = &history;
		batch.n = 1;
	}
	builder_state_encode(state, &bytes);
	row.bytes = bytes.bytes;
	row.len = bytes.len;
	enum rc rc = buf_rc(&bytes);
	if (rc == RC_OK)
		rc = builder_commit(builder, &batch, why);
	buf_fini(&bytes);
	buf_fini(&past);
	return rc;
}

enum rc builder_state_load(struct builder *builder, const struct store_slice_view *view)
{
	struct builder_state *state = &builder->state;
	enum rc rc = RC_NOTFOUND;

	lifecycle_fini(&state->life);
	if (view->state != NULL)
		rc = builder_state_decode(view->state, view->state_len, state);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
		lifecycle_fini(&state->life);
		state->cursor = 0;
		state->ended_ns = state->history_ns = INT64_MIN;
		memcpy(state->policy_hash, builder->policy_hash, POLICY_HASH_BYTES);
		rc = RC_OK;
	}
	builder->loaded = rc == RC_OK;
	return rc;
}
