/*
 * Frames: encoded messages on their way out, in lists.  Their bytes are wiped when
 * libzmq, or the pool, lets go of them.  Inside wire only.
 *
 * A pool holds memory for messages that is taken beforehand, so that whoever makes
 * one allocates nothing: the thread that sends it copies it into libzmq's memory.
 * A message that is too large, or one too many, comes from the heap.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <zmq.h>

#include "wire/message.h"
#include "wire/server.h"

struct frame_pool;

struct frame {
	struct frame *next;
	size_t len; /* of the message, also once libzmq has it */
	bool made;  /* `message` is libzmq's form of it */
	zmq_msg_t message;
	struct frame_pool *pool; /* NULL: of the heap */
	size_t size;             /* which of the pool's; `cap` is that */
	size_t cap;              /* of `bytes` */
	uint8_t *bytes;          /* behind it, of one of a pool */
};

/* Blocks of each of `sizes` [sizes_len], the smallest first. */
enum rc frame_pool_new(
    const struct wire_pool *sizes, size_t sizes_len, struct frame_pool **out) RC_CHECK;
/* All its frames are free. */
void frame_pool_free(struct frame_pool *pool);
/* What they take, of pages of their own (os/pages.h). */
size_t frame_pool_bytes(const struct wire_pool *sizes, size_t sizes_len);

/* First in, first out.  All zero is empty. */
struct frame_list {
	struct frame *head, *tail;
};

/* Encode `message` as spoken in `protocol`; `pool` may be NULL.  RC_LIMIT, RC_INVALID,
 * RC_NOMEM. */
enum rc frame_new(const struct message *message, uint32_t protocol, struct frame_pool *pool,
    struct frame **out, struct errmsg *why) RC_CHECK;

/* Hand it to `socket`; false: errno says why, and it may be tried again. */
bool frame_send(struct frame *frame, void *socket);
void frame_free(struct frame *frame);

void frame_list_push(struct frame_list *list, struct frame *frame);
/* NULL: empty. */
struct frame *frame_list_pop(struct frame_list *list);
/* Move all of `from` behind `to`. */
void frame_list_append(struct frame_list *to, struct frame_list *from);
void frame_list_clear(struct frame_list *list);

/* Wipe what a received message holds, then close it. */
void frame_wipe_received(zmq_msg_t *message);

/*
 * Drop the rest of a multi-part message; true if there was any.
 */
bool frame_skip_rest(void *socket);

#endif
