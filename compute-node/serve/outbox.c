/* Answers waiting for room: kept encoded, decoded again to be sent. */
#include "serve/outbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"

struct kept {
	struct kept *next;
	wire_peer peer;
	struct buf bytes;
};

struct outbox {
	outbox_send_fn *send;
	void *ctx;
	pthread_mutex_t lock;
	struct kept *first, **last;
	size_t n, bytes;
	uint64_t dropped;
};

enum rc outbox_new(outbox_send_fn *send, void *ctx, struct outbox **out, struct errmsg *why)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));

	if (outbox == NULL || pthread_mutex_init(&outbox->lock, NULL) != 0) {
		free(outbox);
		return errmsg_rc(why, RC_NOMEM, "no memory for the outbox");
	}
	outbox->send = send;
	outbox->ctx = ctx;
	outbox->last = &outbox->first;
	*out = outbox;
	return RC_OK;
}

static void kept_free(struct kept *kept)
{
	buf_fini(&kept->bytes);
	free(kept);
}

void outbox_free(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	while (outbox->first != NULL) {
		struct kept *kept = outbox->first;

		outbox->first = kept->next;
		kept_free(kept);
	}
	(void)pthread_mutex_destroy(&outbox->lock);
	free(outbox);
}

/* Under the lock. */
static bool has_kept(const struct outbox *outbox, wire_peer peer)
{
	for (const struct kept *kept = outbox->first; kept != NULL; kept = kept->next) {
		if (kept->peer == peer)
			return true;
	}
	return false;
}

/* Under the lock. */
static bool keep(struct outbox *outbox, wire_peer peer, const struct message *message)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (kept == NULL)
		return false;
	kept->peer = peer;
	buf_init(&kept->bytes, WIRE_MESSAGE_BYTES_MAX);
	if (outbox->n == OUTBOX_MESSAGES_MAX ||
	    message_encode(message, &kept->bytes, NULL) != RC_OK ||
	    kept->bytes.len > OUTBOX_BYTES_MAX - outbox->bytes) {
		kept_free(kept);
		return false;
	}
	*outbox->last = kept;
	outbox->last = &kept->next;
	outbox->n++;
	outbox->bytes += kept->bytes.len;
	return true;
}

void outbox_send(struct outbox *outbox, wire_peer peer, const struct message *message)
{
	enum rc rc = RC_AGAIN;

	(void)pthread_mutex_lock(&outbox->lock);
	bool behind = has_kept(outbox, peer);
	(void)pthread_mutex_unlock(&outbox->lock);
	if (!behind)
		rc = outbox->send(outbox->ctx, peer, message);
	if (rc == RC_OK || rc == RC_CLOSED)
		return;
	(void)pthread_mutex_lock(&outbox->lock);
	bool taken = rc == RC_AGAIN && keep(outbox, peer, message);
	outbox->dropped += !taken;
	(void)pthread_mutex_unlock(&outbox->lock);
	if (!taken)
		log_warn("SERVE-REPLY-DROPPED", "peer=%llu request=%llu kind=%s rc=%s",
		    (unsigned long long)peer, (unsigned long long)message->request_id,
		    message_kind_word(message->kind), rc_word(rc));
}

/* Everything but "try later" settles it. */
static bool settle(struct outbox *outbox, const struct kept *kept)
{
	struct message message;
	struct arena arena;

	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	enum rc rc = message_decode(kept->bytes.bytes, kept->bytes.len, &arena, &message, NULL);
	if (rc == RC_OK)
		rc = outbox->send(outbox->ctx, kept->peer, &message);
	arena_fini(&arena);
	return rc != RC_AGAIN;
}

bool outbox_flush(struct outbox *outbox)
{
	(void)pthread_mutex_lock(&outbox->lock);
	/* Taken off the list meanwhile: `send` runs without the lock. */
	struct kept *list = outbox->first, *rest = NULL, **end = &rest;
	outbox->first = NULL;
	outbox->last = &outbox->first;
	(void)pthread_mutex_unlock(&outbox->lock);

	size_t gone = 0, gone_bytes = 0;
	while (list != NULL) {
		struct kept *kept = list;

		list = kept->next;
		kept->next = NULL;
		if (settle(outbox, kept)) {
			gone++;
			gone_bytes += kept->bytes.len;
			kept_free(kept);
		} else {
			*end = kept;
			end = &kept->next;
		}
	}
	(void)pthread_mutex_lock(&outbox->lock);
	/* What was left goes in front of what came meanwhile. */
	if (rest != NULL) {
		*end = outbox->first;
		if (outbox->first == NULL)
			outbox->last = end;
		outbox->first = rest;
	}
	outbox->n -= gone;
	outbox->bytes -= gone_bytes;
	bool left = outbox->n != 0;
	(void)pthread_mutex_unlock(&outbox->lock);
	return left;
}

uint64_t outbox_dropped(struct outbox *outbox)
{
	(void)pthread_mutex_lock(&outbox->lock);
	uint64_t dropped = outbox->dropped;
	(void)pthread_mutex_unlock(&outbox->lock);
	return dropped;
}
