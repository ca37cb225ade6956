/*
 * The two halves of the wire against each other on loopback: sessions, keys,
 * restarts, versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire_fixture.h"

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
	message = (struct message){ .kind = MESSAGE_DONE, .request_id = 77 };
	assert_int_equal(wire_server_send(fixture.server, fixture.peer, &message), RC_OK);
	wire_fixture_wait(&fixture, &fixture.client_messages, 1);
	wire_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_comes_up_and_carries_messages_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
