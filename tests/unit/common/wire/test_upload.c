/* An upload sends every byte once, in order, and no more chunks than it has credit for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/upload.h"

#define LEN (6 * UPLOAD_CHUNK_BYTES + 77)

static uint8_t *bytes;
static const uint8_t lease[WIRE_LEASE_BYTES] = { 8 };

static int fill(void **unused)
{
	(void)unused;
	bytes = malloc(LEN);
	for (size_t i = 0; bytes != NULL && i < LEN; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return bytes != NULL ? 0 : -1;
}

static int clear(void **unused)
{
	(void)unused;
	free(bytes);
	return 0;
}

static struct message state(uint64_t request_id, size_t received, bool active)
{
	struct message m = { .request_id = request_id, .kind = MESSAGE_ADAPTER_STATE };

	m.u.adapter_state = (struct wire_adapter_state){ received, active };
	return m;
}

static void test_every_byte_goes_once_in_order_and_within_the_credit(void **unused)
{
	struct wire_upload upload;
	struct message chunk, answer;
	uint64_t next = 1, answered = 0;
	size_t sent = 0, received = 0;
	enum rc rc = RC_AGAIN;

	(void)unused;
	assert_int_equal(wire_upload_init(&upload, lease, bytes, LEN, NULL), RC_OK);
	while (rc == RC_AGAIN) {
		while (wire_upload_next(&upload, next, &chunk)) {
			const struct wire_adapter_put *put = &chunk.u.adapter_put;

			assert_int_equal(chunk.request_id, next++);
			assert_memory_equal(chunk.lease_id, lease, WIRE_LEASE_BYTES);
			assert_int_equal(put->total_bytes, LEN);
			assert_int_equal(put->offset, sent);
			assert_ptr_equal(put->chunk, bytes + sent);
			sent += put->chunk_len;
		}
		assert_int_equal(next - answered - 1,
		    next - answered - 1 < UPLOAD_CHUNKS ? 7 - answered : UPLOAD_CHUNKS);
		answered++;
		received +=
		    LEN - received < UPLOAD_CHUNK_BYTES ? LEN - received : UPLOAD_CHUNK_BYTES;
		answer = state(answered, received, received == LEN);
		rc = wire_upload_take(&upload, &answer, NULL);
	}
	assert_int_equal(rc, RC_OK);
	assert_int_equal(sent, LEN);
	assert_false(wire_upload_next(&upload, next, &chunk));
}

static void test_a_refusal_says_what_the_node_says(void **unused)
{
	struct wire_upload upload;
	struct errmsg why = ERRMSG_INIT;
	struct message chunk, answer = { .request_id = 5, .kind = MESSAGE_ERROR };

	(void)unused;
	answer.u.error.text = "no room";
	assert_int_equal(wire_upload_init(&upload, lease, bytes, 10, NULL), RC_OK);
	assert_true(wire_upload_next(&upload, 5, &chunk));
	answer.request_id = 6;
	assert_int_equal(wire_upload_take(&upload, &answer, &why), RC_NOTFOUND);
	answer.request_id = 0; /* of the session */
	assert_int_equal(wire_upload_take(&upload, &answer, &why), RC_NOTFOUND);
	answer.request_id = 5;
	assert_int_equal(wire_upload_take(&upload, &answer, &why), RC_DENIED);
	assert_string_equal(why.text, "no room");
	assert_int_equal(wire_upload_init(&upload, lease, bytes, 0, &why), RC_INVALID);
}

static void expect_corrupt(size_t received, bool active)
{
	struct wire_upload upload;
	struct message chunk, answer = state(3, received, active);

	assert_int_equal(wire_upload_init(&upload, lease, bytes, LEN, NULL), RC_OK);
	assert_true(wire_upload_next(&upload, 3, &chunk));
	assert_int_equal(wire_upload_take(&upload, &answer, NULL), RC_CORRUPT);
}

static void test_answers_that_make_no_sense_end_it(void **unused)
{
	(void)unused;
	expect_corrupt(0, false);
	expect_corrupt(UPLOAD_CHUNK_BYTES + 1, false);
	expect_corrupt(UPLOAD_CHUNK_BYTES, true);
	expect_corrupt(LEN, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_goes_once_in_order_and_within_the_credit),
		cmocka_unit_test(test_a_refusal_says_what_the_node_says),
		cmocka_unit_test(test_answers_that_make_no_sense_end_it),
	};

	return cmocka_run_group_tests(tests, fill, clear);
}
