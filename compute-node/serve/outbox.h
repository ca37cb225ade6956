/*
 * Outbox: single answers (Error, TokenIds, Stats, …) that a peer's full queue
 * would not take yet.
 *
 * A peer that reads gets its answer at once.  For one that does not, the
 * answer is kept, in order, and tried again by outbox_flush(); past the limits
 * below it is counted and dropped, and the log says so: such a peer left
 * hundreds of messages unread.  Any thread.
 */
#ifndef SERVE_OUTBOX_H
#define SERVE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "wire/message.h"
#include "wire/server.h"

#define OUTBOX_MESSAGES_MAX ((size_t)256)
#define OUTBOX_BYTES_MAX ((size_t)16 << 20)

struct outbox;

typedef enum rc outbox_send_fn(void *ctx, wire_peer peer, const struct message *message);

enum rc outbox_new(
    outbox_send_fn *send, void *ctx, struct outbox **out, struct errmsg *why) RC_CHECK;
void outbox_free(struct outbox *outbox);

void outbox_send(struct outbox *outbox, wire_peer peer, const struct message *message);

/* Try what is kept; true if something still is. */
bool outbox_flush(struct outbox *outbox);

uint64_t outbox_dropped(struct outbox *outbox);

#endif
