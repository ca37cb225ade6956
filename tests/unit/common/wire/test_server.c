/*
 * The server half against bare ZeroMQ peers: who gets in, what it answers to
 * what it should not be sent, and when a peer is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "raw_peer.h"

struct setup {
	struct wire_fixture fixture;
	struct raw_peer raw;
	struct arena arena;
	struct message message;
};

static void open_setup(struct setup *setup)
{
	wire_fixture_open(&setup->fixture);
	arena_init(&setup->arena, WIRE_ARENA_BYTES_MAX);
}

static void dial(struct setup *setup, struct raw_peer *raw, const char *routing)
{
	raw_dial(raw, setup->fixture.address, &setup->fixture.client_keys,
	    setup->fixture.server_keys.public_key, routing);
}

static void greet(struct setup *setup, struct raw_peer *raw)
{
	raw_hello(raw, 1, 1);
	raw_expect(raw, &setup->arena, MESSAGE_CAPABILITIES, &setup->message);
}

static void close_setup(struct setup *setup)
{
	wire_fixture_close(&setup->fixture);
	arena_fini(&setup->arena);
}

/* Wait for a counter of the server, at least `n`. */
#define wait_count(setup, counter, n)                                                              \
	do {                                                                                       \
		int64_t deadline_ns = wire_fixture_deadline();                                     \
		struct wire_server_counts counts;                                                  \
		for (;;) {                                                                         \
			wire_server_get_counts((setup)->fixture.server, &counts);                  \
			if (counts.counter >= (n))                                                 \
				break;                                                             \
			assert_true(clock_mono_ns() < deadline_ns);                                \
			raw_nap();                                                                 \
		}                                                                                  \
	} while (0)

static void test_server_refuses_an_unknown_key(void **state)
{
	(void)state;
	struct setup setup;
	struct wire_keypair stranger;
	open_setup(&setup);
	assert_int_equal(wire_keypair_new(&stranger, NULL), RC_OK);
	raw_dial(&setup.raw, setup.fixture.address, &stranger, setup.fixture.server_keys.public_key,
	    NULL);
	raw_hello(&setup.raw, 1, 1);
	wait_count(&setup, refused_key, 1);
	assert_false(raw_receive_within(&setup.raw, &setup.arena, &setup.message, 100));
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.peers), 0);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_refuses_plaintext(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	raw_dial(&setup.raw, setup.fixture.address, NULL, NULL, NULL);
	raw_hello(&setup.raw, 1, 1);
	wait_count(&setup, refused_handshake, 1);
	assert_false(raw_receive_within(&setup.raw, &setup.arena, &setup.message, 100));
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.peers), 0);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_is_not_found_by_a_client_of_another_server_key(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	raw_dial(&setup.raw, setup.fixture.address, &setup.fixture.client_keys,
	    setup.fixture.client_keys.public_key, NULL);
	raw_hello(&setup.raw, 1, 1);
	wait_count(&setup, refused_handshake, 1);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.peers), 0);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_greets_once_per_hello(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	assert_int_equal(setup.message.u.capabilities.protocol, 1);
	assert_string_equal(setup.message.u.capabilities.numerics_id, "cpu/scalar/k1");
	wire_fixture_wait(&setup.fixture, &setup.fixture.peers, 1);
	wire_peer first = wire_fixture_peer(&setup.fixture);
	/* A second Hello is a new session: the old peer is gone, ids differ. */
	greet(&setup, &setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.peers, 2);
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 1);
	assert_true(wire_fixture_peer(&setup.fixture) != first);
	struct message done = { .kind = MESSAGE_DONE };
	assert_int_equal(wire_server_send(setup.fixture.server, first, &done), RC_CLOSED);
	assert_int_equal(wire_server_send(setup.fixture.server, 0, &done), RC_CLOSED);
	raw_close(&setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 2);
	close_setup(&setup);
}

