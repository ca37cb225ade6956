/*
 * What libzmq does behind one's back, shown on bare sockets, and that our
 * halves are not caught by it: the ZAP handler that must exist, slow readers,
 * messages that vanish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include "base/clock.h"
#include "raw_peer.h"

/* A bare CURVE ROUTER without a ZAP handler; true: a stranger's message came. */
static bool stranger_gets_in(bool domain, bool enforce)
{
	struct wire_keypair server, stranger;
	char address[64], bytes[16];
	size_t len = sizeof(address);
	struct raw_peer raw;

	assert_int_equal(wire_keypair_new(&server, NULL), RC_OK);
	assert_int_equal(wire_keypair_new(&stranger, NULL), RC_OK);
	void *zmq = zmq_ctx_new();
	void *router = zmq_socket(zmq, ZMQ_ROUTER);
	raw_int(router, ZMQ_LINGER, 0);
	raw_int(router, ZMQ_CURVE_SERVER, 1);
	if (domain)
		assert_int_equal(zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "hearth", 6), 0);
	if (enforce)
		raw_int(router, 93, 1);
	assert_int_equal(
	    zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, server.secret_key, WIRE_KEY_BYTES), 0);
	assert_int_equal(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, address, &len), 0);
	raw_dial(&raw, address, &stranger, server.public_key, NULL);
	raw_send_bytes(&raw, "x", 1);
	raw_int(router, ZMQ_RCVTIMEO, enforce ? 300 : 60000);
	bool came = zmq_recv(router, bytes, sizeof(bytes), 0) > 0;
	raw_close(&raw);
	(void)zmq_close(router);
	(void)zmq_ctx_term(zmq);
	return came;
}

static void test_trap_curve_without_a_zap_handler_lets_anyone_in(void **state)
{
	(void)state;
	assert_true(stranger_gets_in(false, false));
	assert_true(stranger_gets_in(true, false));
	/* The option that ours sets: no handler, no entry. */
	assert_false(stranger_gets_in(true, true));
}

/* A peer that says hello and then reads nothing, with little room on the way. */
static void dial_slow(struct wire_fixture *fixture, struct raw_peer *raw)
{
	const struct wire_keypair *keys = &fixture->client_keys;

	raw->zmq = zmq_ctx_new();
	raw->socket = zmq_socket(raw->zmq, ZMQ_DEALER);
	raw_int(raw->socket, ZMQ_LINGER, 0);
	raw_int(raw->socket, ZMQ_RCVHWM, 1);
	raw_int(raw->socket, ZMQ_RCVBUF, 8192);
	assert_int_equal(
	    zmq_setsockopt(raw->socket, ZMQ_CURVE_SERVERKEY, fixture->server_keys.public_key, 32),
	    0);
	assert_int_equal(zmq_setsockopt(raw->socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, 32), 0);
	assert_int_equal(zmq_setsockopt(raw->socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, 32), 0);
	assert_int_equal(zmq_connect(raw->socket, fixture->address), 0);
	raw_hello(raw, 1, 1);
	wire_fixture_wait(fixture, &fixture->peers, 1);
}

/* Send numbered Tokens until the queue is full and stays so: nothing moves on
 * in libzmq or the kernel either.  The first id that was not accepted. */
static uint64_t fill(struct wire_fixture *fixture, wire_peer peer, struct raw_peer *raw)
{
	static const uint8_t text[16384]; /* NULs are valid UTF-8 */
	struct message message = { .kind = MESSAGE_TOKENS, .request_id = 1 };

	message.u.tokens.text = text;
	message.u.tokens.text_len = sizeof(text);
	for (int still = 0; still < 100 && message.request_id < 100000; still++) {
		enum rc rc;
		while ((rc = wire_server_send(fixture->server, peer, &message)) == RC_OK) {
			message.request_id++;
			still = 0;
		}
		assert_int_equal(rc, RC_AGAIN);
		raw_beat(raw);
		raw_nap();
	}
	return message.request_id;
}

