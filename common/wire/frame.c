/* Frames: encoded messages on their way out. */
#include "wire/frame.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "os/pages.h"

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

/* Blocks of one size. */
struct blocks {
	struct frame *free;
	size_t n, cap;
};

struct frame_pool {
	pthread_mutex_t lock;
	void *memory;
	size_t memory_bytes;
	size_t n;
	struct blocks blocks[];
};

static size_t rounded(size_t bytes)
{
	const size_t align = alignof(max_align_t);

	return (bytes + align - 1) / align * align;
}

static size_t bytes_of(const struct wire_pool *size)
{
	return size->n * (rounded(sizeof(struct frame)) + rounded(size->bytes));
}

size_t frame_pool_bytes(const struct wire_pool *sizes, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += bytes_of(&sizes[i]);
	return bytes;
}

static void lay_out(struct frame_pool *pool, size_t size, uint8_t *memory)
{
	struct blocks *blocks = &pool->blocks[size];

	for (size_t i = 0; i < blocks->n; i++) {
		void *at = memory + i * (rounded(sizeof(struct frame)) + blocks->cap);
		struct frame *frame = at;

		*frame = (struct frame){
			.next = blocks->free, .pool = pool, .size = size, .cap = blocks->cap
		};
		frame->bytes = (uint8_t *)at + rounded(sizeof(*frame));
		blocks->free = frame;
	}
}

enum rc frame_pool_new(const struct wire_pool *sizes, size_t n, struct frame_pool **out)
{
	struct frame_pool *pool = calloc(1, sizeof(*pool) + n * sizeof(pool->blocks[0]));
	uint8_t *at;

	if (pool == NULL || pthread_mutex_init(&pool->lock, NULL) != 0) {
		free(pool);
		return RC_NOMEM;
	}
	pool->memory_bytes = frame_pool_bytes(sizes, n);
	pool->memory = pages_take(pool->memory_bytes);
	if (pool->memory == NULL) {
		frame_pool_free(pool);
		return RC_NOMEM;
	}
	at = pool->memory;
	pool->n = n;
	for (size_t i = 0; i < n; i++) {
		pool->blocks[i] =
		    (struct blocks){ .n = sizes[i].n, .cap = rounded(sizes[i].bytes) };
		lay_out(pool, i, at);
		at += bytes_of(&sizes[i]);
	}
	*out = pool;
	return RC_OK;
}

void frame_pool_free(struct frame_pool *pool)
{
	if (pool == NULL)
		return;
	(void)pthread_mutex_destroy(&pool->lock);
	pages_give(pool->memory, pool->memory_bytes);
	free(pool);
}

static struct frame *take(struct frame_pool *pool, size_t size)
{
	(void)pthread_mutex_lock(&pool->lock);
	struct frame *frame = pool->blocks[size].free;
	if (frame != NULL)
		pool->blocks[size].free = frame->next;
	(void)pthread_mutex_unlock(&pool->lock);
	return frame;
}

static void give_back(struct frame *frame)
{
	struct frame_pool *pool = frame->pool;
	struct blocks *blocks = &pool->blocks[frame->size];

	wipe(frame->bytes, frame->len);
	frame->len = 0;
	frame->made = false;
	(void)pthread_mutex_lock(&pool->lock);
	frame->next = blocks->free;
	blocks->free = frame;
	(void)pthread_mutex_unlock(&pool->lock);
}

/* In a block of that size; RC_LIMIT: none is free, or it does not fit. */
static enum rc encode_in_block(const struct message *message, struct frame_pool *pool, size_t size,
    struct frame **out, struct errmsg *why)
{
	struct frame *frame = take(pool, size);
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
	for (size_t i = 0; pool != NULL && i < pool->n && rc == RC_LIMIT; i++)
		rc = encode_in_block(&versioned, pool, i, &frame, why);
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
