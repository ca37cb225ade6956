/*
 * The client half: sessions over restarts of the server, refusals, versions,
 * bounded queues.  Servers are ours, or bare ROUTERs that misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <unistd.h>

#include "base/clock.h"
#include "raw_peer.h"

/* A bare CURVE ROUTER in the place of the compute node. */
struct fake {
	void *zmq, *router;
	uint8_t routing[256];
	size_t routing_len;
};

static void fake_open(struct wire_fixture *fixture, struct fake *fake)
{
	size_t len = sizeof(fixture->address);

	fake->zmq = zmq_ctx_new();
	fake->router = zmq_socket(fake->zmq, ZMQ_ROUTER);
	assert_non_null(fake->router);
	raw_int(fake->router, ZMQ_LINGER, 0);
	raw_int(fake->router, ZMQ_CURVE_SERVER, 1);
	raw_int(fake->router, ZMQ_RCVHWM, 1);
	raw_int(fake->router, ZMQ_RCVBUF, 8192);
	assert_int_equal(
	    zmq_setsockopt(fake->router, ZMQ_CURVE_SECRETKEY, fixture->server_keys.secret_key, 32),
	    0);
	assert_int_equal(zmq_bind(fake->router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(
	    zmq_getsockopt(fake->router, ZMQ_LAST_ENDPOINT, fixture->address, &len), 0);
}

static void fake_close(struct fake *fake)
{
	(void)zmq_close(fake->router);
	(void)zmq_ctx_term(fake->zmq);
}

/* The next message of whichever client; its kind. */
static enum message_kind fake_receive(struct fake *fake)
{
	struct message message;
	struct arena arena;
	uint8_t bytes[4096];

	raw_int(fake->router, ZMQ_RCVTIMEO, 60000);
	int len = zmq_recv(fake->router, fake->routing, sizeof(fake->routing), 0);
	assert_true(len > 0);
	fake->routing_len = (size_t)len;
	len = zmq_recv(fake->router, bytes, sizeof(bytes), 0);
	assert_true(len > 0 && len < (int)sizeof(bytes));
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	assert_int_equal(message_decode(bytes, (size_t)len, &arena, &message, NULL), RC_OK);
	enum message_kind kind = message.kind;
	arena_fini(&arena);
	return kind;
}

static void fake_send(struct fake *fake, const struct message *message)
{
	struct buf bytes;

	buf_init(&bytes, WIRE_MESSAGE_BYTES_MAX);
	assert_int_equal(message_encode(message, &bytes, NULL), RC_OK);
	assert_true(zmq_send(fake->router, fake->routing, fake->routing_len, ZMQ_SNDMORE) >= 0);
	assert_true(zmq_send(fake->router, bytes.bytes, bytes.len, 0) >= 0);
	buf_fini(&bytes);
}

static void fake_greet(struct fake *fake, uint32_t protocol)
{
	struct message message = { .kind = MESSAGE_CAPABILITIES };

	while (fake_receive(fake) != MESSAGE_HELLO)
		;
	message.u.capabilities.protocol = protocol;
	message.u.capabilities.numerics_id = "cpu/scalar/k1";
	fake_send(fake, &message);
}

static void test_link_comes_up_and_carries_messages_both_ways(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_open(&fixture);
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	assert_int_equal(wire_client_state(fixture.client), WIRE_LINK_UP);
	assert_int_equal(wire_client_session(fixture.client), 1);

	struct message message = { .kind = MESSAGE_CREDIT, .request_id = 77, .u.credit = 5 };
	assert_int_equal(wire_client_send(fixture.client, &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.server_messages, 1);
	assert_int_equal(fixture.last_request_id, 77);
	assert_int_equal(fixture.last_kind, MESSAGE_CREDIT);
	message = (struct message){ .kind = MESSAGE_DONE, .request_id = 77 };
	assert_int_equal(
	    wire_server_send(fixture.server, wire_fixture_peer(&fixture), &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.client_messages, 1);
	assert_int_equal(fixture.client_ids[0], 77);
	wire_fixture_close(&fixture);
}

static void test_link_comes_up_over_ipv6(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct wire_server *probe;
	wire_fixture_init(&fixture);
	fixture.server_config.listen = "tcp://[::1]:0";
	bool ipv6 = wire_server_open(&fixture.server_config, &probe, NULL) == RC_OK;
	if (ipv6) {
		wire_server_close(probe);
		wire_fixture_open_server(&fixture);
		wire_fixture_open_client(&fixture);
		wire_fixture_wait(&fixture, &fixture.ups, 1);
	}
	wire_fixture_close(&fixture);
	if (!ipv6)
		skip(); /* no IPv6 on this machine */
}

static void test_link_comes_up_in_either_order_of_starts(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_open(&fixture);
	wire_fixture_close_server(&fixture); /* its port is known now */
	wire_fixture_open_client(&fixture);
	struct message message = { .kind = MESSAGE_CREDIT };
	assert_int_equal(wire_client_send(fixture.client, &message), RC_CLOSED);
	assert_int_equal(wire_client_session(fixture.client), 0);
	wire_fixture_open_server(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.downs), 0);
	wire_fixture_close(&fixture);
}

static void test_link_survives_restarts_with_one_up_and_one_down_each(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_open(&fixture);
	wire_fixture_open_client(&fixture);
	for (unsigned i = 1; i <= 4; i++) {
		wire_fixture_wait(&fixture, &fixture.ups, i);
		assert_int_equal(wire_client_session(fixture.client), i);
		assert_int_equal(wire_fixture_get(&fixture, &fixture.downs), i - 1);
		wire_fixture_close_server(&fixture);
		wire_fixture_wait(&fixture, &fixture.downs, i);
		assert_int_equal(fixture.down_reason, RC_CLOSED);
		assert_int_equal(wire_fixture_get(&fixture, &fixture.ups), i);
		struct message message = { .kind = MESSAGE_CREDIT };
		assert_int_equal(wire_client_send(fixture.client, &message), RC_CLOSED);
		wire_fixture_open_server(&fixture);
	}
	wire_fixture_wait(&fixture, &fixture.ups, 5);
	wire_fixture_close_client(&fixture);
	assert_int_equal(fixture.downs, 5); /* closing ends a session too */
	assert_int_equal(fixture.ups, 5);
	wire_fixture_close(&fixture);
}

static void test_link_messages_of_an_old_session_are_never_delivered(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	fake_greet(&fake, 1);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	/* It stops reading, while ours fills up; then it is gone. */
	static const uint8_t chunk[65536];
	struct message message = { .kind = MESSAGE_ADAPTER_PUT };
	message.u.adapter_put.chunk = chunk;
	message.u.adapter_put.chunk_len = sizeof(chunk);
	message.u.adapter_put.total_bytes = sizeof(chunk);
	enum rc rc = RC_OK;
	for (int i = 0; rc == RC_OK && i < 100000; i++) {
		message.request_id = 1000 + (uint64_t)i;
		rc = wire_client_send(fixture.client, &message);
	}
	assert_int_equal(rc, RC_AGAIN); /* told, not dropped */
	fake_close(&fake);
	wire_fixture_wait(&fixture, &fixture.downs, 1);

	fixture.server_config.listen = fixture.address;
	wire_fixture_open_server(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 2);
	message = (struct message){ .kind = MESSAGE_CREDIT, .request_id = 7 };
	assert_int_equal(wire_client_send(fixture.client, &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.server_messages, 1);
	assert_int_equal(fixture.last_request_id, 7);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.server_messages), 1);
	wire_fixture_close(&fixture);
}

static void test_link_with_an_unknown_key_is_denied_until_it_is_allowed(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_init(&fixture);
	assert_int_equal(unlink(fixture.allow_path), 0);
	wire_fixture_open_server(&fixture);
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.downs, 1);
	assert_int_equal(fixture.down_reason, RC_DENIED);
	assert_int_equal(wire_client_state(fixture.client), WIRE_LINK_REFUSED);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.ups), 0);
	/* `compute-node allow` while it serves. */
	assert_int_equal(
	    wire_allow_add(fixture.allow_path, fixture.client_keys.public_key, NULL), RC_OK);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.downs), 1); /* told once */
	wire_fixture_close(&fixture);
}

