/* Messages in memory that was taken beforehand: the same bytes, none taken, none left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "os/pages.h"
#include "wire/frame.h"

#define SMALL_BYTES ((size_t)1024)
#define LARGE_BYTES ((size_t)8000)
#define TEXT_MAX ((size_t)20000)

static char text[TEXT_MAX];

static const struct wire_pool *sizes_of(size_t small_n, size_t large_n)
{
	static struct wire_pool sizes[2];

	sizes[0] = (struct wire_pool){ small_n, SMALL_BYTES };
	sizes[1] = (struct wire_pool){ large_n, LARGE_BYTES };
	return sizes;
}

static struct message tokens(size_t len)
{
	struct message message = { .kind = MESSAGE_TOKENS, .request_id = 7 };

	message.u.tokens.text = (const uint8_t *)text;
	message.u.tokens.text_len = len;
	return message;
}

static struct frame *frame_of(struct frame_pool *pool, size_t len)
{
	const struct message message = tokens(len);
	struct frame *frame = NULL;

	assert_int_equal(frame_new(&message, 1, pool, &frame, NULL), RC_OK);
	return frame;
}

/* What goes over a socket, against what a frame of the heap holds. */
static void assert_sends_the_same(struct frame_pool *pool, size_t len)
{
	void *zmq = zmq_ctx_new(), *from = zmq_socket(zmq, ZMQ_PAIR),
	     *to = zmq_socket(zmq, ZMQ_PAIR);
	struct frame *heap = frame_of(NULL, len), *pooled = frame_of(pool, len);
	zmq_msg_t got;

	assert_int_equal(zmq_bind(to, "inproc://frames"), 0);
	assert_int_equal(zmq_connect(from, "inproc://frames"), 0);
	assert_int_equal(heap->len, pooled->len);
	assert_true(frame_send(pooled, from));
	(void)zmq_msg_init(&got);
	assert_int_equal(zmq_msg_recv(&got, to, 0), (int)heap->len);
	assert_memory_equal(zmq_msg_data(&got), zmq_msg_data(&heap->message), heap->len);
	(void)zmq_msg_close(&got);
	frame_free(heap);
	frame_free(pooled);
	(void)zmq_close(from);
	(void)zmq_close(to);
	(void)zmq_ctx_term(zmq);
}

static void test_pooled_messages_have_the_same_bytes(void **state)
{
	(void)state;
	struct frame_pool *pool = NULL;
	assert_int_equal(frame_pool_new(sizes_of(2, 1), 2, &pool), RC_OK);
	for (int i = 0; i < 3; i++) { /* blocks are used again */
		assert_sends_the_same(pool, 5);
		assert_sends_the_same(pool, 5000);
		assert_sends_the_same(pool, TEXT_MAX);
	}
	frame_pool_free(pool);
}

static void test_a_message_takes_the_block_that_it_needs_and_else_the_heap(void **state)
{
	(void)state;
	struct frame_pool *pool = NULL;
	struct frame *frames[6];
	assert_int_equal(frame_pool_new(sizes_of(2, 1), 2, &pool), RC_OK);
	for (int i = 0; i < 4; i++)
		frames[i] = frame_of(pool, 5);
	assert_int_equal(frames[0]->cap, SMALL_BYTES);
	assert_int_equal(frames[1]->cap, SMALL_BYTES);
	assert_int_equal(frames[2]->cap, LARGE_BYTES); /* no small one was left */
	assert_null(frames[3]->pool);
	frames[4] = frame_of(pool, 5000);
	assert_null(frames[4]->pool);
	frame_free(frames[2]);
	frames[2] = frame_of(pool, 5000);
	assert_int_equal(frames[2]->cap, LARGE_BYTES);
	frames[5] = frame_of(pool, TEXT_MAX);
	assert_null(frames[5]->pool);
	for (int i = 0; i < 6; i++)
		frame_free(frames[i]);
	frame_pool_free(pool);
}

static void test_a_block_that_comes_back_is_zero(void **state)
{
	(void)state;
	struct frame_pool *pool = NULL;
	static const uint8_t zeros[SMALL_BYTES];
	assert_int_equal(frame_pool_new(sizes_of(1, 0), 1, &pool), RC_OK);
	struct frame *frame = frame_of(pool, 600);
	const uint8_t *bytes = frame->bytes;
	assert_non_null(memmem(bytes, SMALL_BYTES, text, 600));
	frame_free(frame);
	assert_memory_equal(bytes, zeros, SMALL_BYTES);
	/* Also of one that turned out not to fit. */
	frame = frame_of(pool, TEXT_MAX);
	assert_memory_equal(bytes, zeros, SMALL_BYTES);
	frame_free(frame);
	frame_pool_free(pool);
}

static void test_what_the_peer_would_not_decode_is_refused_with_a_pool_too(void **state)
{
	(void)state;
	struct frame_pool *pool = NULL;
	struct frame *frame = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct message message = tokens(3);
	static const uint8_t broken[] = { 'a', 0xC3, 'b' };
	message.u.tokens.text = broken;
	assert_int_equal(frame_pool_new(sizes_of(1, 1), 2, &pool), RC_OK);
	assert_int_equal(frame_new(&message, 1, pool, &frame, &why), RC_INVALID);
	assert_string_not_equal(why.text, "");
	struct frame *small = frame_of(pool, 5), *large = frame_of(pool, 5);
	assert_ptr_equal(small->pool, pool);
	assert_ptr_equal(large->pool, pool);
	frame_free(small);
	frame_free(large);
	frame_pool_free(pool);
}

static void test_a_pool_takes_the_pages_that_it_says(void **state)
{
	(void)state;
	struct frame_pool *pool = NULL;
	size_t before = pages_taken(), bytes = frame_pool_bytes(sizes_of(30, 5), 2);
	assert_true(bytes >= 30 * SMALL_BYTES + 5 * LARGE_BYTES);
	assert_int_equal(wire_server_pool_bytes(sizes_of(30, 5), 2), bytes);
	assert_int_equal(frame_pool_new(sizes_of(30, 5), 2, &pool), RC_OK);
	assert_int_equal(pages_taken() - before, bytes);
	frame_pool_free(pool);
	assert_int_equal(pages_taken(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pooled_messages_have_the_same_bytes),
		cmocka_unit_test(test_a_message_takes_the_block_that_it_needs_and_else_the_heap),
		cmocka_unit_test(test_a_block_that_comes_back_is_zero),
		cmocka_unit_test(test_a_pool_takes_the_pages_that_it_says),
		cmocka_unit_test(test_what_the_peer_would_not_decode_is_refused_with_a_pool_too),
	};

	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (char)('a' + i % 26);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