static void test_server_answers_without_hello_with_an_error_of_the_session(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	struct message credit = { .kind = MESSAGE_CREDIT, .request_id = 3 };
	raw_send(&setup.raw, &credit);
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 0);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.server_messages), 0);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_answers_bad_messages_with_the_field(void **state)
{
	(void)state;
	/* request 6, lease of 3 bytes */
	static const uint8_t lease[] = { 0x10, 6, 0x1A, 3, 1, 2, 3 };
	/* request 7, body 99 */
	static const uint8_t body[] = { 0x08, 1, 0x10, 7, 0x9A, 0x06, 0 };
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);

	raw_send_bytes(&setup.raw, lease, sizeof(lease));
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 6);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_INVALID);
	assert_non_null(strstr(setup.message.u.error.text, "lease_id"));

	raw_send_bytes(&setup.raw, body, sizeof(body));
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 7);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_UNSUPPORTED);

	/* What only a compute node says. */
	struct message done = { .kind = MESSAGE_DONE, .request_id = 8 };
	raw_send(&setup.raw, &done);
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 8);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_UNSUPPORTED);

	/* Another version than agreed. */
	struct message credit = { .protocol = 2, .kind = MESSAGE_CREDIT, .request_id = 9 };
	raw_send(&setup.raw, &credit);
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_VERSION);

	/* The session lives on. */
	credit.protocol = 1;
	raw_send(&setup.raw, &credit);
	wire_fixture_wait(&setup.fixture, &setup.fixture.server_messages, 1);
	assert_int_equal(setup.fixture.last_request_id, 9);
	wait_count(&setup, bad_messages, 4);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_takes_one_part_of_bounded_size(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	uint8_t *bytes = calloc(1, WIRE_MESSAGE_BYTES_MAX + (1 << 20));
	assert_non_null(bytes);

	assert_true(zmq_send(setup.raw.socket, "a", 1, ZMQ_SNDMORE) >= 0);
	raw_send_bytes(&setup.raw, "b", 1);
	wait_count(&setup, bad_messages, 1);
	/* A little too long: told. */
	raw_send_bytes(&setup.raw, bytes, WIRE_MESSAGE_BYTES_MAX + 1);
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_LIMIT);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.gone), 0);
	/* Far too long: cut before it is taken in. */
	raw_send_bytes(&setup.raw, bytes, WIRE_MESSAGE_BYTES_MAX + (1 << 20));
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 1);
	free(bytes);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_agrees_on_the_highest_common_version(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	raw_hello(&setup.raw, 1, 9); /* a newer node that still speaks ours */
	raw_expect(&setup.raw, &setup.arena, MESSAGE_CAPABILITIES, &setup.message);
	assert_int_equal(setup.message.u.capabilities.protocol, WIRE_PROTOCOL_MAX);
	raw_hello(&setup.raw, WIRE_PROTOCOL_MAX + 1, 9); /* one that does not */
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_VERSION);
	raw_hello(&setup.raw, 0, 0); /* one from before the first */
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_VERSION);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_drops_a_silent_peer_and_keeps_a_beating_one(void **state)
{
	(void)state;
	struct setup setup;
	struct raw_peer silent;
	wire_fixture_init(&setup.fixture);
	arena_init(&setup.arena, WIRE_ARENA_BYTES_MAX);
	setup.fixture.server_config.dead_ns = 2 * NS_PER_S;
	setup.fixture.server_config.heartbeat_ns = 20 * NS_PER_MS;
	wire_fixture_open_server(&setup.fixture);
	dial(&setup, &silent, NULL);
	greet(&setup, &silent);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.peers, 2);
	wire_peer beating = wire_fixture_peer(&setup.fixture);

	/* The silent one is heard of too: only its own silence counts. */
	while (wire_fixture_get(&setup.fixture, &setup.fixture.gone) < 1) {
		raw_beat(&setup.raw);
		raw_expect(&setup.raw, &setup.arena, MESSAGE_HEARTBEAT, &setup.message);
	}
	struct message done = { .kind = MESSAGE_DONE };
	assert_int_equal(wire_server_send(setup.fixture.server, beating, &done), RC_OK);
	wait_count(&setup, dropped_peers, 1);
	/* What the dropped one says later is of no session. */
	raw_beat(&silent);
	raw_expect(&silent, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 0);
	raw_close(&silent);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_knows_at_once_that_a_peer_hung_up(void **state)
{
	(void)state;
	struct setup setup;
	wire_fixture_init(&setup.fixture);
	arena_init(&setup.arena, WIRE_ARENA_BYTES_MAX);
	setup.fixture.server_config.dead_ns = 3600 * NS_PER_S; /* not by silence */
	wire_fixture_open_server(&setup.fixture);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.peers, 1);
	raw_close(&setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 1);
	close_setup(&setup);
}

static void test_server_second_peer_of_one_routing_id_cannot_disturb_the_first(void **state)
{
	(void)state;
	struct setup setup;
	struct raw_peer second;
	open_setup(&setup);
	dial(&setup, &setup.raw, "same");
	greet(&setup, &setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.peers, 1);
	dial(&setup, &second, "same");
	raw_hello(&second, 1, 1);
	assert_false(raw_receive_within(&second, &setup.arena, &setup.message, 200));
	struct message credit = { .kind = MESSAGE_CREDIT, .request_id = 1 };
	raw_send(&setup.raw, &credit);
	wire_fixture_wait(&setup.fixture, &setup.fixture.server_messages, 1);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.peers), 1);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.gone), 0);
	raw_close(&second);
	raw_close(&setup.raw);
	close_setup(&setup);
}

