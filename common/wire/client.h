/*
 * Client half of the wire: one link to one compute node.
 *
 * One I/O thread per link owns the DEALER.  It dials, says Hello, watches
 * heartbeats, and dials again with back-off (100 ms doubling to 5 s, jittered)
 * on a new socket after any loss.  A link is *up* from the answer to Hello to
 * the loss; that is one session, and the next one has the next number.  Requests
 * of an older session are over: their on_message is never called again, what is
 * still queued of them is dropped, and on_down tells.
 *
 * A ZeroMQ context does not survive fork(): open after it.
 */
#ifndef WIRE_CLIENT_H
#define WIRE_CLIENT_H

#include "wire/key.h"
#include "wire/message.h"

struct wire_client;

struct wire_client_config {
	const char *address;       /* "tcp://HOST:PORT" */
	const uint8_t *server_key; /* [WIRE_KEY_BYTES], pinned */
	const struct wire_keypair *keys;
	const char *program;    /* "data-node 0.1.0" */
	int64_t heartbeat_ns;   /* 0: 1 s */
	int64_t dead_ns;        /* silence that ends a session; 0: 4 s */
	int64_t backoff_max_ns; /* 0: 5 s */
	size_t queue_max;       /* 0: 256 messages */
	void *ctx;
	/* Callbacks run on the I/O thread and must not block; `message` and what
	 * it points to live until the callback returns. */
	void (*on_up)(void *ctx, const struct wire_capabilities *capabilities);
	/* Answers, and heartbeats (request id 0) for the load they carry. */
	void (*on_message)(void *ctx, const struct message *message);
	/*
	 * After on_up: the session is over (CLOSED, TIMEOUT), once.  Without an
	 * on_up before it: the peer refuses us (DENIED: keys; UNSUPPORTED: no
	 * common version), once until that changes.  A peer that is not there is
	 * not told.
	 */
	void (*on_down)(void *ctx, enum rc reason);
};

enum wire_link_state { WIRE_LINK_DOWN, WIRE_LINK_CONNECTING, WIRE_LINK_UP, WIRE_LINK_REFUSED };

enum rc wire_client_open(
    const struct wire_client_config *config, struct wire_client **out, struct errmsg *why) RC_CHECK;

/* Stops the thread; a session that is up gets its on_down(CLOSED); callbacks
 * end before it returns.  Not from a callback. */
void wire_client_close(struct wire_client *client);

/*
 * Queue a message; any thread.  RC_CLOSED while the link is not up, RC_AGAIN
 * when the queue is full (queue_max messages or 64 MiB), RC_LIMIT or RC_INVALID
 * for a message that does not encode.  The caller picks request ids with
 * wire_client_next_id(); 0 is none.
 */
enum rc wire_client_send(struct wire_client *client, const struct message *message) RC_CHECK;

/* Unique within the process. */
uint64_t wire_client_next_id(void);

enum wire_link_state wire_client_state(struct wire_client *client);

/* Counts sessions from 1; 0 before the first. */
uint64_t wire_client_session(struct wire_client *client);

#endif