static void test_link_to_another_server_key_is_denied(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_open(&fixture);
	fixture.client_config.server_key = fixture.client_keys.public_key;
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.downs, 1);
	assert_int_equal(fixture.down_reason, RC_DENIED);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.ups), 0);
	wire_fixture_close(&fixture);
}

static void expect_unsupported(struct wire_fixture *fixture)
{
	wire_fixture_wait(fixture, &fixture->downs, 1);
	assert_int_equal(fixture->down_reason, RC_UNSUPPORTED);
	assert_int_equal(wire_client_state(fixture->client), WIRE_LINK_REFUSED);
	assert_int_equal(wire_fixture_get(fixture, &fixture->ups), 0);
}

static void test_link_to_a_node_without_a_common_version_is_unsupported(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	while (fake_receive(&fake) != MESSAGE_HELLO)
		;
	struct message error = { .kind = MESSAGE_ERROR, .protocol = 9 };
	error.u.error.code = WIRE_ERROR_VERSION;
	fake_send(&fake, &error);
	expect_unsupported(&fixture);
	fake_close(&fake);
	wire_fixture_close(&fixture);
}

static void test_link_to_a_node_that_chose_a_version_not_offered_is_unsupported(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	fake_greet(&fake, WIRE_PROTOCOL_MAX + 1);
	expect_unsupported(&fixture);
	fake_close(&fake);
	wire_fixture_close(&fixture);
}

