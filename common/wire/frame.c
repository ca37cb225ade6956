/* Frames: encoded messages on their way out. */
#include "wire/frame.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

/* libzmq is done with the bytes: called from a thread of its own. */
static void release_bytes(void *bytes, void *hint)
{
	size_t len = (size_t)(uintptr_t)hint;

	wipe(bytes, len);
	free(bytes);
}

/* libzmq's form of `bytes`, which are its own from here on. */
static enum rc hand_over(struct frame *frame, uint8_t *bytes)
{
	void *hint = (void *)(uintptr_t)frame->len;

	if (zmq_msg_init_data(&frame->message, bytes, frame->len, release_bytes, hint) != 0) {
		release_bytes(bytes, hint);
		return RC_NOMEM;
	}
	frame->made = true;
	return RC_OK;
}

/* ---- the pool ------------------------------------------------------------------- */

struct frame_pool {
	pthread_mutex_t lock;
	struct frame *small, *large; /* free ones */
	size_t large_bytes;
	void *memory;
};

static struct frame *lay_out(struct frame_pool *pool, uint8_t *memory, size_t n, size_t cap)
{
	struct frame *first = NULL;

	for (size_t i = 0; i < n; i++) {
		void *at = memory + i * (sizeof(struct frame) + cap);
		struct frame *frame = at;

		*frame = (struct frame){ .next = first, .pool = pool, .cap = cap };
		frame->bytes = (uint8_t *)(frame + 1);
		first = frame;
	}
	return first;
}

enum rc frame_pool_new(size_t small_n, size_t large_n, size_t large_bytes, struct frame_pool **out)
{
	const size_t align = alignof(max_align_t), head = sizeof(struct frame);
	struct frame_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL || pthread_mutex_init(&pool->lock, NULL) != 0) {
		free(pool);
		return RC_NOMEM;
	}
	pool->large_bytes = (large_bytes + align - 1) / align * align;
	size_t small = small_n * (head + FRAME_SMALL_BYTES);
	pool->memory = calloc(1, small + large_n * (head + pool->large_bytes) + 1);
	if (pool->memory == NULL) {
		frame_pool_free(pool);
		return RC_NOMEM;
	}
	pool->small = lay_out(pool, pool->memory, small_n, FRAME_SMALL_BYTES);
	pool->large = lay_out(pool, (uint8_t *)pool->memory + small, large_n, pool->large_bytes);
	*out = pool;
	return RC_OK;
}

void frame_pool_free(struct frame_pool *pool)
{
	if (pool == NULL)
		return;
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool->memory);
	free(pool);
}

static struct frame *take(struct frame_pool *pool, struct frame **from)
{
	(void)pthread_mutex_lock(&pool->lock);
	struct frame *frame = *from;
	if (frame != NULL)
		*from = frame->next;
	(void)pthread_mutex_unlock(&pool->lock);
	return frame;
}

static void give_back(struct frame *frame)
{
	struct frame_pool *pool = frame->pool;
	struct frame **to = frame->cap == FRAME_SMALL_BYTES ? &pool->small : &pool->large;

	wipe(frame->bytes, frame->len);
	frame->len = 0;
	frame->made = false;
	(void)pthread_mutex_lock(&pool->lock);
	frame->next = *to;
	*to = frame;
	(void)pthread_mutex_unlock(&pool->lock);
}

/* In a block of `from`; RC_LIMIT: none is free, or it does not fit. */
static enum rc encode_in_block(const struct message *message, struct frame_pool *pool,
    struct frame **from, struct frame **out, struct errmsg *why)
{
	struct frame *frame = take(pool, from);
	struct buf encoded;

	if (frame == NULL)
		return RC_LIMIT;
	buf_init_over(&encoded, frame->bytes, frame->cap);
	enum rc rc = message_encode(message, &encoded, why);
	frame->len = encoded.len;
	if (rc == RC_OK)
		*out = frame;
	else
		give_back(frame);
	return rc;
}

/* ---- frames ---------------------------------------------------------------------- */

static enum rc encode_on_heap(const struct message *message, struct frame **out, struct errmsg *why)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	struct buf encoded;

	if (frame == NULL)
		return RC_NOMEM;
	buf_init(&encoded, WIRE_MESSAGE_BYTES_MAX);
	enum rc rc = message_encode(message, &encoded, why);
	if (rc == RC_OK) {
		uint8_t *bytes = buf_take(&encoded, &frame->len);
		rc = hand_over(frame, bytes);
	}
	buf_fini(&encoded);
	if (rc != RC_OK)
		free(frame);
	else
		*out = frame;
	return rc;
}

enum rc frame_new(const struct message *message, uint32_t protocol, struct frame_pool *pool,
    struct frame **out, struct errmsg *why)
{
	struct message versioned = *message;
	struct frame *frame = NULL;
	enum rc rc = RC_LIMIT;

	versioned.protocol = protocol;
	if (pool != NULL)
		rc = encode_in_block(&versioned, pool, &pool->small, &frame, why);
	if (pool != NULL && rc == RC_LIMIT)
		rc = encode_in_block(&versioned, pool, &pool->large, &frame, why);
	if (rc == RC_LIMIT)
		rc = encode_on_heap(&versioned, &frame, why);
	if (rc != RC_OK)
		return rc;
	frame->next = NULL;
	*out = frame;
	return RC_OK;
}

bool frame_send(struct frame *frame, void *socket)
{
	if (!frame->made) {
		uint8_t *copy = malloc(frame->len + 1);

		if (copy == NULL) {
			errno = EAGAIN;
			return false;
		}
		(void)memcpy(copy, frame->bytes, frame->len);
		if (hand_over(frame, copy) != RC_OK) {
			errno = EAGAIN;
			return false;
		}
	}
	return zmq_msg_send(&frame->message, socket, ZMQ_DONTWAIT) >= 0;
}

void frame_free(struct frame *frame)
{
	if (frame == NULL)
		return;
	if (frame->made)
		(void)zmq_msg_close(&frame->message);
	if (frame->pool != NULL)
		give_back(frame);
	else
		free(frame);
}

void frame_list_push(struct frame_list *list, struct frame *frame)
{
	frame->next = NULL;
	if (list->tail == NULL)
		list->head = frame;
	else
		list->tail->next = frame;
	list->tail = frame;
}

struct frame *frame_list_pop(struct frame_list *list)
{
	struct frame *frame = list->head;

	if (frame == NULL)
		return NULL;
	list->head = frame->next;
	if (list->head == NULL)
		list->tail = NULL;
	frame->next = NULL;
	return frame;
}

void frame_list_append(struct frame_list *to, struct frame_list *from)
{
	if (from->head == NULL)
		return;
	if (to->tail == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	from->head = from->tail = NULL;
}

void frame_list_clear(struct frame_list *list)
{
	struct frame *frame;

	while ((frame = frame_list_pop(list)) != NULL)
		frame_free(frame);
}

void frame_wipe_received(zmq_msg_t *message)
{
	wipe(zmq_msg_data(message), zmq_msg_size(message));
	(void)zmq_msg_close(message);
}

bool frame_skip_rest(void *socket)
{
	bool any = false;

	for (;;) {
		int more = 0;
		size_t len = sizeof(more);
		zmq_msg_t part;
		if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &len) != 0 || more == 0)
			return any;
		(void)zmq_msg_init(&part);
		if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
			(void)zmq_msg_close(&part);
			return any;
		}
		any = true;
		frame_wipe_received(&part);
	}
}