/* The id comes back under another key: no session is inherited with it. */
static void test_server_binds_a_peer_to_the_key_that_opened_it(void **state)
{
	(void)state;
	struct setup setup;
	struct wire_keypair other;
	open_setup(&setup);
	assert_int_equal(wire_keypair_new(&other, NULL), RC_OK);
	assert_int_equal(wire_allow_add(setup.fixture.allow_path, other.public_key, NULL), RC_OK);
	dial(&setup, &setup.raw, "mine");
	greet(&setup, &setup.raw);
	raw_close(&setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 1);

	raw_dial(&setup.raw, setup.fixture.address, &other, setup.fixture.server_keys.public_key,
	    "mine");
	struct message renew = { .kind = MESSAGE_LEASE_RENEW, .request_id = 2, .has_lease = true };
	raw_send(&setup.raw, &renew);
	raw_expect(&setup.raw, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.request_id, 0);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.server_messages), 0);
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_full_of_peers_says_busy(void **state)
{
	(void)state;
	struct setup setup;
	struct raw_peer second;
	wire_fixture_init(&setup.fixture);
	arena_init(&setup.arena, WIRE_ARENA_BYTES_MAX);
	setup.fixture.server_config.peers_max = 1;
	wire_fixture_open_server(&setup.fixture);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	dial(&setup, &second, NULL);
	raw_hello(&second, 1, 1);
	raw_expect(&second, &setup.arena, MESSAGE_ERROR, &setup.message);
	assert_int_equal(setup.message.u.error.code, WIRE_ERROR_BUSY);
	/* Room again once the first has left. */
	raw_close(&setup.raw);
	wire_fixture_wait(&setup.fixture, &setup.fixture.gone, 1);
	greet(&setup, &second);
	raw_close(&second);
	close_setup(&setup);
}

static void test_server_drops_a_peer_whose_key_was_taken_out(void **state)
{
	(void)state;
	struct setup setup;
	open_setup(&setup);
	dial(&setup, &setup.raw, NULL);
	greet(&setup, &setup.raw);
	/* A list that cannot be read drops nobody who is in. */
	FILE *file = fopen(setup.fixture.allow_path, "a");
	assert_non_null(file);
	assert_true(fputs("not a key\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	struct raw_peer second;
	dial(&setup, &second, NULL);
	raw_hello(&second, 1, 1);
	wait_count(&setup, refused_key, 1);
	raw_close(&second);
	assert_int_equal(wire_fixture_get(&setup.fixture, &setup.fixture.gone), 0);

	assert_int_equal(unlink(setup.fixture.allow_path), 0);
	int64_t deadline_ns = wire_fixture_deadline();
	while (wire_fixture_get(&setup.fixture, &setup.fixture.gone) == 0) {
		raw_beat(&setup.raw); /* silence is not what drops it */
		assert_true(clock_mono_ns() < deadline_ns);
		raw_nap();
	}
	raw_close(&setup.raw);
	close_setup(&setup);
}

static void test_server_address_must_be_free_and_tcp(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "ipc:///tmp/x", "inproc://x", "tcp://127.0.0.1",
		"tcp://:1", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "tcp://127.0.0.1:-1",
		"tcp://127.0.0.1/:1", "tcp://no such host:80" };
	struct setup setup;
	struct wire_server *other;
	open_setup(&setup);
	struct wire_server_config config = setup.fixture.server_config;
	assert_int_equal(wire_server_open(&config, &other, NULL), RC_BUSY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct errmsg why = ERRMSG_INIT;
		config.listen = bad[i];
		assert_int_equal(wire_server_open(&config, &other, &why), RC_CONFIG);
		assert_true(why.text[0] != '\0');
	}
	close_setup(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_refuses_an_unknown_key),
		cmocka_unit_test(test_server_refuses_plaintext),
		cmocka_unit_test(test_server_is_not_found_by_a_client_of_another_server_key),
		cmocka_unit_test(test_server_greets_once_per_hello),
		cmocka_unit_test(test_server_answers_without_hello_with_an_error_of_the_session),
		cmocka_unit_test(test_server_answers_bad_messages_with_the_field),
		cmocka_unit_test(test_server_takes_one_part_of_bounded_size),
		cmocka_unit_test(test_server_agrees_on_the_highest_common_version),
		cmocka_unit_test(test_server_drops_a_silent_peer_and_keeps_a_beating_one),
		cmocka_unit_test(test_server_knows_at_once_that_a_peer_hung_up),
		cmocka_unit_test(
		    test_server_second_peer_of_one_routing_id_cannot_disturb_the_first),
		cmocka_unit_test(test_server_binds_a_peer_to_the_key_that_opened_it),
		cmocka_unit_test(test_server_full_of_peers_says_busy),
		cmocka_unit_test(test_server_drops_a_peer_whose_key_was_taken_out),
		cmocka_unit_test(test_server_address_must_be_free_and_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
