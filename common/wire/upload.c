/* Chunks with credit. */
#include "wire/upload.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum rc wire_upload_init(struct wire_upload *upload, const uint8_t lease_id[WIRE_LEASE_BYTES],
    const uint8_t *bytes, size_t len, struct errmsg *why)
{
	if (len == 0)
		return errmsg_rc(why, RC_INVALID, "an empty adapter");
	*upload = (struct wire_upload){ .bytes = bytes, .len = len };
	memcpy(upload->lease_id, lease_id, WIRE_LEASE_BYTES);
	if (crypto_generichash(upload->hash, WIRE_HASH_BYTES, bytes, len, NULL, 0) != 0)
		return errmsg_rc(why, RC_BUG, "hash of an adapter");
	return RC_OK;
}

bool wire_upload_next(struct wire_upload *upload, uint64_t request_id, struct message *out)
{
	size_t left = upload->len - upload->sent, i = 0;

	while (i < UPLOAD_CHUNKS && upload->requests[i] != 0)
		i++;
	if (i == UPLOAD_CHUNKS || left == 0)
		return false;
	upload->requests[i] = request_id;
	*out = (struct message){
		.request_id = request_id, .has_lease = true, .kind = MESSAGE_ADAPTER_PUT
	};
	memcpy(out->lease_id, upload->lease_id, WIRE_LEASE_BYTES);
	out->u.adapter_put = (struct wire_adapter_put){ .total_bytes = upload->len,
		.offset = upload->sent,
		.chunk = upload->bytes + upload->sent,
		.chunk_len = left < UPLOAD_CHUNK_BYTES ? left : UPLOAD_CHUNK_BYTES };
	memcpy(out->u.adapter_put.content_hash, upload->hash, WIRE_HASH_BYTES);
	upload->sent += out->u.adapter_put.chunk_len;
	return true;
}

enum rc wire_upload_take(
    struct wire_upload *upload, const struct message *message, struct errmsg *why)
{
	const struct wire_adapter_state *state = &message->u.adapter_state;
	size_t i = 0;

	while (i < UPLOAD_CHUNKS &&
	       (message->request_id == 0 || upload->requests[i] != message->request_id))
		i++;
	if (i == UPLOAD_CHUNKS)
		return RC_NOTFOUND;
	upload->requests[i] = 0;
	if (message->kind == MESSAGE_ERROR)
		return errmsg_rc(why, RC_DENIED, "%s", message->u.error.text);
	if (message->kind != MESSAGE_ADAPTER_STATE || state->received_bytes <= upload->received ||
	    state->received_bytes > upload->sent ||
	    state->active != (state->received_bytes == upload->len))
		return errmsg_rc(why, RC_CORRUPT,
		    "an answer to %zu bytes of an adapter that says %" PRIu64, upload->sent,
		    message->kind == MESSAGE_ADAPTER_STATE ? state->received_bytes : 0);
	upload->received = (size_t)state->received_bytes;
	return state->active ? RC_OK : RC_AGAIN;
}
