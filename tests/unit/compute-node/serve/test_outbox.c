/* The outbox keeps what a peer does not take yet, in order and within limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "serve/outbox.h"

static struct {
	enum rc answer;      /* what the fake wire says */
	wire_peer only;      /* … to this peer; 0: to all */
	uint64_t sent[1024]; /* request ids in order */
	size_t sent_len;
} wire;

static enum rc fake_send(void *ctx, wire_peer peer, const struct message *message)
{
	(void)ctx;
	if (wire.answer != RC_OK && (wire.only == 0 || wire.only == peer))
		return wire.answer;
	assert_true(wire.sent_len < 1024);
	wire.sent[wire.sent_len++] = message->request_id;
	return RC_OK;
}

static struct outbox *outbox;

static int setup(void **state)
{
	(void)state;
	wire.answer = RC_OK;
	wire.only = 0;
	wire.sent_len = 0;
	log_set_level(LOG_LEVEL_ERROR);
	return outbox_new(fake_send, NULL, &outbox, NULL) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	outbox_free(outbox);
	return 0;
}

static void send_error(wire_peer peer, uint64_t request_id)
{
	const struct message message = { .request_id = request_id,
		.kind = MESSAGE_ERROR,
		.u.error = { .code = WIRE_ERROR_BUSY, .text = "the queue is full" } };

	outbox_send(outbox, peer, &message);
}

static void test_an_answer_that_fits_goes_out_at_once(void **state)
{
	(void)state;
	send_error(1, 5);
	assert_int_equal(wire.sent_len, 1);
	assert_false(outbox_flush(outbox));
}

static void test_answers_wait_for_a_full_peer_and_keep_their_order(void **state)
{
	(void)state;
	wire.answer = RC_AGAIN;
	for (uint64_t i = 1; i <= 3; i++)
		send_error(1, i);
	assert_true(outbox_flush(outbox));
	assert_int_equal(wire.sent_len, 0);
	wire.answer = RC_OK;
	send_error(1, 4); /* must not overtake */
	assert_int_equal(wire.sent_len, 0);
	assert_false(outbox_flush(outbox));
	assert_int_equal(wire.sent_len, 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(wire.sent[i], i + 1);
}

static void test_a_full_peer_does_not_hold_up_another(void **state)
{
	(void)state;
	wire.answer = RC_AGAIN;
	wire.only = 1;
	send_error(1, 1);
	send_error(2, 2);
	assert_int_equal(wire.sent_len, 1);
	assert_int_equal(wire.sent[0], 2);
	assert_true(outbox_flush(outbox));
}

static void test_what_was_kept_for_a_lost_peer_is_let_go(void **state)
{
	(void)state;
	wire.answer = RC_AGAIN;
	send_error(1, 1);
	wire.answer = RC_CLOSED;
	assert_false(outbox_flush(outbox));
	assert_int_equal(outbox_dropped(outbox), 0);
}

static void test_past_its_limit_it_counts_what_it_drops(void **state)
{
	(void)state;
	wire.answer = RC_AGAIN;
	for (uint64_t i = 0; i < OUTBOX_MESSAGES_MAX + 3; i++)
		send_error(1, i);
	assert_int_equal(outbox_dropped(outbox), 3);
	wire.answer = RC_OK;
	assert_false(outbox_flush(outbox));
	assert_int_equal(wire.sent_len, OUTBOX_MESSAGES_MAX);
	send_error(1, 9000);
	assert_int_equal(wire.sent_len, OUTBOX_MESSAGES_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_an_answer_that_fits_goes_out_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_answers_wait_for_a_full_peer_and_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_full_peer_does_not_hold_up_another, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_what_was_kept_for_a_lost_peer_is_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_past_its_limit_it_counts_what_it_drops, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
