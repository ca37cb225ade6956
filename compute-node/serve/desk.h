/*
 * Desk: everything about a request that needs no engine, on a thread of its
 * own, so that tokenising a long prompt holds no running answer up.
 *
 * Generate is decoded, rendered, tokenised and checked here and then handed to
 * the scheduler, and so are an Embed's texts as tokens; Tokenize and PlanRequest
 * are answered here, adapters received and checked.  Requests wait encoded, in
 * order of arrival, within the limits below.  One arena lives at a time.  The
 * thread also flushes the outbox.
 */
#ifndef SERVE_DESK_H
#define SERVE_DESK_H

#include <stddef.h>

#include "base/errmsg.h"
#include "serve/fleet.h"
#include "serve/outbox.h"
#include "serve/scheduler.h"
#include "wire/message.h"

#define DESK_REQUESTS_MAX ((size_t)256)
#define DESK_BYTES_MAX ((size_t)64 << 20)

struct desk;

/* Borrows all three until desk_close(). */
enum rc desk_open(const struct fleet *fleet, struct scheduler *sched, struct outbox *outbox,
    struct desk **out, struct errmsg *why) RC_CHECK;

/* Ends the thread; requests are still taken, but nobody works on them. */
void desk_stop(struct desk *desk);

/* What waits is dropped (jobs stay the scheduler's).  Stops first. */
void desk_close(struct desk *desk);

/*
 * Queue a request; `job` comes with a Generate, else NULL.  Any thread; does
 * not block.  RC_AGAIN: full; RC_NOMEM.
 */
enum rc desk_submit(struct desk *desk, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct job *job) RC_CHECK;

/* The outbox may hold something now: look after it. */
void desk_wake(struct desk *desk);

#endif
