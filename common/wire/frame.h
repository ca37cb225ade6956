/*
 * Frames: encoded messages on their way out, in lists; and the decoding of one
 * that came in.  Their bytes are wiped when libzmq lets go of them.  Inside
 * wire only.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <zmq.h>

#include "wire/message.h"

struct frame {
	struct frame *next;
	size_t len; /* of the message, also once libzmq has it */
	zmq_msg_t message;
};

/* First in, first out.  All zero is empty. */
struct frame_list {
	struct frame *head, *tail;
};

/* Encode `message` as spoken in `protocol`.  RC_LIMIT, RC_INVALID, RC_NOMEM. */
enum rc frame_new(const struct message *message, uint32_t protocol, struct frame **out,
    struct errmsg *why) RC_CHECK;
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
