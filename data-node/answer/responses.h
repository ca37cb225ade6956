/*
 * Responses: POST /v1/responses, as its clients use it, over what chats are made of.
 *
 * The body is turned into that of a chat: instructions and input become messages, tools
 * and text.format the chat's own.  The answer is written as items: reasoning, a message,
 * calls of functions.  Nothing is stored here under a response's id, so what leans on a
 * stored one (previous_response_id, conversation, item_reference, background) is refused by name.
 */
#ifndef ANSWER_RESPONSES_H
#define ANSWER_RESPONSES_H

#include "answer/chat_request.h"
#include "answer/chunk.h"
#include "answer/generation.h"

#define RESPONSES_INPUT_MAX CHAT_MESSAGES_MAX
#define RESPONSES_ID_BYTES 40

struct responses;

/*
 * Read a body into `out` as chat_request_parse() does, with faults that name this
 * API's fields.  `*answer` is what writes the answer, in `arena` but for its buffers: end it
 * with responses_fini().
 */
enum rc responses_parse(const char *body, size_t len, struct arena *arena, struct chat_request *out,
    struct responses **answer, struct chat_fault *fault) RC_CHECK;
void responses_fini(struct responses *answer); /* NULL is fine */

/* response.created and its like, for each event of the answer in its order, to `out`. */
void responses_begin(struct responses *answer, struct buf *out, const struct chunk_head *head);
void responses_event(
    struct responses *answer, struct buf *out, const struct generation_event *event);
void responses_end(struct responses *answer, struct buf *out, const struct chunk_end *end);
void responses_fail(
    struct responses *answer, struct buf *out, const char *code, const char *message);

/* After responses_end(): the answer as one object; RC_LIMIT, RC_NOMEM if it is too long. */
enum rc responses_body(
    struct responses *answer, struct buf *out, const struct chunk_end *end) RC_CHECK;

#endif