static void test_trap_slow_reader_loses_nothing_and_stalls_nobody(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct raw_peer slow;
	struct message message;
	struct arena arena;
	wire_fixture_init(&fixture);
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	fixture.server_config.peer_queue_max = 64;
	fixture.echo = true;
	wire_fixture_open_server(&fixture);
	dial_slow(&fixture, &slow);
	wire_peer slow_peer = wire_fixture_peer(&fixture);
	uint64_t accepted = fill(&fixture, slow_peer, &slow);
	assert_true(accepted > 64 + 32); /* the queue, and what libzmq holds */
	assert_true(accepted < 100000);

	/* Meanwhile another peer gets all it wants. */
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	for (unsigned i = 1; i <= 200; i++) {
		const struct message credit = { .kind = MESSAGE_CREDIT, .request_id = i };
		assert_int_equal(wire_client_send(fixture.client, &credit), RC_OK);
		wire_fixture_wait(&fixture, &fixture.client_messages, i);
		if (i % 20 == 0)
			raw_beat(&slow);
	}

	/* And all that was accepted arrives, in order. */
	for (uint64_t id = 1; id < accepted; id++) {
		raw_expect(&slow, &arena, MESSAGE_TOKENS, &message);
		assert_int_equal(message.request_id, id);
		arena_reset(&arena);
		if (id % 20 == 0)
			raw_beat(&slow);
	}
	const struct message done = { .kind = MESSAGE_DONE, .request_id = accepted };
	assert_int_equal(wire_server_send(fixture.server, slow_peer, &done), RC_OK);
	raw_expect(&slow, &arena, MESSAGE_DONE, &message);
	assert_int_equal(message.request_id, accepted);
	raw_close(&slow);
	arena_fini(&arena);
	wire_fixture_close(&fixture);
}

static void test_trap_many_messages_both_ways_arrive_in_order(void **state)
{
	(void)state;
	enum { MESSAGES = 5000 };
	struct wire_fixture fixture;
	wire_fixture_init(&fixture);
	fixture.server_config.peer_queue_max = MESSAGES;
	fixture.echo = true;
	wire_fixture_open_server(&fixture);
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	for (uint64_t id = 1; id <= MESSAGES;) {
		const struct message credit = { .kind = MESSAGE_CREDIT, .request_id = id };
		enum rc rc = wire_client_send(fixture.client, &credit);
		if (rc == RC_AGAIN) {
			raw_nap(); /* bounded, and honest about it */
			continue;
		}
		assert_int_equal(rc, RC_OK);
		id++;
	}
	wire_fixture_wait(&fixture, &fixture.client_messages, MESSAGES);
	for (size_t i = 0; i < MESSAGES; i++)
		assert_int_equal(fixture.client_ids[i], i + 1);
	wire_fixture_close(&fixture);
}

static void test_trap_largest_message_fits_both_ways(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct message message = { .kind = MESSAGE_ADAPTER_PUT, .request_id = 5 };
	uint8_t *chunk = calloc(1, WIRE_MESSAGE_BYTES_MAX);
	assert_non_null(chunk);
	wire_fixture_init(&fixture);
	fixture.server_config.peer_queue_bytes_max = 1 << 20; /* a first one fits anyhow */
	wire_fixture_open_server(&fixture);
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);

	message.u.adapter_put.chunk = chunk;
	message.u.adapter_put.chunk_len = WIRE_MESSAGE_BYTES_MAX - 64;
	message.u.adapter_put.total_bytes = WIRE_MESSAGE_BYTES_MAX;
	assert_int_equal(wire_client_send(fixture.client, &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.server_messages, 1);
	message = (struct message){ .kind = MESSAGE_TOKENS, .request_id = 6 };
	message.u.tokens.text = chunk;
	message.u.tokens.text_len = WIRE_MESSAGE_BYTES_MAX - 64;
	assert_int_equal(
	    wire_server_send(fixture.server, wire_fixture_peer(&fixture), &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.client_messages, 1);
	message.u.tokens.text_len = WIRE_MESSAGE_BYTES_MAX;
	assert_int_equal(
	    wire_server_send(fixture.server, wire_fixture_peer(&fixture), &message), RC_LIMIT);
	free(chunk);
	wire_fixture_close(&fixture);
}

/* Peers that come, talk and go while messages fly: for the sanitizers. */
static void test_trap_peers_that_leave_in_mid_stream_harm_nobody(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_open(&fixture);
	for (unsigned round = 1; round <= 10; round++) {
		wire_fixture_open_client(&fixture);
		wire_fixture_wait(&fixture, &fixture.ups, round);
		wire_fixture_wait(&fixture, &fixture.peers, round);
		wire_peer peer = wire_fixture_peer(&fixture);
		struct message done = { .kind = MESSAGE_DONE, .request_id = round };
		enum rc rc = RC_OK;
		for (int i = 0; i < 100 && rc != RC_CLOSED; i++) {
			rc = wire_server_send(fixture.server, peer, &done);
			if (i == 50)
				wire_fixture_close_client(&fixture);
		}
		wire_fixture_wait(&fixture, &fixture.gone, round);
		assert_int_equal(wire_server_send(fixture.server, peer, &done), RC_CLOSED);
	}
	wire_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trap_curve_without_a_zap_handler_lets_anyone_in),
		cmocka_unit_test(test_trap_slow_reader_loses_nothing_and_stalls_nobody),
		cmocka_unit_test(test_trap_many_messages_both_ways_arrive_in_order),
		cmocka_unit_test(test_trap_largest_message_fits_both_ways),
		cmocka_unit_test(test_trap_peers_that_leave_in_mid_stream_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
