/*
 * Remote body: a prompt as the JSON that an OpenAI-compatible server takes.
 */
#ifndef ANSWER_REMOTE_BODY_H
#define ANSWER_REMOTE_BODY_H

#include "answer/chat_request.h"

struct remote_body {
	const char *model;                  /* as that server calls it */
	const struct chat_request *request; /* what the client said about how to answer */
	const struct wire_generate *prompt; /* messages, or a raw prompt */
	uint32_t max_tokens;                /* where the client sets no limit; 0: none */
	unsigned choice;                    /* each has a seed of its own */
};

/* Append it; it asks for a stream with the usage at its end.  Says nothing of who asks. */
void remote_body_put(const struct remote_body *body, struct buf *out);

#endif
