/*
 * Server half of the wire: a CURVE ROUTER with an allow-list.
 *
 * One I/O thread owns the socket and the ZAP handler.  It answers Hello itself
 * (version negotiation, capabilities from the callback), sends and watches
 * heartbeats, and hands every other message of a greeted peer to
 * `on_message`.  A peer is one connection: a random id bound to the public key
 * that authenticated it; a reconnected client is a new peer.
 *
 * Sending is bounded per peer: wire_server_send() gives RC_AGAIN when
 * `peer_queue_max` messages or `peer_queue_bytes_max` bytes wait (besides at most
 * 32 messages that libzmq holds), and RC_CLOSED once the peer is gone.  Nothing
 * is ever dropped in silence, and a peer that does not read delays no other.
 *
 * The allow-list is looked at on each handshake and each second; a peer whose
 * key was taken out is dropped.  While the file cannot be read, nobody new gets
 * in.  A ZeroMQ context does not survive fork(): open after it.
 */
#ifndef WIRE_SERVER_H
#define WIRE_SERVER_H

#include "wire/key.h"
#include "wire/message.h"

struct wire_server;

typedef uint64_t wire_peer; /* never reused within a process; 0 = none */

/* Blocks of memory for messages. */
struct wire_pool {
	size_t n, bytes; /* of each */
};

struct wire_server_config {
	const char *listen; /* "tcp://127.0.0.1:8421"; port 0 or * picks one */
	const struct wire_keypair *keys;
	const char *allow_path;      /* read at start and again when it changes */
	int64_t heartbeat_ns;        /* 0: 1 s */
	int64_t dead_ns;             /* silence after which a peer is gone; 0: 4 s */
	size_t peers_max;            /* 0: 64 */
	size_t peer_queue_max;       /* 0: 256 messages */
	size_t peer_queue_bytes_max; /* 0: 16 MiB */
	/* Memory taken now for messages of wire_server_send(), so that it takes none as
	 * long as no more wait: sizes, the smallest first; borrowed for wire_server_open(). */
	const struct wire_pool *pools;
	size_t pools_len;
	void *ctx;
	/*
	 * All callbacks run on the I/O thread and must not block.  `message` and
	 * what it points to live until the callback returns.
	 */
	void (*on_peer)(void *ctx, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES]);
	void (*on_message)(void *ctx, wire_peer peer, const struct message *message);
	/* Once for each on_peer, at the latest by wire_server_close(). */
	void (*on_gone)(void *ctx, wire_peer peer);
	/* Fill a capabilities body; its pointers must live as long as the server. */
	void (*capabilities)(void *ctx, struct wire_capabilities *out);
	void (*load)(void *ctx, struct wire_load *out);
};

/* Counters for Stats and tests; monotone. */
struct wire_server_counts {
	uint64_t accepted;          /* peers greeted */
	uint64_t refused_key;       /* handshakes with a key that is not allowed */
	uint64_t refused_handshake; /* no CURVE, wrong server key, cut off */
	uint64_t bad_messages;      /* answered with an Error, or not at all */
	uint64_t dropped_peers;     /* silent, revoked, unroutable */
};

/* What `pools` will take: pages that are kept out of dumps, and locked with the rest. */
size_t wire_server_pool_bytes(const struct wire_pool *pools, size_t pools_len);

/* RC_CONFIG for a bad address or a wire without CURVE, RC_BUSY if it is taken. */
enum rc wire_server_open(
    const struct wire_server_config *config, struct wire_server **out, struct errmsg *why) RC_CHECK;

/* Stops the thread; pending messages are dropped; callbacks end before it
 * returns.  Not from a callback. */
void wire_server_close(struct wire_server *server);

/* The address bound, with the real port. */
const char *wire_server_address(const struct wire_server *server);

/* Encode and queue; any thread, callbacks too.  RC_AGAIN, RC_CLOSED, RC_LIMIT,
 * RC_INVALID, RC_NOMEM. */
enum rc wire_server_send(
    struct wire_server *server, wire_peer peer, const struct message *message) RC_CHECK;

void wire_server_get_counts(struct wire_server *server, struct wire_server_counts *out);

#endif
