/*
 * Bare ZeroMQ peers for tests: what a hostile, broken, older or newer node
 * does on the wire, without our client or server in the way.
 */
#ifndef WIRE_RAW_PEER_H
#define WIRE_RAW_PEER_H

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "wire/message.h"
#include "wire_fixture.h"

struct raw_peer {
	void *zmq;
	void *socket;
};

static inline void raw_int(void *socket, int option, int value)
{
	assert_int_equal(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

static inline void raw_nap(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	(void)nanosleep(&nap, NULL);
}

/* A DEALER; keys NULL: plaintext.  routing NULL: libzmq's choice. */
static inline void raw_dial(struct raw_peer *peer, const char *address,
    const struct wire_keypair *keys, const uint8_t *server_key, const char *routing)
{
	peer->zmq = zmq_ctx_new();
	peer->socket = zmq_socket(peer->zmq, ZMQ_DEALER);
	assert_non_null(peer->socket);
	raw_int(peer->socket, ZMQ_LINGER, 0);
	if (keys != NULL) {
		assert_int_equal(
		    zmq_setsockopt(peer->socket, ZMQ_CURVE_SERVERKEY, server_key, 32), 0);
		assert_int_equal(
		    zmq_setsockopt(peer->socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, 32), 0);
		assert_int_equal(
		    zmq_setsockopt(peer->socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, 32), 0);
	}
	if (routing != NULL)
		assert_int_equal(
		    zmq_setsockopt(peer->socket, ZMQ_ROUTING_ID, routing, strlen(routing)), 0);
	assert_int_equal(zmq_connect(peer->socket, address), 0);
}

static inline void raw_close(struct raw_peer *peer)
{
	(void)zmq_close(peer->socket);
	(void)zmq_ctx_term(peer->zmq);
}

static inline void raw_send_bytes(struct raw_peer *peer, const void *bytes, size_t len)
{
	assert_true(zmq_send(peer->socket, bytes, len, 0) >= 0);
}

static inline void raw_send(struct raw_peer *peer, const struct message *message)
{
	struct buf bytes;

	buf_init(&bytes, WIRE_MESSAGE_BYTES_MAX);
	assert_int_equal(message_encode(message, &bytes, NULL), RC_OK);
	raw_send_bytes(peer, bytes.bytes, bytes.len);
	buf_fini(&bytes);
}

static inline void raw_hello(struct raw_peer *peer, uint32_t min, uint32_t max)
{
	const struct message hello = {
		.protocol = max,
		.kind = MESSAGE_HELLO,
		.u.hello = { .protocol_min = min, .protocol_max = max, .program = "raw" },
	};

	raw_send(peer, &hello);
}

static inline void raw_beat(struct raw_peer *peer)
{
	const struct message beat = { .kind = MESSAGE_HEARTBEAT };

	raw_send(peer, &beat);
}

/* The next message; false if none comes within `wait_ms`. */
static inline bool raw_receive_within(
    struct raw_peer *peer, struct arena *arena, struct message *out, int wait_ms)
{
	zmq_msg_t message;

	raw_int(peer->socket, ZMQ_RCVTIMEO, wait_ms);
	(void)zmq_msg_init(&message);
	bool got = zmq_msg_recv(&message, peer->socket, 0) >= 0;
	if (got)
		assert_int_equal(message_decode(zmq_msg_data(&message), zmq_msg_size(&message),
				     arena, out, NULL),
		    RC_OK);
	(void)zmq_msg_close(&message);
	return got;
}

/* The next message of `kind`; others are passed over; fails if none comes. */
static inline void raw_expect(
    struct raw_peer *peer, struct arena *arena, enum message_kind kind, struct message *out)
{
	do
		assert_true(raw_receive_within(peer, arena, out, 60000));
	while (out->kind != kind);
}

#endif
