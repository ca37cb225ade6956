/*
 * Upload: an adapter on its way to the lease that it is for, in chunks.
 *
 * At most UPLOAD_CHUNKS of them are under way; each AdapterState is credit for the
 * next.  Knows no socket: it makes messages and looks at answers.  One thread.
 */
#ifndef WIRE_UPLOAD_H
#define WIRE_UPLOAD_H

#include "wire/message.h"

#define UPLOAD_CHUNK_BYTES ((size_t)1 << 20)
#define UPLOAD_CHUNKS 4

struct wire_upload {
	uint8_t lease_id[WIRE_LEASE_BYTES];
	const uint8_t *bytes; /* borrowed to the end of the upload */
	size_t len, sent, received;
	uint8_t hash[WIRE_HASH_BYTES];
	uint64_t requests[UPLOAD_CHUNKS]; /* without an answer yet; 0: free */
};

/* RC_INVALID: nothing to send; RC_BUG: libsodium. */
enum rc wire_upload_init(struct wire_upload *upload, const uint8_t lease_id[WIRE_LEASE_BYTES],
    const uint8_t *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* The next chunk under `request_id`, to be sent before the next call here; false: wait
 * for an answer, or all is sent. */
bool wire_upload_next(struct wire_upload *upload, uint64_t request_id, struct message *out);

/*
 * A message that came: RC_NOTFOUND, it is none of the upload's; RC_AGAIN, go on;
 * RC_OK, the adapter is active.  RC_DENIED: the node refuses it, and `why` says what
 * it says; RC_CORRUPT: an answer that makes no sense.
 */
enum rc wire_upload_take(
    struct wire_upload *upload, const struct message *message, struct errmsg *why) RC_CHECK;

#endif