static void test_link_ends_when_the_node_falls_silent(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fixture.client_config.dead_ns = 300 * NS_PER_MS;
	fixture.client_config.heartbeat_ns = 50 * NS_PER_MS;
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	fake_greet(&fake, 1);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	wire_fixture_wait(&fixture, &fixture.downs, 1); /* connected, but frozen */
	assert_int_equal(fixture.down_reason, RC_TIMEOUT);
	fake_greet(&fake, 1); /* thawed: the next session */
	wire_fixture_wait(&fixture, &fixture.ups, 2);
	fake_close(&fake);
	wire_fixture_close(&fixture);
}

static void test_link_ends_when_the_node_does_not_know_the_session(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	fake_greet(&fake, 1);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	struct message error = { .kind = MESSAGE_ERROR, .request_id = 0 };
	error.u.error.code = WIRE_ERROR_INVALID;
	fake_send(&fake, &error);
	wire_fixture_wait(&fixture, &fixture.downs, 1);
	assert_int_equal(fixture.down_reason, RC_CLOSED);
	fake_close(&fake);
	wire_fixture_close(&fixture);
}

static void test_link_tells_of_an_answer_that_cannot_be_read(void **state)
{
	(void)state;
	/* request 12, started without a content hash */
	static const uint8_t bytes[] = { 0x10, 12, 0xBA, 0x01, 0 };
	struct wire_fixture fixture;
	struct fake fake;
	wire_fixture_init(&fixture);
	fake_open(&fixture, &fake);
	wire_fixture_open_client(&fixture);
	fake_greet(&fake, 1);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	assert_true(zmq_send(fake.router, fake.routing, fake.routing_len, ZMQ_SNDMORE) >= 0);
	assert_true(zmq_send(fake.router, bytes, sizeof(bytes), 0) >= 0);
	wire_fixture_wait(&fixture, &fixture.client_errors, 1);
	assert_int_equal(fixture.error_code, WIRE_ERROR_INTERNAL);
	assert_int_equal(fixture.client_ids[0], 12);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.downs), 0);
	fake_close(&fake);
	wire_fixture_close(&fixture);
}

static void test_link_that_goes_mute_for_long_stays_up_by_heartbeats(void **state)
{
	(void)state;
	struct wire_fixture fixture;
	wire_fixture_init(&fixture);
	fixture.server_config.dead_ns = fixture.client_config.dead_ns = 2 * NS_PER_S;
	fixture.server_config.heartbeat_ns = 100 * NS_PER_MS;
	fixture.client_config.heartbeat_ns = 100 * NS_PER_MS;
	wire_fixture_open_server(&fixture);
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	clock_t cpu = clock();
	/* Longer than the silence that would end it. */
	wire_fixture_wait(&fixture, &fixture.client_beats, 25);
	/* Two idle halves sleep: one that spins takes seconds here. */
	assert_true(clock() - cpu < CLOCKS_PER_SEC);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.downs), 0);
	assert_int_equal(wire_fixture_get(&fixture, &fixture.gone), 0);
	wire_fixture_close(&fixture);
}

static void test_link_addresses_are_checked(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "host:1",
		"ipc:///tmp/x", "tcp://127.0.0.1:99999", "tcp://a;b:1" };
	struct wire_fixture fixture;
	wire_fixture_init(&fixture);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire_client *client;
		fixture.client_config.address = bad[i];
		assert_int_equal(
		    wire_client_open(&fixture.client_config, &client, NULL), RC_CONFIG);
	}
	wire_fixture_close(&fixture);
}

static void test_link_request_ids_are_unique(void **state)
{
	(void)state;
	uint64_t last = wire_client_next_id();
	assert_true(last != 0);
	for (int i = 0; i < 100; i++) {
		uint64_t next = wire_client_next_id();
		assert_true(next > last);
		last = next;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_comes_up_and_carries_messages_both_ways),
		cmocka_unit_test(test_link_comes_up_over_ipv6),
		cmocka_unit_test(test_link_comes_up_in_either_order_of_starts),
		cmocka_unit_test(test_link_survives_restarts_with_one_up_and_one_down_each),
		cmocka_unit_test(test_link_messages_of_an_old_session_are_never_delivered),
		cmocka_unit_test(test_link_with_an_unknown_key_is_denied_until_it_is_allowed),
		cmocka_unit_test(test_link_to_another_server_key_is_denied),
		cmocka_unit_test(test_link_to_a_node_without_a_common_version_is_unsupported),
		cmocka_unit_test(
		    test_link_to_a_node_that_chose_a_version_not_offered_is_unsupported),
		cmocka_unit_test(test_link_ends_when_the_node_falls_silent),
		cmocka_unit_test(test_link_ends_when_the_node_does_not_know_the_session),
		cmocka_unit_test(test_link_tells_of_an_answer_that_cannot_be_read),
		cmocka_unit_test(test_link_that_goes_mute_for_long_stays_up_by_heartbeats),
		cmocka_unit_test(test_link_addresses_are_checked),
		cmocka_unit_test(test_link_request_ids_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
