/* Frames: encoded messages on their way out. */
#include "wire/frame.h"

#include <stdlib.h>

#include "base/wipe.h"

/* libzmq is done with the bytes: called from a thread of its own. */
static void release_bytes(void *bytes, void *hint)
{
	size_t len = (size_t)(uintptr_t)hint;

	wipe(bytes, len);
	free(bytes);
}

static enum rc take_bytes(struct buf *encoded, struct frame *frame)
{
	size_t len;
	uint8_t *bytes = buf_take(encoded, &len);

	if (zmq_msg_init_data(&frame->message, bytes, len, release_bytes, (void *)(uintptr_t)len) !=
	    0) {
		release_bytes(bytes, (void *)(uintptr_t)len);
		return RC_NOMEM;
	}
	frame->len = len;
	return RC_OK;
}

enum rc frame_new(
    const struct message *message, uint32_t protocol, struct frame **out, struct errmsg *why)
{
	struct message versioned = *message;
	struct buf encoded;

	struct frame *frame = calloc(1, sizeof(*frame));
	if (frame == NULL)
		return RC_NOMEM;
	versioned.protocol = protocol;
	buf_init(&encoded, WIRE_MESSAGE_BYTES_MAX);
	enum rc rc = message_encode(&versioned, &encoded, why);
	if (rc == RC_OK)
		rc = take_bytes(&encoded, frame);
	buf_fini(&encoded);
	if (rc != RC_OK) {
		free(frame);
		return rc;
	}
	*out = frame;
	return RC_OK;
}

void frame_free(struct frame *frame)
{
	if (frame == NULL)
		return;
	(void)zmq_msg_close(&frame->message);
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
