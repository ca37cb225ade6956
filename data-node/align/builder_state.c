/* Builder state: the bytes of its place in the log and of its history. */
#include <string.h>

#include "align/builder_inner.h"
#include "align/bytes.h"

#define STATE_FORMAT 2u

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
